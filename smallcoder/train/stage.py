"""Stage `train`: packed rows to a model, from fresh weights or on from a `model`. Pretraining and fine-tuning alike.

Settings and facts are here; the loop is in `loop`. Defaults are those measured best for a few million parameters and a
few million tokens on two CPU cores; docs/log.md has the numbers.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from smallcoder.core.errors import InputError
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.train.schedule import Decay

if TYPE_CHECKING:
    from smallcoder.model.transformer import Decoder
    from smallcoder.tokens.packed import PackedRows

SHAPE = ("width", "layers", "heads", "kv_heads", "ffn", "experts")
CURVE_POINTS = 200


class Experts(BaseModel):
    """A mixture of experts in every layer: of `count` of size `ffn` a token uses `active`, and `shared` ones always."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=1)
    active: int = Field(ge=1)
    ffn: int = Field(ge=1)
    shared: int = Field(default=0, ge=0)


class Config(StageConfig):
    """`batch` is in rows. The shape of the model may only be set where it starts from fresh weights.

    `threads` is the number of CPU threads; it decides the order of sums and so belongs to the result.
    """

    steps: int = Field(ge=1)
    batch: int = Field(default=4, ge=1)
    width: int = Field(default=192, ge=2)
    layers: int = Field(default=6, ge=1)
    heads: int = Field(default=3, ge=1)
    kv_heads: int = Field(default=1, ge=1)
    ffn: int = Field(default=512, ge=1)
    experts: Experts | None = None
    muon_lr: float = Field(default=0.02, gt=0)
    embedding_lr: float = Field(default=0.2, gt=0)
    adam_lr: float = Field(default=0.01, gt=0)  # of the output matrix (and so of embeddings tied to it) and the norms
    weight_decay: float = Field(default=0.0, ge=0)
    warmup: int = Field(default=30, ge=0)
    decay: Decay = "linear"
    lr_floor: float = Field(default=0.0, ge=0, le=1)  # share of the peak rates at the last step
    grad_clip: float = Field(default=1.0, gt=0)
    z_loss: float = Field(default=0.0, ge=0)
    expert_balance: float = Field(default=0.01, ge=0)  # of the router's losses, where the model has experts: Switch's
    expert_z: float = Field(default=0.001, ge=0)  # and ST-MoE's weight
    eval_every: int = Field(default=250, ge=1)
    eval_rows: int = Field(default=128, ge=1)
    checkpoint_every: int = Field(default=200, ge=1)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=2, ge=1)
    seed: int = 0


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    if "model" in inputs:
        return Size(note=f"{config.steps:,} steps")
    experts = config.experts
    ffn = (experts.count + experts.shared) * experts.ffn if experts else config.ffn
    shape = config.layers * config.width * (4 * config.width + 3 * ffn)
    return Size(note=f"{config.steps:,} steps of {config.batch} rows, {shape / 1e6:.1f}M parameters in layers")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Write out/model and out/metrics.jsonl. Goes on from out/state where a killed run left one.

    Raises InputError for rows that do not fit the model, and EmptyError without any row.
    """
    from smallcoder.model.hf import save_model
    from smallcoder.train.loop import METRICS, Trainer
    from smallcoder.train.machine import choose_machine, repeatable

    packed, heldout = _rows(inputs["packed"]), _rows(inputs["heldout"]) if "heldout" in inputs else None
    machine = choose_machine(config)
    with repeatable(machine):
        decoder = _decoder(config, packed, inputs.get("model"))
        for rows in (packed, heldout):
            _require_fit(decoder, rows)
        trainer = Trainer(config, machine, decoder, packed, heldout, out=out)
        rate = trainer.run()
    save_model(decoder, inputs["tokenizer"], out / "model")
    tally = trainer.tally
    return {
        "parameters": sum(weight.numel() for weight in decoder.parameters()),
        "steps": tally.step,
        "tokens": tally.tokens,
        "epochs": round(tally.step * config.batch / len(packed), 3),
        "skipped_steps": tally.skipped,
        **_curves(out / METRICS),
        **_heldout_size(heldout, config.eval_rows),
        "tokens_per_second": round(rate),
        **vars(machine),
    }


def _rows(folder: Path) -> "PackedRows":
    from smallcoder.core.errors import EmptyError
    from smallcoder.tokens.packed import PackedRows

    rows = PackedRows(folder)
    if not len(rows):
        raise EmptyError(f"{folder} holds no row", "give the packing stage some text")
    return rows


def _decoder(config: Config, packed: "PackedRows", model: Path | None) -> "Decoder":
    from smallcoder.model import config as model_config
    from smallcoder.model.hf import load_model
    from smallcoder.model.transformer import Decoder, initialize

    if model:
        refused = sorted(config.model_fields_set & set(SHAPE))
        if refused:
            raise InputError(f"{refused[0]} is set, but the shape is that of the model to start from", "leave it out")
        return load_model(model)
    options = {}
    if config.experts:
        options = {
            "experts": model_config.Experts(**config.experts.model_dump()),
            "family": "bailing_moe",
            "qk_norm": False,
        }
    decoder = Decoder(
        model_config.ModelConfig(
            vocab_size=packed.vocab_size,
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.width // config.heads,
            ffn=config.ffn,
            context=packed.context,
            tied=False,
            **options,
        )
    )
    initialize(decoder, config.seed)
    return decoder


def _require_fit(decoder: "Decoder", rows: "PackedRows | None") -> None:
    shape = decoder.config
    if rows and rows.context > shape.context:
        raise InputError(
            f"rows of {rows.context} tokens exceed the model's context of {shape.context}", "pack shorter rows"
        )
    if rows and rows.vocab_size > shape.vocab_size:
        raise InputError(
            f"rows of a vocabulary of {rows.vocab_size} do not fit the model's {shape.vocab_size}",
            "pack them with the model's own tokenizer",
        )


def _curves(metrics: Path) -> dict[str, Any]:
    """The last loss (mean over the last 5% of the steps) and both curves, thinned to averages of equal stretches."""
    import json

    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    tail = [loss for _, loss in losses[-max(1, len(losses) // 20) :]]
    stretch = -(-len(losses) // CURVE_POINTS)
    parts = [losses[start : start + stretch] for start in range(0, len(losses), stretch)]
    return {
        "train_loss": sum(tail) / len(tail),
        "loss_curve": [[part[-1][0], round(sum(loss for _, loss in part) / len(part), 4)] for part in parts],
        "heldout_curve": [
            [line["step"], round(line["heldout_bits_per_byte"], 4)] for line in lines if "heldout_bits_per_byte" in line
        ],
    }


def _heldout_size(heldout: "PackedRows | None", rows: int) -> dict[str, Any]:
    return (
        {}
        if heldout is None
        else {"heldout_rows": min(rows, len(heldout)), "heldout_bytes": int(heldout.bytes[:rows].sum())}
    )
