"""What happens in an open child: it is the init of its own process ids, starts one command and waits for its end.

The command never holds the result pipe, so how it ended is what the kernel says. When this process ends, the kernel
kills all that the command left behind.
"""

import os
import signal
import struct
from collections.abc import Sequence
from typing import Any, NoReturn

from .tiers import Jail


def run(
    jail: Jail,
    job: dict[str, Any],
    command: list[str],
    pipes: Sequence[int],
    *,
    own: dict[str, bytes] | None = None,
    extra: tuple[int, ...] = (),
) -> NoReturn:
    """Run `command` with the standard pipes; tell the last of four `pipes` "s" once shut in, and then its exit code.

    With `own` files it starts with those in a /tmp of its own. It finds `extra` descriptors as 3 and so on. Where that
    failed it is "!" and a reason. Never returns.
    """
    leave = os._exit
    result = pipes[3]
    try:
        try:
            for standard, pipe in enumerate(pipes[:3]):
                os.dup2(pipe, standard)
            jail.open(int(job["cpu_seconds"]) + 2, job["memory_bytes"], tmp=own is None)
            for name, data in (own or {}).items():
                with open(name, "wb") as file:
                    file.write(data)
            for number, handle in enumerate(extra, 3):  # which the slot itself uses for its line and /proc
                os.dup2(handle, number)
            os.closerange(3 + len(extra), result)
            os.closerange(result + 1, 1 << 16)
            os.write(result, b"s")
            pid = os.fork()
            if pid == 0:
                try:
                    for one in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):  # which the slot ignores
                        signal.signal(one, signal.SIG_DFL)
                    os.close(result)
                    os.execve(command[0], command, job["environment"])
                except OSError as error:
                    os.write(2, f"{command[0]}: {error}".encode())
                finally:
                    leave(127)
        except OSError as error:
            os.write(result, b"!" + str(error).encode("utf-8", "replace")[:200])
            leave(1)
        os.closerange(0, 3 + len(extra))
        while True:
            ended, status = os.waitpid(-1, 0)
            if ended == pid:
                break
        os.write(result, struct.pack("<i", os.waitstatus_to_exitcode(status)))
    finally:
        leave(0)
