"""Compilers that stay warm in a slot: a jailed server that answers one source text after another.

A cold javac or tsc spends nearly all its time on starting up: 0.7 and 0.9 s of CPU, against 0.08 and 0.05 for compiling
and running with a warm one. The server is an open run of its own, with process ids and a /tmp that no program shares;
source goes in and files come out through pipes, and no code of a candidate runs in it. It is ended, and a new one
started, after a limit was passed, a protocol error, or `_TURNS` answers.

    request:  name, source           each a 4-byte big-endian length and that many bytes
    answer:   messages, count of files (4 bytes), then name, content of each; no files: it does not compile
"""

import os
import select
import signal
import struct
import time
from contextlib import suppress
from typing import Any

from . import script
from .meter import Meter
from .tiers import Jail

_TURNS = 500
_MOST = 64 << 20  # bytes of one answer
_LOOK_SECONDS = 0.05


class CompilerError(Exception):
    """The server passed a limit ("cpu", "wall", "memory") or broke down ("exit")."""


class Compiler:
    """One warm server. Not for two requests at a time."""

    def __init__(self, jail: Jail, proc: int, null: int, step: dict[str, Any]) -> None:
        """Start it by `step`. Raises OSError where that fails."""
        self._turns = 0
        given, self._into = os.pipe()
        self._from, out = os.pipe()
        self._told, result = os.pipe()
        os.set_blocking(self._from, False)
        os.set_blocking(self._into, False)
        pid = jail.fork()
        if pid == 0:
            script.run(jail, step | {"cpu_seconds": 1e6}, step["server"], (given, out, null, result), own=step["own"])
        for handle in (given, out, result):
            os.close(handle)
        self._pid, self._child = pid, os.pidfd_open(pid)
        self._meter = Meter(proc, [pid], tree=True)

    @property
    def worn(self) -> bool:
        """Whether it has answered often enough to be replaced."""
        return self._turns >= _TURNS

    def compile(self, name: str, source: bytes, step: dict[str, Any]) -> tuple[dict[str, bytes], str, float]:
        """The files it makes of a source text, its messages, and the CPU-seconds it took. Raises CompilerError."""
        self._turns += 1
        before = self._meter.cpu()
        limits = (before + step["cpu_seconds"], time.monotonic() + step["wall_seconds"], step["memory_bytes"])
        data = name.encode()
        self._move(struct.pack(">I", len(data)) + data + struct.pack(">I", len(source)) + source, limits)
        messages = self._field(limits).decode("utf-8", "replace")
        count = struct.unpack(">I", self._take(4, limits))[0]
        files = {}
        for _ in range(min(count, 10_000)):
            made = self._field(limits).decode("utf-8", "replace")
            files[made] = self._field(limits)
        if not all(part and "\0" not in part and part not in (".", "..") for made in files for part in made.split("/")):
            raise CompilerError("exit")
        return files, messages, self._meter.cpu() - before

    def close(self) -> None:
        """End it and all it started."""
        signal.pidfd_send_signal(self._child, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        for handle in (self._into, self._from, self._told, self._child):
            os.close(handle)

    def _field(self, limits: tuple[float, float, int]) -> bytes:
        size = struct.unpack(">I", self._take(4, limits))[0]
        if size > _MOST:
            raise CompilerError("exit")
        return self._take(size, limits)

    def _take(self, count: int, limits: tuple[float, float, int]) -> bytes:
        data = bytearray()
        while len(data) < count:
            self._wait(self._from, select.POLLIN, limits)
            with suppress(BlockingIOError):
                block = os.read(self._from, count - len(data))
                if not block:
                    raise CompilerError("exit")
                data += block
        return bytes(data)

    def _move(self, data: bytes, limits: tuple[float, float, int]) -> None:
        while data:
            self._wait(self._into, select.POLLOUT, limits)
            try:
                data = data[os.write(self._into, data) :]
            except BlockingIOError:
                continue
            except OSError:
                raise CompilerError("exit") from None

    def _wait(self, handle: int, events: int, limits: tuple[float, float, int]) -> None:
        cpu, wall, memory = limits
        poll = select.poll()
        poll.register(handle, events)
        while not poll.poll(1000 * _LOOK_SECONDS):
            for passed, why in ((self._meter.cpu() > cpu, "cpu"), (time.monotonic() > wall, "wall"),
                                (self._meter.memory() > memory, "memory")):  # fmt: skip
                if passed:
                    raise CompilerError(why)
