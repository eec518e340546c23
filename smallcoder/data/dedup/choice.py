"""Which of several documents stays: the highest quality, then the most stars, then the smallest id.

What is not known comes last. Ids are taken to be unique; between rows of one id nothing decides.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.tables import read_batches
from smallcoder.data.dedup.state import Array

ROWS = 8192
KEPT, EXACT, NEAR = np.arange(3, dtype=np.uint8)


def preferred(source: Path, rows: Array) -> Array:
    """Those rows of the table, which must ascend, in the order of preference. About 60 bytes of memory a row."""
    parts, start = [], 0
    for batch in read_batches(source, ["quality", "stars", "id"], ROWS):
        first, last = np.searchsorted(rows, (start, start + batch.num_rows))
        parts.append(batch.take(pa.array(rows[first:last] - start)))
        start += batch.num_rows
    if not parts:
        return rows
    table = pa.Table.from_batches(parts).append_column("row", pa.array(rows))
    quality = table["quality"]
    unknown = pc.call_function("is_nan", [quality])
    quality = pc.call_function("if_else", [unknown, pa.scalar(None, pa.float64()), quality])
    table = table.set_column(0, "quality", quality)
    return table.sort_by([("quality", "descending"), ("stars", "descending"), ("id", "ascending")])["row"].to_numpy()


def choose(source: Path, nodes: Array, roots: Array) -> Array:
    """KEPT, EXACT or NEAR for every row. nodes: [rows], which text a row has; roots: [nodes], which group a text is in.

    The best row of each group stays. EXACT is what has the same text as a better row, NEAR the best of all that have
    its text.
    """
    labels = roots[nodes]
    rows = np.flatnonzero(np.bincount(labels, minlength=len(roots))[labels] > 1)
    order = preferred(source, rows)
    out = np.full(len(nodes), KEPT)
    out[rows] = EXACT
    out[_firsts(nodes, order)] = NEAR
    out[_firsts(labels, order)] = KEPT
    return out


def _firsts(values: Array, order: Array) -> Array:
    """The first row of each value in that order."""
    return order[np.unique(values[order], return_index=True)[1]]
