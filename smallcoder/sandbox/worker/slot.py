"""A slot: a trusted, warm interpreter in its own session that forks one child per run, watches it and reports.

It talks with its parent over one socket, in messages of an 8-byte length and encoded plain data. It never runs
candidate code and never interprets what a candidate wrote. It ends when the socket closes or the parent dies, takes
the running child with it, and leaves no files. Without a candidate it sleeps.
"""

import gc
import importlib
import os
import random
import select
import signal
import socket
import struct
import time
from contextlib import suppress
from typing import Any

from . import candidate
from .codec import decode, encode
from .tiers import Jail, discard_folder

_FRAME_BYTES = 512  # room for a frame's head or an error text
_MESSAGE_BYTES = 1 << 32
_WARM = """
    bisect collections collections.abc copy dataclasses datetime decimal enum fractions functools heapq itertools json
    math operator random re statistics string textwrap typing unicodedata
""".split()  # noqa: SIM905


def main(parent: int, tier: str, scratch: str) -> None:
    """Serve on the socket that is standard input until the parent goes. Says first whether the tier was reached."""
    watch = os.pidfd_open(parent)
    os.umask(0o022)
    try:
        if os.getppid() == parent:  # else it died before there was a watch on it
            _serve(socket.socket(fileno=os.dup(0)), watch, tier, scratch)
    finally:
        if scratch:
            discard_folder(scratch)


def _serve(line: socket.socket, watch: int, tier: str, scratch: str) -> None:
    for name in _WARM:
        importlib.import_module(name)
    null = os.open("/dev/null", os.O_RDWR)
    try:
        jail = Jail(tier, scratch)
    except OSError as error:
        send(line, {"tier": "", "reason": str(error)})
        return
    send(line, {"tier": tier, "reason": ""})
    random.seed(0)
    gc.disable()
    gc.freeze()  # the child shares these pages instead of copying them at its first collection
    while True:
        ready = select.select([line, watch], [], [])[0]
        if watch in ready or (job := receive(line)) is None:
            return
        if (reply := _run(jail, job, line, watch, null)) is None:
            return
        jail.clean()
        send(line, reply)


def _run(jail: Jail, job: dict[str, Any], line: socket.socket, watch: int, null: int) -> dict[str, Any] | None:
    """Run one job. None where the parent went away meanwhile. The child is dead and reaped when this returns."""
    source, result = os.pipe()
    os.set_blocking(source, False)
    try:
        pid = jail.fork()
    except OSError as error:
        os.close(source)
        os.close(result)
        return {"end": "infra", "reason": str(error), "data": b"", "cpu_seconds": 0.0}
    if pid == 0:
        candidate.run(jail, job, result, null)
    os.close(result)
    child = os.pidfd_open(pid)
    data = bytearray()
    try:
        end = _watch(pid, source, data, job, (child, line.fileno(), watch))
    finally:
        signal.pidfd_send_signal(child, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        if jail.tier == "unsafe":
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        _drain(source, data, _most(job))
        os.close(source)
        os.close(child)
    if end == "gone":
        return None
    seconds = usage.ru_utime + usage.ru_stime
    if not data.startswith(b"R"):
        return {"end": "infra", "reason": bytes(data[:200]).decode(errors="replace") or "not started", "data": b"",
                "cpu_seconds": seconds}  # fmt: skip
    died = f"signal {-code}" if (code := os.waitstatus_to_exitcode(status)) < 0 else ""
    if end == "exit" and (died == f"signal {signal.SIGXCPU:d}" or seconds > job["cpu_seconds"]):
        end = "cpu"
    return {"end": end, "reason": died if end == "exit" else "", "data": bytes(data), "cpu_seconds": seconds}


def _watch(pid: int, source: int, data: bytearray, job: dict[str, Any], others: tuple[int, ...]) -> str:
    """Wait for the child: "exit", or which limit it passed: "cpu", "wall", "output"; "gone" if the parent went.

    `others` are descriptors that become readable when the child ends, and when the parent does.
    """
    most = _most(job)
    clock = (~pid << 3) | 2  # CPU time of that process, see clock_getcpuclockid(3)
    deadline = time.monotonic() + job["wall_seconds"]
    poll = select.poll()
    for handle in (source, *others):
        poll.register(handle, select.POLLIN)
    while True:
        cpu_left = job["cpu_seconds"] - time.clock_gettime(clock)
        wall_left = deadline - time.monotonic()
        if cpu_left <= 0 or wall_left <= 0:
            return "cpu" if cpu_left <= 0 else "wall"
        events = {handle for handle, _ in poll.poll(1000 * min(cpu_left, wall_left) + 1)}
        if source in events:
            if not _drain(source, data, most):
                poll.unregister(source)
            if len(data) > most:
                return "output"
        elif others[0] in events:
            return "exit"
        elif events:
            return "gone"


def _most(job: dict[str, Any]) -> int:
    return job["output_bytes"] + _FRAME_BYTES * (len(job["inputs"]) + 2)


def _drain(source: int, data: bytearray, limit: int) -> bool:
    """Read what there is, up to just past the limit. False at the end of the pipe."""
    while len(data) <= limit:
        try:
            block = os.read(source, 1 << 16)
        except BlockingIOError:
            return True
        if not block:
            return False
        data += block
    return True


def send(line: socket.socket, message: dict[str, Any]) -> None:
    """Send one message."""
    data = encode(message, _MESSAGE_BYTES)
    line.sendall(struct.pack("<Q", len(data)) + data)


def receive(line: socket.socket) -> dict[str, Any] | None:
    """The next message; None where the other side is gone."""
    head = _exactly(line, 8)
    data = _exactly(line, struct.unpack("<Q", head)[0]) if head else None
    return decode(data) if data is not None else None


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
