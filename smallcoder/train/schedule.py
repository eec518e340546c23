"""The learning rate over a run, as a share of its peak: a linear warm-up, then one of six ways down to a floor.

    linear        straight down (Bergsma et al., arXiv 2502.15938: best where it ends at zero; here too, docs/log.md)
    cosine        along half a cosine (SGDR, arXiv 1608.03983)
    inverse_sqrt  1 / sqrt(1 + k t), k such that the floor is met at the end: falls quickest at first (Ling-Coder-Lite's
                  annealing, arXiv 2503.17793, section 3.2.2)
    wsd           stays at the peak, then straight down over the last `decay_share` (MiniCPM, arXiv 2404.06395)
    steps         constant between drops by the factor `drop`: at the shares of the run in `drop_at`, and whenever what
                  is measured has not improved `patience` times in a row (Ling-Coder-Lite's stage 1, section 3.2.1)
    constant      stays at the peak

It knows one rate: the peaks of the parts of a model are settings of the stage, and all follow this share.
"""

from dataclasses import dataclass
from math import cos, pi
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Decay = Literal["linear", "cosine", "inverse_sqrt", "wsd", "steps", "constant"]


class Schedule(BaseModel):
    """`floor` is the share of the peak at the last step. `patience` counts measurements; 0 never looks at them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup: int = Field(default=30, ge=0)  # steps
    decay: Decay = "linear"
    floor: float = Field(default=0.0, ge=0, le=1)
    decay_share: float = Field(default=0.2, gt=0, le=1)  # of the steps, for wsd; 0.1 to 0.2 in the paper
    drop: float = Field(default=0.5, gt=0, lt=1)
    drop_at: tuple[float, ...] = ()
    patience: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        own = {"wsd": {"decay_share"}, "steps": {"drop", "drop_at", "patience"}}
        for decay, fields in own.items():
            if decay != self.decay and fields & self.model_fields_set:
                raise ValueError(f'{", ".join(sorted(fields))} belong to decay = "{decay}"')
        if self.decay == "inverse_sqrt" and not self.floor:
            raise ValueError("an inverse square root never reaches 0: give a floor")
        if not all(0 < share < 1 for share in self.drop_at):
            raise ValueError("drop_at lists shares of the run, between 0 and 1")
        return self

    def share(self, step: int, steps: int, plateaus: int = 0) -> float:
        """The share of the peak rate at a step (0..steps-1), after so many plateaus. Rises over the warm-up to 1."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        progress = (step - self.warmup) / max(1, steps - 1 - self.warmup)
        if self.decay == "constant":
            return 1.0
        if self.decay == "inverse_sqrt":
            return (1 + (self.floor**-2 - 1) * progress) ** -0.5
        if self.decay == "steps":
            drops = plateaus + sum(progress >= share for share in self.drop_at)
            return max(self.floor, self.drop**drops)
        if self.decay == "wsd":
            progress = max(0.0, 1 - (1 - progress) / self.decay_share)
        left = (1 + cos(pi * progress)) / 2 if self.decay == "cosine" else 1 - progress
        return self.floor + (1 - self.floor) * left


@dataclass
class Plateau:
    """Counts the times a measure has stopped falling. Its fields are all its state."""

    best: float = float("inf")
    stalled: int = 0
    count: int = 0

    def see(self, value: float, patience: int) -> None:
        """Take in one measurement; after `patience` in a row without a new best one plateau more has been met."""
        if value < self.best:
            self.best, self.stalled = value, 0
            return
        self.stalled += 1
        if patience and self.stalled >= patience:
            self.stalled, self.count = 0, self.count + 1
