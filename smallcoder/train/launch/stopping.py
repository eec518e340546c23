"""Being told to stop: a signal is remembered, and whoever works looks up whether it came.

SIGTERM comes from schedulers, from service managers and from `kill`; SIGUSR1 from Slurm, ahead of a time limit; SIGINT
from a person, with Ctrl-C, whom the process at the terminal answers, and whose second Ctrl-C it obeys at once. A loop
that may be stopped asks `stop_requested()` after each of its steps, saves what it needs and raises `PreemptedError`.
Signals reach processes at different moments, so where several work together they must agree first: an all-reduce (the
maximum) of the answer, along with whatever they reduce in a step anyway. Asking after a step, never before the first,
makes sure that each attempt gets further than the one before.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from smallcoder.core.errors import SmallcoderError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
ANSWER = b"\nstopping at the next step, with a checkpoint; Ctrl-C once more ends at once\n"
_received: set[int] = set()


class PreemptedError(SmallcoderError):
    """The work was stopped from outside, at a point where it can go on."""

    def __init__(
        self,
        message: str = "training was stopped, at a checkpoint",
        remedy: str = "run the same command again: it goes on from there",
    ) -> None:
        super().__init__(message, remedy)


def stop_requested() -> bool:
    """Whether this process has been told to stop while it was `listening`."""
    return bool(_received)


@contextmanager
def listening(at_terminal: bool = False) -> Iterator[set[int]]:
    """Remember `SIGNALS` instead of dying of them; yields the set of those that have come.

    `at_terminal`: of this process's kind there is one, and a person may look at it: it answers a SIGINT, and raises
    KeyboardInterrupt at the second. A SIGINT that this process ignores, as a shell's background jobs do, stays ignored.
    Only a process's main thread can listen; elsewhere signals keep doing what they did.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _received
        return
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    handler = _answer if at_terminal else _remember
    before = [signal.signal(number, handler) for number in heard]
    try:
        yield _received
    finally:
        for number, handler in zip(heard, before, strict=True):
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not one of Python's
        _received.clear()


def _remember(number: int, _: FrameType | None) -> None:
    _received.add(number)


def _answer(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        if number in _received:
            signal.default_int_handler(number, frame)
        os.write(2, ANSWER)  # a print could be in the middle of another
    _remember(number, frame)
