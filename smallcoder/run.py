"""Run a recipe: make every stage that is missing, keep what is fresh, refuse what is stale, and write the report.

Each stage is built in `NAME.partial` and renamed when its manifest is written (`core/manifest`). A killed run is
started again with the same command: finished stages are kept, a resumable stage goes on from its own state, any
other starts anew, and the outcome is the same as without the kill.
"""

import errno
import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rich.console import Console

from smallcoder.core.errors import InputError, RecipeError, SmallcoderError, StaleError, StorageError
from smallcoder.core.manifest import (
    IDENTITY,
    Manifest,
    commit,
    differences,
    digests,
    environment,
    lock,
    read_manifest,
    settle,
    write_json,
)
from smallcoder.core.recipe import Recipe, Step
from smallcoder.core.usage import PeakMemory

FULL_BYTES = 1 << 20


@dataclass(frozen=True)
class State:
    """Where one step stands: `reasons` says field by field why it is stale, `manifest` is there unless missing."""

    step: Step
    status: Literal["fresh", "stale", "missing"]
    reasons: tuple[str, ...]
    manifest: Manifest | None


def inspect(recipe: Recipe, folder: Path) -> list[State]:
    """The state of every step of a recipe in its run folder, without running anything."""
    states: dict[str, State] = {}
    for step in recipe.steps:
        manifest = read_manifest(folder / step.name)
        unready = [source for source, _ in step.inputs.values() if states[source].status != "fresh"]
        if manifest is None:
            states[step.name] = State(step, "missing", (), None)
        elif unready:
            reasons = tuple(f"input {source} is {states[source].status}" for source in dict.fromkeys(unready))
            states[step.name] = State(step, "stale", reasons, manifest)
        else:
            made = {source: states[source].manifest for source, _ in step.inputs.values()}
            reasons = tuple(differences(manifest.identity, identity(step, made)))
            states[step.name] = State(step, "stale" if reasons else "fresh", reasons, manifest)
    return list(states.values())


def identity(step: Step, made: dict[str, Manifest | None]) -> dict[str, Any]:
    """What decides a step's result: the kind of stage and its version, its settings, the digests of its inputs.

    `made` maps each source step to its manifest. Raises RecipeError if a source made no such folder.
    """
    inputs = {}
    for role, (source, entry) in step.inputs.items():
        manifest = made[source]
        assert manifest is not None
        if entry not in manifest.outputs:
            has = ", ".join(f"{source}/{name}" for name in manifest.outputs)
            raise RecipeError(f"stage {step.name}: {source} made no {entry!r}", f"name one of {has}")
        inputs[role] = manifest.outputs[entry]
    # Through JSON, so that what is compared with a manifest read from disk has the same types.
    return json.loads(
        json.dumps({"use": step.use, "version": step.stage.version, "config": step.config.identity(), "inputs": inputs})
    )


def run_recipe(
    recipe: Recipe, runs: Path, only: str | None = None, rebuild: Iterable[str] = (), console: Console | None = None
) -> Path:
    """Bring every step (or `only` one) up to date and return the run folder.

    `rebuild` names steps to make again; what is made from them follows. Raises StaleError where a finished step no
    longer fits the recipe and is not to be rebuilt, LockedError if another process runs in the folder.
    """
    console = console or Console()
    again = recipe.dependents(rebuild)
    wanted = {recipe.step(only).name} if only else {step.name for step in recipe.steps}
    folder = runs / recipe.name
    with lock(folder):
        made: dict[str, Manifest | None] = {}
        for number, state in enumerate(inspect(recipe, folder), 1):
            step = state.step
            label = f"[{number}/{len(recipe.steps)}] {step.name}"
            if step.name not in wanted:
                made[step.name] = state.manifest if state.status == "fresh" else None
                continue
            _require_inputs(step, made)
            target = identity(step, made)
            manifest = read_manifest(folder / step.name)
            if manifest and step.name not in again:
                _require_fresh(step, differences(manifest.identity, target))
                console.print(f"{label}: fresh", style="dim", highlight=False)
            else:
                console.print(f"{label}: {step.use}", style="bold", highlight=False)
                manifest = _make(step, folder, target)
                console.print(f"    {summary(manifest)}", highlight=False)
            made[step.name] = manifest
            again.discard(step.name)
    return folder


