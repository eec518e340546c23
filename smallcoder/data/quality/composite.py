"""Stage `quality`: one score from 0 to 100 out of what several judges said; documents below the threshold are dropped.

Ling-Coder-Lite (arXiv 2503.17793, section 2.1) verifies data by rules, has a language model and people score samples,
and sends back what has a composite score below a threshold, for instance 85 of 100. It does not say how the three are
weighed, so that is the recipe's to say. Components are

    "classifier"    the probability of a `quality_classifier`, where that input is given
    "quality"       what an earlier stage wrote into the column, such as `assess`, where it is listed
    any other       the score of that name in the inputs `scores`, `more_scores` and `perplexity`

Each is put on one scale by a line through three points: `zero` is worth 0, `passes` is worth the threshold, `full` is
worth 100 (beyond them it stays there; without `passes` it is one straight line; `full` may be the smaller, as for bits
per byte). So a document that just passes every judge scores exactly the threshold. For a classifier `passes` is its
operating point unless the recipe says otherwise. The score is the mean of the components by weight, to six decimals.
Where a judge has nothing to say of a document, the others are weighed without it; where none has, it is `unscored`.

Where the optional input `truth` holds what a judge said of some of the documents, the facts tell how precise the stage
is and what it recalls, a document counting as good from `good` on. That is honest only for documents which nothing was
trained on: let the judge see the held-out side of a `split`, and every round of a recall is measured on the same ones.

Cost: a classifier takes a CPU-second for 160 MB of source files (`perf/quality.py`); the rest is little. `workers` are
processes, each with its own copy of the classifier and the scores. It does not calibrate judges, and no two corpora
need mean the same by 85.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from math import isnan
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from smallcoder.core.errors import InputError
from smallcoder.core.recipe import nearest
from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.data.filters import Filter, Judged
from smallcoder.data.quality.classifier import Classifier, load_classifier
from smallcoder.data.quality.measure import figures
from smallcoder.data.quality.scores import Scores, read_scores

BIN = 5  # points of a bar of the histogram
TABLES = ("scores", "more_scores", "perplexity")
CLASSIFIER, COLUMN = "classifier", "quality"
INSIDE = 1e-9  # how far an operating point keeps from the ends of its scale
Array = np.ndarray[Any, Any]


class Component(BaseModel):
    """The weight of a judge and three values on its own scale: worth 0, worth the threshold, and worth 100.

    For a classifier, whose values are probabilities, `full` is 1 unless it is given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    zero: float = Field(default=0.0, allow_inf_nan=False)
    passes: float | None = Field(default=None, allow_inf_nan=False)
    full: float = Field(default=100.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _rising_or_falling(self) -> Self:
        low, high = sorted((self.zero, self.full))
        if low == high or (self.passes is not None and not low < self.passes < high):
            raise ValueError("zero and full must differ, and passes lie between them")
        return self


class Config(StageConfig):
    """`components` by name; a classifier counts unlisted. `high` and `medium` bound the buckets of the facts."""

    components: dict[str, Component] = {}
    threshold: float = Field(default=85.0, ge=0.0, le=100.0)  # Ling-Coder-Lite, section 2.1
    good: float = 3.0  # of `truth`: Ling-Coder-Lite, section 2.3.1, on its scale from 1 to 5
    high: float = 85.0  # ours: what passes by default
    medium: float = 65.0  # as in thresholds.toml, by which `assess` and `tally` judge
    workers: int = run_only(1, ge=1)


@dataclass(frozen=True)
class Plan:
    """What a batch is judged by, in a form that processes can be handed: settings and folders, nothing read yet."""

    config: Config
    components: Mapping[str, Component]  # with a classifier's own operating point in its place
    tables: tuple[Path, ...]
    classifier: Path | None
    truth: Path | None


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped, reasons `low_quality` and `unscored`; writes the score into `quality`."""

    def forget() -> None:  # they are named by folders, which a later run may fill anew
        _scores.cache_clear()
        _classifier.cache_clear()

    def facts(retention: Facts, counts: Counter[str]) -> Facts:
        forget()
        return {**retention, **_facts(plan, counts)}

    forget()
    plan = _plan(config, inputs)
    return Filter(partial(judge, plan), facts)


def judge(plan: Plan, batch: pa.RecordBatch) -> Judged:
    """Score a DOCUMENT batch: its `quality` is the score, null where there is none."""
    values = component_values(plan, batch)
    names = sorted(plan.components)
    worth = np.stack([points(values[name], plan.components[name], plan.config.threshold) for name in names], axis=1)
    scores = composite(worth, np.array([plan.components[name].weight for name in names]))
    reasons = [
        "unscored" if isnan(score) else "low_quality" if score < plan.config.threshold else None
        for score in scores.tolist()
    ]
    column = batch.schema.get_field_index(COLUMN)
    judged = batch.set_column(column, batch.schema.field(column), pa.array(scores, from_pandas=True))
    counts = _count(plan.config, names, worth, scores, batch.column("lang").to_pylist())
    if plan.truth:
        counts.update(_agreement(plan.truth, plan.config.good, batch.column("id").to_pylist(), reasons))
    return Judged(judged, reasons, counts)


def _agreement(truth: Path, good: float, ids: list[str], reasons: list[str | None]) -> Counter[str]:
    """How many documents are kept or dropped, and good or not by the judge of `truth`."""
    values = next(iter(_scores(truth).values())).of(ids).tolist()
    known = [(reason is None, value >= good) for reason, value in zip(reasons, values, strict=True) if not isnan(value)]
    return Counter(f"{'kept' if kept else 'dropped'} {'good' if right else 'other'}" for kept, right in known)


def component_values(plan: Plan, batch: pa.RecordBatch) -> dict[str, Array]:
    """What each judge said of every document, on its own scale; NaN where it said nothing."""
    found: dict[str, Array] = {}
    for table in plan.tables:
        for name, scores in _scores(table).items():
            found[name] = scores.of(batch.column("id").to_pylist())
    if plan.classifier:
        found[CLASSIFIER] = _classifier(plan.classifier).probabilities(batch.column("text").to_pylist())
    found[COLUMN] = batch.column(COLUMN).to_numpy(zero_copy_only=False).astype(np.float64)
    return found


def points(values: Array, component: Component, threshold: float) -> Array:
    """Values on the common scale from 0 to 100; NaN stays."""
    sign = 1.0 if component.full > component.zero else -1.0
    knots = [(component.zero, 0.0), (component.passes, threshold), (component.full, 100.0)]
    known = [(sign * value, worth) for value, worth in knots if value is not None]
    return np.interp(sign * values, [value for value, _ in known], [worth for _, worth in known])


def composite(worth: Array, weights: Array) -> Array:
    """The mean of the points [documents, components] by weight over the components that are there, in millionths."""
    there = ~np.isnan(worth)
    total = (there * weights).sum(axis=1)
    summed = np.where(there, worth * weights, 0.0).sum(axis=1)
    return np.round(np.divide(summed, total, out=np.full(len(worth), np.nan), where=total > 0), 6)


@lru_cache(maxsize=len(TABLES) + 1)
def _scores(folder: Path) -> dict[str, Scores]:
    return read_scores(folder)


@lru_cache(maxsize=1)
def _classifier(folder: Path) -> Classifier:
    return load_classifier(folder)


def _plan(config: Config, inputs: Inputs) -> Plan:
    """Match components and inputs. Raises InputError for a component without a judge, or the other way round."""
    components = dict(config.components)
    tables = tuple(inputs[role] for role in TABLES if role in inputs)
    owners: dict[str, Path] = {}
    for table in tables:
        for name in _scores(table):
            if name in owners or name in (CLASSIFIER, COLUMN):
                raise InputError(f"{table} holds another score {name!r}", "give every score its own `name`")
            owners[name] = table
            if name not in components:
                raise InputError(
                    f"the score {name!r} has no component", f"add components.{name} = {{ passes = ..., full = ... }}"
                )
    folder = inputs.get(CLASSIFIER)
    if folder:
        operating = min(max(_classifier(folder).threshold, INSIDE), 1.0 - INSIDE)
        given = components[CLASSIFIER].model_dump(exclude_unset=True) if CLASSIFIER in components else {}
        try:
            components[CLASSIFIER] = Component.model_validate({"full": 1.0, "passes": operating, **given})
        except ValidationError:
            raise InputError(
                f"components.classifier does not hold the operating point {operating:.3f} between zero and full",
                "name a `passes` between them, or leave zero and full out",
            ) from None
    known = [*owners, COLUMN, *([CLASSIFIER] if folder else [])]
    for name in components:
        if name not in known:
            raise InputError(f"no input holds the score {name!r}", nearest(name, known))
    truth = inputs.get("truth")
    if truth and len(_scores(truth)) != 1:
        raise InputError(f"{truth} does not hold one score", "measure by a table with one, such as judge/scores")
    if not components:
        raise InputError("there is nothing to score by", "give the stage a classifier or scores, or list `quality`")
    return Plan(config, components, tables, folder, truth)


def _count(config: Config, names: list[str], worth: Array, scores: Array, languages: list[str | None]) -> Counter[str]:
    """Whole numbers only, so that sums do not depend on the order of the batches."""
    counts: Counter[str] = Counter()
    for score, lang in zip(scores.tolist(), languages, strict=True):
        if isnan(score):
            continue
        bucket = "high" if score >= config.high else "medium" if score >= config.medium else "low"
        millionths = round(score * 1e6)
        counts[f"bar {min(int(score // BIN), 100 // BIN - 1)}"] += 1
        counts[f"bucket {bucket}"] += 1
        counts[f"records {lang or 'unknown'}"] += 1
        counts[f"sum {lang or 'unknown'}"] += millionths
    for name, column in zip(names, worth.T, strict=True):
        spoken = column[~np.isnan(column)]
        counts[f"component {name}"] += len(spoken)
        counts[f"points {name}"] += int(np.round(spoken * 1e6).sum())
    return counts


def _facts(plan: Plan, counts: Counter[str]) -> Facts:
    languages = sorted(key.removeprefix("records ") for key in counts if key.startswith("records "))
    scored = sum(counts[f"records {lang}"] for lang in languages)
    total = max(scored, 1)
    agreed = [counts[name] for name in ("kept good", "kept other", "dropped good", "dropped other")]
    mean = sum(counts[f"sum {lang}"] for lang in languages) / total / 1e6
    return {
        "headline": f"{mean:.1f} of 100 points on average",
        "threshold": plan.config.threshold,
        "scored": scored,
        **({"truth": figures(*agreed)} if plan.truth else {}),
        "mean": mean,
        "histogram": [counts[f"bar {bar}"] for bar in range(100 // BIN)],
        "languages": {
            lang: {
                "records": counts[f"records {lang}"],
                "mean": counts[f"sum {lang}"] / counts[f"records {lang}"] / 1e6,
            }
            for lang in languages
        },
        "buckets": {
            name: {"records": counts[f"bucket {name}"], "share": counts[f"bucket {name}"] / total}
            for name in ("high", "medium", "low")
        },
        "components": {
            name: {
                **component.model_dump(),
                "records": counts[f"component {name}"],
                "mean_points": counts[f"points {name}"] / max(counts[f"component {name}"], 1) / 1e6,
            }
            for name, component in sorted(plan.components.items())
        },
    }
