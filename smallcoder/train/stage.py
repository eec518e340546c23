"""Stage `train`: packed rows to a model, from fresh weights or on from a `model`. Pretraining and fine-tuning alike.

The papers' stages are stages of a recipe: each has its own mixture and schedule, and goes on from the `model` of the
one before, with `optimizer` also from its moments and to the rows not read yet (`recipes/three-stages.toml`). Settings
are in `config`, the loop in `loop`; this file brings inputs in and results out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.stage import Facts, Inputs, Size
from smallcoder.train.config import SHAPE, Config
from smallcoder.train.metrics import HELDOUT, METRICS

if TYPE_CHECKING:
    from smallcoder.model.config import ModelConfig
    from smallcoder.model.transformer import Decoder
    from smallcoder.tokens.packed import PackedRows
    from smallcoder.train.machine import Machine
    from smallcoder.train.parallel.fleet import Fleet

CURVE_POINTS = 200

__all__ = ["Config", "expect", "run"]


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    rows = f"{config.steps:,} steps of {config.batch} rows"
    if "model" in inputs:
        return Size(note=rows)
    experts = config.experts
    ffn = (experts.count + experts.shared) * experts.ffn if experts else config.ffn
    shape = config.layers * config.width * (4 * config.width + 3 * ffn)
    return Size(note=f"{rows}, {shape / 1e6:.1f}M parameters in layers")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Write out/model and out/metrics.jsonl. Goes on from out/state where a killed run left one.

    Raises InputError for rows that do not fit the model, EmptyError without any row, TrainingError where training
    diverges or memory runs out, and PreemptedError where a signal asks to stop.
    """
    from smallcoder.train.launch.start import launch, withdraw
    from smallcoder.train.launch.stopping import listening

    arguments = {
        "settings": config.model_dump(mode="json", exclude_unset=True),
        "folders": {role: str(folder.resolve()) for role, folder in inputs.items()},
        "out": str(out.resolve()),
    }
    if not config.slurm:
        withdraw(out)
    if config.processes > 1 or config.slurm:
        job = {"processes": config.processes, "threads": config.threads, "slurm": config.slurm}
        facts = launch("smallcoder.train.stage:work", arguments, out, **job)
    else:
        with listening(at_terminal=True):
            facts = work(**arguments)
    return {**facts, **_curves(out / METRICS)}


def work(settings: dict[str, Any], folders: dict[str, str], out: str) -> Facts:
    """What each process of a run does. Returns the facts, curves apart."""
    from smallcoder.model.hf import save_model
    from smallcoder.train.loop import Trainer
    from smallcoder.train.machine import choose_machine, enough_memory, repeatable
    from smallcoder.train.parallel.fleet import Layout, join

    config, target = Config.model_validate(settings), Path(out)
    inputs = {role: Path(folder) for role, folder in folders.items()}
    machine = choose_machine(config)
    fleet = join(Layout(**config.parallel.model_dump()), machine.device)
    packed, heldout = _tables(inputs, "packed"), _tables(inputs, "heldout")
    if not heldout and (config.samples or config.schedule.patience):
        raise InputError(
            "samples and patience are taken from held-out rows, and there are none", "add an input heldout"
        )
    with repeatable(machine), enough_memory():
        shape = _shape(config, packed, inputs.get("model"))
        for rows in (*packed.values(), *heldout.values()):
            _require_fit(shape, rows)
            _require_tokenizer(rows, inputs["tokenizer"], inputs.get("model"))
        decoder = _spread(shape, config.seed, inputs.get("model"), machine, fleet)
        decode = _decode(inputs["tokenizer"]) if config.samples else None
        before = inputs.get("optimizer")
        trainer = Trainer(
            config,
            machine,
            fleet,
            decoder,
            packed=packed,
            heldout=heldout,
            out=target,
            before=before,
            decode=decode,
        )
        rate = trainer.run()
        whole = trainer.whole()
        if whole:
            save_model(whole, inputs["tokenizer"], target / "model")
        if config.keep_optimizer:
            trainer.hand_on(target / "optimizer")
    fleet.leave()
    tally = trainer.tally
    return {
        "parameters": sum(weight.numel() for weight in decoder.parameters()),
        "steps": tally.step,
        "tokens": tally.tokens,
        **trainer.reading(),
        **(
            {}
            if trainer.loads is None
            else {"expert_loads": [[round(x, 5) for x in row] for row in trainer.loads.tolist()]}
        ),
        "skipped_steps": tally.skipped,
        **_heldout_size(heldout, config.eval_rows),
        "tokens_per_second": round(rate),
        **vars(machine),
        **({"processes": fleet.world} if fleet.world > 1 else {}),
    }


