"""Whole matrices out of weights that are cut into blocks, for an optimizer that needs them whole.

The matrices of one shape are dealt out to the ranks of a group in turn; all-to-all brings each rank the blocks of its
own and takes the results back. So a rank sends its share of the weights twice (bf16 there, fp32 back), computes its
share of the work, and holds no more than its share of the whole matrices of one shape at a time. (All-gathering, as
Muon's first distributed version does, sends as many times more as there are ranks.) Stacked experts are spread along
their number, so that their matrices lie whole where they are and nothing is sent.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from smallcoder.train.parallel.parts import block, pieces


class Matrices:
    """The matrices of weights of one shape, cut alike: [..., rows, columns] each.

    mine: the numbers of those that this rank gets whole, None for all; they count through the weights, then through the
    stack within a weight. `first` is the rank at which dealing begins. Every rank of the group must call every method.
    """

    def __init__(self, weights: Sequence[Tensor], group: dist.ProcessGroup | None, first: int = 0) -> None:
        weight = weights[0]
        self._shape = weight.shape
        (*start, row, column), (*stack, height, width) = block(weight)
        self._part = (len(weights), *stack, height, width)
        self._group = group if pieces(weight, (-2, -1)) > 1 else None
        self.mine: Tensor | None = None
        if self._group is not None:
            assert weight.ndim == 2, "stacked matrices are spread along the stack"
            ranks = self._group.size()
            owners = (torch.arange(len(weights)) + first) % ranks
            self._order = owners.argsort(stable=True).to(weight.device)
            self._owned = owners.bincount(minlength=ranks).tolist()
            self.mine = (owners == self._group.rank()).nonzero()[:, 0].to(weight.device)
            self._blocks: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)] * ranks
            dist.all_gather_object(self._blocks, (row, row + height, column, column + width), self._group)
        elif pieces(weight) > 1:
            numbers = torch.arange(len(weights) * weight.shape[0]).view(len(weights), -1)
            self.mine = numbers[:, start[0] : start[0] + stack[0]].flatten().to(weight.device)

    def gather(self, parts: Tensor) -> Tensor:
        """This rank's parts of all the weights, [weights, ...part], to its whole matrices [mine, rows, columns].

        Rounds to bf16 if they travel.
        """
        if self._group is None:
            return parts.flatten(0, -3)
        own = self._owned[self._group.rank()]
        _, height, width = self._part
        sent = [count * height * width for count in self._owned]
        received = [own * (bottom - top) * (right - left) for top, bottom, left, right in self._blocks]
        arrived = self._exchange(parts.bfloat16()[self._order].flatten(), sent, received)
        whole = arrived.new_empty(own, *self._shape)
        for (top, bottom, left, right), piece in zip(self._blocks, arrived.split(received), strict=True):
            whole[:, top:bottom, left:right] = piece.view(own, bottom - top, right - left)
        return whole

    def scatter(self, whole: Tensor) -> Tensor:
        """Back: whole matrices [mine, rows, columns] to this rank's parts of all the weights, [weights, ...part]."""
        if self._group is None:
            return whole.view(self._part)
        _, height, width = self._part
        leaving = [whole[:, top:bottom, left:right].flatten() for top, bottom, left, right in self._blocks]
        received = [count * height * width for count in self._owned]
        found = self._exchange(torch.cat(leaving), [len(piece) for piece in leaving], received).view(self._part)
        parts = torch.empty_like(found)
        parts[self._order] = found
        return parts

    def _exchange(self, values: Tensor, sent: list[int], received: list[int]) -> Tensor:
        found = values.new_empty(sum(received))
        dist.all_to_all_single(found, values, received, sent, group=self._group)
        return found
