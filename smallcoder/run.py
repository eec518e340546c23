"""Run a recipe: make every stage that is missing, keep what is fresh, refuse what is stale, and write the report.

Filters that store no documents are made in one pass with the stage that reads them (`Recipe.chains`); the manifest of
each still names the digest of what it let through, so it makes no difference to anything that follows.

Each stage is built in `NAME.partial` and renamed when its manifest is written (`core/manifest`). A killed run is
started again with the same command: finished stages are kept, a resumable stage goes on from its own state, any
other starts anew, and the outcome is the same as without the kill.
"""

import errno
import json
import shutil
import time
from collections.abc import Iterable, Sequence
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
from smallcoder.core.recipe import DOCUMENTS, Recipe, Step
from smallcoder.core.stage import Facts
from smallcoder.core.usage import PeakMemory
from smallcoder.data.engine import sift
from smallcoder.data.filters import Link

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
        manifest = _manifest_of(step, folder)
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
    labels = {step.name: f"[{at}/{len(recipe.steps)}] {step.name}" for at, step in enumerate(recipe.steps, 1)}
    with lock(folder):
        fresh = {state.step.name: state.manifest for state in inspect(recipe, folder) if state.status == "fresh"}
        made: dict[str, Manifest | None] = {}
        for chain in recipe.chains():
            if wanted.isdisjoint(step.name for step in chain):
                made |= {step.name: fresh.get(step.name) for step in chain}
                continue
            _require_inputs(chain, made)
            finished = _finished(chain, folder, made, again)
            if len(finished) == len(chain):
                for step in chain:
                    console.print(f"{labels[step.name]}: fresh", style="dim", highlight=False)
            else:
                for step in chain:
                    together = f", in one pass with {step.inputs[DOCUMENTS][0]}" if step is not chain[0] else ""
                    console.print(f"{labels[step.name]}: {step.use}{together}", style="bold", highlight=False)
                one = chain[0] if not chain[0].stage.attribute("as_filter") else None
                finished = _make(one, folder, made) if one else _sift(chain, folder, made, again)
                for name, manifest in finished.items():
                    which = f"{name}: " if chain[1:] else ""
                    console.print(f"    {which}{summary(manifest)}", highlight=False)
            made |= finished
            again -= finished.keys()
    return folder


def _require_inputs(chain: Sequence[Step], made: dict[str, Manifest | None]) -> None:
    names = {step.name for step in chain}
    for step in chain:
        for source, _ in step.inputs.values():
            if source not in names and made[source] is None:
                raise InputError(f"stage {step.name} needs {source}, which is not made yet", "run without --only first")
    identity(chain[0], made)  # before anything is made: the folders that it names must be there


def _finished(
    chain: Sequence[Step], folder: Path, made: dict[str, Manifest | None], again: set[str]
) -> dict[str, Manifest]:
    """The manifests of a chain's steps up to the first that must be made. Raises StaleError for a stale one."""
    found: dict[str, Manifest] = {}
    for step in chain:
        manifest = _manifest_of(step, folder)
        if manifest is None or step.name in again:
            break
        _require_fresh(step, differences(manifest.identity, identity(step, {**made, **found})))
        found[step.name] = manifest
    return found


def _manifest_of(step: Step, folder: Path) -> Manifest | None:
    """The manifest of a finished step; None also where it stored no documents and the recipe now wants them."""
    manifest = read_manifest(folder / step.name)
    lacks = manifest and step.store and DOCUMENTS in manifest.outputs and not (folder / step.name / DOCUMENTS).exists()
    return None if lacks else manifest


def _require_fresh(step: Step, changes: list[str]) -> None:
    if changes:
        more = f" and {len(changes) - 4} more" if len(changes) > 4 else ""
        raise StaleError(
            f"stage {step.name} was made otherwise ({'; '.join(changes[:4])}{more})",
            f"undo the change, rename the recipe, or add --rebuild {step.name}",
        )


def _make(step: Step, folder: Path, made: dict[str, Manifest | None]) -> dict[str, Manifest]:
    target = identity(step, made)
    final, partial = folder / step.name, folder / f"{step.name}.partial"
    finished = _prepare(partial, target, step.stage.resumable)
    if finished:  # killed between writing the manifest and the rename
        settle(partial, final)
        return {step.name: finished}
    started = time.monotonic()
    with DiskGuard(folder, step.name), PeakMemory() as memory:
        facts = step.stage.run(step.config, _folders(step, folder), partial)
        outputs = digests(partial)
    seconds = time.monotonic() - started
    with DiskGuard(folder, step.name):
        manifest = _written(step, target, outputs, facts, seconds=seconds, memory=memory.bytes)
        commit(partial, final, manifest)
    return {step.name: manifest}


def _sift(
    chain: Sequence[Step], folder: Path, made: dict[str, Manifest | None], again: set[str]
) -> dict[str, Manifest]:
    """Make the steps of a chain of filters in one pass. Of those that were fresh the old folder stays."""
    partials = [folder / f"{step.name}.partial" for step in chain]
    links, ready = [], []  # seconds that each filter took before the pass
    with DiskGuard(folder, chain[-1].name), PeakMemory() as memory:
        for step, partial in zip(chain, partials, strict=True):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            inputs = _folders(step, folder)
            started = time.monotonic()
            given = inputs if step is chain[0] else {role: path for role, path in inputs.items() if role != DOCUMENTS}
            links.append(Link(step.stage.attribute("as_filter")(step.config, given, partial), partial, step.store))
            ready.append(time.monotonic() - started)
        started = time.monotonic()
        workers = max(getattr(step.config, "workers", 1) for step in chain)
        title = " to ".join(dict.fromkeys((chain[0].name, chain[-1].name)))
        sifted = sift(links, _folders(chain[0], folder)[DOCUMENTS], title, workers)
        passing = time.monotonic() - started
    judging = sum(one.seconds for one in sifted)
    finished: dict[str, Manifest] = {}
    for step, partial, one, before in zip(chain, partials, sifted, ready, strict=True):
        target = identity(step, {**made, **finished})
        old = _manifest_of(step, folder)
        if old and step.name not in again:
            _require_fresh(step, differences(old.identity, target))
            shutil.rmtree(partial)
            finished[step.name] = old
            continue
        with DiskGuard(folder, step.name):
            outputs = digests(partial) | ({DOCUMENTS: one.digest} if one.digest else {})
            seconds = before + passing * one.seconds / judging
            finished[step.name] = _written(step, target, outputs, one.facts, seconds=seconds, memory=memory.bytes)
            commit(partial, folder / step.name, finished[step.name])
    return finished


def _folders(step: Step, folder: Path) -> dict[str, Path]:
    return {role: folder / source / entry for role, (source, entry) in step.inputs.items()}


def _written(
    step: Step, target: dict[str, Any], outputs: dict[str, str], facts: Facts, *, seconds: float, memory: int
) -> Manifest:
    """The manifest of a step that was just made."""
    outside = step.stage.attribute("outside")
    return Manifest(
        stage=step.name,
        use=step.use,
        identity=target,
        outputs=dict(sorted(outputs.items())),
        facts=facts,
        outside=outside(step.config) if outside else {},
        config=step.config.model_dump(mode="json"),
        inputs={role: f"{source}/{entry}" for role, (source, entry) in step.inputs.items()},
        environment=environment(),
        seconds=round(seconds, 3),
        peak_memory_bytes=memory,
    )


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