def _require_inputs(step: Step, made: dict[str, Manifest | None]) -> None:
    for source, _ in step.inputs.values():
        if made[source] is None:
            raise InputError(f"stage {step.name} needs {source}, which is not made yet", "run without --only first")


def _require_fresh(step: Step, changes: list[str]) -> None:
    if changes:
        more = f" and {len(changes) - 4} more" if len(changes) > 4 else ""
        raise StaleError(
            f"stage {step.name} was made otherwise ({'; '.join(changes[:4])}{more})",
            f"undo the change, rename the recipe, or add --rebuild {step.name}",
        )


def _make(step: Step, folder: Path, target: dict[str, Any]) -> Manifest:
    final, partial = folder / step.name, folder / f"{step.name}.partial"
    finished = _prepare(partial, target, step.stage.resumable)
    if finished:  # killed between writing the manifest and the rename
        settle(partial, final)
        return finished
    inputs = {role: folder / source / entry for role, (source, entry) in step.inputs.items()}
    outside = step.stage.attribute("outside")
    started = time.monotonic()
    with DiskGuard(folder, step.name), PeakMemory() as memory:
        facts = step.stage.run(step.config, inputs, partial)
        outputs = digests(partial)
    with DiskGuard(folder, step.name):
        manifest = Manifest(
            stage=step.name,
            use=step.use,
            identity=target,
            outputs=outputs,
            facts=facts,
            outside=outside(step.config) if outside else {},
            config=step.config.model_dump(mode="json"),
            inputs={role: f"{source}/{entry}" for role, (source, entry) in step.inputs.items()},
            environment=environment(),
            seconds=round(time.monotonic() - started, 3),
            peak_memory_bytes=memory.bytes,
        )
        commit(partial, final, manifest)
    return manifest


def _prepare(partial: Path, target: dict[str, Any], resumable: bool) -> Manifest | None:
    """Leave a folder to build in: emptied, unless a killed run of this very identity can be gone on with."""
    try:
        same = json.loads((partial / IDENTITY).read_text(encoding="utf-8")) == target
    except (OSError, ValueError):
        same = False
    manifest = read_manifest(partial)
    if manifest:
        if manifest.identity == target:
            return manifest
        same = False
    if not (same and resumable):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_json(partial / IDENTITY, target)
    return None


class DiskGuard:
    """Turns whatever a library raises when the disk is full into one clear StorageError."""

    def __init__(self, folder: Path, stage: str) -> None:
        self._folder = folder
        self._stage = stage

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, SmallcoderError):
            return
        number = getattr(error, "errno", None)
        text = str(error)
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text or self._full():
            remedy = "free some space, or choose another disk with --runs, and run again: finished stages are kept"
            raise StorageError(f"the disk is full while making stage {self._stage}", remedy) from None
        if number in (errno.EACCES, errno.EROFS, errno.EIO):
            raise StorageError(
                f"stage {self._stage}: {text}", "check the permissions and the health of the disk"
            ) from None

    def _full(self) -> bool:
        return shutil.disk_usage(self._folder).free < FULL_BYTES


def summary(manifest: Manifest) -> str:
    """One line on a finished stage: what it kept and what it cost."""
    facts = manifest.facts
    parts = []
    if "records" in facts:
        of = f" of {facts['records_in']:,}" if facts.get("records_in", 0) > facts["records"] else ""
        parts.append(f"{facts['records']:,}{of} records")
    if "bytes" in facts:
        parts.append(f"{facts['bytes'] / 1e6:.1f} MB")
    if "headline" in facts:
        parts.append(str(facts["headline"]))
    parts.append(f"{manifest.seconds:.1f} s")
    parts.append(f"{manifest.peak_memory_bytes / 2**30:.2f} GiB")
    return ", ".join(parts)
