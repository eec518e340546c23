"""The learning rate over a run: a linear warm-up, then a decay to a floor.

`linear` goes straight down (Bergsma et al., arXiv 2502.15938, find it best when it ends at zero; so did we, see
docs/log.md), `cosine` along half a cosine (SGDR, arXiv 1608.03983).
"""

from math import cos, pi
from typing import Literal

Decay = Literal["linear", "cosine"]


def scale(step: int, steps: int, warmup: int, floor: float, decay: Decay = "linear") -> float:
    """The share of the peak rate at a step (0..steps-1): rises over `warmup` steps to 1, ends at `floor`."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    left = 1 - progress if decay == "linear" else (1 + cos(pi * progress)) / 2
    return floor + (1 - floor) * left
