"""What a filter is, and how several of them work on a batch, one after the other, in one pass.

A filter judges each document alone, batch by batch. A stage that is one offers `as_filter`; where the recipe says
`store = false`, its documents go on to the filter of the next stage as they come and are never written.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

import pyarrow as pa

from smallcoder.core.digest import digest
from smallcoder.core.records import DOCUMENT
from smallcoder.core.stage import Facts
from smallcoder.core.tables import Sieve, Split, TableWriter, split

BATCH = 256  # documents that a filter is given at once
Side = tuple[str, pa.Schema]  # the folder and the schema of a table that a filter writes beside its documents


@dataclass(frozen=True)
class Judged:
    """What a filter says of a DOCUMENT batch: its rows, changed or not, and why to drop each (None keeps it).

    `counts` are figures for the facts, summed over all batches; `side` are rows for the filter's side table.
    """

    batch: pa.RecordBatch
    reasons: list[str | None]
    counts: Counter[str] = field(default_factory=Counter)
    side: pa.RecordBatch | None = None


def _retention(facts: Facts, counts: Counter[str]) -> Facts:
    return facts


@dataclass(frozen=True)
class Filter:
    """How a stage judges documents.

    `judge` must depend on nothing but the batch's rows, each row alone; where it is `numbered`, it gets the number in
    the table of the batch's first row before the batch. `facts` makes the stage's facts of the retention and the
    counts once all is judged and written. `side` is the table of its own that it writes. With `processes` it is plain
    Python that needs a process for each core, and must pickle: a module-level function or a `partial` of one.
    """

    judge: Callable[..., Judged]
    facts: Callable[[Facts, Counter[str]], Facts] = _retention
    side: Side | None = None
    processes: bool = True
    numbered: bool = False


@dataclass(frozen=True)
class Link:
    """A filter in a chain, the folder it fills, and whether the documents that it keeps are written there."""

    filter: Filter
    out: Path
    store: bool = True


@dataclass(frozen=True)
class Passed:
    """What became of a batch at one link. Where nothing is stored, the split has no kept rows, only their digest."""

    split: Split
    counts: Counter[str]
    side: pa.RecordBatch | None
    digest: int
    seconds: float  # in the filter


def for_workers(chain: Sequence[Link]) -> list[Link]:
    """The chain without what makes the facts: that need not pickle."""
    return [replace(link, filter=replace(link.filter, facts=_retention)) for link in chain]


def pass_through(chain: Sequence[Link], numbered: tuple[int, pa.RecordBatch]) -> list[Passed]:
    """A batch, with the number of its first row in the table, through the filters. What they drop all of ends there."""
    row, batch = numbered
    passed = []
    for link in chain:
        start = perf_counter()
        judged = link.filter.judge(row, batch) if link.filter.numbered else link.filter.judge(batch)
        found = split(judged.batch, judged.reasons)
        seconds = perf_counter() - start
        batch = found.kept.select(DOCUMENT.names).cast(DOCUMENT)
        if link.store:
            passed.append(Passed(found, judged.counts, judged.side, 0, seconds))
        else:
            left = replace(found, kept=_NONE)
            passed.append(Passed(left, judged.counts, judged.side, digest(batch), seconds))
        if not batch.num_rows:
            break
    return passed


_NONE = pa.RecordBatch.from_pylist([], DOCUMENT)


class Result(NamedTuple):
    """Of a link, over the batches so far: the retention facts, the counts, the digest of what it kept where nothing is
    stored, and the seconds in its filter.
    """

    retention: Facts
    counts: Counter[str]
    digest: int
    seconds: float


class Outputs:
    """Writes a link's documents, its dropped ones and its side table, as far as there are such; adds up the counts.

    Several may fill the same folders under different names for `part`.
    """

    def __init__(self, link: Link, part: str = "part") -> None:
        side = link.filter.side
        self._sieve = Sieve(link.out, DOCUMENT, part=part, store=link.store)
        self._side = TableWriter(link.out / side[0], side[1], part=part) if side else None
        self._counts: Counter[str] = Counter()
        self._digest = 0
        self._seconds = 0.0

    def put(self, passed: Passed) -> None:
        self._sieve.take(passed.split)
        self._counts.update(passed.counts)
        self._digest += passed.digest
        self._seconds += passed.seconds
        if passed.side is not None:
            assert self._side is not None
            self._side.write(passed.side)

    def result(self) -> Result:
        return Result(self._sieve.facts(), self._counts, self._digest, self._seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._sieve.__exit__(kind, error, tb)
        if self._side:
            self._side.close()
