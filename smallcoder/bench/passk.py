"""pass@k and intervals of shares.

pass@k is the unbiased estimate 1 - C(n - c, k) / C(n, k) of Chen et al., arXiv 2107.03374, section 2.1: the chance
that k answers drawn without replacement from n, of which c are right, hold a right one. The interval is Wilson's
score interval (Journal of the American Statistical Association 22, 1927). Neither knows how a benchmark was chosen:
the interval covers the drawing of problems only.
"""

from math import comb, sqrt

Z95 = 1.959963984540054  # the 97.5% point of the normal distribution


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The unbiased estimate of pass@k; 0 <= right <= samples and 1 <= k <= samples."""
    assert 0 <= right <= samples
    assert 1 <= k <= samples
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def wilson(share: float, count: int, z: float = Z95) -> tuple[float, float]:
    """The interval around a share seen in `count` independent trials; (0, 1) where there were none."""
    if count == 0:
        return 0.0, 1.0
    assert 0.0 <= share <= 1.0
    spread = z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
