"""Nested shares, the exact order of rows, and its position at any moment."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.train import mixture
from smallcoder.train.mixture import BLOCK, Places, ramp, shares

LING = {"code": {"share": 70, "raw": 94, "related": 5, "synthetic": 1}, "text": 20, "math": 10}
SIZES = {"math": 31, "raw": 500, "related": 40, "synthetic": 7, "text": 90}


def test_shares_multiply_down_the_groups():
    found = shares(LING, SIZES)
    assert found == pytest.approx(
        {"raw": 0.658, "related": 0.035, "synthetic": 0.007, "text": 0.2, "math": 0.1}, abs=1e-12
    )
    assert sum(found.values()) == pytest.approx(1)
    assert shares(None, {"a": 30, "b": 10}) == {"a": 0.75, "b": 0.25}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"raw": 1, "txt": 1}, "text"),
        ({"raw": 1}, "text"),
        ({"code": {"raw": 1}, "text": 1}, "code"),
        ({"raw": 0, "text": 1}, "raw"),
        ({"raw": "much", "text": 1}, "much"),
        ({"raw": True, "text": 1}, "True"),
        ({"code": {"share": 1}, "raw": 1, "text": 1}, "empty"),
        ({"code": {"share": 1, "raw": 1}, "raw": 1, "text": 1}, "two groups"),
        ({"raw": 1, "text": 1e-9}, "share"),
    ],
)
def test_mixtures_that_fit_no_inputs_are_refused(wrong, word):
    with pytest.raises(InputError, match=word):
        shares(wrong, {"raw": 5, "text": 5})


def test_every_block_holds_the_exact_shares_evenly_spread():
    places = Places(SIZES, shares(LING, SIZES), 3)
    names = [places.names[source] for source, _ in places(0, 2 * BLOCK)]
    wanted = shares(LING, SIZES)
    for start, length in ((0, BLOCK), (BLOCK, BLOCK), (1_000, 2_000), (BLOCK - 500, 1_000)):
        counts = Counter(names[start : start + length])
        slack = 2 if length == BLOCK else 4
        for name, share in wanted.items():
            assert abs(counts[name] - share * length) <= slack
    assert places.read(2 * BLOCK) == {name: names.count(name) for name in SIZES}
    assert places.read(12_345) == {name: names[:12_345].count(name) for name in SIZES}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=4),
    st.integers(0, 3),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_every_epoch_of_every_source_visits_each_row_once_whatever_was_asked_before(parts, seed, cuts):
    mixture.BLOCK = 64  # so that a run spans many
    try:
        sizes = {f"s{n}": size for n, (size, _) in enumerate(parts)}
        mix = shares({f"s{n}": weight for n, (_, weight) in enumerate(parts)}, sizes)
        straight = Places(sizes, mix, seed)(0, 300)
        other, at, pieces = Places(sizes, mix, seed), 0, []
        while at < 300:
            step = cuts[at % len(cuts)]
            pieces += other(at, min(300, at + step))
            at += step
        assert pieces == straight
        for number, size in enumerate(sizes.values()):
            rows = [row for source, row in straight if source == number]
            for start in range(0, len(rows), size):
                assert max(Counter(rows[start : start + size]).values()) == 1
    finally:
        mixture.BLOCK = BLOCK


def test_a_later_stage_reads_on_where_the_one_before_stopped():
    sizes = {"code": 50, "text": 20}
    first = Places(sizes, shares({"code": 3, "text": 1}, sizes), 5)
    then = Places(
        {"code": 50, "more": 9, "text": 20},
        shares({"code": 1, "more": 1, "text": 1}, {**sizes, "more": 9}),
        5,
        first.read(40),
    )
    seen = [(first.names[source], row) for source, row in first(0, 40)]
    seen += [(then.names[source], row) for source, row in then(0, 30)]
    code = [row for name, row in seen if name == "code"]
    assert len(code) == len(set(code)) == 40
    assert then.read(0) == {"code": 30, "more": 0, "text": 10}
    assert then.epochs(30) == pytest.approx({"code": 0.8, "more": 10 / 9, "text": 1.0}, abs=0.12)


def test_the_batch_grows_by_whole_parts():
    sizes = [ramp(step + 1, 32, 4, 10) - ramp(step, 32, 4, 10) for step in range(14)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 4
    assert sizes[9:] == [32] * 5
    assert all(size % 4 == 0 for size in sizes)
    assert [ramp(step, 6, 6, 0) for step in range(3)] == [0, 6, 12]
