"""How good a classifier is on rows it has not seen, and where to cut.

A row is called positive where its probability is at least the threshold. Precision and recall are shares, so they get
Wilson's score interval (Journal of the American Statistical Association 22, 1927). F1 is no share, but 2s / (1 + s) of
one: of s = true positives among all rows that are positive or are called so ("F*", arXiv 2008.00103). Its interval is
that of s, put through the same rising function.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from smallcoder.core.errors import InputError
from smallcoder.core.intervals import wilson

Array = np.ndarray[Any, Any]
POINTS = 200  # of a curve that facts hold


@dataclass(frozen=True)
class Curve:
    """Every threshold that makes a difference, falling, with the precision and recall it gives."""

    thresholds: Array
    precision: Array
    recall: Array

    @property
    def average_precision(self) -> float:
        """The area under the curve as a sum of steps: precision weighted by the recall that each threshold adds."""
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())

    def facts(self) -> list[list[float]]:
        """[threshold, precision, recall] of at most POINTS thresholds, evenly by rank, both ends among them."""
        count = len(self.thresholds)
        chosen = np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(int))
        rows = zip(self.thresholds[chosen], self.precision[chosen], self.recall[chosen], strict=True)
        return [[round(float(value), 6) for value in row] for row in rows]


def curve(probabilities: Array, positive: Array) -> Curve:
    """The precision-recall curve of rows; `positive` is bool and true at least once."""
    assert positive.any()
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    hits = np.cumsum(positive[order])
    last = np.append(ranked[1:] != ranked[:-1], True)  # rows of one probability are called together
    return Curve(ranked[last], (hits / np.arange(1, len(hits) + 1))[last], (hits / hits[-1])[last])


def operating_point(found: Curve, min_precision: float | None, min_recall: float | None) -> float:
    """The threshold with the highest recall at `min_precision`, the highest precision at `min_recall`, or the best F1.

    Of equals the highest. Raises InputError where no threshold is as precise as asked; a recall is always reached.
    """
    precision, recall = found.precision, found.recall
    if min_precision is not None:
        if precision.max() < min_precision:
            raise InputError(
                f"no threshold reaches a precision of {min_precision:g} on held-out rows (the best: "
                f"{precision.max():.3f})",
                "lower min_precision, or label more rows",
            )
        merit = np.where(precision >= min_precision, recall, -1.0)
    elif min_recall is not None:
        merit = np.where(recall >= min_recall, precision, -1.0)
    else:
        merit = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(found.thresholds[np.argmax(merit)])


def at(threshold: float, probabilities: Array, positive: Array) -> dict[str, Any]:
    """Precision, recall and F1 at a threshold with their 95% intervals, and the four counts behind them."""
    called = probabilities >= threshold
    right, wrong = int((called & positive).sum()), int((called & ~positive).sum())
    missed = int((~called & positive).sum())
    return figures(right, wrong, missed, len(positive) - right - wrong - missed)


def figures(right: int, wrong: int, missed: int, left: int) -> dict[str, Any]:
    """Precision, recall and F1 with their 95% intervals from the counts of true and false positives and negatives."""
    precision, recall = _share(right, right + wrong), _share(right, right + missed)
    star = _share(right, right + wrong + missed)
    low, high = star["interval"]
    f1 = {"share": _f1(star["share"]), "interval": (_f1(low), _f1(high))}
    counts = {"true_positive": right, "false_positive": wrong, "false_negative": missed, "true_negative": left}
    return {"precision": precision, "recall": recall, "f1": f1, "counts": counts}


def _share(right: int, count: int) -> dict[str, Any]:
    share = right / max(count, 1)
    return {"share": share, "interval": wilson(share, count)}


def _f1(star: float) -> float:
    return 2 * star / (1 + star)
