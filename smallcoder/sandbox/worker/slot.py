"""A slot: a trusted, warm interpreter in its own session that forks the children of a run, watches them and reports.

It talks with its parent over one socket, in messages of an 8-byte length and data: what it is told is a marshal of the
parent's own, what it says is encoded as `codec.py` does. It never runs
candidate code and never interprets what a candidate wrote. It ends when the socket closes or the parent dies, takes
the running children with it, and leaves no files. Without a candidate it sleeps.
"""

import gc
import importlib
import marshal
import os
import select
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from . import candidate, script, witness
from .codec import decode, encode
from .compiler import Compiler, CompilerError
from .meter import Meter
from .tiers import Jail, discard_folder

_FRAME_BYTES = 512  # room for a frame's head or an error text
_MESSAGE_BYTES = 1 << 32
_MARK_BYTES = 256
_TREE_SECONDS = 0.05  # how often an open run is measured
_STARVED = 20  # times its wall limit that a run may take where it waits for a processor
_WARM = """
    abc array bisect calendar cmath collections collections.abc contextlib copy dataclasses datetime decimal enum
    fractions functools heapq inspect io itertools json math operator random re statistics string textwrap time types
    typing unicodedata
""".split()  # noqa: SIM905


def main(parent: int) -> None:
    """Serve on the socket that is standard input until the parent goes. Says first whether the tier was reached."""
    watch = os.pidfd_open(parent)
    os.umask(0o022)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.getppid() != parent:  # it died before there was a watch on it
        return
    line = socket.socket(fileno=os.dup(0))
    hello = receive(line, marshal.loads)
    if hello is None:
        return
    try:
        _serve(line, watch, hello)
    finally:
        if hello["scratch"]:
            discard_folder(hello["scratch"])


def _serve(line: socket.socket, watch: int, hello: dict[str, Any]) -> None:
    register, os.register_at_fork = os.register_at_fork, lambda **hooks: None  # or every fork seeds `random` anew
    for name in _WARM:
        importlib.import_module(name)
    os.register_at_fork = register
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        jail = Jail(hello["tier"], hello["scratch"], hello["reads"])
    except OSError as error:
        send(line, {"tier": "", "reason": str(error)})
        return
    send(line, {"tier": jail.tier, "reason": ""})
    sys.modules["random"].seed(0)  # runs repeat exactly
    gc.disable()
    gc.freeze()  # the child shares these pages instead of copying them at its first collection
    slot = _Slot(jail, line, watch, null, proc)
    while True:
        ready = select.select([line, watch], [], [])[0]
        if watch in ready or (job := receive(line, marshal.loads)) is None:
            return
        if (reply := slot.run(job)) is None:
            return
        jail.clean()
        send(line, reply)


@dataclass
class _Pipe:
    """What comes out of a run through one pipe, up to just past `most` bytes."""

    most: int
    data: bytearray = field(default_factory=bytearray)
    source: int = -1
    target: int = -1

    def __post_init__(self) -> None:
        self.source, self.target = os.pipe()
        os.set_blocking(self.source, False)

    def drain(self) -> bool:
        """Read what there is. False at the end of the pipe."""
        while len(self.data) <= self.most:
            try:
                block = os.read(self.source, 1 << 16)
            except BlockingIOError:
                return True
            if not block:
                return False
            self.data += block
        return True

    def close(self) -> None:
        """Close the end that the slot still has."""
        os.close(self.source)


