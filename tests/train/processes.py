"""Real processes for tests, as torchrun starts them, and a small training run that they do together."""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.multiprocessing.spawn import start_processes

from smallcoder.model.config import Experts, ModelConfig
from smallcoder.model.transformer import Decoder, document_mask, document_positions, initialize
from smallcoder.train.checkpoint import Checkpoints
from smallcoder.train.objectives.language_model import IGNORED
from smallcoder.train.optim import Optimizers
from smallcoder.train.parallel.fleet import Fleet
from smallcoder.train.parallel.shard import accumulating, clip, shard, spread

VOCABULARY, CONTEXT, ROWS = 64, 24, 4  # rows of an update
DENSE = ModelConfig(
    vocab_size=VOCABULARY, width=32, layers=2, heads=4, kv_heads=2, head_dim=8, ffn=48, context=CONTEXT, tied=False
)
BIASED = replace(
    DENSE, tied=True, qkv_bias=True, out_bias=True, ffn_bias=True, gated=False, norm="layer", qk_norm=False
)
UNEVEN = replace(DENSE, vocab_size=67, ffn=50, heads=3, kv_heads=1)
MIXED = replace(
    DENSE,
    family="bailing_moe",
    qk_norm=False,
    norm_head=True,
    experts=Experts(count=8, active=3, ffn=24, shared=1, dense_layers=1),
)


def together(world: int, task: Callable[..., None], *arguments: Any) -> None:
    """Run task(*arguments) in so many processes at once; the first failure is raised here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start_processes(_start, (world, port, task, arguments), world, start_method="spawn")


def _start(rank: int, world: int, port: int, task: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    task(*arguments)


class Run:
    """A small model in training: packed rows of two documents, some of whose tokens are targets."""

    def __init__(
        self,
        config: ModelConfig,
        fleet: Fleet,
        kind: Any = "muon",
        *,
        precision: str = "fp32",
        recompute: bool = False,
        compile: bool = False,
    ) -> None:
        self.fleet = fleet
        self.nats = torch.compile(summed_nats) if compile else summed_nats
        self.precision = precision
        with torch.device("cpu" if fleet.is_main else "meta"):
            self.decoder = Decoder(config)
        if fleet.is_main:
            initialize(self.decoder, 0)
            generator = torch.Generator().manual_seed(1)
            for weight in self.decoder.parameters():  # so that nothing is zero
                weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
        weights = {name: weight.detach() for name, weight in self.decoder.named_parameters()}
        self.decoder.recompute(recompute)
        shard(self.decoder, fleet, precision, compile)
        spread(self.decoder, weights, fleet)
        self.optimizers = Optimizers(self.decoder, 0.02, 0.1, 0.01, 0.01, kind=kind, copy=fleet.copy)
        self.step = 0

    def backward(self) -> float:
        """The loss of an update's rows, one at a time; its gradients are left in the weights."""
        fleet, total = self.fleet, 0.0
        tokens, segments, labels = rows(self.step)
        own = range(fleet.data_rank, ROWS, fleet.data_size)
        targets = int((labels != IGNORED).sum())
        for row in own:
            accumulating(self.decoder, row == own[-1])
            part = slice(row, row + 1)
            routing: list[Any] = []
            mask, positions = document_mask(segments[part]), document_positions(segments[part])
            with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
                logits = self.decoder(tokens[part], positions, mask, routing)
            nats = self.nats(logits, labels[part])
            extra = sum(0.01 * spread.balance + 0.001 * spread.z for spread in routing)
            (nats / targets + extra / ROWS).backward()
            total += nats.item()
        return fleet.sum(total) / targets

    def gradients(self) -> dict[str, torch.Tensor]:
        """Whole, by the names of their weights."""
        found = {}
        for name, weight in self.decoder.named_parameters():
            assert weight.grad is not None, name
            found[name] = (weight.grad.full_tensor() if isinstance(weight.grad, DTensor) else weight.grad).clone()
        return found

    def update(self) -> tuple[float, float]:
        """Loss and norm of the gradients of one step."""
        loss = self.backward()
        norm = clip(self.decoder, 1.0, self.fleet)
        self.optimizers.step(1.0)
        self.step += 1
        return loss, norm

    def state(self) -> dict[str, Any]:
        return {"decoder": self.decoder.state_dict(), "optimizers": self.optimizers.state()}

    def save(self, folder: Path) -> Checkpoints:
        checkpoints = Checkpoints(folder, self.fleet)
        checkpoints.save(self.state(), {"step": self.step})
        return checkpoints

    def load(self, folder: Path) -> None:
        values = Checkpoints(folder, self.fleet).load(self.state())
        assert values is not None
        self.step = values["step"]


def summed_nats(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    flat = logits.flatten(0, 1).float()
    return torch.nn.functional.cross_entropy(flat, labels.flatten(), ignore_index=IGNORED, reduction="sum")


def rows(step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, segments and labels of a step's rows: two documents a row, each of a length of its own."""
    generator = torch.Generator().manual_seed(step)
    tokens = torch.randint(0, VOCABULARY, (ROWS, CONTEXT), generator=generator)
    ends = torch.randint(4, CONTEXT - 4, (ROWS, 1), generator=generator)
    segments = (torch.arange(CONTEXT) >= ends).long()
    labels = (tokens * 7 + 3) % VOCABULARY
    return tokens, segments, torch.where(torch.rand(ROWS, CONTEXT, generator=generator) < 0.2, IGNORED, labels)
