import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.bench.passk import pass_at_k


@given(st.integers(1, 200), st.data())
def test_pass_at_k_equals_the_product_form_of_the_paper(samples, data):
    right = data.draw(st.integers(0, samples))
    k = data.draw(st.integers(1, samples))
    product = math.prod(1 - k / i for i in range(samples - right + 1, samples + 1))
    expected = 1.0 if samples - right < k else 1 - product
    assert pass_at_k(samples, right, k) == pytest.approx(expected, abs=1e-9)


def test_pass_at_1_is_the_share():
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)
