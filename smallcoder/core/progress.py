"""Progress of long work: a live bar in a terminal, a plain line now and then in a log file. Both go to stderr."""

import sys
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LOG_SECONDS = 10.0
T = TypeVar("T")


class Progress:
    """Counts units of one piece of work. `note` is a short free text, such as the current loss.

    In a terminal the bar is redrawn in place; anywhere else a line is printed at most every `LOG_SECONDS`, and one
    at the end. Not thread-safe. It never changes what the work computes.
    """

    def __init__(self, label: str, total: int | None = None, unit: str = "") -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self.note = ""
        self._start = self._said = time.monotonic()
        self._bar: Bar | None = None
        if sys.stderr.isatty() and find_spec("rich"):  # images for training may lack it
            self._bar = _bar()
            self._task = self._bar.add_task(label, total=total, note="")
            self._bar.start()

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Say that `count` more units are done."""
        self.done += count
        self.note = self.note if note is None else note
        if self._bar:
            self._bar.update(self._task, advance=count, note=self.note)
        elif time.monotonic() - self._said >= LOG_SECONDS:
            self._said = time.monotonic()
            self._print()

    def _print(self) -> None:
        of = f"/{self.total:,}" if self.total else ""
        seconds = time.monotonic() - self._start
        parts = (f"  {self.label}: {self.done:,}{of} {self.unit}".rstrip(), f"{seconds:.0f} s", self.note)
        print(", ".join(part for part in parts if part), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        elif time.monotonic() - self._start >= LOG_SECONDS:
            self._print()


def _bar() -> "Bar":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("  {task.description}"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True)


def track(items: Iterable[T], label: str, total: int | None = None, unit: str = "") -> Iterator[T]:
    """Yield the items and count them as they are consumed."""
    with Progress(label, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
