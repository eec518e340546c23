"""What a recipe would do: every stage fresh, stale or missing, and the size it has or is expected to have; and on given
hardware, what its training would need.

Nothing is executed. A stage that has run shows what it measured; one that has not shows its own `expect`, which reads
at most file sizes. For training (`train/cost`), the shape of a model comes from the settings of its stage, from the
config.json that it starts from, and from those of the stages that pack and make the tokenizer. What only a run can
tell, such as the size of a checkpoint on a hub, is named as unknown.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smallcoder.core.errors import SmallcoderError
from smallcoder.core.manifest import Manifest
from smallcoder.core.recipe import DOCUMENTS, Recipe, Step
from smallcoder.core.stage import Size
from smallcoder.run import inspect

if TYPE_CHECKING:
    from smallcoder.model.config import ModelConfig
    from smallcoder.train.cost import Hardware, Run


@dataclass(frozen=True)
class Row:
    """One line of the plan. `size` is measured if `status` is "fresh", expected otherwise."""

    name: str
    use: str
    status: str
    why: str
    size: Size


def plan(recipe: Recipe, runs: Path) -> list[Row]:
    """One row a step, in the order they run."""
    sizes: dict[str, Size] = {}
    rows = []
    for state in inspect(recipe, runs / recipe.name):
        step = state.step
        if state.status == "fresh" and state.manifest:
            size = measured(state.manifest)
        else:
            inputs = {role: sizes[source] for role, (source, _) in step.inputs.items()}
            size = _expected(step, inputs)
        why = "; ".join(state.reasons)
        if not why and state.manifest:
            why = moved(step.stage.attribute("outside"), step.config, state.manifest)
        if not step.store:
            why = "; ".join(filter(None, [why, "not stored"]))
        sizes[step.name] = size
        rows.append(Row(step.name, step.use, state.status, why, size))
    return rows


def measured(manifest: Manifest) -> Size:
    """The size a finished stage has, from its facts."""
    facts = manifest.facts
    return Size(facts.get("records"), facts.get("bytes"), str(facts.get("headline", "")))


def moved(outside: object, config: object, manifest: Manifest) -> str:
    """A note where the world a stage read from has changed since; that alone does not make it stale."""
    if not callable(outside):
        return ""
    now = outside(config)
    assert isinstance(now, dict)
    changed = [name for name in {**manifest.outside, **now} if manifest.outside.get(name) != now.get(name)]
    return f"{len(changed)} sources changed since, such as {changed[0]}; --rebuild to read again" if changed else ""


def _expected(step: Step, inputs: dict[str, Size]) -> Size:
    """What a stage says of itself; of a filter no more than its documents."""
    if expect := step.stage.attribute("expect"):
        return expect(step.config, inputs)
    if step.stage.attribute("as_filter"):
        return replace(inputs[DOCUMENTS], note="at most")
    return _largest(inputs)


def _largest(inputs: dict[str, Size]) -> Size:
    """Without better knowledge a stage passes on the largest of its inputs."""
    known = [size for size in inputs.values() if size.bytes]
    return max(known, key=lambda size: size.bytes or 0) if known else Size()


@dataclass(frozen=True)
class Training:
    """A stage `train`, in plain values; `run` is None where something is unknown before others have run: `why`."""

    name: str
    run: "Run | None"
    why: str = ""


def trainings(recipe: Recipe, rows: list[Row], runs: Path, gpus: int | None) -> list[Training]:
    """The stages `train` of a recipe on so many GPUs, or as many as they say; `rows` as `plan` gives them."""
    fresh = {row.name for row in rows if row.status == "fresh"}
    shapes = Shapes(recipe, runs / recipe.name, fresh)
    found = []
    for step in recipe.steps:
        if step.use == "train":
            try:
                found.append(Training(step.name, _run(step, shapes, gpus)))
            except SmallcoderError as error:
                found.append(Training(step.name, None, error.message))
    return found


class Shapes:
    """Sizes of the models, rows and vocabularies that the steps of a recipe make or would make.

    Its methods raise an error that names what is unknown before it has run.
    """

    def __init__(self, recipe: Recipe, folder: Path, fresh: set[str]) -> None:
        self._recipe = recipe
        self._folder = folder
        self._fresh = fresh

    def model(self, name: str) -> "ModelConfig":
        """Of the model that a step makes."""
        from smallcoder.model.hf import CONFIG, read_config

        step = self._recipe.step(name)
        made = self._folder / name / "model"
        if name in self._fresh and (made / CONFIG).is_file():
            return read_config(made)
        if step.use == "base_model" and Path(step.config.model_dump()["path"]).is_dir():
            return read_config(Path(step.config.model_dump()["path"]))
        if "model" in step.inputs:  # one that changes a model keeps its shape, all but a few rows of the vocabulary
            return self.model(step.inputs["model"][0])
        if step.use == "train":
            from smallcoder.train.config import Config

            assert isinstance(step.config, Config)
            return step.config.fresh(self.vocabulary(step), self.context(step))
        raise SmallcoderError(f"the model is unknown until {name} has run", f"run it: --only {name}")

    def context(self, step: Step) -> int:
        """Of the packed rows that a step reads, in tokens."""
        return max(self._packing(source).config.model_dump()["context"] for source in _packed(step))

    def vocabulary(self, step: Step) -> int:
        """Of the packed rows that a step reads."""
        return max(self._tokens(self._packing(source).inputs["tokenizer"][0]) for source in _packed(step))

    def _packing(self, name: str) -> Step:
        step = self._recipe.step(name)
        if step.use not in {"pack", "pack_examples"}:
            raise SmallcoderError(f"the rows that {name} makes are unknown until it has run", f"run it: --only {name}")
        return step

    def _tokens(self, name: str) -> int:
        settings = self._recipe.step(name).config.model_dump()
        return settings["vocab_size"] if "vocab_size" in settings else self.model(name).vocab_size


def _packed(step: Step) -> list[str]:
    """The steps that packed what a step is trained on."""
    return [source for role, (source, _) in step.inputs.items() if role.partition(".")[0] == "packed"]


def _run(step: Step, shapes: Shapes, gpus: int | None) -> "Run":
    from smallcoder.train.config import Config
    from smallcoder.train.cost import Run
    from smallcoder.train.mixture import ramp
    from smallcoder.train.parallel.fleet import Layout

    config = step.config
    assert isinstance(config, Config)
    model = shapes.model(step.name)
    gpus = gpus or config.processes * (config.slurm.nodes if config.slurm else 1)
    layout = Layout(**config.parallel.model_dump()).fill(gpus)
    layout.check(model)
    micro = config.micro_batch or -(-config.batch * layout.tensor // gpus)
    return Run(
        config=model,
        context=shapes.context(step),
        rows=ramp(config.steps, config.batch, micro, config.batch_ramp),
        micro_rows=micro,
        gpus=gpus,
        replicate=layout.replicate,
        tensor=layout.tensor,
        expert=layout.expert,
        optimizer=config.optimizer,
        recompute=config.recompute,
    )


def needs(run: "Run", hardware: "Hardware", mfu: float, price: float | None) -> dict[str, str]:
    """What a run needs of this hardware, in words: the rows of the table that `plan --hardware` prints."""
    from smallcoder.model.size import flops_per_token, parameters
    from smallcoder.train.cost import cost, fits, memory, remedy

    size, peak, taken = parameters(run.config), memory(run), cost(run, hardware, mfu, price)
    active = f", {short(size.active)} active" if size.active < size.total else ""
    each = flops_per_token(run.config, run.context, run.document_length)
    return {
        "GPUs": f"{run.gpus:,}",
        "parameters": short(size.total) + active,
        "tokens": f"{short(run.tokens)} in rows of {run.context:,}",
        "FLOPs": f"{run.flops:.2e}, {each / 1e9:,.3g} GFLOP a token",
        **{f"memory: {name}": binary(value) for name, value in vars(peak).items() if value},
        "memory of a GPU": f"{binary(peak.total)} of {binary(hardware.usable)}",
        "fits": "yes" if fits(run, hardware) else f"no: {remedy(run, hardware)}",
        "tokens a second": f"{taken.tokens_per_second:,.0f}",
        "hours": f"{taken.hours:,.2f}",
        "GPU-hours": f"{taken.gpu_hours:,.2f}",
        "cost": f"${taken.dollars:,.2f}",
    }


def on_hardware(
    stages: list[Training], name: str, mfu: float, gpu_hours: float | None, price: float | None
) -> tuple[str, list[list[str]]]:
    """A title, and a table with a column a stage, its first line the heads.

    With `gpu_hours`, those that all stages took together, the MFU is what that implies. Raises InputError for hardware
    that is not in the table.
    """
    from smallcoder.train.cost import find_hardware, implied_mfu

    hardware = find_hardware(name)
    runs = [stage.run for stage in stages if stage.run]
    how = "assumed"
    if gpu_hours:
        mfu, how = (
            implied_mfu(sum(run.work for run in runs), gpu_hours, hardware),
            f"as {gpu_hours:,g} GPU-hours imply",
        )
    dollars = hardware.price if price is None else price
    title = (
        f"On {hardware.name} ({hardware.tflops:,g} TFLOP/s dense, {hardware.memory:,g} GiB at "
        f"{hardware.bandwidth:,g} GB/s, ${dollars:.2f} an hour) at an MFU of {mfu:.1%}, {how}:"
    )
    columns = [needs(stage.run, hardware, mfu, price) if stage.run else {"unknown": stage.why} for stage in stages]
    labels = dict.fromkeys(label for column in columns for label in column)
    lines = [[label, *(column.get(label, "") for column in columns)] for label in labels]
    return title, [["", *(stage.name for stage in stages)], *lines]


def short(number: float) -> str:
    """16801234567 as 16.8B."""
    for unit, factor in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.0f}"


def binary(size: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{size / (1 << 30):,.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):,.1f} MiB"
