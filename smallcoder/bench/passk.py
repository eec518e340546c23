"""pass@k: the unbiased estimate 1 - C(n - c, k) / C(n, k) of Chen et al., arXiv 2107.03374, section 2.1.

It is the chance that k answers drawn without replacement from n, of which c are right, hold a right one.
"""

from math import comb


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The unbiased estimate of pass@k; 0 <= right <= samples and 1 <= k <= samples."""
    assert 0 <= right <= samples
    assert 1 <= k <= samples
    return 1.0 - comb(samples - right, k) / comb(samples, k)
