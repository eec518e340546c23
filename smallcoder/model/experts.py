"""Mixture of experts: a few of many small feed-forwards a token, chosen by a router, and some that every token sees.

The layer of Ling-Lite (arXiv 2503.05139) and DeepSeekMoE (arXiv 2401.06066): many fine-grained routed experts, shared
ones beside them as one wider feed-forward. The router's softmax runs over all experts, in fp32; the `active` largest
shares are taken and, with `renormalise`, made to sum to 1. No token is dropped and no capacity is set: assignments are
sorted by expert and all experts run as one grouped matrix product (`torch.nn.functional.grouped_mm`).

Experts may be spread over the ranks of a process group (expert parallel, GShard, arXiv 2006.16668): rows travel to the
rank of their expert and back, all-to-all, in numbers that follow the routing; still none is dropped. Each layer waits
once for these numbers on the host.

Shapes: N tokens, D width, E experts, A active of them, F their ffn.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import grouped_mm, linear, silu

from smallcoder.model.config import Experts

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Routing(NamedTuple):
    """How one layer spread a batch over its experts.

    balance: the load-balancing loss of Switch (arXiv 2101.03961, equation 4), E times the sum over experts of their
    share of the assignments and their mean probability: 1 where both are even. z: mean squared log-partition of the
    router's logits (ST-MoE, arXiv 2202.08906, equation 5). load: each expert's share of the assignments, [E].
    Padding counts like any token.
    """

    balance: Tensor
    z: Tensor
    load: Tensor


class RoutedExperts(nn.Module):
    """The weights of all routed experts of a layer, each matrix [E, out, in].

    With a `group` each of its ranks holds an equal share of them, in order, and calls `forward` with the others.
    """

    def __init__(self, count: int, width: int, ffn: int) -> None:
        super().__init__()
        self.gate_proj = nn.Parameter(torch.empty(count, ffn, width))
        self.up_proj = nn.Parameter(torch.empty(count, ffn, width))
        self.down_proj = nn.Parameter(torch.empty(count, width, ffn))
        self.group: ProcessGroup | None = None

    def forward(self, x: Tensor, counts: Tensor) -> Tensor:
        """down(silu(gate(x)) * up(x)) of rows [M, D] sorted by expert, of which each has `counts` [E]."""
        weights: list[Any] = [self.gate_proj, self.up_proj, self.down_proj]
        if self.group is None:
            return _products(x, counts, *weights)
        return _elsewhere(x, counts, self.group, [weight.to_local() for weight in weights])


def _products(x: Tensor, counts: Tensor, *weights: Tensor) -> Tensor:
    gate, up, down = (weight.to(x.dtype).mT for weight in weights)
    ends = counts.cumsum(0).to(torch.int32)
    return grouped_mm(silu(grouped_mm(x, gate, offs=ends)) * grouped_mm(x, up, offs=ends), down, offs=ends)


def _elsewhere(x: Tensor, counts: Tensor, group: "ProcessGroup", weights: list[Tensor]) -> Tensor:
    """The products of rows sorted by expert, each made by the rank of the group that has the expert's weights."""
    from torch.distributed._functional_collectives import all_to_all_single, all_to_all_single_autograd

    ranks, own = group.size(), len(counts) // group.size()
    arriving = all_to_all_single(counts, None, None, group)  # rows for each own expert, from each rank in turn
    sent, received = torch.stack((counts, arriving)).view(2, ranks, own).sum(-1).tolist()
    rows = all_to_all_single_autograd(x, received, sent, group)  # by rank, then by expert
    experts = torch.arange(own, device=x.device).repeat(ranks).repeat_interleave(arriving, output_size=sum(received))
    order = experts.argsort(stable=True)  # by expert, then by rank
    rows, counts = rows[order], arriving.view(ranks, own).sum(0)
    if len(rows):
        made = _products(rows, counts, *weights)
    else:  # a row of zeros for the last expert: its weights must have gradients here if they do on other ranks
        zeros, last = rows.new_zeros(1, rows.shape[1]), torch.arange(own, device=x.device) == own - 1
        made = _products(torch.cat((rows, zeros)), counts + last, *weights)[:0]
    return all_to_all_single_autograd(made[order.argsort()], sent, received, group)


class SharedExperts(nn.Module):
    """The experts that every token sees, as one gated feed-forward."""

    def __init__(self, width: int, ffn: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, ffn, bias=False)
        self.up_proj = nn.Linear(width, ffn, bias=False)
        self.down_proj = nn.Linear(ffn, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))


class ExpertLayer(nn.Module):
    """What stands in a layer where a dense model has its feed-forward."""

    def __init__(self, config: Experts, width: int) -> None:
        super().__init__()
        self.config = config
        self.gate = nn.Linear(width, config.count, bias=False)
        self.experts = RoutedExperts(config.count, width, config.ffn)
        if config.shared:
            self.shared_experts = SharedExperts(width, config.shared * config.ffn)

    def forward(self, x: Tensor) -> tuple[Tensor, Routing]:
        """[B, T, D] -> the same, and how the tokens were spread."""
        flat = x.flatten(0, 1)
        if torch.is_autocast_enabled(x.device.type):  # matrix products outside `linear` are not cast by themselves
            flat = flat.to(torch.get_autocast_dtype(x.device.type))
        shares, chosen, counts, routing = self._route(flat)
        order = chosen.flatten().argsort(stable=True)  # assignments by expert, [N * A]
        tokens = order // self.config.active
        out = self.experts(flat[tokens], counts) * shares.flatten()[order, None].to(flat.dtype)
        y = torch.zeros_like(flat).index_add(0, tokens, out)
        if self.config.shared:
            y = y + self.shared_experts(flat)
        return y.view(x.shape).to(x.dtype), routing

    def _route(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor, Routing]:
        """Shares and numbers of each token's experts, [N, A] both; each expert's assignments, [E]; the `Routing`."""
        with torch.autocast(flat.device.type, enabled=False):
            logits = linear(flat.float(), self.gate.weight.float())
        probabilities = logits.softmax(-1)
        shares, chosen = probabilities.topk(self.config.active, dim=-1)
        if self.config.renormalise:
            shares = shares / shares.sum(-1, keepdim=True)
        picked = chosen.flatten()
        counts = picked.new_zeros(self.config.count).scatter_add(0, picked, torch.ones_like(picked))
        load = counts / picked.numel()
        balance = self.config.count * (load * probabilities.mean(0)).sum()
        return shares, chosen, counts, Routing(balance, logits.logsumexp(-1).square().mean(), load)
