"""Stage `consistency`: drops pairs of comment and code in which the comment does not tell the truth about the code.

What a judge said of a sample of pairs (stage `judge`, question "consistency") is learned by a small model and applied
to the rest, as Ling-Coder-Lite does (arXiv 2503.17793, section 2.3.2) with 25,600 pairs, a quarter of them held out,
and a model of 0.5B parameters, which reaches a precision of 0.90 and a recall of 0.92 on its own judge's labels. Ours
is a logistic regression over the FEATURES of `agreement.py`, fitted by Newton's method with a quadratic penalty: no
GPU, 5,000 pairs a CPU-second. A pair that the judge saw goes by the judge's word.

Whole repositories are held out, half of the pairs to choose the threshold by and half to measure it on, as in
`quality_classifier`; `min_precision` and `min_recall` mean the same. The facts hold precision, recall and F1 of keeping
consistent pairs with their 95% intervals, and the share of consistent ones, which is what keeping everything would
reach.

It tells comments of other code from a pair's own well, of neighbouring code moderately, and hardly sees a comment that
is wrong in one word (docs/performance.md): the judge does, so where that matters let the judge see all pairs. Memory:
the judged pairs.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.progress import track
from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.core.tables import read_batches
from smallcoder.data.agreement import FEATURES, features, rarities, words_of
from smallcoder.data.filters import BATCH, Filter, Judged
from smallcoder.data.pairs import Pair, pairs
from smallcoder.data.quality.classifier import PARTS, parts
from smallcoder.data.quality.measure import at, curve, operating_point
from smallcoder.data.quality.scores import Scores, read_scores

MODEL = "model.json"
STEPS, CLOSE = 50, 1e-9  # of Newton's method, and the change that ends it
MOST_LINES = 1 << 20  # the rules of `pairs` have been applied before
Array = np.ndarray[Any, Any]


class Config(StageConfig):
    """From which score a pair counts as consistent, what is held out, and where to cut."""

    good: float = 0.5  # of scores that are 0 or 1
    heldout_share: float = Field(default=0.25, gt=0.0, lt=1.0)  # Ling-Coder-Lite, section 2.3.2
    min_precision: float | None = Field(default=None, gt=0.0, le=1.0)
    min_recall: float | None = Field(default=None, gt=0.0, le=1.0)
    penalty: float = Field(default=1.0, gt=0.0)  # of the squared weights of standardized features
    seed: int = 0
    workers: int = run_only(1, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_precision is not None and self.min_recall is not None:
            raise ValueError("give min_precision or min_recall, not both")
        return self


@dataclass(frozen=True)
class Model:
    """A fitted regression: weights of the standardized FEATURES, the rarity of stems, and the operating point."""

    weights: list[float]
    mean: list[float]
    deviation: list[float]
    rarity: dict[str, float]
    unseen: float
    threshold: float

    def probabilities(self, found: list[Pair]) -> Array:
        """The probability of each pair that it is consistent."""
        rows = np.array([features(pair, self.rarity, self.unseen) for pair in found]).reshape(-1, len(FEATURES))
        standard = (rows - np.array(self.mean)) / np.array(self.deviation)
        # Sums column by column: a product of matrices rounds by their shapes, and batches differ in theirs.
        return sigmoid(sum((standard[:, k] * weight for k, weight in enumerate(self.weights)), np.zeros(len(rows))))


@dataclass(frozen=True)
class Labelled:
    """A judged pair."""

    id: str
    repo: str
    pair: Pair
    good: bool


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents, out/dropped (`inconsistent`, `no_pair`) and out/classifier.

    Raises EmptyError where a part of the judged pairs lacks consistent or other ones.
    """
    _forget()
    rows = _labelled(config, inputs)
    sides = parts(Counter(row.repo for row in rows), config.heldout_share, config.seed)
    split = {part: [row for row in rows if sides.get(row.repo, PARTS[0]) == part] for part in PARTS}
    for part, some in split.items():
        for kind, wanted in (("consistent", True), ("inconsistent", False)):
            if not any(row.good == wanted for row in some):
                raise EmptyError(
                    f"of {len(rows)} judged pairs no {kind} one is there to {part} by", "have more pairs judged"
                )
    model = fit(split["train"], config.penalty)
    truth = {part: np.array([row.good for row in split[part]]) for part in PARTS}
    found = {part: model.probabilities([row.pair for row in split[part]]) for part in PARTS[1:]}
    threshold = operating_point(curve(found["choose"], truth["choose"]), config.min_precision, config.min_recall)
    model = replace(model, threshold=threshold)
    (out / "classifier").mkdir()
    (out / "classifier" / MODEL).write_text(json.dumps({"features": FEATURES, **asdict(model)}, sort_keys=True) + "\n")
    shape = curve(found["measure"], truth["measure"])
    told = {
        "rows": {
            part: {"consistent": int(good.sum()), "inconsistent": int((~good).sum())} for part, good in truth.items()
        },
        "threshold": threshold,
        **at(threshold, found["measure"], truth["measure"]),
        "consistent_share": float(truth["measure"].mean()),
        "average_precision": shape.average_precision,
        "curve": shape.facts(),
        "weights": dict(zip(FEATURES, model.weights, strict=True)),
    }

    def facts(retention: Facts, counts: Counter[str]) -> Facts:
        _forget()
        return {**retention, **told, "by_judge": counts["by_judge"]}

    return Filter(partial(judge, config, out / "classifier", inputs["scores"]), facts)


