"""Near duplicates: MinHash bands, then the exact Jaccard similarity of what shares one.

Nodes are the distinct texts in the order of their hashes, so nothing depends on the order of the rows. Bands are read
one at a time. A sketch, one byte a permutation, tells most chance pairs before their shingles are made (Li, König,
b-bit minwise hashing, WWW 2010); it misses a pair at the threshold once in 1 / SKETCH_MISS. Shingle sets lie on disk
and are mapped; a piece of a band is as long as CHUNK_BYTES of touched pages allow.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import comb
from pathlib import Path

import numpy as np
import pyarrow as pa

from smallcoder.core.tables import read_batches
from smallcoder.data.dedup.state import Array, Mapped, State
from smallcoder.data.engine import BATCH, parallel_map

SKETCH_MISS = 1e-3
CHUNK_BYTES = 512 << 20
FAULT_BYTES = 64 << 10  # what a system maps at one touch

Piece = tuple[Array, Array, int]  # of a band, see `pairs.mark`


@dataclass(frozen=True)
class Plan:
    """Shingles of `shingle` words; a shared band of `rows` minima makes a candidate.

    `jaccard` is the similarity a candidate must have; None takes them all.
    """

    bands: int
    rows: int
    shingle: int
    jaccard: float | None
    seed: int

    @property
    def permutations(self) -> int:
        return self.bands * self.rows


@dataclass(frozen=True)
class Corpus:
    """A table's distinct texts, the nodes; `rows`, int64, has a row for each. What the scan found is in the state."""

    source: Path
    plan: Plan
    state: State
    rows: Array
    workers: int


@dataclass(frozen=True)
class Sets:
    """Shingle sets of some nodes on disk: values[starts[node] : starts[node] + sizes[node]]; size 0 means not made."""

    values: Mapped
    starts: Array  # int64
    sizes: Array  # int32

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        return self.values.array, self.starts, self.sizes


