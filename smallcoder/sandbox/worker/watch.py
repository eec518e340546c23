"""Starts the children of one run, waits for the first one's end or a limit, and leaves none of them behind."""

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from .meter import Meter
from .tiers import Jail

_SOON_MS = 10  # in which most runs have ended, and no limit is passed
_TREE_SECONDS = 0.05  # how often an open run is measured
_STARVED = 20  # times its wall limit that a run may take where it waits for a processor


@dataclass
class Pipe:
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


@dataclass
class End:
    """How the first child of a run ended: exit, cpu, wall, memory, output, or gone; its exit code; CPU time of all."""

    why: str
    code: int = 0
    cpu_seconds: float = 0.0


class Line(Protocol):
    """The slot's side of its line to the parent."""

    def fileno(self) -> int: ...


@dataclass(frozen=True)
class Watch:
    """What the runs of a slot have in common: its jail, its line to the parent, the parent, and /proc."""

    jail: Jail
    line: Line
    parent: int
    proc: int

    def run(
        self,
        job: dict[str, Any],
        starts: list[Callable[[], int]],
        pipes: list[Pipe],
        close: Callable[[], None] = lambda: None,
        tree: bool = False,
    ) -> End:
        """Start children, wait for the first one's end or a limit, then kill and reap them all.

        `close` closes the slot's copies of what the children were given.
        """
        pids: list[int] = []
        children: list[int] = []
        ended = End("gone")
        try:
            try:
                for start in starts:
                    pids.append(pid := start())
                    children.append(os.pidfd_open(pid))
            finally:
                for pipe in pipes:
                    os.close(pipe.target)
                close()
            poll = self._poll(children[0])
            ended.why = self._soon(poll, children[0], pipes)
            if not ended.why:
                meter = Meter(self.proc, pids, tree)
                ended.why = self._wait(job, meter, pipes, poll, children[0])
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

    def _poll(self, child: int) -> select.poll:
        poll = select.poll()
        for handle in (child, self.parent):
            poll.register(handle, select.POLLIN)
        poll.register(self.line, select.POLLRDHUP)  # the next job may be there already
        return poll

    def _soon(self, poll: select.poll, child: int, pipes: list[Pipe]) -> str:
        """As `_wait`, or "" where the run takes longer. Being woken for each thing that it writes is what costs."""
        events = {handle for handle, _ in poll.poll(_SOON_MS)}
        if events and child not in events:
            return "gone"
        for pipe in pipes if events else ():
            pipe.drain()
            if len(pipe.data) > pipe.most:
                return "output"
        return "exit" if events else ""

    def _wait(self, job: dict[str, Any], meter: Meter, pipes: list[Pipe], poll: select.poll, child: int) -> str:
        """Wait for "exit", or the limit that was passed: cpu, wall, memory, output; "gone" if the parent went."""
        tree = meter.tree
        start = time.monotonic() - _SOON_MS / 1000
        most = start + _STARVED * job["wall_seconds"]
        allowed = job["wall_seconds"]
        by_source = {pipe.source: pipe for pipe in pipes}
        for handle in by_source:
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
