"""What a recipe would do: every stage fresh, stale or missing, and the size it has or is expected to have.

Nothing is executed. A stage that has run shows what it measured; one that has not shows its own `expect`, which reads
at most file sizes. The FLOPs, memory and cost planner for large hardware belongs here too and is not written yet.
"""

from dataclasses import dataclass
from pathlib import Path

from smallcoder.core.manifest import Manifest
from smallcoder.core.recipe import Recipe
from smallcoder.core.stage import Size
from smallcoder.run import inspect


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
            expect = step.stage.attribute("expect")
            size = expect(step.config, inputs) if expect else _largest(inputs)
        why = "; ".join(state.reasons)
        if not why and state.manifest:
            why = moved(step.stage.attribute("outside"), step.config, state.manifest)
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


def _largest(inputs: dict[str, Size]) -> Size:
    """Without better knowledge a stage passes on the largest of its inputs."""
    known = [size for size in inputs.values() if size.bytes]
    return max(known, key=lambda size: size.bytes or 0) if known else Size()