class _Slot:
    def __init__(self, jail: Jail, line: socket.socket, watch: int, null: int, proc: int) -> None:
        self.jail, self.line, self.watch, self.null, self.proc = jail, line, watch, null, proc
        self.compilers: dict[str, Compiler] = {}

    def run(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """Run one job. None where the parent went away meanwhile. All children are dead and reaped afterwards."""
        try:
            for name, data in job["files"].items():
                with open(os.path.join(self.jail.folder, name), "xb") as file:
                    file.write(data)
            if "steps" in job:
                return self._steps(job)
            return self._tests(job) if job["tests"] else self._calls(job)
        except OSError as error:  # no more processes, memory or descriptors
            return {"end": "infra", "reason": str(error), "data": b"", "cpu_seconds": 0.0}

    def _calls(self, job: dict[str, Any]) -> dict[str, Any] | None:
        pipe = _Pipe(job["output_bytes"] + _FRAME_BYTES * (len(job["inputs"]) + 2))
        jail = self.jail
        start = [lambda: candidate.run(jail, job, pipe.target)]
        return self._report(job, pipe, self._watched(job, start, [pipe]))

    def _tests(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """The tests' process ends the run; its verdict is what counts."""
        verdict = _Pipe(4 * _FRAME_BYTES)
        calls, answers = os.pipe(), os.pipe()
        jail = self.jail

        def close() -> None:
            for handle in (*calls, *answers):
                os.close(handle)

        start = [
            lambda: witness.run(jail, job, verdict.target, (calls[1], answers[0])),
            lambda: candidate.run(jail, job, answers[1], calls[0]),
        ]
        return self._report(job, verdict, self._watched(job, start, [verdict], close))

    def _report(self, job: dict[str, Any], pipe: _Pipe, ended: "_End") -> dict[str, Any] | None:
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

    def _steps(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """Commands in turn, such as a compiler and what it made, until one fails."""
        reply: dict[str, Any] = {}
        total = 0.0
        for number, step in enumerate(job["steps"]):
            for name in step["hide"]:
                with suppress(OSError):
                    os.unlink(os.path.join(self.jail.folder, name))
            if "server" in step:
                reply = self._compiled(step, job["files"])
                total += reply["cpu_seconds"]
                if reply["end"] != "exit" or reply["code"] != 0:
                    break
                continue
            pipes = [_Pipe(step["output_bytes"]), _Pipe(step["output_bytes"]), _Pipe(_FRAME_BYTES)]
            given = self._stdin(step["stdin"])
            handles = (given, *(pipe.target for pipe in pipes))
            start = [lambda step=step, handles=handles: script.run(self.jail, step, step["command"], handles)]
            ended = self._watched(step, start, pipes, lambda given=given: os.close(given), tree=True)
            if ended.why == "gone":
                return None
            total += ended.cpu_seconds
            reply = _ended(step, ended, *(bytes(pipe.data) for pipe in pipes))
            reply |= {"step": number, "cpu_seconds": total}
            if reply["end"] != "exit" or reply["code"] != 0:
                break
        return reply | {"mark": self._mark()}

    def _compiled(self, step: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        """One source text through a warm compiler, which is the first step."""
        name = step["name"]
        reply = {"end": "exit", "reason": "", "code": 0, "stdout": b"", "stderr": b"", "step": 0, "cpu_seconds": 0.0}
        if name in self.compilers and self.compilers[name].worn:
            self.compilers.pop(name).close()
        if name not in self.compilers:
            self.compilers[name] = Compiler(self.jail, self.proc, self.null, step)
        try:
            made, said, seconds = self.compilers[name].compile(step["file"], files[step["file"]], step)
        except CompilerError as error:
            self.compilers.pop(name).close()
            return reply | {"end": str(error), "code": 1, "cpu_seconds": step["cpu_seconds"]}
        for one, data in made.items():
            with open(os.path.join(self.jail.folder, one), "xb") as file:
                file.write(data)
        return reply | {"code": 0 if made else 1, "stderr": said.encode(), "cpu_seconds": seconds}

    def _stdin(self, data: bytes) -> int:
        if not data:
            return os.dup(self.null)
        handle = os.memfd_create("stdin")
        os.truncate(handle, len(data))
        with open(os.dup(handle), "wb") as file:
            file.write(data)
        os.lseek(handle, 0, os.SEEK_SET)
        return handle

    def _mark(self) -> bytes:
        """What the run left in its file `mark`: a plain file, read without following or waiting for anything."""
        try:
            handle = os.open(os.path.join(self.jail.folder, "mark"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            return os.read(handle, _MARK_BYTES) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
        finally:
            os.close(handle)

    def _watched(
        self,
        job: dict[str, Any],
        starts: list[Callable[[], Any]],
        pipes: list[_Pipe],
        close: Callable[[], None] = lambda: None,
        tree: bool = False,
    ) -> "_End":
        """Fork a child for each of `starts`, wait for the first one's end or a limit, then kill and reap them all.

        `close` closes the slot's copies of what the children were given.
        """
        pids: list[int] = []
        children: list[int] = []
        ended = _End("gone")
        try:
            try:
                for start in starts:
                    pid = self.jail.fork(apart=tree or len(starts) > 1)
                    if pid == 0:
                        start()
                        os._exit(1)
                    pids.append(pid)
                    children.append(os.pidfd_open(pid))
            finally:
                for pipe in pipes:
                    os.close(pipe.target)
                close()
            meter = Meter(self.proc, pids, tree)
            ended.why = self._wait(job, meter, pipes, children[0], tree)
            ended.cpu_seconds = meter.cpu()
        finally:
            for child in children:
                signal.pidfd_send_signal(child, signal.SIGKILL)
            seconds = 0.0
            for pid, child in zip(pids, children, strict=True):
                _, status, usage = os.wait4(pid, 0)
                seconds += usage.ru_utime + usage.ru_stime
                ended.code = os.waitstatus_to_exitcode(status) if pid == pids[0] else ended.code
                if self.jail.tier == "unsafe":
                    with suppress(OSError):
                        os.killpg(pid, signal.SIGKILL)
                os.close(child)
            ended.cpu_seconds = max(ended.cpu_seconds, seconds)
            for pipe in pipes:
                pipe.drain()
                pipe.close()
        return ended

    def _wait(self, job: dict[str, Any], meter: Meter, pipes: list[_Pipe], child: int, tree: bool) -> str:
        """Wait for "exit", or the limit that was passed: cpu, wall, memory, output; "gone" if the parent went."""
        start = time.monotonic()
        most = start + _STARVED * job["wall_seconds"]
        allowed = job["wall_seconds"]
        poll = select.poll()
        by_source = {pipe.source: pipe for pipe in pipes}
        for handle in (*by_source, child, self.line.fileno(), self.watch):
            poll.register(handle, select.POLLIN)
        while True:
            cpu_left = job["cpu_seconds"] - meter.cpu()
            now = time.monotonic()
            wall_left = start + allowed - now
            if wall_left <= 0:
                allowed = job["wall_seconds"] + meter.waited()
                wall_left = min(start + allowed, most) - now
            if cpu_left <= 0 or wall_left <= 0:
                return "cpu" if cpu_left <= 0 else "wall"
            if tree and meter.memory() > job["memory_bytes"]:
                return "memory"
            wait = min(cpu_left, wall_left, _TREE_SECONDS) if tree else min(cpu_left, wall_left)
            events = {handle for handle, _ in poll.poll(1000 * wait + 1)}
            ready = events & by_source.keys()
            for source in ready:
                if not by_source[source].drain():
                    poll.unregister(source)
                if len(by_source[source].data) > by_source[source].most:
                    return "output"
            if not ready and child in events:
                return "exit"
            if not ready and events:
                return "gone"


@dataclass
class _End:
    """How the first child of a run ended: exit, cpu, wall, memory, output, or gone; its exit code; CPU time of all."""

    why: str
    code: int = 0
    cpu_seconds: float = 0.0


def _ended(step: dict[str, Any], ended: _End, stdout: bytes, stderr: bytes, told: bytes) -> dict[str, Any]:
    end, code = ended.why, ended.code
    reason = ""
    if not told.startswith(b"s"):
        end, reason = "infra", told[1:].decode(errors="replace") or "not started"
    elif len(told) == 5:
        code = struct.unpack("<i", told[1:])[0]
    elif end == "exit":
        code = code or -signal.SIGKILL
    if end == "exit" and (code == -signal.SIGXCPU or ended.cpu_seconds > step["cpu_seconds"]):
        end = "cpu"
    return {"end": end, "reason": reason, "code": code, "stdout": stdout, "stderr": stderr}


def send(line: socket.socket, message: dict[str, Any]) -> None:
    """Send one message."""
    send_bytes(line, encode(message, _MESSAGE_BYTES))


def send_bytes(line: socket.socket, data: bytes) -> None:
    """Send one message that is encoded already."""
    line.sendall(struct.pack("<Q", len(data)) + data)


def receive(line: socket.socket, read: Callable[[bytes], Any] = decode) -> dict[str, Any] | None:
    """The next message, by `read`; None where the other side is gone."""
    head = _exactly(line, 8)
    data = _exactly(line, struct.unpack("<Q", head)[0]) if head else None
    return read(data) if data is not None else None


def _exactly(line: socket.socket, count: int) -> bytes | None:
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
