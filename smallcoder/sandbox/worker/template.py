"""The template of closed runs: a warm process that does nothing but copy itself.

What a fork costs is pages: each one that either side writes to is copied, and Python writes to an object whenever it
looks at it. What a slot does for one run touches nearly two hundred. So the slot leaves forking to a second process,
which shares its descriptors and its folder, waits for a few bytes and clones itself; the clone is the slot's own child
(CLONE_PARENT). What all runs have in common, most of the system call filter above all, the template puts on itself
once. The clone is raw: a process of one thread is copied exactly, and nothing is broken of what Python repairs after a
fork.
"""

import marshal
import os
import select
import struct
from typing import NoReturn

from . import candidate, pages, witness
from .tiers import Jail

_MESSAGE = struct.Struct("<2iq4i")  # with its own mounts or not, role, the job's size and file, up to three descriptors
_REHEARSALS = 20  # beyond the 8 calls after which Python adapts a function's code
_CALLS, _ASKED, _TESTS = range(3)  # roles


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
    """The template's whole life. Only the clones return from `clone`, as 0, and end in `_become`."""
    candidate.rehearse(_REHEARSALS)
    if proc is not None:
        pages.enlarge(proc)
    jail.settle()
    os.write(told, bytes(8))
    clones, read, write, size = jail.clones(), os.read, os.write, _MESSAGE.size
    while True:
        message = read(wake, size)
        pid = clones[message[0]]()
        if pid == 0:
            _become(jail, message)
        write(told, pid.to_bytes(8, "little", signed=True))


def _become(jail: Jail, message: bytes) -> NoReturn:
    leave = os._exit
    try:
        _, role, size, file, result, first, second = _MESSAGE.unpack(message)
        job = marshal.loads(os.pread(file, size, 0))
        if role == _TESTS:
            witness.run(jail, job, result, (first, second))
        candidate.run(jail, job, result, first if role == _ASKED else None)
    finally:
        leave(1)
