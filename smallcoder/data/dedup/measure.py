"""What a run of `dedup` found, against the exact Jaccard similarities of a sample of pairs of its own corpus.

Pairs of near duplicates are rare among pairs drawn at random, and must not be drawn by the bands they are to judge. So
the sample uses one more, independent permutation: documents with the same minimum under it. A pair of similarity J is
in one bucket of that permutation with probability J (Broder 1997), so each counts 1 / J (Horvitz, Thompson 1952).
Buckets are taken in the order of a hash of the minimum, at most PER_BUCKET documents of each, until SAMPLE documents.

Recall: of the pairs at or above the threshold, the share that came into one group. Precision: of the pairs that were
joined directly, because they share a band and passed what the preset asks, the share at or above the threshold: 1 by
construction where it asks for the exact similarity. Chained: of the pairs in one group, the share below it, which
others link. The interval is Wilson's at 95%; it takes pairs as independent, which those of one group are not.
"""

from typing import Any

import numpy as np

from smallcoder.core.intervals import wilson
from smallcoder.data.dedup.near import Corpus
from smallcoder.data.dedup.state import Array

SAMPLE = 2000
PER_BUCKET = 32


def sample(corpus: Corpus) -> Array:
    """Pairs of nodes to measure on, int64 [2, pairs]; no pair is there twice."""
    rows = corpus.rows
    nodes = np.flatnonzero(corpus.state.column("shingles", np.uint32)[rows])
    values = corpus.state.column("witness", np.uint32)[rows[nodes]]
    scattered = values * np.uint32(0x9E3779B1)
    order = np.argsort(scattered, kind="stable")
    bounds = np.flatnonzero(np.diff(scattered[order])) + 1
    starts, ends = np.append(0, bounds), np.append(bounds, len(order))
    several = np.flatnonzero(ends - starts > 1)
    pairs = [np.zeros((2, 0), np.int64)]
    taken = 0
    for bucket in several:
        members = nodes[order[starts[bucket] : ends[bucket]][:PER_BUCKET]]
        taken += len(members)
        if taken > SAMPLE:
            break
        pairs.append(members[np.stack(np.triu_indices(len(members), 1))])
    return np.concatenate(pairs, axis=1)


def measure(corpus: Corpus, pairs: Array, threshold: float, roots: Array) -> dict[str, Any]:
    """`recall, precision, chained` (None where no pair tells), the recall's `interval` and the `pairs` it rests on."""
    from smallcoder.data.dedup.pairs import similarities

    exact = similarities(pairs[0], pairs[1], corpus.sets.parts)
    pairs, exact = pairs[:, exact > 0], exact[exact > 0]
    weights = 1 / exact
    true = exact >= threshold
    joined = np.zeros(len(exact), bool)
    left, right = corpus.rows[pairs]
    for band in range(corpus.plan.bands):
        keys = corpus.state.mapped(f"band{band}", np.uint64).array
        joined |= keys[left] == keys[right]
    if corpus.plan.jaccard is not None:
        joined &= exact >= corpus.plan.jaccard
    found = roots[pairs[0]] == roots[pairs[1]]
    recall = _share(weights, found, true)
    return {
        "recall": recall,
        "interval": None if recall is None else [round(end, 4) for end in wilson(recall, int(true.sum()))],
        "precision": _share(weights, true, joined),
        "chained": _share(weights, ~true, found),
        "pairs": int(true.sum()),
        "pairs_looked_at": len(exact),
    }


def _share(weights: Array, what: Array, of: Array) -> float | None:
    """Weight of what is both, as a share of the weight of the second."""
    return round(float(weights[what & of].sum() / weights[of].sum()), 4) if of.any() else None