def band_keys(signatures: Array, bands: int) -> Array:
    """One uint64 for each band of each document. signatures: uint32 [documents, bands * rows] -> [bands, documents]."""
    parts = signatures.reshape(len(signatures), bands, -1)
    keys = np.zeros(parts.shape[:2], np.uint64)
    for row in range(parts.shape[2]):
        keys = (keys ^ parts[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return np.ascontiguousarray(keys.T)


def least_alike(permutations: int, jaccard: float) -> int:
    """In how many of its bytes a sketch must agree: at the threshold fewer do with a probability of SKETCH_MISS.

    Each byte agrees where the minima do, or by chance one time in 256: a binomial count.
    """
    equal = jaccard + (1 - jaccard) / 256
    below = 0.0
    for count in range(permutations + 1):
        below += comb(permutations, count) * equal**count * (1 - equal) ** (permutations - count)
        if below > SKETCH_MISS:
            return count
    return permutations


def groups(corpus: Corpus, sample: Array) -> tuple[Array, Sets, dict[str, int]]:
    """The root of every node's group, int32; shingle sets of at least the nodes in `sample`; and what it compared."""
    from smallcoder.data.dedup.pairs import chain

    jaccard = corpus.plan.jaccard
    wanted = np.zeros(len(corpus.rows), bool)
    wanted[sample] = True
    parent = np.arange(len(corpus.rows), dtype=np.int32)
    facts = {"pairs_in_a_band": 0, "sketches_compared": 0, "pairs_compared": 0}
    for band in range(corpus.plan.bands):
        members, firsts = _share(corpus, band)
        facts["pairs_in_a_band"] += int((np.arange(len(members)) - firsts).sum())
        if jaccard is None:
            chain(parent, members, firsts)
    if jaccard is not None:
        facts["sketches_compared"] = _mark(corpus, jaccard, wanted)
    sets = _write_sets(corpus, wanted)
    if jaccard is not None:
        facts["pairs_compared"] = _connect(corpus, jaccard, sets, parent)
    return _roots(parent), sets, facts


def _mark(corpus: Corpus, jaccard: float, wanted: Array) -> int:
    """Set `wanted` for the nodes of which a pair is likely, by its sketches; returns how many it compared."""
    from smallcoder.data.dedup.pairs import mark

    def weigh(members: Array) -> Array:
        return np.full(len(members), FAULT_BYTES)

    return sum(mark(piece, *sketched, wanted) for piece, sketched in _sketched(corpus, jaccard, weigh))


def _connect(corpus: Corpus, jaccard: float, sets: Sets, parent: Array) -> int:
    """Join in `parent` the pairs with that exact similarity; returns how many it compared."""
    from smallcoder.data.dedup.pairs import connect

    def weigh(members: Array) -> Array:
        return 8 * sets.sizes[members].astype(np.int64) + 2 * FAULT_BYTES

    compared = 0
    for piece, sketched in _sketched(corpus, jaccard, weigh):
        compared += connect(parent, piece, sketched, sets.parts, jaccard)
        sets.values.release()
    return compared


def _sketched(
    corpus: Corpus, jaccard: float, weigh: Callable[[Array], Array]
) -> Iterator[tuple[Piece, tuple[Array, int]]]:
    """The pieces of all bands, the sketches of each one's members, and in how many bytes two of them must agree.

    weigh: the bytes of memory that each of some members touches.
    """
    sketches = corpus.state.mapped("sketches", np.uint8)
    by_row = sketches.array.reshape(-1, corpus.plan.permutations)
    least = least_alike(corpus.plan.permutations, jaccard)
    for band in range(corpus.plan.bands):
        members, firsts = _load(corpus.state, band)
        for piece in _pieces(members, firsts, weigh(members)):
            yield piece, (by_row[corpus.rows[piece[0]]], least)
            sketches.release()


def _share(corpus: Corpus, band: int) -> tuple[Array, Array]:
    """The nodes that share the band with another, in the form of `pairs`, and a copy of it in the state."""
    state = corpus.state
    counts = state.column("shingles", np.uint32)[corpus.rows]
    keys = state.column(f"band{band}", np.uint64)[corpus.rows]
    order = np.argsort(keys)
    order = order[counts[order] > 0]
    same = keys[order[1:]] == keys[order[:-1]]
    shared = np.zeros(len(order), bool)
    shared[1:] |= same
    shared[:-1] |= same
    shared = order[shared]
    shared = shared[np.lexsort((shared, counts[shared], keys[shared]))]
    keys = keys[shared]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.int64)
    firsts = np.repeat(starts, np.diff(np.append(starts, len(keys)))).astype(np.int32)
    members = shared.astype(np.int32)
    state.append(f"members{band}", members)
    state.append(f"firsts{band}", firsts)
    return members, firsts


def _load(state: State, band: int) -> tuple[Array, Array]:
    """What `_share` returned."""
    return state.column(f"members{band}", np.int32), state.column(f"firsts{band}", np.int32)


def _pieces(members: Array, firsts: Array, weights: Array) -> Iterator[Piece]:
    """The band in pieces of CHUNK_BYTES, each preceded by the WINDOW members before it; and where its own begin."""
    from smallcoder.data.dedup.pairs import WINDOW

    ends = np.cumsum(weights)
    start = 0
    while start < len(members):
        stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + CHUNK_BYTES)))
        halo = max(0, start - WINDOW)
        yield members[halo:stop], np.maximum(firsts[halo:stop] - halo, 0), start - halo
        start = stop


def _write_sets(corpus: Corpus, wanted: Array) -> Sets:
    """Make the shingle sets of the wanted nodes, in the order of the table."""
    from smallcoder.data.kernels import buffers, shingle_sets

    rows = corpus.rows
    nodes = np.flatnonzero(wanted)
    nodes = nodes[np.argsort(rows[nodes])]
    wanted_rows = rows[nodes]
    sizes = np.zeros(len(rows), np.int32)

    def batches() -> Iterator[tuple[Array, pa.RecordBatch]]:
        row = 0
        for batch in read_batches(corpus.source, ["text"], BATCH):
            first, last = np.searchsorted(wanted_rows, (row, row + batch.num_rows))
            if last > first:
                yield nodes[first:last], batch.take(pa.array(wanted_rows[first:last] - row))
            row += batch.num_rows

    def sets(item: tuple[Array, pa.RecordBatch]) -> tuple[Array, Array]:
        return shingle_sets(*buffers(item[1].column("text")), corpus.plan.shingle)

    if len(nodes):
        for (members, _), (found, bounds) in parallel_map(sets, batches(), corpus.workers):
            corpus.state.append("sets", found)
            sizes[members] = np.diff(bounds)
    starts = np.zeros(len(rows), np.int64)
    starts[nodes[1:]] = np.cumsum(sizes[nodes], dtype=np.int64)[:-1]
    return Sets(corpus.state.mapped("sets", np.uint64), starts, sizes)


def _roots(parent: Array) -> Array:
    """Every node's root. Parents are never larger than their children, so halving paths ends."""
    roots = parent
    while not (roots[roots] == roots).all():
        roots = roots[roots]
    return roots
