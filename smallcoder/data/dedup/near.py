"""Near duplicates: MinHash bands, then the exact Jaccard similarity of what shares one.

Nodes are the distinct texts in the order of their hashes, so nothing depends on the order of the rows. Bands are read
one at a time. A sketch, one byte a permutation, tells most chance pairs before their shingles are made (Li, König,
b-bit minwise hashing, WWW 2010); it misses a pair at the threshold once in 1 / SKETCH_MISS. Shingle sets lie on disk
and are mapped; a piece of a band is as long as CHUNK_BYTES of touched pages allow.

On a cluster the bands are joined side by side, one a worker, and compared in slices of SLICE members. What a slice
finds does not depend on the others, so the groups are the same; only a pair that shares several bands is compared in
each of them, where one process sees that it is joined already.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import comb
from pathlib import Path

import numpy as np
import pyarrow as pa

from smallcoder.data import cluster
from smallcoder.data.dedup.state import Array, Mapped, State
from smallcoder.data.engine import spread
from smallcoder.data.tasks import Task, tasks

SKETCH_MISS = 1e-3
CHUNK_BYTES = 512 << 20
FAULT_BYTES = 64 << 10  # what a system maps at one touch
SLICE = 1 << 17  # members of a band that a worker compares at a time
PAGE = 1 << 17  # values: tasks put their shingle sets into places a MiB apart, for file systems that write whole pages

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
    """A table's distinct texts, the nodes. The state has the row of each (`rows`), and what the scan found of all rows.

    It carries no array, so that it can be sent.
    """

    source: Path
    plan: Plan
    state: State
    nodes: int
    workers: int

    @property
    def rows(self) -> Array:
        """The first row in the table of each node, int64. Read from disk."""
        return self.state.column("rows", np.int64)

    @property
    def sets(self) -> "Sets":
        """Raises FileNotFoundError before they were made."""
        state = self.state
        return Sets(state.mapped("sets", np.uint64), state.column("starts", np.int64), state.column("sizes", np.int32))


@dataclass(frozen=True)
class Sets:
    """Shingle sets of some nodes on disk: values[starts[node] : starts[node] + sizes[node]]; size 0 means not made."""

    values: Mapped
    starts: Array  # int64
    sizes: Array  # int32

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        return self.values.array, self.starts, self.sizes


@dataclass(frozen=True)
class Slice:
    """Members `start` to `stop - 1` of a band."""

    band: int
    start: int
    stop: int


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


def groups(corpus: Corpus, sample: Array) -> tuple[Array, dict[str, int]]:
    """The root of every node's group, int32, and what it compared; makes the sets of at least the nodes in `sample`."""
    from smallcoder.data.dedup.pairs import join

    jaccard = corpus.plan.jaccard
    wanted = np.zeros(corpus.nodes, bool)
    wanted[sample] = True
    parent = np.arange(corpus.nodes, dtype=np.int32)
    facts = {"pairs_in_a_band": 0, "sketches_compared": 0, "pairs_compared": 0}
    slices: list[Slice] = []
    for band, (count, pairs) in spread(partial(_share, corpus), range(corpus.plan.bands)):
        facts["pairs_in_a_band"] += pairs
        slices += [Slice(band, at, min(at + SLICE, count)) for at in range(0, count, SLICE)]
        if jaccard is None:
            members, firsts = _load(corpus.state, band)
            chained = np.flatnonzero(np.arange(len(members)) > firsts)
            join(parent, members[chained], members[chained - 1])
    if jaccard is not None:
        slices.sort(key=lambda part: (part.band, part.start))
        facts["sketches_compared"] = _mark_all(corpus, jaccard, slices, wanted)
    _write_sets(corpus, wanted)
    if jaccard is not None:
        facts["pairs_compared"] = _connect_all(corpus, jaccard, slices, parent)
    return _roots(parent), facts


def _mark_all(corpus: Corpus, jaccard: float, slices: list[Slice], wanted: Array) -> int:
    """Set `wanted` for the nodes of which a pair is likely, by its sketches; returns how many it compared."""
    if not cluster.connected():
        return sum(_mark(corpus, jaccard, wanted, part) for part in slices)

    def apart(part: Slice) -> tuple[int, Array]:
        own = np.zeros(corpus.nodes, bool)
        return _mark(corpus, jaccard, own, part), np.flatnonzero(own)

    compared = 0
    for _, (count, found) in cluster.spread(apart, slices):
        compared += count
        wanted[found] = True
    return compared


def _mark(corpus: Corpus, jaccard: float, wanted: Array, part: Slice) -> int:
    from smallcoder.data.dedup.pairs import mark

    def weigh(members: Array) -> Array:
        return np.full(len(members), FAULT_BYTES)

    return sum(mark(piece, *sketched, wanted) for piece, sketched in _sketched(corpus, jaccard, part, weigh))


def _connect_all(corpus: Corpus, jaccard: float, slices: list[Slice], parent: Array) -> int:
    """Join in `parent` the pairs with that exact similarity; returns how many it compared."""
    from smallcoder.data.dedup.pairs import join

    if not cluster.connected():
        sets = corpus.sets
        return sum(_connect(corpus, jaccard, sets, parent, part) for part in slices)

    def apart(part: Slice) -> tuple[int, Array, Array]:
        own = np.arange(corpus.nodes, dtype=np.int32)
        count = _connect(corpus, jaccard, corpus.sets, own, part)
        joined = np.flatnonzero(own != np.arange(corpus.nodes)).astype(np.int32)
        return count, joined, own[joined]

    compared = 0
    for _, (count, left, right) in cluster.spread(apart, slices):
        compared += count
        join(parent, left, right)
    return compared


