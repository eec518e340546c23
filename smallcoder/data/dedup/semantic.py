"""Stage `semantic_dedup`: of documents that a model embeds next to each other, the best one.

SemDeDup (Abbas et al., arXiv 2303.09540): one vector a document, k-means cells, and inside each cell a document goes if
its cosine similarity with a preferred one reaches the threshold. The paper prefers what lies farther from the centre of
its cell; here the order is that of `choice`, so the kept one is the best known. As in the paper a document can go
because of one that goes too. The vector is the mean of the last hidden states of its first `max_tokens` tokens, of any
model that transformers' AutoModel reads; a model trained for similarity separates far better than a language model.

Cells of about 1,000 documents up to a million of them, of the root of their number beyond: cost grows with the power
1.5 from there, and below it is the model's. Pairs across cells are missed. Memory: the model, 1 GiB of vectors to
train the cells on, the largest cell, and 90 bytes a document; tokens and vectors are on disk (`state`). Documents are
embedded in batches of like length in an order of their own, so the result does not depend on that of the rows; another
device or another version of torch can move a similarity across the threshold by rounding. On a cluster only the tables
are written there: the driver embeds and compares.
"""

from collections import Counter
from functools import partial
from itertools import pairwise
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from smallcoder.core.errors import EmptyError
from smallcoder.core.progress import track
from smallcoder.core.stage import Facts, Inputs, StageConfig
from smallcoder.core.tables import read_batches
from smallcoder.data.dedup.choice import preferred
from smallcoder.data.dedup.state import Array, Mapped, State
from smallcoder.data.embedding import load_embedder, token_ids, unit_vectors
from smallcoder.data.filters import BATCH, Filter, Judged

EMBEDDED = 32  # documents the model sees at a time
CELL = 1000  # documents
TRAINING_BYTES = 1 << 30
BLOCK = 2048  # rows and columns of similarities at a time


class Config(StageConfig):
    """`cosine` is the similarity from which two documents are duplicates."""

    cosine: float = Field(default=0.99, ge=0.0, le=1.0)  # ours
    cells: int | None = Field(default=None, ge=1)  # chosen from the number of documents
    max_tokens: int = Field(default=512, ge=1)
    seed: int = Field(default=0, ge=0)


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped, reason `semantic_duplicate`. Works in out/state."""
    source, state = inputs["documents"], State(out / "state")
    tokenizer, model = load_embedder(inputs["model"])
    lengths = _tokenize(source, tokenizer, config.max_tokens, state)
    ranks = np.empty(len(lengths), np.int64)
    ranks[preferred(source, np.arange(len(lengths)))] = np.arange(len(lengths))
    order = np.lexsort((ranks, lengths))
    dimension = _embed(model, order, lengths, state)
    vectors = state.mapped("vectors", np.float32)
    cells = _cells(config, vectors, ranks[order], dimension)
    dropped = np.zeros(len(lengths), bool)
    dropped[order] = _duplicates(vectors, cells, ranks[order], dimension, config.cosine)
    state.put("dropped", dropped)
    sizes = np.bincount(cells)
    told = {"cells": len(sizes), "largest_cell": int(sizes.max()), "dimension": dimension}

    def facts(retention: Facts, counts: Counter[str]) -> Facts:
        state.remove()
        return {**retention, **told}

    return Filter(partial(judge, state), facts, processes=False, numbered=True)


def judge(state: State, row: int, batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch that begins at that row by the column `dropped`."""
    dropped = state.column("dropped", np.bool_, row, row + batch.num_rows)
    return Judged(batch, ["semantic_duplicate" if mark else None for mark in dropped])


def _tokenize(source: Path, tokenizer: Any, most: int, state: State) -> Array:
    """Token ids of all documents into the column `tokens`; returns how many each has, int64, at least one."""
    lengths = []
    for batch in track(read_batches(source, ["text"], BATCH), "tokens", unit="batches"):
        found = token_ids(tokenizer, batch.column("text").to_pylist(), most)
        state.append("tokens", np.concatenate(found, dtype=np.int32))
        lengths += map(len, found)
    if not lengths:
        raise EmptyError(f"{source} holds no document", "look at what the stages before dropped")
    return np.array(lengths)


def _embed(model: Any, order: Array, lengths: Array, state: State) -> int:
    """A unit vector of every document, in that order, into the column `vectors`; returns their dimension."""
    tokens = state.mapped("tokens", np.int32)
    starts = np.cumsum(lengths) - lengths
    dimension = 0
    for at in track(range(0, len(order), EMBEDDED), "embed", unit="batches"):
        rows = order[at : at + EMBEDDED]
        vectors = unit_vectors(model, [tokens.array[starts[row] : starts[row] + lengths[row]].copy() for row in rows])
        state.append("vectors", vectors)
        dimension = vectors.shape[1]
        tokens.release()
    return dimension


def _cells(config: Config, vectors: Mapped, ranks: Array, dimension: int) -> Array:
    """The k-means cell of every vector. The sample to train on and its order come from the ranks, not the rows."""
    import faiss

    table = vectors.array.reshape(-1, dimension)
    count = config.cells or max(1, min(len(table) // CELL, isqrt(len(table))))
    count = min(count, len(table))
    most = min(len(table), max(count, TRAINING_BYTES // (4 * dimension)), 256 * count)
    by_rank = np.argsort(ranks)
    chosen = by_rank[np.random.Generator(np.random.PCG64(config.seed)).permutation(len(table))[:most]]
    kmeans = faiss.Kmeans(dimension, count, niter=20, seed=config.seed, spherical=True, min_points_per_centroid=1)
    kmeans.train(np.ascontiguousarray(table[chosen]))
    cells = np.empty(len(table), np.int64)
    for at in range(0, len(table), 1 << 16):
        part = slice(at, at + (1 << 16))
        cells[part] = kmeans.assign(np.ascontiguousarray(table[part]))[1]
        vectors.release()
    return cells


def _duplicates(vectors: Mapped, cells: Array, ranks: Array, dimension: int, cosine: float) -> Array:
    """Whether a vector of better rank in its cell is that similar, bool."""
    table = vectors.array.reshape(-1, dimension)
    order = np.lexsort((ranks, cells))
    bounds = np.append(np.flatnonzero(np.diff(cells[order], prepend=-1)), len(order))
    out = np.zeros(len(order), bool)
    for start, stop in pairwise(bounds):
        members = order[start:stop]
        own = table[members]
        for at in range(0, len(own), BLOCK):
            block = own[at : at + BLOCK]
            for before in range(0, at + 1, BLOCK):
                similar = block @ own[before : before + BLOCK].T >= cosine
                out[members[at : at + BLOCK]] |= (np.tril(similar, -1) if before == at else similar).any(axis=1)
        vectors.release()
    return out