def _tables(inputs: Inputs, role: str) -> "dict[str, PackedRows]":
    """The packed rows given as `role`, or as `role.NAME` for several names."""
    from smallcoder.tokens.packed import PackedRows

    found = {}
    for name, folder in inputs.items():
        first, _, rest = name.partition(".")
        if first == role:
            found[rest or role] = PackedRows(folder)
            if not len(found[rest or role]):
                raise EmptyError(f"{folder} holds no row", "give the packing stage some text")
    return found


def _decode(tokenizer: Path) -> "Callable[[list[int]], str]":
    from smallcoder.tokens.encode import load_encoder

    return load_encoder(tokenizer).decode


def _shape(config: Config, packed: "dict[str, PackedRows]", model: Path | None) -> "ModelConfig":
    from smallcoder.model.hf import read_config

    if model:
        refused = sorted(config.model_fields_set & set(SHAPE))
        if refused:
            raise InputError(f"{refused[0]} is set, but the shape is that of the model to start from", "leave it out")
        return read_config(model)
    vocab_size, context = (max(getattr(rows, name) for rows in packed.values()) for name in ("vocab_size", "context"))
    return config.fresh(vocab_size, context)


def _spread(shape: "ModelConfig", seed: int, model: Path | None, machine: "Machine", fleet: "Fleet") -> "Decoder":
    """The decoder to begin with, over all processes; only the main one ever holds it whole."""
    import torch

    from smallcoder.model.hf import load_model
    from smallcoder.model.transformer import Decoder, initialize
    from smallcoder.train.parallel.shard import shard, spread

    whole = None
    if fleet.is_main:
        whole = load_model(model) if model else Decoder(shape)
        if not model:
            initialize(whole, seed)
    if whole is None or fleet.world > 1:
        with torch.device("meta"):
            decoder = Decoder(shape)
    else:
        decoder = whole
    shard(decoder, fleet, machine.precision, machine.compile)
    if fleet.world > 1:
        spread(decoder, dict(whole.named_parameters()) if whole else {}, fleet)
    return decoder


def _require_fit(shape: "ModelConfig", rows: "PackedRows") -> None:
    if rows.context > shape.context:
        raise InputError(
            f"rows of {rows.context} tokens exceed the model's context of {shape.context}", "pack shorter rows"
        )
    if rows.vocab_size > shape.vocab_size:
        raise InputError(
            f"rows of a vocabulary of {rows.vocab_size} do not fit the model's {shape.vocab_size}",
            "pack them with the model's own tokenizer",
        )


def _require_tokenizer(rows: "PackedRows", *folders: Path | None) -> None:
    """That rows were packed with the tokenizers in these folders; some hold none."""
    from smallcoder.tokens.layout import read_layout

    for folder in folders:
        known = rows.meta.get("tokenizer")
        if known and folder and (folder / "tokenizer.json").is_file() and read_layout(folder).fingerprint != known:
            raise InputError(
                f"the rows were packed with another tokenizer than that of {folder}",
                "pack them with the tokenizer of the model to train",
            )


def _curves(metrics: Path) -> dict[str, Any]:
    """The last loss (mean over the last 5% of the steps) and both curves, thinned to averages of equal stretches."""
    import json

    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    tail = [loss for _, loss in losses[-max(1, len(losses) // 20) :]]
    stretch = -(-len(losses) // CURVE_POINTS)
    parts = [losses[start : start + stretch] for start in range(0, len(losses), stretch)]
    measured = [line for line in lines if HELDOUT in line]
    domains = [name for name in (measured[-1] if measured else {}) if name.startswith(f"{HELDOUT}/")]
    curves: dict[str, Any] = {"heldout_curve": _curve(measured, HELDOUT)}
    if domains:
        curves["heldout_curves"] = {name.partition("/")[2]: _curve(measured, name) for name in domains}
    return {
        "train_loss": sum(tail) / len(tail),
        "loss_curve": [[part[-1][0], round(sum(loss for _, loss in part) / len(part), 4)] for part in parts],
        **curves,
    }


def _curve(lines: list[dict[str, Any]], name: str) -> list[list[float]]:
    return [[line["step"], round(line[name], 4)] for line in lines]


def _heldout_size(heldout: "dict[str, PackedRows]", rows: int) -> dict[str, Any]:
    if not heldout:
        return {}
    return {
        "heldout_rows": sum(min(rows, len(packed)) for packed in heldout.values()),
        "heldout_bytes": sum(int(packed.bytes[:rows].sum()) for packed in heldout.values()),
    }