def _connect(corpus: Corpus, jaccard: float, sets: Sets, parent: Array, part: Slice) -> int:
    from smallcoder.data.dedup.pairs import connect

    def weigh(members: Array) -> Array:
        return 8 * sets.sizes[members].astype(np.int64) + 2 * FAULT_BYTES

    compared = 0
    for piece, sketched in _sketched(corpus, jaccard, part, weigh):
        compared += connect(parent, piece, sketched, sets.parts, jaccard)
        sets.values.release()
    return compared


def _sketched(
    corpus: Corpus, jaccard: float, part: Slice, weigh: Callable[[Array], Array]
) -> Iterator[tuple[Piece, tuple[Array, int]]]:
    """The pieces of a slice, the sketches of each one's members, and in how many bytes two of them must agree.

    weigh: the bytes of memory that each of some members touches.
    """
    sketches, rows = corpus.state.mapped("sketches", np.uint8), corpus.state.mapped("rows", np.int64)
    by_row = sketches.array.reshape(-1, corpus.plan.permutations)
    least = least_alike(corpus.plan.permutations, jaccard)
    for piece in _pieces(*_load(corpus.state, part.band), part, weigh):
        yield piece, (by_row[rows.array[piece[0]]], least)
        sketches.release()


def _share(corpus: Corpus, band: int) -> tuple[int, int]:
    """Write the nodes that share the band with another to the state, in the form of `pairs`.

    Returns how many, and how many pairs that makes.
    """
    state, rows = corpus.state, corpus.rows
    counts = state.column("shingles", np.uint32)[rows]
    keys = state.column(f"band{band}", np.uint64)[rows]
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
    state.put(f"members{band}", shared.astype(np.int32))
    state.put(f"firsts{band}", firsts)
    return len(shared), int((np.arange(len(shared)) - firsts).sum())


def _load(state: State, band: int) -> tuple[Array, Array]:
    """The members and the firsts of a band."""
    return state.column(f"members{band}", np.int32), state.column(f"firsts{band}", np.int32)


def _pieces(members: Array, firsts: Array, part: Slice, weigh: Callable[[Array], Array]) -> Iterator[Piece]:
    """The slice in pieces of CHUNK_BYTES, each preceded by the WINDOW members before it; and where its own begin."""
    from smallcoder.data.dedup.pairs import WINDOW

    start = part.start
    ends = np.cumsum(weigh(members[start : part.stop]))
    while start < part.stop:
        before = ends[start - part.start - 1] if start > part.start else 0
        stop = part.start + max(start - part.start + 1, int(np.searchsorted(ends, before + CHUNK_BYTES)))
        halo = max(0, start - WINDOW)
        yield members[halo:stop], np.maximum(firsts[halo:stop] - halo, 0), start - halo
        start = stop


def _write_sets(corpus: Corpus, wanted: Array) -> None:
    """Make the shingle sets of the wanted nodes, as `corpus.sets` has them.

    A set has no more values than its text has shingles, so every task knows its place before any has run.
    """
    state, rows = corpus.state, corpus.rows
    nodes = np.flatnonzero(wanted)
    nodes = nodes[np.argsort(rows[nodes])]
    rows = rows[nodes]
    ends = np.append(0, np.cumsum(state.column("shingles", np.uint32)[rows], dtype=np.int64))
    state.put("wanted", rows)
    parts: list[_Part] = []
    place = 0
    for task in tasks(corpus.source):
        first, last = map(int, np.searchsorted(rows, (task.row, task.row + task.rows)))
        if last > first:
            parts.append(_Part(task, first, last, place))
            place += -(-int(ends[last] - ends[first]) // PAGE) * PAGE
    starts, sizes = np.zeros(corpus.nodes, np.int64), np.zeros(corpus.nodes, np.int32)
    for part, found in spread(partial(_sets, corpus), parts, corpus.workers):
        members = nodes[part.first : part.last]
        sizes[members] = found
        starts[members] = part.place + np.cumsum(found, dtype=np.int64) - found
    state.put("starts", starts)
    state.put("sizes", sizes)


@dataclass(frozen=True)
class _Part:
    """A task, which of the wanted rows are in it, and where in the column its sets begin."""

    task: Task
    first: int
    last: int
    place: int


def _sets(corpus: Corpus, part: _Part) -> Array:
    """Put the sets of a task's wanted rows; returns their sizes, int32."""
    from smallcoder.data.kernels import buffers, shingle_sets

    wanted = corpus.state.column("wanted", np.int64, part.first, part.last)
    sizes = []
    place = part.place
    for row, batch in part.task.batches(["text"]):
        first, last = np.searchsorted(wanted, (row, row + batch.num_rows))
        if last > first:
            texts = batch.take(pa.array(wanted[first:last] - row)).column("text")
            found, bounds = shingle_sets(*buffers(texts), corpus.plan.shingle)
            corpus.state.put("sets", found, place)
            place += len(found)
            sizes.append(np.diff(bounds).astype(np.int32))
    return np.concatenate(sizes)


def _roots(parent: Array) -> Array:
    """Every node's root. Parents are never larger than their children, so halving paths ends."""
    roots = parent
    while not (roots[roots] == roots).all():
        roots = roots[roots]
    return roots