def _forget() -> None:
    """What is cached is named by folders, which a later run may fill anew."""
    _labels.cache_clear()
    _model.cache_clear()


def judge(config: Config, classifier: Path, scores: Path, batch: pa.RecordBatch) -> Judged:
    """Judge a batch of pairs; they stay as they are."""
    model, said = _model(classifier), _labels(scores).of(batch.column("id").to_pylist())
    texts = zip(batch.column("text").to_pylist(), batch.column("lang").to_pylist(), strict=True)
    found = [pair_of(text, lang) for text, lang in texts]
    known = [pair for pair in found if pair]
    probabilities = iter(model.probabilities(known).tolist())
    reasons: list[str | None] = []
    for pair, value in zip(found, said.tolist(), strict=True):
        share = next(probabilities) if pair else 0.0
        good = share >= model.threshold if np.isnan(value) else value >= config.good
        reasons.append("no_pair" if pair is None else None if good else "inconsistent")
    return Judged(batch, reasons, Counter(by_judge=int((~np.isnan(said)).sum())))


def pair_of(text: str | None, lang: str | None) -> Pair | None:
    """The comment and the code of a document of stage `pairs`."""
    return next(pairs(text or "", lang, MOST_LINES), None)


def fit(rows: list[Labelled], penalty: float) -> Model:
    """The regression of rows in the order of their ids. Its threshold is still 0.5."""
    holding: Counter[str] = Counter()
    for row in rows:
        holding.update(words_of(row.pair))
    rarity, unseen = rarities(holding, len(rows))
    data = np.array([features(row.pair, rarity, unseen) for row in rows])
    mean, deviation = data.mean(axis=0), data.std(axis=0)
    constant = deviation < CLOSE
    mean[constant], deviation[constant] = 0.0, 1.0
    weights = newton((data - mean) / deviation, np.array([row.good for row in rows], np.float64), penalty)
    return Model(weights.tolist(), mean.tolist(), deviation.tolist(), dict(sorted(rarity.items())), unseen, 0.5)


def newton(data: Array, good: Array, penalty: float) -> Array:
    """Weights of least logistic loss with `penalty` / 2 times their squares, by Newton's method with halved steps."""

    def loss(weights: Array) -> float:
        return float(
            np.logaddexp(0.0, np.where(good > 0, -1, 1) * (data @ weights)).sum() + penalty / 2 * weights @ weights
        )

    weights = np.zeros(data.shape[1])
    for _ in range(STEPS):
        share = sigmoid(data @ weights)
        slope = data.T @ (share - good) + penalty * weights
        curvature = (data * (share * (1 - share))[:, None]).T @ data + penalty * np.eye(len(weights))
        step = np.linalg.solve(curvature, slope)
        while loss(weights - step) > loss(weights) + CLOSE and np.abs(step).max() > CLOSE:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() <= CLOSE:
            break
    return weights


def sigmoid(values: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -values))


def _labelled(config: Config, inputs: Inputs) -> list[Labelled]:
    """The judged pairs by their ids. Raises EmptyError for none."""
    labels, rows = _labels(inputs["scores"]), []
    for batch in track(read_batches(inputs["documents"], ["id", "repo", "lang", "text"], BATCH), "judged pairs"):
        values = labels.of(batch.column("id").to_pylist()).tolist()
        for row, value in zip(batch.to_pylist(), values, strict=True):
            if not np.isnan(value) and (pair := pair_of(row["text"], row["lang"])):
                rows.append(Labelled(row["id"], row["repo"] or f"\0{row['id']}", pair, value >= config.good))
    if not rows:
        raise EmptyError("no pair was judged", "name the scores of a judge that saw these very pairs")
    return sorted(rows, key=lambda row: row.id)


@lru_cache(maxsize=1)
def _labels(folder: Path) -> Scores:
    known = read_scores(folder)
    if len(known) != 1:
        raise InputError(f"{folder} holds the scores {', '.join(known) or 'of nobody'}", "name a table with one score")
    return next(iter(known.values()))


@lru_cache(maxsize=1)
def _model(folder: Path) -> Model:
    data = json.loads((folder / MODEL).read_text())
    assert data.pop("features") == FEATURES
    return Model(**data)
