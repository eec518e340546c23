"""Being told to stop: a signal is remembered, and whoever works looks up whether it came.

SIGTERM comes from schedulers, from service managers and from `kill`; SIGUSR1 from Slurm, ahead of a time limit. A loop
that may be stopped asks `stop_requested()` after each of its steps, saves what it needs and raises `PreemptedError`.
Signals reach processes at different moments, so where several work together they must agree first: an all-reduce (the
maximum) of the answer, along with whatever they reduce in a step anyway. Asking after a step, never before the first,
makes sure that each attempt gets further than the one before.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from smallcoder.core.errors import SmallcoderError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
_received: set[int] = set()


class PreemptedError(SmallcoderError):
    """The work was stopped from outside, at a point where it can go on."""

    def __init__(
        self,
        message: str = "training was stopped from outside, at a checkpoint",
        remedy: str = "run the same command again: it goes on from there",
    ) -> None:
        super().__init__(message, remedy)


def stop_requested() -> bool:
    """Whether this process has been told to stop while it was `listening`."""
    return bool(_received)


@contextmanager
def listening() -> Iterator[set[int]]:
    """Remember SIGTERM and SIGUSR1 instead of dying of them; yields the set of those that have come.

    Only a process's main thread can listen; elsewhere signals keep doing what they did.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _received
        return
    before = [signal.signal(number, _remember) for number in SIGNALS]
    try:
        yield _received
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
        _received.clear()


def _remember(number: int, _: FrameType | None) -> None:
    _received.add(number)
