"""The learning rate over a run: a linear warm-up, then half a cosine down to a floor (SGDR, arXiv 1608.03983)."""

from math import cos, pi


def scale(step: int, steps: int, warmup: int, floor: float) -> float:
    """The share of the peak rate at a step (0..steps-1): rises over `warmup` steps to 1, ends at `floor`."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    return floor + (1 - floor) * (1 + cos(pi * progress)) / 2
