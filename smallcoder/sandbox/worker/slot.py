"""A slot: a trusted, warm interpreter in its own session that forks the children of a run, watches them and reports.

It talks with its parent over one socket, in messages of an 8-byte length and data: what it is told is a marshal of the
parent's own, what it says is encoded as `codec.py` does. It never runs
candidate code and never interprets what a candidate wrote. It ends when the socket closes or the parent dies, takes
the running children with it, and leaves no files. Without a candidate it sleeps.
"""

import gc
import marshal
import os
import select
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from .codec import decode, encode
from .programs import Programs
from .template import Template
from .tiers import Jail, discard_folder
from .watch import End, Pipe, Watch

_FRAME_BYTES = 512  # room for a frame's head or an error text
_MESSAGE_BYTES = 1 << 32
_KEPT_BYTES = 1 << 20  # of a job, after its run


def main(parent: int) -> None:
    """Serve on the socket that is standard input until the parent goes. Says first whether the tier was reached."""
    watch = os.pidfd_open(parent)
    os.environ.pop("LD_BIND_NOW", None)
    os.umask(0o022)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.getppid() != parent:  # it died before there was a watch on it
        return
    line = _Line(os.dup(0))
    hello = receive(line, marshal.loads)
    if hello is None:
        return
    try:
        _serve(line, watch, hello)
    finally:
        if hello["scratch"]:
            discard_folder(hello["scratch"])


class _Line:
    """A socket's methods for a descriptor, without the module `socket`: what a slot has loaded, every run copies."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def fileno(self) -> int:
        return self._handle

    def recv(self, count: int) -> bytes:
        return os.read(self._handle, count)

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._handle, data) :]


class Wire(Protocol):
    """What this side and the parent's have of a socket."""

    def recv(self, count: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> Any: ...


def _serve(line: _Line, watch: int, hello: dict[str, Any]) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        jail = Jail(hello["tier"], hello["scratch"], hello["reads"])
        sys.modules["random"].seed(0)  # runs repeat exactly
        gc.disable()
        gc.freeze()  # the child shares these pages instead of copying them at its first collection
        template = _template(jail, proc)
    except OSError as error:
        send(line, {"tier": "", "reason": str(error)})
        return
    slot = _Slot(Watch(jail, line, watch, proc), null, template)
    send(line, {"tier": jail.tier, "reason": "", "template": template.pid})
    while True:
        ready = select.select([line, watch], [], [])[0]
        if watch in ready or (job := receive(line, marshal.loads)) is None:
            return
        if (reply := slot.run(job)) is None:
            return
        jail.clean()
        send(line, reply)


def _template(jail: Jail, proc: int) -> Template:
    """In huge pages; without them where the move was its end: a process may not map memory in the midst of it."""
    try:
        return Template(jail, proc)
    except OSError:
        return Template(jail, None)


class _Slot:
    def __init__(self, watch: Watch, null: int, template: Template) -> None:
        self.jail, self.watch, self.template = watch.jail, watch, template
        self.programs = Programs(watch, null)
        self._files = (os.memfd_create("program"), os.memfd_create("tests"))

    def run(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """Run one job. None where the parent went away meanwhile. All children are dead and reaped afterwards."""
        try:
            for name, content in job["files"].items():
                with open(os.path.join(self.jail.folder, name), "xb") as file:
                    file.write(content)
            if "steps" in job:
                return self.programs.run(job)
            return self._tests(job) if job["tests"] else self._calls(job)
        except OSError as error:  # no more processes, memory or descriptors
            return {"end": "infra", "reason": str(error), "data": b"", "cpu_seconds": 0.0}

    def _calls(self, job: dict[str, Any]) -> dict[str, Any] | None:
        pipe = Pipe(job["output_bytes"] + _FRAME_BYTES * (job["calls"] + 2))
        with self._written(job["program"]) as (program,):
            start = [lambda: self.template.calls(program, pipe.target)]
            return self._report(job, pipe, self.watch.run(job, start, [pipe]))

    def _tests(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """The tests' process ends the run; its verdict is what counts."""
        verdict = Pipe(4 * _FRAME_BYTES)
        calls, answers = os.pipe(), os.pipe()

        def close() -> None:
            for handle in (*calls, *answers):
                os.close(handle)

        with self._written(job["program"], job["tests"]) as (program, tests):
            start = [
                lambda: self.template.tests(tests, verdict.target, calls[1], answers[0]),
                lambda: self.template.asked(program, answers[1], calls[0]),
            ]
            return self._report(job, verdict, self.watch.run(job, start, [verdict], close))

    @contextmanager
    def _written(self, *jobs: bytes) -> Iterator[list[tuple[int, int]]]:
        """The two files that every process finds open at its start, and closes, written with one job each."""
        for handle, data in zip(self._files, jobs, strict=False):
            done = 0
            while done < len(data):
                done += os.pwrite(handle, memoryview(data)[done:], done)
        yield [(handle, len(data)) for handle, data in zip(self._files, jobs, strict=False)]
        for handle, data in zip(self._files, jobs, strict=False):
            if len(data) > _KEPT_BYTES:
                os.truncate(handle, 0)

    def _report(self, job: dict[str, Any], pipe: Pipe, ended: End) -> dict[str, Any] | None:
        if ended.why == "gone":
            return None
        data, seconds = bytes(pipe.data), ended.cpu_seconds
        if not data.startswith(b"R"):
            reason = data[:200].decode(errors="replace") or "not started"
            return {"end": "infra", "reason": reason, "data": b"", "cpu_seconds": seconds}
        died = f"signal {-ended.code}" if ended.code < 0 else ""
        end = ended.why
        if end == "exit" and (died == f"signal {signal.SIGXCPU:d}" or seconds > job["cpu_seconds"]):
            end = "cpu"
        return {"end": end, "reason": died if end == "exit" else "", "data": data, "cpu_seconds": seconds}


def send(line: Wire, message: dict[str, Any]) -> None:
    """Send one message."""
    send_bytes(line, encode(message, _MESSAGE_BYTES))


def send_bytes(line: Wire, data: bytes) -> None:
    """Send one message that is encoded already."""
    line.sendall(struct.pack("<Q", len(data)) + data)


def receive(line: Wire, read: Callable[[bytes], Any] = decode) -> dict[str, Any] | None:
    """The next message, by `read`; None where the other side is gone."""
    head = _exactly(line, 8)
    data = _exactly(line, struct.unpack("<Q", head)[0]) if head else None
    return read(data) if data is not None else None


def _exactly(line: Wire, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        try:
            block = line.recv(min(count - len(data), 1 << 20))
        except ConnectionError:
            return None
        if not block:
            return None
        data += block
    return bytes(data)
