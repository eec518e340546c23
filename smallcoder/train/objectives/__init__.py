"""Objectives: pure functions from a model's outputs and a batch to a loss."""

from typing import NamedTuple

from torch import Tensor


class Loss(NamedTuple):
    """`value` is what is minimised, a scalar; `metrics` are sums over the batch, tensors without gradient."""

    value: Tensor
    metrics: dict[str, Tensor]
