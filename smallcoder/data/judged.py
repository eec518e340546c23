"""What a filter says of a batch of documents, and the folders that takes it."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from smallcoder.core.records import DOCUMENT
from smallcoder.core.tables import Sieve, TableWriter

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


class Outputs:
    """Writes out/documents, out/dropped and the side table, if there is one; adds up the counts.

    Several may fill the same folders under different names for `part`.
    """

    def __init__(self, out: Path, side: Side | None, part: str = "part") -> None:
        self._sieve = Sieve(out, DOCUMENT, part=part)
        self.counts: Counter[str] = Counter()
        self._side = TableWriter(out / side[0], side[1], part=part) if side else None

    def put(self, judged: Judged) -> None:
        self._sieve.put(judged.batch, judged.reasons)
        self.counts.update(judged.counts)
        if judged.side is not None:
            assert self._side is not None
            self._side.write(judged.side)

    def facts(self) -> dict[str, Any]:
        """The retention facts so far."""
        return self._sieve.facts()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._sieve.__exit__(kind, error, tb)
        if self._side:
            self._side.close()
