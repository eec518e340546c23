"""Wilson's interval against its own equation and known values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.core.intervals import Z95, wilson


@given(st.integers(1, 5000), st.data())
def test_the_ends_of_wilsons_interval_solve_its_equation(count, data):
    share = data.draw(st.integers(0, count)) / count
    low, high = wilson(share, count)
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        assert abs(end - share) == pytest.approx(Z95 * math.sqrt(end * (1 - end) / count), abs=1e-6)


def test_known_intervals():
    assert wilson(0.8, 10) == pytest.approx((0.49016, 0.94331), abs=1e-5)  # 8 of 10
    assert wilson(0.0, 0) == (0.0, 1.0)
    # Newcombe, Statistics in Medicine 17, 1998, table I
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
