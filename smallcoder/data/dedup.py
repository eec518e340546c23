"""Stage `dedup`: one document of every group of exact or near duplicates.

Exact: equal text once every run of white space counts as one blank. Near: word shingles, MinHash signatures, bands
(locality-sensitive hashing, Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4), and
the connected components of the pairs found. Of each group stays the longest text, of equally long ones the smallest id.

Presets:
    calibrated  rows and bands that find a pair at the threshold with 99%, each pair then verified by the exact Jaccard
                similarity of its shingle sets: precision 1, recall at least 0.99
    mify        as published (arXiv 2512.23747, section 3.2): 110 permutations, 10 bands of 11 rows, and what shares a
                band is a duplicate. It finds 35% of the pairs at exactly 0.75, 84% at 0.85, 98% at 0.90

Similarity is not transitive, so a group may hold two members below the threshold that a third one links. Documents
with fewer words than a shingle only take part in exact matching. Cost: signatures about 200 MB a CPU-second, memory a
few hundred bytes a document and 8 bytes a shingle of the documents that share a band. The result depends neither on the
order of the rows nor on `workers`, which are threads.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from math import ceil, log, log1p
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, ValidationInfo, field_validator

from smallcoder.core.errors import EmptyError
from smallcoder.core.progress import track
from smallcoder.core.records import DOCUMENT
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import Sieve, read_batches
from smallcoder.data.engine import parallel_map

BATCH = 256
RECALL = 0.99
MOST_PERMUTATIONS = 128
MIFY = {"bands": 10, "rows": 11}
Array = np.ndarray[Any, Any]


class Config(StageConfig):
    """`shingle` in words; `jaccard` is the similarity from which two documents are near duplicates."""

    preset: Literal["calibrated", "mify"] = "calibrated"
    jaccard: float = Field(default=0.75, ge=0.5, lt=1.0)  # Mify-Coder; The Stack (arXiv 2211.15533) took 0.85
    shingle: int = Field(default=5, ge=1, le=50)  # both
    seed: int = 0
    workers: int = run_only(1, ge=1)

    @field_validator("jaccard")
    @classmethod
    def _published(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("preset") == "mify" and value != 0.75:
            raise ValueError("preset mify has bands for 0.75; leave jaccard out or use the calibrated preset")
        return value


@dataclass(frozen=True)
class Scan:
    """What one pass over the documents finds, in the order of the table."""

    ids: Array  # bytes
    keys: Array  # bytes: hash of the text without differences in white space
    sizes: Array  # int64: bytes of the text
    shingles: Array  # int64: how many, with repetitions
    signatures: Array  # uint32 [documents, permutations]


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents and out/dropped, reasons `exact_duplicate` and `near_duplicate`."""
    source = inputs["documents"]
    bands, rows = (MIFY["bands"], MIFY["rows"]) if config.preset == "mify" else banding(config.jaccard)
    scan = _scan(source, config, bands * rows)
    preferred = np.lexsort((scan.ids, -scan.sizes))  # the first of a group in this order is the one to keep
    _, first = np.unique(scan.keys[preferred], return_index=True)
    unique = preferred[np.sort(first)]
    candidates = unique[scan.shingles[unique] > 0]
    roots, facts = _near(source, config, candidates, scan.signatures[candidates].reshape(-1, bands, rows))

    reasons = np.full(len(scan.ids), "exact_duplicate", object)
    reasons[unique] = None
    reasons[candidates[roots != np.arange(len(roots))]] = "near_duplicate"
    with Sieve(out, DOCUMENT) as sieve:
        start = 0
        for batch in read_batches(source):
            sieve.put(batch, reasons[start : start + batch.num_rows].tolist())
            start += batch.num_rows
        return {**sieve.close(), "bands": bands, "rows": rows, **facts}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """No more than the input."""
    return replace(inputs["documents"], note="at most")


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


