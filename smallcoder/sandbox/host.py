"""One slot from outside: starting the process, asking it to run a job, ending it."""

import marshal
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from smallcoder.sandbox.worker.codec import DecodeError
from smallcoder.sandbox.worker.slot import receive, send_bytes
from smallcoder.sandbox.worker.tiers import discard_folder

_GRACE_SECONDS = 60.0  # to start on a busy machine
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"}  # or every clone looks its symbols up anew
_START = "import sys; sys.path.insert(0, sys.argv[1]); from worker import warm; warm.load(); "
_START += "from worker.slot import main; del sys.path[0]; main(int(sys.argv[2]))"


class SlotError(Exception):
    """A slot could not start or stopped answering."""


class Slot:
    """One slot process. It answers jobs in the order in which it gets them. For one thread, but for `hang_up`."""

    def __init__(self, tier: str, reads: Sequence[str] = ()) -> None:
        self._scratch = "" if tier in "AB" else tempfile.mkdtemp(prefix="smallcoder-sandbox-")
        python = getattr(sys, "_base_executable", sys.executable)
        # -P -s with this environment is -I, but for the fixed hash seed: the order of a set must not vary by slot.
        command = [python, "-P", "-s", "-S", "-B", "-c", _START]
        command += [str(Path(__file__).parent), str(os.getpid())]
        self._patience = 0.0
        self._line, theirs = socket.socketpair()
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(_GRACE_SECONDS), 0))
        quiet = subprocess.DEVNULL
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command, stdin=theirs.fileno(), stdout=quiet, stderr=quiet, env=_ENVIRONMENT, cwd="/",
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            self._line.close()
            if self._scratch:
                discard_folder(self._scratch)
            raise SlotError(f"the slot cannot start ({error})") from None
        try:
            about = {"tier": tier, "scratch": self._scratch, "reads": list(reads), "patience": _GRACE_SECONDS}
            hello = self.run(about)
        except SlotError:
            self.close()
            raise
        if not hello["tier"]:
            self.close()
            raise SlotError(hello["reason"])
        self.pids = {self._process.pid, hello["template"]}  # the processes that stay

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job. Raises SlotError where the slot died or falls silent."""
        self.send(marshal.dumps(job))
        return self.receive(job["patience"])

    def send(self, job: bytes) -> None:
        """Hand over a job, as a marshal. What does not fit into the socket's buffer waits until the slot is idle.

        Raises SlotError where the slot died.
        """
        try:
            send_bytes(self._line, job)
        except OSError as error:
            raise SlotError(f"the slot does not take a job ({error})") from None

    def receive(self, seconds: float) -> dict[str, Any]:
        """The answer to the oldest job. Raises SlotError where the slot died or falls silent; it is of no use then."""
        try:
            if seconds != self._patience:  # a limit of the kernel's: Python's own takes a poll(2) before every call
                self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(seconds) + 1, 0))
                self._patience = seconds
            reply = receive(self._line)
            if reply is None:
                raise OSError("it died")
        except (OSError, DecodeError) as error:
            raise SlotError(f"the slot does not answer ({error})") from None
        return reply

    def hang_up(self) -> None:
        """Make the slot end what it runs and itself, and wake whoever waits in `receive`. Safe to repeat."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the slot and all it started."""
        self.hang_up()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._line.close()
        if self._scratch and os.path.isdir(self._scratch):
            discard_folder(self._scratch)
