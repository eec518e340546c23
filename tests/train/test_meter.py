"""What a run says of its speed."""

import pytest

from smallcoder.train import meter
from smallcoder.train.meter import RECENT, Meter
from tests.train.processes import DENSE


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(meter, "time", made)
    return made


def test_what_is_shown_is_recent_and_what_is_told_in_the_end_is_of_the_whole_run(clock):
    found = Meter(DENSE, 24, 12.0, "cpu", 1)
    assert found.rate == found.recent == 0
    clock.now += 60  # compilation
    found.add(10)
    for seconds in [1] * 100 + [4] * RECENT:
        clock.now += seconds
        found.add(10)
        with found.paused():
            clock.now += 7
    assert found.recent == pytest.approx(2.5)
    assert found.figures() == {"tokens_per_second": pytest.approx(2.5)}
    assert found.rate == pytest.approx(1500 / 300)
    assert found.note() == "2 tokens/s"