def _scan(source: Path, config: Config, count: int) -> Scan:
    from smallcoder.data.kernels import buffers, signatures

    a, b = permutations(count, config.seed)

    def scan(batch: pa.RecordBatch) -> Scan:
        found, shingles = signatures(*buffers(batch.column("text")), a, b, config.shingle)
        texts = [text or "" for text in batch.column("text").to_pylist()]
        keys = [blake2b(" ".join(text.split()).encode(), digest_size=16).hexdigest() for text in texts]
        sizes = [len(text) if text.isascii() else len(text.encode()) for text in texts]
        ids = batch.column("id").to_pylist()
        return Scan(np.array(ids, "S"), np.array(keys, "S32"), np.array(sizes, np.int64), shingles, found)

    batches = read_batches(source, ["id", "text"], BATCH)
    parts = [part for _, part in track(parallel_map(scan, batches, config.workers), "dedup", unit="batches")]
    if not parts:
        raise EmptyError(f"{source} holds no document", "look at what the stages before dropped")
    return Scan(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Scan)))


def _near(source: Path, config: Config, candidates: Array, bands: Array) -> tuple[Array, Facts]:
    """The root of every candidate's group, as positions in `candidates`. bands: uint32 [candidates, bands, rows]."""
    from smallcoder.data.kernels import connect, find_root

    keys = _band_keys(bands)
    orders = [np.argsort(column, kind="stable") for column in keys.T]
    shared = np.zeros(len(candidates), bool)
    for order, column in zip(orders, keys.T, strict=True):
        same = column[order][1:] == column[order][:-1]
        shared[order[1:][same]] = shared[order[:-1][same]] = True
    threshold = 0.0 if config.preset == "mify" else config.jaccard
    sets = _shingle_sets(source, config, candidates, shared if threshold else np.zeros_like(shared))
    parent = np.arange(len(candidates))
    seen = compared = 0
    for order, column in zip(orders, keys.T, strict=True):
        pairs = connect(parent, (order, column[order]), sets, threshold)
        seen, compared = seen + pairs[0], compared + pairs[1]
    roots = np.array([find_root(parent, node) for node in range(len(parent))], np.int64)
    groups = len(np.unique(roots[roots != np.arange(len(roots))]))
    return roots, {"near_groups": groups, "pairs_in_a_band": seen, "pairs_compared": compared}


def _band_keys(bands: Array) -> Array:
    """One uint64 for each band of each document."""
    keys = np.zeros(bands.shape[:2], np.uint64)
    for row in range(bands.shape[2]):
        keys = (keys ^ bands[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys


def _shingle_sets(source: Path, config: Config, candidates: Array, wanted: Array) -> tuple[Array, Array, Array]:
    """Shingle sets of the wanted candidates: values, and where each candidate's set starts and ends in them."""
    from smallcoder.data.kernels import buffers, shingle_sets

    position = np.full(candidates.max(initial=-1) + 1, -1)
    position[candidates[wanted]] = np.flatnonzero(wanted)
    starts, ends = np.zeros((2, len(candidates)), np.int64)
    values: list[Array] = [np.zeros(0, np.uint64)]
    if not wanted.any():
        return values[0], starts, ends

    def batches() -> Iterator[tuple[Array, pa.RecordBatch]]:
        row = 0
        for batch in read_batches(source, ["text"], BATCH):
            rows = position[row : row + batch.num_rows]
            row += batch.num_rows
            yield rows[rows >= 0], batch.filter(pa.array(np.append(rows, [-1] * (batch.num_rows - len(rows))) >= 0))

    def sets(item: tuple[Array, pa.RecordBatch]) -> tuple[Array, Array]:
        return shingle_sets(*buffers(item[1].column("text")), config.shingle)

    used = 0
    for (members, _), (found, bounds) in parallel_map(sets, batches(), config.workers):
        starts[members], ends[members] = bounds[:-1] + used, bounds[1:] + used
        values.append(found)
        used += len(found)
    return np.concatenate(values), starts, ends
