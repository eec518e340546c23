"""The processes of a run, and the directions in which they share the work.

    fleet = join(Layout(tensor=2), "cuda")    # under torchrun: from RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR, ...

Ranks count along three directions, the last fastest: `replicate` copies of the model, each spread over `shard` ranks
that read rows of their own, each of them over `tensor` ranks that read the same rows and split every matrix product.
`expert` cuts `shard` once more: neighbours in it hold different experts of each layer. Keep `tensor` and `expert`
within a node: they exchange activations in every layer, the others only weights and gradients.

A process that was not started by torchrun is a fleet of one, where everything here does nothing.
"""

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from smallcoder.core.errors import InputError
from smallcoder.model.config import ModelConfig

PATIENCE = timedelta(minutes=30)  # with a rank that does not answer; loading weights from a slow disk may take a while
Value = TypeVar("Value", float, Tensor)


@dataclass(frozen=True)
class Layout:
    """How many ranks lie along each direction. `shard` None: all that the others leave."""

    replicate: int = 1
    shard: int | None = None
    tensor: int = 1
    expert: int = 1

    def fill(self, world: int) -> "Layout":
        """The same with `shard` as a number. Raises InputError where the directions do not multiply to `world`."""
        sizes = (self.replicate, self.tensor, self.expert, 1 if self.shard is None else self.shard)
        if min(sizes) < 1:
            raise InputError(f"a layout of {sizes}", "give positive numbers")
        others = self.replicate * self.tensor
        shard = self.shard if self.shard is not None else max(1, world // others)
        if others * shard != world:
            raise InputError(
                f"replicate {self.replicate} x shard {shard} x tensor {self.tensor} are {others * shard} processes, "
                f"but {world} run",
                f"start {others * shard} (torchrun --nproc-per-node), or set sizes whose product is {world}",
            )
        if shard % self.expert:
            raise InputError(
                f"expert {self.expert} does not divide shard {shard}", "spread experts over a divisor of `shard`"
            )
        return replace(self, shard=shard)

    def check(self, config: ModelConfig) -> None:
        """Raises InputError for a model that cannot be cut this way. `shard` must be a number."""
        shard, experts = self.shard or 1, config.experts
        sizes = {"heads": config.heads, "kv_heads": config.kv_heads, "ffn": config.ffn, "vocab_size": config.vocab_size}
        for name, size in sizes.items():
            if size % self.tensor:
                raise InputError(
                    f"{name} {size} does not split into {self.tensor} tensor ranks",
                    f"set tensor to a divisor of {size}",
                )
        if self.tensor > 1 and (experts or config.norm_head):
            raise InputError(
                f"tensor = {self.tensor} for a mixture of experts or a model with NormHead",
                "set tensor = 1, and spread the experts with expert",
            )
        if self.expert > 1 and (not experts or experts.count % self.expert):
            raise InputError(
                f"{experts.count if experts else 0} experts cannot be spread over {self.expert} ranks",
                "set expert to a divisor of their number",
            )
        if experts and experts.count < shard:
            raise InputError(
                f"{experts.count} experts cannot be spread over {shard} ranks",
                f"set shard = {experts.count} or less, and replicate for the rest",
            )


class Fleet:
    """This process among the others.

    rank, world: of all. data_rank, data_size: which part of the rows this process reads, and of how many. device: for
    tensors. mesh: the ranks along replicate, shard and tensor. experts: along replicate, shard / expert and expert, if
    these are spread. copy: the group of ranks that hold one copy of the model between them. None for a process alone.
    """

    def __init__(self, layout: Layout, device: str) -> None:
        self.layout = layout
        self.device = device
        self.mesh: DeviceMesh | None = None
        self.experts: DeviceMesh | None = None
        self.copy: dist.ProcessGroup | None = None
        self.rank, self.world = 0, 1
        if dist.is_initialized():
            self.rank, self.world = dist.get_rank(), dist.get_world_size()
            shard, expert, tensor = layout.shard or 1, layout.expert, layout.tensor
            sizes = (layout.replicate, shard, tensor)
            self.mesh = init_device_mesh(device, sizes, mesh_dim_names=("replicate", "shard", "tensor"))
            if expert > 1:
                sizes = (layout.replicate, shard // expert, expert)
                self.experts = init_device_mesh(device, sizes, mesh_dim_names=("replicate", "outer", "expert"))
            size = shard * tensor
            copies = [list(range(start, start + size)) for start in range(0, self.world, size)]
            own, _ = dist.new_subgroups_by_enumeration(copies)
            assert isinstance(own, dist.ProcessGroup)
            self.copy = own
        self.data_rank, self.data_size = self.rank // layout.tensor, self.world // layout.tensor

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def sum(self, value: Value) -> Value:
        """The sum over the ranks that read different rows, the same on every rank. A tensor stays where it is."""
        if self.world == 1:
            return value
        own = torch.tensor(value, dtype=torch.float64) if isinstance(value, float | int) else value.detach().clone()
        if self.rank % self.layout.tensor:
            own.zero_()
        dist.all_reduce(own)
        return own.item() if isinstance(value, float | int) else own  # pyright: ignore[reportReturnType]

    def barrier(self) -> None:
        """Wait until every process has come here."""
        if self.world > 1:
            dist.barrier()

    def leave(self) -> None:
        """Part in order, at the end of a run."""
        if self.world > 1:
            dist.destroy_process_group()


def join(layout: Layout, device: str) -> Fleet:
    """This process's fleet; on "cuda", the GPU of its local rank becomes the current one.

    Raises InputError where the layout does not fit the number of processes.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    layout = layout.fill(world)
    if world > 1 and not dist.is_initialized():
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    return Fleet(layout, device)
