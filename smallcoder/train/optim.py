"""Two optimizers side by side: Muon for the layers' matrices, AdamW for embeddings and norms.

Muon (Jordan et al., kellerjordan.github.io/posts/muon) replaces the momentum of a matrix by the nearest orthogonal
matrix, found with five Newton-Schulz steps in bf16. Matrices of one shape go through them as one batch: a step of a
small model is otherwise dominated by dispatch. On top, NorMuon (arXiv 2510.05491) evens out how far the neurons move;
without it, updates equal `torch.optim.Muon`.

Cost: 5 (2 m^2 n + m^3) multiply-adds for an m x n matrix, m <= n; a sixth of a step of 2,048 tokens at width 192.
It does not shard: every device would do all of it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from smallcoder.model.transformer import Decoder

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan's quintic: steepest at zero, singular values end in about [0.7, 1.2]
NEWTON_SCHULZ_STEPS = 5
MOMENTUM, SECOND_MOMENTUM = 0.95, 0.95
ADAM_BETAS, ADAM_EPS = (0.9, 0.95), 1e-10


def orthogonalize(matrices: Tensor) -> Tensor:
    """The nearest matrices with singular values near 1, approximately; [N, rows, columns] -> the same, in bf16."""
    a, b, c = NEWTON_SCHULZ
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def balance(updates: Tensor, squares: Tensor, decay: float) -> Tensor:
    """NorMuon: divide by the root of a running mean of squares, [N, rows, columns] -> the same, each norm kept.

    The mean, `squares`, is taken along the shorter side and updated in place, once for each row of a tall matrix and
    each column of a wide one: along the other, an orthogonal matrix has nothing to even out.
    """
    squares.lerp_(updates.square().mean(_shorter_side(updates.shape), keepdim=True), 1 - decay)
    balanced = updates * squares.clamp(min=1e-10).rsqrt()
    norms = balanced.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)  # no gradient at all gives zero
    return balanced.mul_(updates.norm(dim=(1, 2), keepdim=True) / norms)


def _shorter_side(shape: torch.Size) -> int:
    return 2 if shape[1] >= shape[2] else 1


class Muon:
    """SGD with Nesterov momentum whose matrix updates are orthogonalized, scaled by sqrt(max(1, rows / columns)).

    `second_momentum` None leaves out NorMuon's part.
    """

    def __init__(
        self, weights: Iterable[nn.Parameter], momentum: float, second_momentum: float | None, weight_decay: float
    ) -> None:
        self._momentum = momentum
        self._second_momentum = second_momentum
        self._weight_decay = weight_decay
        self._shapes: defaultdict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for weight in weights:
            self._shapes[weight.shape].append(weight)
        self._momenta = [_matrices([torch.zeros_like(w) for w in group]) for group in self._shapes.values()]
        self._squares = [m.new_zeros(m.sum(_shorter_side(m.shape), keepdim=True).shape) for m in self._momenta]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update; every weight must have a gradient."""
        for weights, momenta, squares in zip(self._shapes.values(), self._momenta, self._squares, strict=True):
            _, rows, columns = momenta.shape
            gradients = _matrices([weight.grad for weight in weights if weight.grad is not None])
            momenta.lerp_(gradients, 1 - self._momentum)
            updates = orthogonalize(gradients.lerp(momenta, self._momentum)).float()
            if self._second_momentum is not None:
                updates = balance(updates, squares, self._second_momentum)
            rate = lr * max(1, rows / columns) ** 0.5
            for weight, update in zip(weights, updates.view(-1, *weights[0].shape), strict=True):
                weight.mul_(1 - lr * self._weight_decay).sub_(update, alpha=rate)

    def state(self) -> list[Tensor]:
        """The momenta, then the mean squares, one tensor for each shape of matrix."""
        return self._momenta + self._squares

    def restore(self, state: list[Tensor]) -> None:
        for own, saved in zip(self.state(), state, strict=True):
            own.copy_(saved)


def _matrices(weights: list[Tensor]) -> Tensor:
    """Weights of one shape as one batch of matrices, [N, rows, columns]; stacked experts are matrices each."""
    return torch.stack(weights).flatten(0, -3)


class Optimizers:
    """Both optimizers of a decoder, stepped together at one share of their peak rates."""

    def __init__(
        self, decoder: Decoder, muon_lr: float, embedding_lr: float, adam_lr: float, weight_decay: float
    ) -> None:
        matrices = [
            weight
            for name, weight in decoder.layers.named_parameters()
            if weight.ndim > 1 and not name.endswith("mlp.gate.weight")
        ]
        chosen = {id(weight) for weight in matrices}
        rest = [weight for weight in decoder.parameters() if id(weight) not in chosen]
        embedding_lr = adam_lr if decoder.config.tied else embedding_lr
        rates = [embedding_lr if weight is decoder.embed_tokens.weight else adam_lr for weight in rest]
        groups = [{"params": [weight], "peak": rate} for weight, rate in zip(rest, rates, strict=True)]
        self._weights = matrices + rest
        self._muon_lr = muon_lr
        self._muon = Muon(matrices, MOMENTUM, SECOND_MOMENTUM, weight_decay)
        self._adam = torch.optim.AdamW(groups, adam_lr, ADAM_BETAS, ADAM_EPS, weight_decay=0.0, fused=True)

    def step(self, share: float) -> None:
        """One update from the gradients at hand, at `share` of the peak rates; then the gradients are gone."""
        self._muon.step(self._muon_lr * share)
        for group in self._adam.param_groups:
            group["lr"] = group["peak"] * share
        self._adam.step()
        self.forget()

    def forget(self) -> None:
        """Drop the gradients without an update."""
        for weight in self._weights:
            weight.grad = None

    def state(self) -> dict[str, Any]:
        return {"muon": self._muon.state(), "adam": self._adam.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self._muon.restore(state["muon"])
        self._adam.load_state_dict(state["adam"])
