"""Splitting: no repository on two sides, neither side empty, whatever the sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.core.tables import read_batches
from smallcoder.data import split

SIZES = st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 10**6), min_size=2, max_size=40)


@given(SIZES, st.floats(0.001, 0.5), st.integers(0, 5))
def test_held_out_is_a_proper_part(sizes: dict[str, int], share: float, seed: int) -> None:
    chosen = split.heldout(sizes, share, seed)
    assert 0 < len(chosen) < len(sizes)
    held = sum(sizes[name] for name in chosen)
    assert held <= share * sum(sizes.values()) or len(chosen) == 1
    assert chosen == split.heldout(dict(reversed(sizes.items())), share, seed)


def test_stage(documents, tmp_path) -> None:
    items = [{"text": f"x = {at}\n" * 10, "repo": f"repo{at % 17}", "id": str(at)} for at in range(200)]
    items += [{"text": "y\n", "repo": None, "id": f"alone{at}"} for at in range(20)]
    folder, out = documents(items), tmp_path / "split"
    out.mkdir()
    facts = split.run(split.Config(heldout_share=0.3, seed=1), {"documents": folder}, out)
    sides = {}
    for name in ("train", "heldout"):
        rows = [row for batch in read_batches(out / name) for row in batch.to_pylist()]
        sides[name] = {row["repo"] for row in rows if row["repo"]}
        assert rows
        assert facts[name]["records"] == len(rows)
        assert facts[name]["repositories"] == len(sides[name])
    assert not sides["train"] & sides["heldout"]
    assert facts["train"]["records"] + facts["heldout"]["records"] == 220
    assert 0.1 < facts["heldout"]["bytes"] / facts["train"]["bytes"] < 0.45


def test_one_repository_cannot_be_split(documents, tmp_path) -> None:
    with pytest.raises(InputError, match="only one repository"):
        split.run(split.Config(), {"documents": documents([{"text": "x", "repo": "one"}])}, tmp_path)
