"""The training loop: batches, loss, gradients, update; metrics, held-out bits per byte and checkpoints on the way.

A run repeats bit by bit on one machine, and a run killed at any moment and started again ends with the same bytes as
one left alone: rows and rates follow from the step's number, sums are taken in a fixed order by a fixed number of
threads (`machine.repeatable`), and what a killed run wrote after its last checkpoint is cut off. Other processors,
another version of torch, or another number of processes, round otherwise.

An update may be cut into micro batches and spread over processes (`parallel`): the loss of each part is divided by the
number of targets of the whole, so that the parts add up to the same gradients.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from smallcoder.core.errors import InputError, TrainingError
from smallcoder.core.manifest import STATE
from smallcoder.core.progress import Progress
from smallcoder.model.experts import Routing
from smallcoder.model.transformer import Decoder, document_blocks, document_mask, document_positions
from smallcoder.tokens.packed import PackedRows
from smallcoder.train.batches import Batch, Rows, Sources
from smallcoder.train.checkpoint import Checkpoints
from smallcoder.train.config import Config
from smallcoder.train.launch.stopping import PreemptedError, stop_requested
from smallcoder.train.machine import Machine
from smallcoder.train.meter import Meter
from smallcoder.train.metrics import HELDOUT, Figures, Metrics, Nowhere, trackers
from smallcoder.train.mixture import Places, ramp, shares
from smallcoder.train.objectives import Loss
from smallcoder.train.objectives.experts import busiest, with_routing
from smallcoder.train.objectives.language_model import language_model
from smallcoder.train.optim import Optimizers
from smallcoder.train.parallel.fleet import Fleet
from smallcoder.train.parallel.shard import accumulating, clip, gather_state
from smallcoder.train.samples import continuations
from smallcoder.train.schedule import Plateau

Decode = Callable[[list[int]], str]
SKIPPED_IN_A_ROW = 20  # steps without finite gradients after which nothing will come of it any more


def _as_it_is(function: Callable[..., Loss]) -> Callable[..., Loss]:
    return function


@dataclass
class Tally:
    """What a run has done so far; part of the checkpoint."""

    step: int = 0
    tokens: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    metrics_bytes: int = 0
    plateau: Plateau = field(default_factory=Plateau)


class Trainer:
    """One run: the decoder, spread over the fleet, and everything that changes with a step.

    `before` is the folder `optimizer/` of an earlier stage, whose moments and place in the rows this run takes over.
    """

    def __init__(
        self,
        config: Config,
        machine: Machine,
        fleet: Fleet,
        decoder: Decoder,
        *,
        packed: Mapping[str, PackedRows],
        heldout: Mapping[str, PackedRows],
        out: Path,
        before: Path | None = None,
        decode: Decode | None = None,
    ) -> None:
        self.config = config
        self.machine = machine
        self.fleet = fleet
        self.decoder = decoder.train()
        self.sources = Sources(packed)
        self.heldout = dict(heldout)
        self.out = out
        self.decode = decode
        self.optimizers = Optimizers(
            decoder,
            config.muon_lr,
            config.embedding_lr,
            config.adam_lr,
            config.weight_decay,
            kind=config.optimizer,
            copy=fleet.copy,
        )
        read = self._take_over(before) if before else {}
        sizes = self.sources.sizes()
        self.places = Places(sizes, shares(config.mixture, sizes), config.seed, read)
        self.micro = config.micro_batch or -(-config.batch // fleet.data_size)
        self.tally = Tally()
        self.loads: Tensor | None = None  # [layers, E]: each expert's share when last measured
        self.checkpoints = Checkpoints(out / STATE, fleet)
        length = self.sources.document_length()
        self.meter = Meter(decoder.config, self.sources.context, length, machine.device, fleet.world)
        decoder.recompute(config.recompute)
        # Several processes compile layer by layer (`parallel.shard`), and so the objective by itself; one compiles all.
        compiled = partial(torch.compile, fullgraph=True, dynamic=False) if machine.compile else _as_it_is
        self.loss = compiled(self._loss) if fleet.world == 1 else self._loss
        self.objective = compiled(language_model) if fleet.world > 1 else language_model

    def run(self) -> float:
        """Train to the last step, from the last checkpoint if there is one. Returns tokens a second.

        Raises PreemptedError, after a checkpoint, where a signal asks to stop (`launch.stopping`).
        """
        self._resume()
        config, tally, meter = self.config, self.tally, self.meter
        with self._metrics() as metrics, Progress("train", config.steps, "steps") as progress:
            progress.advance(tally.step)
            while tally.step < config.steps:
                before = tally.tokens
                figures, stop = self._step()
                meter.add(tally.tokens - before)
                metrics.add(tally.step, figures, meter.figures())
                progress.advance(note=f"loss {figures['loss']:.3f}, {meter.note()}")
                with meter.paused():
                    if tally.step % config.eval_every == 0 or tally.step == config.steps:
                        self._measure(metrics)
                    if (stop or tally.step % config.checkpoint_every == 0) and tally.step < config.steps:
                        self._checkpoint(metrics)
                    if stop and tally.step < config.steps:
                        self.checkpoints.wait()
                        raise PreemptedError
        self.checkpoints.wait()
        return meter.rate

    def whole(self) -> Decoder | None:
        """The decoder whole, on the main process; None on the others. Every process must call it."""
        if self.fleet.world == 1:
            return self.decoder
        weights = gather_state(self.decoder)
        if not self.fleet.is_main:
            return None
        with torch.device("meta"):
            decoder = Decoder(self.decoder.config)
        decoder.load_state_dict(weights, assign=True)
        decoder.frequencies = decoder.config.rope.frequencies(decoder.config.head_dim)
        return decoder

    def hand_on(self, folder: Path) -> None:
        """Write what a later stage takes over as `before`."""
        handed = Checkpoints(folder, self.fleet)
        handed.save({"optimizers": self.optimizers.state()}, {"read": self.places.read(self._places(self.tally.step))})
        handed.wait()

    def _take_over(self, folder: Path) -> dict[str, int]:
        values = Checkpoints(folder, self.fleet).load({"optimizers": self.optimizers.state()})
        if values is None:
            raise InputError(f"{folder} holds no optimizer", "set keep_optimizer = true in the stage before")
        return values["read"]

    def _forward(self, sources: Sources, rows: Rows, targets: float, share: float) -> Loss:
        batch = sources.batch(rows, self.micro, self.machine.device)
        blocks = document_blocks(batch.segments) if self.machine.device == "cuda" else None
        scalars = (torch.tensor(value, dtype=torch.float32, device=self.machine.device) for value in (targets, share))
        return self.loss(batch, blocks, *scalars)

    def _loss(self, batch: Batch, blocks: BlockMask | None, targets: Tensor, share: Tensor) -> Loss:
        """The loss of one part of an update that has `targets` targets, and `share` of whose rows it holds."""
        mask = document_mask(batch.segments) if blocks is None else blocks
        positions = document_positions(batch.segments)
        with torch.autocast(self.machine.device, torch.bfloat16, enabled=self.machine.precision == "bf16"):
            routing: list[Routing] = []
            logits = self.decoder(batch.tokens, positions, mask, routing)
        loss = self.objective(logits, batch.labels, targets, self.config.z_loss)
        return with_routing(loss, routing, self.config.expert_balance, self.config.expert_z, share)

    def _step(self) -> tuple[Figures, bool]:
        """One update; its figures, and whether the run has been asked to stop."""
        config, tally, fleet = self.config, self.tally, self.fleet
        first, last = self._places(tally.step), self._places(tally.step + 1)
        rows = self.places(first, last)[fleet.data_rank :: fleet.data_size]
        tokens, targets = fleet.sum(torch.tensor(self.sources.count(rows), dtype=torch.float64)).tolist()
        sums: dict[str, Tensor] = {}
        most = -(-(last - first) // fleet.data_size)  # rows of a process, as many batches for all
        for start in range(0, most, self.micro):
            accumulating(self.decoder, start + self.micro >= most)
            part = rows[start : start + self.micro]
            loss = self._forward(self.sources, part, max(1, targets), len(part) / (last - first))
            loss.value.backward()
            for name, value in loss.metrics.items():
                sums[name] = sums.get(name, 0.0) + value
        norm = clip(self.decoder, config.grad_clip, fleet)
        share = config.schedule.share(tally.step, config.steps, tally.plateau.count)
        if math.isfinite(norm):
            self.optimizers.step(share)
        else:
            self.optimizers.forget()
        self._count_skipped(not math.isfinite(norm))
        tally.step += 1
        tally.tokens += int(tokens)
        sums["stop"] = torch.tensor(float(stop_requested()))
        found = self._summed(sums)
        loss = found["nats"].item() / max(1, targets)
        figures = {"loss": loss, "lr": self.optimizers.peak * share, "grad_norm": norm}
        if "loads" in found:
            figures["busiest_expert"] = busiest(found["loads"])
        return figures, bool(found["stop"])

    def _summed(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors summed over the fleet, in one go, in fp64 on the CPU."""
        flat = torch.cat([value.double().cpu().flatten() for value in sums.values()])
        parts = self.fleet.sum(flat).split([value.numel() for value in sums.values()])
        return {name: part.view(value.shape) for (name, value), part in zip(sums.items(), parts, strict=True)}

    def _places(self, step: int) -> int:
        """How many places of the run lie before a step."""
        return ramp(step, self.config.batch, self.micro, self.config.batch_ramp)

    def _count_skipped(self, skipped: bool) -> None:
        tally = self.tally
        tally.skipped += skipped
        tally.skipped_in_a_row = tally.skipped_in_a_row + 1 if skipped else 0
        if tally.skipped_in_a_row >= SKIPPED_IN_A_ROW:
            raise TrainingError(
                f"the gradients of {SKIPPED_IN_A_ROW} steps in a row up to step {tally.step + 1} are not finite",
                "lower the learning rates or lengthen the warm-up, and run again with --rebuild of this stage",
            )

    def _measure(self, metrics: Metrics | Nowhere) -> None:
        """Held-out bits per byte, over all and of each input where there are several; then samples."""
        if not self.heldout:
            return
        figures, nats, size = {}, 0.0, 0
        for name, packed in self.heldout.items():
            own, own_size = self._heldout_sums(packed)
            figures[f"{HELDOUT}/{name}"] = own / math.log(2) / own_size
            nats, size = nats + own, size + own_size
        bits = nats / math.log(2) / size
        self.tally.plateau.see(bits, self.config.schedule.patience)
        samples = {"samples": self._samples()} if self.config.samples else {}
        metrics.add(self.tally.step, {HELDOUT: bits, **(figures if len(figures) > 1 else {}), **samples})

    def _samples(self) -> list[dict[str, str]]:
        decoder = self.whole()
        if decoder is None or self.decode is None:
            return []
        pairs = continuations(decoder.eval(), next(iter(self.heldout.values())), self.config.samples)
        decoder.train()
        return [{"prompt": self.decode(prompt), "answer": self.decode(answer)} for prompt, answer in pairs]

    def _heldout_sums(self, packed: PackedRows) -> tuple[float, int]:
        """Summed loss of the first rows in nats, and the UTF-8 bytes of their targets. Notes the load of experts.

        Runs the very function that is trained on, gradients and all: a second graph would cost another compilation.
        """
        sources, fleet = Sources({"heldout": packed}), self.fleet
        count = min(self.config.eval_rows, len(packed))
        rows = [(0, row) for row in range(count)][fleet.data_rank :: fleet.data_size]
        sums: dict[str, Tensor] = {}
        for start in range(0, -(-count // fleet.data_size), self.micro):
            part = rows[start : start + self.micro]
            for name, value in self._forward(sources, part, 1.0, len(part) / count).metrics.items():
                sums[name] = sums.get(name, 0.0) + value.double()
        found = self._summed(sums)
        self.loads = found.get("loads")
        return found["nats"].item(), int(packed.bytes[:count].sum())

    def reading(self) -> dict[str, Any]:
        """How often the rows have been gone through, of each source where there are several."""
        places = self._places(self.tally.step)
        epochs = {name: round(share, 3) for name, share in self.places.epochs(places).items()}
        whole = round(places / sum(self.sources.sizes().values()), 3)
        return {"epochs": whole, **({"epochs_by_source": epochs} if len(epochs) > 1 else {})}

    def _metrics(self) -> Metrics | Nowhere:
        if not self.fleet.is_main:
            return Nowhere()
        tally = self.tally
        return Metrics(self.out, tally.metrics_bytes, trackers(self.config, self.out, tally.step))

    def _checkpoint(self, metrics: Metrics | Nowhere) -> None:
        self.tally.metrics_bytes = metrics.settle()
        self.checkpoints.save(self._state(), asdict(self.tally))

    def _state(self) -> dict[str, Any]:
        return {"decoder": self.decoder.state_dict(), "optimizers": self.optimizers.state()}

    def _resume(self) -> None:
        values = self.checkpoints.load(self._state())
        if values:
            self.tally = Tally(**{**values, "plateau": Plateau(**values["plateau"])})
