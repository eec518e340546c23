"""Two optimizers side by side: Muon or AdamW for the layers' matrices, AdamW for embeddings, output, router, norms.

Muon (Jordan et al., kellerjordan.github.io/posts/muon) replaces the momentum of a matrix by the nearest orthogonal
matrix, found with five Newton-Schulz steps in bf16. Matrices of one shape go through them as one batch: a step of a
small model is otherwise dominated by dispatch. On top, NorMuon (arXiv 2510.05491) evens out how far the neurons move;
without it, updates equal `torch.optim.Muon`.

Cost: 5 (2 m^2 n + m^3) multiply-adds for an m x n matrix, m <= n; a sixth of a step of 2,048 tokens at width 192.
Weights that are spread over processes keep their moments where they are; whole matrices are dealt out to the ranks of
one copy of the model and back (`parallel.matrices`), each copy doing all of it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from smallcoder.model.transformer import Decoder
from smallcoder.train.parallel.matrices import Matrices
from smallcoder.train.parallel.parts import like, local

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
    return -1 if shape[-2] >= shape[-1] else -2


@dataclass
class Alike:
    """Weights of one shape, cut alike, and what Muon remembers of them."""

    weights: list[nn.Parameter]
    matrices: Matrices
    momenta: Tensor  # of this rank's parts, [weights, ...part]
    squares: Tensor  # of all matrices, [weights, ..., rows, 1] or [weights, ..., 1, columns]; only `mine` are kept up


class Muon:
    """SGD with Nesterov momentum whose matrix updates are orthogonalized, scaled by sqrt(max(1, rows / columns)).

    `second_momentum` None leaves out NorMuon's part. `group`: the ranks that hold one copy of the model between them.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        momentum: float,
        second_momentum: float | None,
        weight_decay: float,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        self._momentum = momentum
        self._second_momentum = second_momentum
        self._weight_decay = weight_decay
        self._group = group
        self._weights = list(weights)
        alike: defaultdict[Any, list[nn.Parameter]] = defaultdict(list)
        for weight in self._weights:
            alike[weight.shape, getattr(weight, "placements", None)].append(weight)
        self._alike: list[Alike] = []
        first = 0
        for same in alike.values():
            momenta = torch.stack([torch.zeros_like(local(weight)) for weight in same])
            shape = [len(same), *same[0].shape]
            shape[_shorter_side(same[0].shape)] = 1
            self._alike.append(Alike(same, Matrices(same, group, first), momenta, momenta.new_zeros(shape)))
            first += len(same)

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update; every weight must have a gradient."""
        for alike in self._alike:
            rows, columns = alike.weights[0].shape[-2:]
            gradients = torch.stack([local(weight.grad) for weight in alike.weights if weight.grad is not None])
            alike.momenta.lerp_(gradients, 1 - self._momentum)
            updates = orthogonalize(alike.matrices.gather(gradients.lerp(alike.momenta, self._momentum))).float()
            if self._second_momentum is not None:
                updates = self._balance(updates, alike, self._second_momentum)
            rate = lr * max(1, rows / columns) ** 0.5
            for weight, update in zip(alike.weights, alike.matrices.scatter(updates), strict=True):
                local(weight).mul_(1 - lr * self._weight_decay).sub_(update, alpha=rate)

    def _balance(self, updates: Tensor, alike: Alike, decay: float) -> Tensor:
        squares, mine = alike.squares.flatten(0, -3), alike.matrices.mine
        if mine is None:
            return balance(updates, squares, decay)
        own = squares[mine]
        balanced = balance(updates, own, decay)
        squares[mine] = own
        return balanced

    @torch.no_grad()
    def state(self) -> list[tuple[Tensor, Tensor]]:
        """Momentum, spread as the weight is, and mean squares, whole on every rank, of each weight in turn.

        They share memory with those in use: filling them restores a state. Every rank must call it.
        """
        found = {}
        for alike in self._alike:
            if alike.matrices.mine is not None:
                squares = alike.squares.flatten(0, -3)
                own = torch.zeros_like(squares)
                own[alike.matrices.mine] = squares[alike.matrices.mine]
                dist.all_reduce(own, group=self._group)
                squares.copy_(own)
            for weight, momentum, squares in zip(alike.weights, alike.momenta, alike.squares, strict=True):
                found[id(weight)] = (like(weight, momentum), squares)
        return [found[id(weight)] for weight in self._weights]


class Optimizers:
    """Both optimizers of a decoder, stepped together at one share of their peak rates.

    `kind` is that of the layers' matrices: "muon" at `muon_lr` or "adamw" at `adam_lr`; only they have `weight_decay`.
    `adam_lr` is also the rate of the output matrix, the router and the norms, and of embeddings tied to the output.
    `copy` is the fleet's; the decoder must have been spread before.
    """

    def __init__(
        self,
        decoder: Decoder,
        muon_lr: float,
        embedding_lr: float,
        adam_lr: float,
        weight_decay: float,
        *,
        kind: Literal["muon", "adamw"] = "muon",
        copy: dist.ProcessGroup | None = None,
    ) -> None:
        named = dict(decoder.named_parameters())
        matrices = {
            name: weight
            for name, weight in named.items()
            if name.startswith("layers.") and weight.ndim > 1 and not name.endswith("mlp.gate.weight")
        }
        self._weights = named
        self._muon_lr = muon_lr
        self.peak = muon_lr if kind == "muon" else adam_lr  # of the matrices
        self._matrices = matrices if kind == "muon" else {}
        self._muon = Muon(self._matrices.values(), MOMENTUM, SECOND_MOMENTUM, weight_decay, copy)
        # AdamW works element by element: on this rank's parts, as tensors of their own where a weight is spread.
        self._parts = {
            name: weight if local(weight) is weight else nn.Parameter(local(weight).detach())
            for name, weight in sorted(named.items(), key=lambda item: item[0] not in matrices)
            if name not in self._matrices
        }
        embeddings = "" if decoder.config.tied else "embed_tokens.weight"
        groups = [
            {
                "params": [part],
                "peak": embedding_lr if name == embeddings else adam_lr,
                "weight_decay": weight_decay if name in matrices else 0.0,
            }
            for name, part in self._parts.items()
        ]
        self._adam = torch.optim.AdamW(groups, adam_lr, ADAM_BETAS, ADAM_EPS, fused=True)
        for part in self._parts.values():  # as it would at the first step, so that there is a state to fill
            self._adam.state[part] = {
                "step": torch.zeros((), device=part.device),
                "exp_avg": torch.zeros_like(part, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(part, requires_grad=False),
            }

    def step(self, share: float) -> None:
        """One update from the gradients at hand, at `share` of the peak rates; then the gradients are gone."""
        self._muon.step(self._muon_lr * share)
        for name, part in self._parts.items():
            gradient = self._weights[name].grad
            part.grad = None if gradient is None else local(gradient)
        for group in self._adam.param_groups:
            group["lr"] = group["peak"] * share
        self._adam.step()
        self.forget()

    def forget(self) -> None:
        """Drop the gradients without an update."""
        for weight in (*self._weights.values(), *self._parts.values()):
            weight.grad = None

    def state(self) -> dict[str, Any]:
        """All moments by the names of their weights, spread as these are. Filling the tensors restores a state.

        Every rank must call it.
        """
        adam = {}
        for name, part in self._parts.items():
            moments = self._adam.state[part]
            spread = {key: like(self._weights[name], moments[key]) for key in ("exp_avg", "exp_avg_sq")}
            adam[name] = {"step": moments["step"], **spread}
        muon = zip(self._matrices, self._muon.state(), strict=True)
        return {"adam": adam, "muon": {name: {"momentum": own[0], "squares": own[1]} for name, own in muon}}
