"""What a mixture of experts adds to any loss: tokens spread evenly, and router logits that stay small."""

from collections.abc import Sequence

import torch

from smallcoder.model.experts import Routing
from smallcoder.train.objectives import Loss


def with_routing(loss: Loss, routing: Sequence[Routing], balance: float, z: float) -> Loss:
    """The loss and `balance` and `z` times what `Routing` holds, each a mean over the layers.

    Metric: `busiest`, how many times its even share the busiest expert of a layer gets, a mean over the layers.
    Without layers of experts the loss stays as it is.
    """
    if not routing:
        return loss
    extra = sum(balance * spread.balance + z * spread.z for spread in routing) / len(routing)
    busiest = torch.stack([spread.load.max() * len(spread.load) for spread in routing]).mean()
    return Loss(loss.value + extra, loss.metrics | {"busiest": busiest.detach()})
