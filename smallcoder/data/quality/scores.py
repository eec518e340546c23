"""What judges say of documents, as a table, and its look-up by document.

A row is one judge's word on one document: `name` says which judge, `value` is a number on the judge's own scale (null
where it had nothing to say), `label` a class where it chose one. The look-up takes about 45 bytes of memory a row for
ids of 32 characters; a look-up is a binary search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from smallcoder.core.tables import read_batches

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Scores:
    """Values by document id: sorted ids as bytes, and a value for each. NaN stands for no value."""

    ids: Array
    values: Array

    def of(self, ids: Sequence[str]) -> Array:
        """The values of these documents, float64 [len(ids)]. Of several for one document the lowest counts."""
        if not len(self.ids) or not ids:
            return np.full(len(ids), np.nan)
        wanted = np.array([id.encode() for id in ids])
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[at] == wanted, self.values[at], np.nan)


def read_scores(folder: Path) -> dict[str, Scores]:
    """Every score of a SCORE table by its name. Raises InputError where it is no such table."""
    ids: dict[str, list[Array]] = {}
    values: dict[str, list[Array]] = {}
    for batch in read_batches(folder, ["id", "name", "value"], batch_rows=1 << 16):
        names = np.array(batch.column("name").to_pylist(), dtype=object)
        keys = np.array([(id or "").encode() for id in batch.column("id").to_pylist()], dtype=np.bytes_)
        found = batch.column("value").cast(pa.float64()).to_numpy(zero_copy_only=False)
        for name in sorted({name for name in names if name}):
            ids.setdefault(name, []).append(keys[names == name])
            values.setdefault(name, []).append(found[names == name])
    return {name: _sorted(np.concatenate(ids[name]), np.concatenate(values[name])) for name in sorted(ids)}


def _sorted(ids: Array, values: Array) -> Scores:
    order = np.lexsort((values, ids))  # NaN comes last, so a value wins over none
    return Scores(ids[order], values[order])
