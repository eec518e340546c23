"""The template of closed runs: a warm process that does nothing but copy itself.

What a fork costs is pages: each one that either side writes to is copied, and Python writes to an object whenever it
looks at it. What a slot does for one run touches nearly two hundred. So the slot leaves forking to a second process,
which shares its descriptors and its folder, waits for a few bytes and clones itself; the clone is the slot's own child
(CLONE_PARENT). What all runs have in common, most of the system call filter above all, the template puts on itself
once. The clone is raw: a process of one thread is copied exactly, and nothing is broken of what Python repairs after a
fork.

All that a clone does is rehearsed in the template, so that Python has adapted its code and knows where it finds
methods; then the holes in memory are filled (`warm.py`), and what clones look at first is made last and lies together.
"""

import gc
import marshal
import os
import select
import struct
import sys
from collections.abc import Callable, Sequence
from io import FileIO
from marshal import loads
from os import _exit, pread
from typing import NoReturn

from . import pages, warm, witness
from .candidate import run
from .tiers import Close, Jail

_MESSAGE = struct.Struct("<2iq4i")  # with its own mounts or not, role, the job's size and file, up to three descriptors
_REHEARSALS = 20  # beyond the 8 calls after which Python adapts a function's code
_CALLS, _ASKED, _TESTS = range(3)  # roles
# Most of what it imports is for `typing`, which remembers such types: making one touches 50 pages.
_PROGRAM = """
import math
from typing import Any, Dict, List, Optional, Tuple

def f(x: List[int]):
    return [x, 'x', 1.5, (True, None), {1: 2}]

List[str], List[float], List[bool], List[Any], List[List[int]], List[List[str]], List[Tuple[int, int]]
Dict[str, int], Dict[str, Any], Optional[int], Optional[str], Optional[List[int]], Tuple[int, int], Tuple[int, ...]
"""


class Template:
    """One template process, seen from its slot."""

    def __init__(self, jail: Jail, proc: int | None) -> None:
        """Start it, and with an open /proc move it into huge pages. Raises OSError where that fails."""
        wake, self._wake = os.pipe()
        self._told, told = os.pipe()
        self.pid = jail.fork_sharing()
        if self.pid == 0:
            try:
                _serve(jail, proc, wake, told)
            finally:
                os._exit(1)
        self._answers = select.poll()
        for handle in (self._told, os.pidfd_open(self.pid)):
            self._answers.register(handle, select.POLLIN)
        self._answer()

    def calls(self, job: tuple[int, int], result: int) -> int:
        """Start a program whose functions are called with the job's inputs. Returns its process id."""
        return self._start(0, _CALLS, job, result)

    def asked(self, job: tuple[int, int], result: int, calls: int) -> int:
        """Start a program whose functions are called as the pipe `calls` asks for."""
        return self._start(1, _ASKED, job, result, calls)

    def tests(self, job: tuple[int, int], verdict: int, calls: int, answers: int) -> int:
        """Start the tests of such a program."""
        return self._start(1, _TESTS, job, verdict, calls, answers)

    def _start(self, apart: int, role: int, job: tuple[int, int], *handles: int) -> int:
        handles += (-1,) * (3 - len(handles))
        file, size = job
        os.write(self._wake, _MESSAGE.pack(apart, role, size, file, *handles))
        return self._answer()

    def _answer(self) -> int:
        """What the template says: a process id, 0 once it is settled."""
        if (self._told, select.POLLIN) not in self._answers.poll():
            raise OSError("the template has died")
        pid = int.from_bytes(os.read(self._told, 8), "little", signed=True)
        if pid < 0:
            raise OSError(-pid, f"clone: {os.strerror(-pid)}")
        return pid


def _serve(jail: Jail, proc: int | None, wake: int, told: int) -> NoReturn:
    """The template's whole life; its clones end in `_become`."""
    _rehearse(jail)
    warm.fill_heap()
    if proc is not None:
        pages.enlarge(proc)
    jail.settle()
    warm.fill_pools()
    close, clones = jail.closing(), jail.clones()
    orders, answers = FileIO(wake), FileIO(told, "w")
    gc.freeze()
    _become(close, _copy(orders.read, answers.write, clones))


def _copy(read: Callable[[int], bytes], write: Callable[[bytes], int], clones: Sequence[Callable[[], int]]) -> bytes:
    """Clone this process as often as the slot asks. Only the clones return, with what they were asked for."""
    number, size = struct.Struct("<q").pack, _MESSAGE.size
    write(number(0))
    while True:
        message = read(size)
        pid = clones[message[0]]()
        if pid == 0:
            return message
        write(number(pid))


def _become(close: Close, message: bytes) -> NoReturn:
    leave = _exit
    try:
        _run(close, message)
    finally:
        leave(0)


def _run(close: Close, message: bytes) -> None:
    _, role, size, file, result, first, second = _MESSAGE.unpack(message)
    job = loads(pread(file, size, 0))
    if role == _TESTS:
        witness.run(close, job, result, (first, second))
    else:
        run(close, job, result, first if role == _ASKED else None)


def _rehearse(jail: Jail) -> None:
    """Do what a clone does, with a small program, and shut in nothing."""
    call = b"m" + marshal.dumps(("f", ([1, 2],), {}), 0)
    job = marshal.dumps((_PROGRAM, "f", [call], 1 << 20, 1 << 40, 1 << 60), 0)
    null, file = os.open("/dev/null", os.O_WRONLY), os.memfd_create("rehearsal")
    os.write(file, job)
    message = _MESSAGE.pack(0, _CALLS, len(job), file, null, -1, -1)
    close = jail.rehearsal()
    for _ in range(_REHEARSALS):
        _run(close, message)
    gc.disable()
    for handle in (null, file):
        os.close(handle)
    del sys.modules["candidate"]
