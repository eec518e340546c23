"""What a mixture of experts adds to any loss: tokens spread evenly, and router logits that stay small."""

from collections.abc import Sequence

import torch
from torch import Tensor

from smallcoder.model.experts import Routing
from smallcoder.train.objectives import Loss


def with_routing(loss: Loss, routing: Sequence[Routing], balance: float, z: float, share: Tensor) -> Loss:
    """The loss and `balance` and `z` times what `Routing` holds, summed over the layers, times `share`.

    Summed, as every layer of Switch adds its own (arXiv 2101.03961, section 2.2): a mean gets weaker with depth.

    `share`, a scalar, is the batch's share of the update. Metric: `loads` [layers, E], the share of a layer's
    assignments that each expert gets, times `share` too. Without experts the loss stays as it is.
    """
    if not routing:
        return loss
    extra = sum(balance * spread.balance + z * spread.z for spread in routing)
    loads = torch.stack([spread.load for spread in routing]).detach()
    return Loss(loss.value + share * extra, loss.metrics | {"loads": share * loads})


def busiest(loads: Tensor) -> float:
    """How many times its even share the busiest expert of a layer gets, a mean over the layers; 1 where all get it."""
    return (loads.max(-1).values * loads.shape[-1]).mean().item()
