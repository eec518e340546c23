"""What a run folder says about itself, in the shape the page shows. The one place that knows the stages' facts.

A stage is recognised by its `use`, never by its name, so any recipe gives a page. Facts are read defensively: what a
stage did not say is None or empty here, and its part of the page is left out. Tables are read with bounded memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from math import isfinite
from pathlib import Path
from typing import Any

from smallcoder.core.errors import InputError
from smallcoder.core.manifest import Manifest, read_manifest
from smallcoder.core.tables import read_batches

SCANNED_DROPS = 20_000  # rows of a dropped table that are looked at
SCANNED_CHARACTERS = 100_000  # of a text of which the first lines are shown
DROPS_PER_REASON = 3
SAMPLES_PER_SPLIT = 1  # that passed, and as many that did not
SAMPLE_FIELDS = ("prompt", "completion", "status", "reason")
SPLIT_TITLES = {  # the held-out splits of the drills, from near to far
    "wording": "unseen wording",
    "phrasing": "unseen phrasings",
    "pairs": "unseen pairs",
    "families": "unseen families",
}


@dataclass(frozen=True)
class Reason:
    """Why records were dropped, and how many."""

    name: str
    records: int
    bytes: int


@dataclass(frozen=True)
class Retention:
    """What one stage let through."""

    stage: str
    records_in: int
    bytes_in: int
    records: int
    bytes: int
    reasons: list[Reason]


@dataclass(frozen=True)
class Drop:
    """A dropped record: where it was from and how it begins."""

    stage: str
    reason: str
    where: str
    text: str


@dataclass(frozen=True)
class Training:
    """One training stage: its facts, and training loss and held-out bits per byte by step."""

    stage: str
    facts: dict[str, Any]
    loss: list[tuple[float, float]]
    heldout: list[tuple[float, float]]
    started_from: str  # the stage of the model it started from, "" for none


@dataclass(frozen=True)
class Score:
    """pass@1 of one model on one split, with its 95% interval. What is `infra` does not count towards the share."""

    stage: str
    split: str
    share: float
    low: float
    high: float
    problems: int
    timeouts: int
    infra: int
    cut: int  # answers that reached the limit on their length


@dataclass(frozen=True)
class Sample:
    """One answer of a model and what became of it."""

    split: str
    problem: str
    completion: str
    status: str
    reason: str


def load_stages(folder: Path) -> list[Manifest]:
    """Manifests of the finished stages, each after those it was made from. Raises InputError where there is none."""
    paths = [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    found = {path: manifest for path in paths if "." not in path.name and (manifest := read_manifest(path))}
    if not found:
        raise InputError(f"{folder} has no finished stage", "start it with: smallcoder run RECIPE")
    by_time = sorted(found, key=lambda path: (path / "manifest.json").stat().st_mtime_ns)
    left = {found[path].stage: found[path] for path in by_time}
    ordered: list[Manifest] = []
    while left:
        ready = [item for item in left.values() if not left.keys() & {name for name, _ in _sources(item)}]
        following = (ready or list(left.values()))[0]
        ordered.append(left.pop(following.stage))
    return ordered


def _sources(manifest: Manifest) -> Iterable[tuple[str, str]]:
    """(stage, folder) of every input, without the stage itself."""
    for source in manifest.inputs.values():
        stage, _, folder = source.partition("/")
        if stage != manifest.stage:
            yield stage, folder


def using(stages: Sequence[Manifest], *uses: str) -> list[Manifest]:
    """The stages of some kinds, in order."""
    return [stage for stage in stages if stage.use in uses]


def contents(manifest: Manifest | None, key: str) -> dict[str, Any]:
    """A tally of repositories, licences and bytes from a stage's facts; empty where it has none."""
    found = manifest.facts.get(key) if manifest else None
    return found if isinstance(found, dict) else {}


def retention(stages: Sequence[Manifest]) -> list[Retention]:
    """Every stage that counts what it dropped."""
    rows = []
    for stage in stages:
        facts = stage.facts
        if not isinstance(facts.get("dropped"), dict) or "records_in" not in facts:
            continue
        reasons = [
            Reason(str(name), int(counts.get("records", 0)), int(counts.get("bytes", 0)))
            for name, counts in facts["dropped"].items()
            if isinstance(counts, dict)
        ]
        reasons.sort(key=lambda reason: (-reason.records, reason.name))
        sizes = (int(facts.get(name, 0)) for name in ("records_in", "bytes_in", "records", "bytes"))
        rows.append(Retention(stage.stage, *sizes, reasons=reasons))
    return rows


