"""Pieces of text into rows with next to no padding, whatever order the pieces come in.

`Pieces` keeps what was tokenized in a scratch file and only each piece's length and random key in memory. `pack` then
puts each, in the order of the keys, into the fullest row it still fits: the best-fit packing of Ding et al. 2024 (arXiv
2404.10830) without their sorting by length, which would make rows of like lengths. The free rows of each size are
stacked and a bit mask finds the best, so a piece costs half a microsecond at 512 tokens and one at 32,768. Rows are
written in random order.
"""

from array import array
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import numpy as np

from smallcoder.core.errors import EmptyError
from smallcoder.core.progress import track
from smallcoder.tokens.encode import Encoder
from smallcoder.tokens.packed import PackedWriter
from smallcoder.tokens.sample import draw

_PIECE = np.dtype([("token", "<u4"), ("target", "u1")])


class Pieces:
    """A scratch file of (ids, targets) pieces in `folder`; it has no name and is gone with the process."""

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._high = array("Q")
        self._low = array("Q")
        self.lengths = array("I")

    def add(self, key: int, ids: list[int], targets: list[int] | None = None) -> None:
        """Keep a piece under a unique 128-bit key; without `targets` every token is one."""
        piece = np.empty(len(ids), _PIECE)
        piece["token"] = ids
        piece["target"] = 1 if targets is None else targets
        self._file.write(piece.tobytes())
        self._high.append(key >> 64)
        self._low.append(key & (1 << 64) - 1)
        self.lengths.append(len(ids))

    def order(self) -> np.ndarray:
        """Numbers of the pieces by key: an order that does not depend on how they came."""
        return np.lexsort((np.asarray(self._low), np.asarray(self._high)))

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """All pieces end to end (memory-mapped), and where each begins."""
        self._file.flush()
        ends = np.cumsum(np.asarray(self.lengths), dtype=np.int64)
        return np.memmap(self._file, _PIECE, mode="r"), ends - np.asarray(self.lengths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()


def best_fit(lengths: np.ndarray, capacity: int) -> np.ndarray:
    """The row of each piece, each put where it leaves the least room, in the order given.

    The order is that of the pieces' hashes. Taking the longest first would waste a little less, but would put like
    lengths together: rows, and so batches, would no longer be alike (docs/log.md has what that cost).

    lengths: int [pieces], 1..capacity. Returns int64 [pieces], rows numbered from 0 as they were opened.
    """
    rows = np.empty(len(lengths), np.int64)
    free: list[list[int]] = [[] for _ in range(capacity + 1)]  # free[n]: rows with room for n more tokens
    mask = 0  # bit n: free[n] is not empty
    opened = 0
    for piece, length in enumerate(lengths.tolist()):
        assert 0 < length <= capacity
        above = mask >> length
        if above:
            room = length + (above & -above).bit_length() - 1
            row = free[room].pop()
            if not free[room]:
                mask ^= 1 << room
        else:
            room, row = capacity, opened
            opened += 1
        rows[piece] = row
        if room > length:
            free[room - length].append(row)
            mask |= 1 << (room - length)
    return rows


def least_rows(lengths: np.ndarray, capacity: int) -> int:
    """A number of rows that no packing can go below: the bound L2 of Martello and Toth 1990, "Knapsack Problems", 8.3.

    For each k, pieces longer than capacity - k share a row with none of those of k and more; so each has its own row,
    as has each longer than half a row, and what the latter leave free is all there is for the rest of k and more.
    Cost: O(pieces + capacity).
    """
    count = np.bincount(lengths, minlength=capacity + 1).astype(np.int64)
    size = count * np.arange(capacity + 1)
    counts, sizes = np.concatenate([[0], np.cumsum(count)]), np.concatenate([[0], np.cumsum(size)])  # of those below n
    half = capacity // 2 + 1
    k = np.arange(0, half)
    own = counts[-1] - counts[half]  # rows that hold a piece of more than half a row
    room = capacity * (counts[capacity - k + 1] - counts[half]) - (sizes[capacity - k + 1] - sizes[half])
    rest = sizes[half] - sizes[k] - room
    return int((own + np.maximum(0, -(-rest // capacity))).max())


def pack(
    pieces: Pieces, folder: Path, encoder: Encoder, facts: dict[str, Any], *, context: int, seed: int
) -> dict[str, Any]:
    """Write all pieces as rows of `context + 1` tokens. Returns packed.json, with `least_rows`, which no packing can go
    below. Raises EmptyError where there are no pieces.
    """
    order = pieces.order()
    if not len(order):
        raise EmptyError("nothing is left to pack", "look at the facts of the stage before, or raise its limits")
    lengths = np.asarray(pieces.lengths)[order].astype(np.int64)
    rows = best_fit(lengths, context + 1)
    count = int(rows.max()) + 1
    place = np.random.default_rng(draw(seed, "rows")).permutation(count)[rows]
    data, starts = pieces.read()
    by_row = np.argsort(place, kind="stable")
    cuts = np.searchsorted(place[by_row], np.arange(count + 1))
    with PackedWriter(folder, context, encoder.token_sizes, encoder.pad) as writer:
        for row in track(range(count), "pack", count, "rows"):
            members = order[by_row[cuts[row] : cuts[row + 1]]]
            parts = [data[starts[number] : starts[number] + pieces.lengths[number]] for number in members]
            writer.write_row([(part["token"], part["target"]) for part in parts])
        return writer.close({**facts, "tokenizer": encoder.fingerprint, "least_rows": least_rows(lengths, context + 1)})
