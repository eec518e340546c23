"""The training loop: batch, loss, gradients, update; metrics, held-out bits per byte and checkpoints on the way.

A run repeats bit by bit on one machine, and a run killed at any moment and started again ends with the same bytes as
one left alone: rows and rates follow from the step's number, sums are taken in a fixed order by a fixed number of
threads (`machine.repeatable`), and what a killed run wrote after its last checkpoint is cut off. Other processors, or
another version of torch, round otherwise.

It runs on one device; it does not accumulate gradients, nor shard.
"""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from smallcoder.core.manifest import STATE
from smallcoder.core.progress import Progress
from smallcoder.model.experts import Routing
from smallcoder.model.transformer import Decoder, document_mask, document_positions
from smallcoder.tokens.packed import PADDING_SEGMENT, PackedRows
from smallcoder.train.batches import Batch, RowOrder, read_batch
from smallcoder.train.checkpoint import load_checkpoint, save_checkpoint
from smallcoder.train.machine import Machine
from smallcoder.train.objectives import Loss
from smallcoder.train.objectives.experts import with_routing
from smallcoder.train.objectives.language_model import language_model
from smallcoder.train.optim import Optimizers
from smallcoder.train.schedule import scale
from smallcoder.train.stage import Config

METRICS = "metrics.jsonl"


@dataclass
class Tally:
    """What a run has done so far; part of the checkpoint."""

    step: int = 0
    tokens: int = 0
    skipped: int = 0
    metrics_bytes: int = 0


class Trainer:
    """One run: the decoder and everything that changes with a step."""

    def __init__(
        self,
        config: Config,
        machine: Machine,
        decoder: Decoder,
        packed: PackedRows,
        heldout: PackedRows | None,
        *,
        out: Path,
    ) -> None:
        self.config = config
        self.machine = machine
        self.decoder = decoder.to(machine.device).train()
        self.packed = packed
        self.heldout = heldout
        self.out = out
        self.optimizers = Optimizers(decoder, config.muon_lr, config.embedding_lr, config.adam_lr, config.weight_decay)
        self.order = RowOrder(len(packed), config.batch, config.seed)
        self.tally = Tally()
        self.loss = torch.compile(self._loss, fullgraph=True, dynamic=False) if machine.compile else self._loss

    def run(self) -> float:
        """Train to the last step, from the last checkpoint if there is one. Returns tokens a second."""
        self._resume()
        steps, config = self.config.steps, self.config
        timed_tokens, timed_from = 0, 0.0
        with self._metrics_file() as metrics, Progress("train", steps, "steps") as progress:
            progress.advance(self.tally.step)
            while self.tally.step < steps:
                before = self.tally.tokens
                loss = self._step(metrics)
                if timed_from:
                    timed_tokens += self.tally.tokens - before
                else:
                    timed_from = time.monotonic()
                rate = timed_tokens / max(1e-9, time.monotonic() - timed_from)
                progress.advance(note=f"loss {loss:.3f}, {rate:,.0f} tokens/s")
                step = self.tally.step
                if step % config.eval_every == 0 or step == steps:
                    started = time.monotonic()
                    self._measure(metrics)
                    timed_from += time.monotonic() - started
                if step % config.checkpoint_every == 0 and step < steps:
                    self._checkpoint(metrics)
        return timed_tokens / max(1e-9, time.monotonic() - timed_from)

    def _loss(self, batch: Batch) -> Loss:
        mask, positions = document_mask(batch.segments), document_positions(batch.segments)
        with torch.autocast(self.machine.device, torch.bfloat16, enabled=self.machine.precision == "bf16"):
            routing: list[Routing] = []
            logits = self.decoder(batch.tokens, positions, mask, routing)
        loss = language_model(logits, batch.labels, self.config.z_loss)
        return with_routing(loss, routing, self.config.expert_balance, self.config.expert_z)

    def _step(self, metrics: BinaryIO) -> float:
        config, tally = self.config, self.tally
        batch = read_batch(self.packed, self.order(tally.step), config.batch, self.machine.device)
        loss = self.loss(batch)
        loss.value.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), config.grad_clip))
        share = scale(tally.step, config.steps, config.warmup, config.lr_floor, config.decay)
        if math.isfinite(norm):
            self.optimizers.step(share)
        else:
            self.optimizers.forget()
            tally.skipped += 1
        tally.step += 1
        tally.tokens += int((batch.segments != PADDING_SEGMENT).sum())
        value = loss.metrics["nats"].item() / max(1, loss.metrics["targets"].item())
        line = {"step": tally.step, "loss": value, "lr": config.muon_lr * share, "grad_norm": norm}
        if "busiest" in loss.metrics:
            line["busiest_expert"] = loss.metrics["busiest"].item()
        _write_line(metrics, line)
        return value

    def _measure(self, metrics: BinaryIO) -> None:
        if self.heldout is None:
            return
        bits = self.bits_per_byte(self.heldout, self.config.eval_rows)
        _write_line(metrics, {"step": self.tally.step, "heldout_bits_per_byte": bits})

    def bits_per_byte(self, packed: PackedRows, rows: int) -> float:
        """Loss of the first `rows` rows in bits, over the UTF-8 bytes of their targets.

        Runs the very function that is trained on, gradients and all: a second graph would cost another compilation.
        """
        rows, nats = min(rows, len(packed)), 0.0
        for start in range(0, rows, self.config.batch):
            chosen = np.arange(start, min(rows, start + self.config.batch))
            loss = self.loss(read_batch(packed, chosen, self.config.batch, self.machine.device))
            nats += loss.metrics["nats"].item()
        return nats / math.log(2) / int(packed.bytes[:rows].sum())

    def _checkpoint(self, metrics: BinaryIO) -> None:
        metrics.flush()
        os.fsync(metrics.fileno())
        self.tally.metrics_bytes = metrics.tell()
        state = {"decoder": self.decoder.state_dict(), "optimizers": self.optimizers.state(), "tally": vars(self.tally)}
        save_checkpoint(self.out / STATE, state)

    def _resume(self) -> None:
        state = load_checkpoint(self.out / STATE, self.machine.device)
        if state:
            self.decoder.load_state_dict(state["decoder"])
            self.optimizers.restore(state["optimizers"])
            self.tally = Tally(**state["tally"])

    @contextmanager
    def _metrics_file(self) -> Iterator[BinaryIO]:
        with (self.out / METRICS).open("ab") as file:
            file.truncate(self.tally.metrics_bytes)
            yield file


def _write_line(file: BinaryIO, data: dict[str, Any]) -> None:
    file.write(json.dumps(data).encode() + b"\n")
    file.flush()