def drops(folder: Path, rows: Sequence[Retention]) -> list[Drop]:
    """A few dropped records of every stage and reason, chosen by id, so that one repository does not fill the list."""
    found = []
    for row in rows:
        table = folder / row.stage / "dropped"
        if not (row.reasons and any(table.glob("*.parquet"))):
            continue
        by_reason: dict[str, list[dict[str, Any]]] = {}
        scanned = 0
        for batch in read_batches(table, ("id", "text", "repo", "path", "reason")):
            for item in batch.to_pylist():
                kept = [*by_reason.get(item["reason"], []), item]
                by_reason[item["reason"]] = nsmallest(DROPS_PER_REASON, kept, key=lambda item: item["id"] or "")
            scanned += batch.num_rows
            if scanned >= SCANNED_DROPS:
                break
        for reason in row.reasons:
            for item in by_reason.get(reason.name, []):
                where = "/".join(part for part in (item["repo"], item["path"]) if part)
                found.append(Drop(row.stage, reason.name, where, first_lines(item["text"] or "")))
    return found


def first_lines(text: str, lines: int = 8, columns: int = 110) -> str:
    """The beginning of a text, cut in both directions; leading blank lines do not count."""
    shown = text[:SCANNED_CHARACTERS].lstrip("\n").split("\n")
    cut = [line if len(line) <= columns else line[:columns] + " …" for line in shown[:lines]]
    return "\n".join(cut + ["…"] * (len(shown) > lines))


def trainings(stages: Sequence[Manifest]) -> list[Training]:
    """Every training stage with its curves."""
    return [
        Training(
            stage.stage,
            stage.facts,
            _curve(stage.facts.get("loss_curve")),
            _curve(stage.facts.get("heldout_curve")),
            stage.inputs.get("model", "").partition("/")[0],
        )
        for stage in using(stages, "train")
    ]


def _curve(points: Any) -> list[tuple[float, float]]:
    pairs = [point for point in points or [] if isinstance(point, list) and len(point) == 2]
    return [(float(x), float(y)) for x, y in pairs if _is_number(x) and _is_number(y)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def scores(stages: Sequence[Manifest]) -> list[Score]:
    """pass@1 by split of every evaluation, split by split, model by model."""
    found = [
        _score(model_of(stage), split, data)
        for stage in using(stages, "evaluate")
        for split, data in contents(stage, "splits").items()
    ]
    splits = sorted({score.split for score in found}, key=_rank)
    return sorted(found, key=lambda score: splits.index(score.split))


def _score(model: str, split: str, data: dict[str, Any]) -> Score:
    share, low, high = (float(data.get(name, 0.0)) for name in ("pass@1", "low", "high"))
    problems, timeouts, infra, cut = (int(data.get(name, 0)) for name in ("problems", "timeout", "infra", "cut"))
    return Score(model, split, share, low, high, problems, timeouts, infra, cut)


def _rank(split: str) -> tuple[int, str]:
    """Known splits in the order of their difficulty, then others by name."""
    known = list(SPLIT_TITLES)
    return (known.index(split) if split in known else len(known), split)


def tiers(stages: Sequence[Manifest]) -> list[str]:
    """The sandbox tiers that the verdicts of a run name."""
    splits = [data for stage in using(stages, "evaluate") for data in contents(stage, "splits").values()]
    return sorted({tier for data in splits for tier in data.get("tiers", [])})


def model_of(stage: Manifest) -> str:
    """The stage whose model an evaluation is of."""
    return stage.inputs.get("model", stage.stage).partition("/")[0]


def samples(stages: Sequence[Manifest]) -> list[Sample]:
    """Answers of the last evaluated model: of every split one that passed and one that did not, where there are."""
    evaluations = using(stages, "evaluate")
    by_split = contents(evaluations[-1], "samples") if evaluations else {}
    found = []
    for split in sorted(by_split, key=_rank):
        for passed in (True, False):
            rows = [row for row in by_split[split] if (row.get("status") == "passed") == passed][:SAMPLES_PER_SPLIT]
            found += [Sample(split, *(str(row.get(name) or "") for name in SAMPLE_FIELDS)) for row in rows]
    return found


def final_heldout(training: Training) -> float | None:
    """The last held-out bits per byte of a training stage."""
    return training.heldout[-1][1] if training.heldout else None


def split_title(split: str) -> str:
    """A split's name in words."""
    return SPLIT_TITLES.get(split, split.replace("_", " "))
