"""Wilson's score interval of a share (Journal of the American Statistical Association 22, 1927)."""

from math import sqrt

Z95 = 1.959963984540054  # the 97.5% point of the normal distribution


def wilson(share: float, count: int, z: float = Z95) -> tuple[float, float]:
    """The interval around a share seen in `count` independent trials; (0, 1) where there were none."""
    if count == 0:
        return 0.0, 1.0
    assert 0.0 <= share <= 1.0
    spread = z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    # The interval holds its share; rounding must not undo that where the share is 0 or 1.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
