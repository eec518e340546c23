"""One slot from outside: starting the process, asking it to run a job, ending it."""

import marshal
import os
import socket
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
_START = "import sys; sys.path.insert(0, sys.argv[1]); from worker.slot import main; del sys.path[0]; "
_START += "main(int(sys.argv[2]))"


class SlotError(Exception):
    """A slot could not start or stopped answering."""


class Slot:
    """One slot process. Not thread-safe: whoever holds it uses it alone."""

    def __init__(self, tier: str, reads: Sequence[str] = ()) -> None:
        self._scratch = "" if tier in "AB" else tempfile.mkdtemp(prefix="smallcoder-sandbox-")
        python = getattr(sys, "_base_executable", sys.executable)
        # -P -s with this environment is -I, but for the fixed hash seed: the order of a set must not vary by slot.
        command = [python, "-P", "-s", "-S", "-B", "-c", _START]
        command += [str(Path(__file__).parent), str(os.getpid())]
        self._line, theirs = socket.socketpair()
        quiet = subprocess.DEVNULL
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command, stdin=theirs.fileno(), stdout=quiet, stderr=quiet, env={"PYTHONHASHSEED": "0"}, cwd="/",
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            self._line.close()
            if self._scratch:
                discard_folder(self._scratch)
            raise SlotError(f"the slot cannot start ({error})") from None
        try:
            hello = self._ask({"tier": tier, "scratch": self._scratch, "reads": list(reads)}, _GRACE_SECONDS)
        except SlotError:
            self.close()
            raise
        if not hello["tier"]:
            self.close()
            raise SlotError(hello["reason"])

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Raises SlotError where the slot died or fell silent."""
        return self._ask(job, job["patience"])

    def _ask(self, job: dict[str, Any], seconds: float) -> dict[str, Any]:
        try:
            self._line.settimeout(seconds)
            send_bytes(self._line, marshal.dumps(job))
            reply = receive(self._line)
        except (OSError, DecodeError) as error:
            raise SlotError(f"the slot does not answer ({error})") from None
        if reply is None:
            raise SlotError("the slot died")
        return reply

    def hang_up(self) -> None:
        """Make the slot end what it runs and itself, and wake whoever waits in `run`. Safe to repeat."""
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
