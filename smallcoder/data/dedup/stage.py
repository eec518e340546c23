"""Stage `dedup`: one document of every group of exact or near duplicates.

Exact: equal text once every run of white space counts as one blank. Near: word shingles, MinHash signatures, bands
(locality-sensitive hashing, Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4), and
the connected components of the pairs found. Of each group stays the best by `choice`.

Presets:
    calibrated  rows and bands that find a pair at the threshold with 99%, each pair then verified by the exact Jaccard
                similarity of its shingle sets: precision 1, recall at least 0.99
    mify        as published (arXiv 2512.23747, section 3.2): 110 permutations, 10 bands of 11 rows, and what shares a
                band is a duplicate. It finds 35% of the pairs at exactly 0.75, 84% at 0.85, 98% at 0.90
    math        the same numbers, for mathematical text: it is for such data that the paper states them

Similarity is not transitive, so a group may hold two members below the threshold that a third one links. Documents
with fewer words than a shingle, or of more than 16 MiB, only take part in exact matching. Each run measures its own
recall and precision (`measure`).

Memory: about 60 bytes a document, the rest is on disk while the stage runs (`state`): 250 bytes a document, and 8 bytes
a shingle of those that have a likely pair. So 2.5 GiB hold about 30 million documents. Cost is linear whatever the
buckets (`pairs`): 70 to 90 MB a CPU-second from reading to writing. The result depends neither on the order of the rows
nor on `workers`, which are threads, nor on whether a cluster does the work. There the workers read, hash, join the
bands, verify and write; the driver holds the 60 bytes a document, and each worker that joins a band 40.
"""

from collections import Counter
from functools import partial
from math import ceil, log, log1p
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, ValidationInfo, field_validator

from smallcoder.core.errors import EmptyError
from smallcoder.core.progress import track
from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.data.dedup import measure, near
from smallcoder.data.dedup.choice import choose
from smallcoder.data.dedup.state import Array, State
from smallcoder.data.engine import spread
from smallcoder.data.filters import Filter, Judged
from smallcoder.data.tasks import Task, tasks

RECALL = 0.99
MOST_PERMUTATIONS = 128
PUBLISHED = {"mify": (10, 11), "math": (10, 11)}  # bands and rows
REASONS = pa.array([None, "exact_duplicate", "near_duplicate"])  # by choice.KEPT, EXACT, NEAR


class Config(StageConfig):
    """`shingle` in words; `jaccard` is the similarity from which two documents are near duplicates."""

    preset: Literal["calibrated", "mify", "math"] = "calibrated"
    jaccard: float = Field(default=0.75, ge=0.5, lt=1.0)  # Mify-Coder; The Stack (arXiv 2211.15533) took 0.85
    shingle: int = Field(default=5, ge=1, le=50)  # both
    seed: int = 0
    workers: int = run_only(1, ge=1)

    @field_validator("jaccard")
    @classmethod
    def _published(cls, value: float, info: ValidationInfo) -> float:
        preset = info.data.get("preset")
        if preset in PUBLISHED and value != 0.75:
            raise ValueError(f"preset {preset} has bands for 0.75; leave jaccard out or use the calibrated preset")
        return value


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped, reasons `exact_duplicate` and `near_duplicate`. Works in out/state."""
    source = inputs["documents"]
    plan, state = _plan(config), State(out / "state")
    scan(source, plan, state, config.workers)
    nodes, count = distinct(state)
    corpus = near.Corpus(source, plan, state, count, config.workers)
    pairs = measure.sample(corpus)
    roots, compared = near.groups(corpus, np.unique(pairs))
    measured = measure.measure(corpus, pairs, config.jaccard, roots)
    state.put("choices", choose(source, nodes, roots))
    groups = int((np.bincount(roots) > 1).sum())
    told = {"bands": plan.bands, "rows": plan.rows, "near_groups": groups, **compared, "measured": measured}

    def facts(retention: Facts, counts: Counter[str]) -> Facts:
        state.remove()
        return {**retention, **told}

    return Filter(partial(judge, state), facts, processes=False, numbered=True)


def judge(state: State, row: int, batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch that begins at that row by the column `choices`."""
    choices = state.column("choices", np.uint8, row, row + batch.num_rows)
    return Judged(batch, REASONS.take(pa.array(choices)).to_pylist())


def banding(jaccard: float) -> tuple[int, int]:
    """Bands and rows that find a pair of that similarity with probability RECALL: 1 - (1 - jaccard^rows)^bands.

    The most rows, thus the fewest chance pairs to verify, that MOST_PERMUTATIONS allow.
    """
    fits = []
    for rows in range(1, MOST_PERMUTATIONS + 1):
        bands = ceil(log(1 - RECALL) / log1p(-(jaccard**rows)))
        if bands * rows <= MOST_PERMUTATIONS:
            fits.append((bands, rows))
    return max(fits, key=lambda fit: fit[1])


def permutations(count: int, seed: int) -> tuple[Array, Array]:
    """Multipliers (odd) and offsets of the hash family, uint32 [count] each."""
    generator = np.random.Generator(np.random.PCG64(seed))
    a, b = generator.integers(0, 1 << 32, (2, count), dtype=np.uint32)
    return a | np.uint32(1), b


def scan(source: Path, plan: near.Plan, state: State, workers: int) -> None:
    """One pass over the documents into the columns `keys`, `shingles`, `witness`, `sketches` and `band0`, `band1`, ...

    The witness is the minimum under one more permutation, for the sample of `measure`. Raises EmptyError.
    """
    found = tasks(source)
    if not found:
        raise EmptyError(f"{source} holds no document", "look at what the stages before dropped")
    scanned = spread(partial(columns, plan), found, workers)
    for task, parts in track(scanned, "dedup", len(found), "tasks"):
        for name, values in parts.items():
            state.put(name, values, task.row)


def columns(plan: near.Plan, task: Task) -> dict[str, Array]:
    """What `scan` writes of a task's rows."""
    from smallcoder.data.kernels import buffers, signatures, text_keys

    a, b = permutations(plan.permutations + 1, plan.seed)
    found: dict[str, list[Array]] = {}
    for _, batch in task.batches(["text"]):
        texts = buffers(batch.column("text"))
        minima, shingles = signatures(*texts, a, b, plan.shingle)
        parts = {"keys": text_keys(*texts), "shingles": shingles.astype(np.uint32), "witness": minima[:, -1]}
        minima = minima[:, :-1]
        if plan.jaccard is not None:
            parts["sketches"] = minima.astype(np.uint8)
        parts |= {f"band{band}": keys for band, keys in enumerate(near.band_keys(minima, plan.bands))}
        for name, values in parts.items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def distinct(state: State) -> tuple[Array, int]:
    """For every row its node, int32: the rank of its text's hash; and how many nodes there are.

    Writes the column `rows`: for every node the first of its rows, int64.
    """
    keys = state.column("keys", np.uint64).reshape(-1, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    keys = keys[order]
    new = np.append(True, (keys[1:] != keys[:-1]).any(axis=1))
    nodes = np.empty(len(order), np.int32)
    nodes[order] = np.cumsum(new, dtype=np.int32) - 1
    rows = order[new]
    state.put("rows", rows)
    return nodes, len(rows)


def _plan(config: Config) -> near.Plan:
    verified = config.preset not in PUBLISHED
    bands, rows = banding(config.jaccard) if verified else PUBLISHED[config.preset]
    return near.Plan(bands, rows, config.shingle, config.jaccard if verified else None, config.seed)
