"""The parts of near deduplication: bounded comparisons, pieces of a band, sketches, the columns on disk."""

import random

import numpy as np
import pytest

from smallcoder.data import dedup
from smallcoder.data.dedup import near
from smallcoder.data.dedup.pairs import WINDOW, connect, join, mark
from smallcoder.data.dedup.state import State
from smallcoder.data.kernels import find_root


def bucket(size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """A band with all nodes in one bucket."""
    return np.arange(size, dtype=np.int32), np.zeros(size, np.int32), 0


def test_a_bucket_of_twenty_thousand_is_not_compared_pair_by_pair() -> None:
    size, generator = 20_000, np.random.default_rng(0)
    sketches = generator.integers(0, 256, (size, 8), dtype=np.uint8)
    wanted = np.zeros(size, bool)
    assert mark(bucket(size), sketches, 9, wanted) <= WINDOW * size
    values = np.sort(generator.integers(0, 1 << 63, (size, 4), dtype=np.uint64), axis=1).ravel()
    sets = values, np.arange(0, 4 * size, 4), np.full(size, 4, np.int32)
    parent = np.arange(size, dtype=np.int32)
    assert connect(parent, bucket(size), (sketches, 0), sets, 0.5) <= WINDOW * size
    assert (parent == np.arange(size)).all()
    same = np.tile(values[:4], size), *sets[1:]
    assert connect(parent, bucket(size), (sketches, 0), same, 0.5) == size - 1
    assert not parent[near._roots(parent)].any()


def test_equal_documents_in_one_bucket_cost_one_comparison_each(documents, run) -> None:
    """20,000 texts that share every band but for chance: linear in the facts of the stage itself."""
    header = " ".join(f"word{at}" for at in range(200))
    items = [f"{header} {at} {at * 7} {at * 13}" for at in range(20_000)]
    kept, _, facts = run(dedup, {}, documents=documents(items))
    assert len(kept) == 1
    assert facts["pairs_in_a_band"] > 1e9
    assert facts["pairs_compared"] < 2 * len(items)
    assert facts["sketches_compared"] < 2 * len(items) * facts["bands"]


def test_unions_give_the_components() -> None:
    rng = random.Random(0)
    edges = [(rng.randrange(300), rng.randrange(300)) for _ in range(200)]
    parent = np.arange(300, dtype=np.int32)
    expected = np.arange(300)
    join(parent, *np.array(edges, np.int32).T)
    for pair in edges:
        one, two = sorted(expected[list(pair)])
        expected[expected == two] = one
    assert near._roots(parent).tolist() == expected.tolist()
    assert [find_root(parent, node) for node in range(300)] == expected.tolist()


@pytest.mark.parametrize("cut", [1, 333, 1000])
@pytest.mark.parametrize("weight", [1, near.CHUNK_BYTES // 100, near.CHUNK_BYTES + 1])
def test_pieces_of_a_band_hold_every_pair_of_the_window(weight: int, cut: int) -> None:
    firsts = np.repeat(np.arange(0, 1000, 250), 250).astype(np.int32)
    members = np.random.default_rng(0).permutation(1000).astype(np.int32)

    def pairs(members: np.ndarray, firsts: np.ndarray, begin: int) -> set[tuple[int, int]]:
        return {
            (int(members[i]), int(members[j]))
            for i in range(begin, len(members))
            for j in range(max(firsts[i], i - WINDOW), i)
        }

    slices = [near.Slice(0, at, min(at + cut, 1000)) for at in range(0, 1000, cut)]
    pieces = [near._pieces(members, firsts, part, lambda some: np.full(len(some), weight)) for part in slices]
    found = [pairs(*piece) for some in pieces for piece in some]
    assert set.union(*found) == pairs(members, firsts, 0)
    assert sum(map(len, found)) == len(set.union(*found))


def test_a_sketch_seldom_misses_a_pair_at_the_threshold() -> None:
    generator = np.random.default_rng(0)
    for jaccard in (0.5, 0.75, 0.9):
        least = near.least_alike(85, jaccard)
        equal = generator.random((200_000, 85)) < jaccard + (1 - jaccard) / 256
        assert (equal.sum(axis=1) < least).mean() < 1.3 * near.SKETCH_MISS
        assert (equal.sum(axis=1) < least + 2).mean() > near.SKETCH_MISS


def test_columns_come_back_and_leave_nothing(tmp_path) -> None:
    parts = [np.arange(at, dtype=np.uint64) for at in (3, 0, 100_000)]
    whole = np.concatenate(parts)
    state = State(tmp_path / "state")
    for part in parts:
        state.append("column", part)
    for at in (50_000, 0):  # a later place may be written first
        state.put("placed", whole[at : at + 50_000].reshape(-1, 2), at // 2)
    for name, end in (("column", None), ("placed", 100_000)):
        assert (state.column(name, np.uint64) == whole[:end]).all()
    assert (state.column("column", np.uint64, 2, 5) == whole[2:5]).all()
    mapped = state.mapped("column", np.uint64)
    total = mapped.array.sum()
    mapped.release()
    assert mapped.array.sum() == total == whole.sum()
    state.mapped("nothing", np.uint64).release()
    state.remove()
    assert not list(tmp_path.iterdir())
