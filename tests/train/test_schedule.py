"""Rates over a run, by properties and against the papers' numbers."""

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smallcoder.train.schedule import Decay, Plateau, Schedule


def rates(steps, **settings):
    schedule = Schedule(**settings)
    return [schedule.share(step, steps) for step in range(steps)]


@given(st.integers(1, 500), st.integers(0, 60), st.floats(0.001, 1), st.sampled_from(get_args(Decay)))
def test_the_rate_rises_to_its_peak_and_falls_to_the_floor(steps, warmup, floor, decay):
    found = rates(steps, warmup=warmup, floor=floor, decay=decay)
    assert all(0 <= rate <= 1 for rate in found)
    assert all(a < b for a, b in pairwise(found[:warmup]))
    assert all(a >= b for a, b in pairwise(found[warmup:]))
    if steps > warmup + 1:
        assert found[warmup] == 1
        assert found[-1] == pytest.approx(1 if decay in ("steps", "constant") else floor)


def test_the_three_stages_of_ling_coder_lite():
    first = rates(1000, warmup=0, decay="steps", floor=0.5, drop=0.75, drop_at=(0.3, 0.6, 0.9))
    assert sorted(set(first), reverse=True) == [1.0, 0.75, 0.75**2, 0.5]  # never under the floor, and then constant
    second = rates(1000, warmup=0, decay="cosine", floor=1.1 / 1.4)
    assert 1.4e-4 * second[-1] == pytest.approx(1.1e-4)
    anneal = rates(1000, warmup=0, decay="inverse_sqrt", floor=0.01)
    assert 1.4e-4 * anneal[-1] == pytest.approx(1.4e-6)
    assert anneal[100] < 0.04  # most of the way within a tenth of the run
    assert anneal[99] ** -2 - anneal[0] ** -2 == pytest.approx(99 * (anneal[1] ** -2 - anneal[0] ** -2))


def test_warmup_stable_decay_is_flat_and_then_straight():
    found = rates(1001, warmup=0, decay="wsd", decay_share=0.2)
    assert found[:801] == pytest.approx([1.0] * 801)
    assert found[900] == pytest.approx(0.5)
    assert found[-1] == 0


def test_the_rate_drops_once_what_is_measured_stands_still():
    schedule, plateau = Schedule(warmup=0, decay="steps", patience=2, floor=0.3), Plateau()
    seen = []
    for bits in (2.0, 1.8, 1.9, 1.7, 1.7, 1.8, 1.6, 1.6, 1.6, 1.6, 1.6):
        plateau.see(bits, schedule.patience)
        seen.append(schedule.share(5, 100, plateau.count))
    assert seen == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3]
    never = Plateau()
    for _ in range(99):
        never.see(1.0, 0)
    assert never.count == 0


@pytest.mark.parametrize(
    "settings",
    [{"decay": "inverse_sqrt"}, {"patience": 3}, {"decay": "steps", "drop_at": (2.0,)}, {"decay_share": 0.1}],
)
def test_settings_that_do_not_go_together_are_refused(settings):
    with pytest.raises(ValidationError):
        Schedule(**settings)
