"""One slot from outside: starting the process, asking it to run a job, ending it."""

import marshal
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from smallcoder.sandbox.worker.codec import DecodeError
from smallcoder.sandbox.worker.slot import receive, send_bytes
from smallcoder.sandbox.worker.tiers import discard_folder

_GRACE_SECONDS = 60.0  # to start on a busy machine
_FOR_EVER = 1e6  # seconds; a socket with a time limit, for the line's other end must not block either
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"}  # or every clone looks its symbols up anew
_START = "import sys; sys.path.insert(0, sys.argv[1]); from worker.slot import main; del sys.path[0]; "
_START += "main(int(sys.argv[2]))"


class SlotError(Exception):
    """A slot could not start or stopped answering."""


class Slot:
    """One slot process. It answers jobs in the order in which it gets them; several threads may wait for theirs."""

    def __init__(self, tier: str, reads: Sequence[str] = ()) -> None:
        self._scratch = "" if tier in "AB" else tempfile.mkdtemp(prefix="smallcoder-sandbox-")
        python = getattr(sys, "_base_executable", sys.executable)
        # -P -s with this environment is -I, but for the fixed hash seed: the order of a set must not vary by slot.
        command = [python, "-P", "-s", "-S", "-B", "-c", _START]
        command += [str(Path(__file__).parent), str(os.getpid())]
        self._sending = threading.Lock()
        self._last = threading.Event()  # set once the last job that was sent has its answer
        self._last.set()
        self._broken = False
        self._line, theirs = socket.socketpair()
        self._into = self._line.dup()
        self._into.settimeout(_FOR_EVER)
        quiet = subprocess.DEVNULL
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command, stdin=theirs.fileno(), stdout=quiet, stderr=quiet, env=_ENVIRONMENT, cwd="/",
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            self._line.close()
            self._into.close()
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
        self.pids = {self._process.pid, hello["template"]}  # the processes that stay

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Raises SlotError where the slot died or fell silent."""
        return self._ask(job, job["patience"])

    def _ask(self, job: dict[str, Any], seconds: float) -> dict[str, Any]:
        data, done = marshal.dumps(job), threading.Event()
        try:
            with self._sending:
                before, self._last = self._last, done
                send_bytes(self._into, data)  # waits for as long as the slot is busy, or until it is hung up
            before.wait()
            if self._broken:
                raise OSError("it failed at the job before")
            self._line.settimeout(seconds)
            reply = receive(self._line)
            if reply is None:
                raise OSError("it died")
        except BaseException as error:  # an interrupt too
            self._broken = True  # and no later job may take a late answer for its own
            if not isinstance(error, (OSError, DecodeError)):
                raise
            raise SlotError(f"the slot does not answer ({error})") from None
        finally:
            done.set()
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
        self._last.wait()  # nobody waits for an answer any more
        self._line.close()
        self._into.close()
        if self._scratch and os.path.isdir(self._scratch):
            discard_folder(self._scratch)
