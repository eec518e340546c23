import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.bench.passk import Z95, pass_at_k, wilson


@given(st.integers(1, 200), st.data())
def test_pass_at_k_equals_the_product_form_of_the_paper(samples, data):
    right = data.draw(st.integers(0, samples))
    k = data.draw(st.integers(1, samples))
    product = math.prod(1 - k / i for i in range(samples - right + 1, samples + 1))
    expected = 1.0 if samples - right < k else 1 - product
    assert pass_at_k(samples, right, k) == pytest.approx(expected, abs=1e-9)


def test_pass_at_1_is_the_share():
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)


@given(st.integers(1, 5000), st.data())
def test_the_ends_of_wilsons_interval_solve_its_equation(count, data):
    share = data.draw(st.integers(0, count)) / count
    low, high = wilson(share, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    for end in (low, high):
        assert abs(end - share) == pytest.approx(Z95 * math.sqrt(end * (1 - end) / count), abs=1e-6)


def test_known_intervals():
    assert wilson(0.8, 10) == pytest.approx((0.49016, 0.94331), abs=1e-5)  # 8 of 10
    assert wilson(0.0, 0) == (0.0, 1.0)
