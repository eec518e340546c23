"""Stage `decontaminate`: drops documents that share a long word n-gram with a problem that the model will be graded on.

The rule. A word is a maximal run of letters, digits and `_`, its case ignored. A document is contaminated if any of its
13-grams of words (GPT-3, arXiv 2005.14165, appendix C; NeMo Curator) is an n-gram of a problem's prompt, reference
solution or tests. A text of 8 to 12 words (the range of the same sources) is matched whole, a shorter one not at all.
An n-gram only counts if it could identify a problem: at least half its words contain a letter, and at least 8 of its
words differ. That leaves out runs of numbers and tables, which any program may contain. NeMo's other guard, to forgive
n-grams that many documents share, is not taken over: a popular leak is still a leak.

Cost: about 300 MB a CPU-second, and memory for the problems' n-grams. `workers` are threads. It finds copies, also
reformatted or within longer text, but no translation, renaming or paraphrase.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import read_batches
from smallcoder.data.engine import Judged, sift

BATCH = 256
LONGEST, SHORTEST = 13, 8
DISTINCT = 8
FILTER_BITS = 22
WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
LETTER = re.compile(rb"[A-Za-z\x80-\xff]")
Array = np.ndarray[Any, Any]


class Config(StageConfig):
    """The rule is fixed, so that "decontaminated" means one thing."""

    workers: int = run_only(1, ge=1)


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents and out/dropped, reason `contaminated`; count the hits by benchmark and split."""
    index = {size: _table(found) for size, found in sorted(problem_grams(inputs["problems"]).items())}

    def judge(batch: pa.RecordBatch) -> Judged:
        owners = _owners(batch.column("text"), index)
        reasons = ["contaminated" if owner else None for owner in owners]
        return Judged(batch, reasons, Counter(owner for owner in owners if owner))

    facts, hits = sift(judge, inputs["documents"], out, "decontaminate", workers=config.workers)
    grams = sum(len(owners) for _, _, owners in index.values())
    return {**facts, "problem_grams": grams, "documents_by_benchmark": dict(sorted(hits.items()))}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """No more than the input."""
    return replace(inputs["documents"], note="at most")


def problem_grams(problems: Path) -> dict[int, dict[int, str]]:
    """Hashes of the n-grams that count, by n, each with the "benchmark/split" that it was first met in."""
    from smallcoder.data.kernels import buffers, grams

    found: dict[int, dict[int, str]] = {}
    for batch in read_batches(problems, ["benchmark", "split", "prompt", "reference", "tests"]):
        for row in batch.to_pylist():
            owner = f"{row['benchmark']}/{row['split']}"
            for text in (row["prompt"], row["reference"], *_strings(row["tests"])):
                words = WORD.findall((text or "").lower().encode())
                size = min(len(words), LONGEST)
                if size >= SHORTEST:
                    hashes, _ = grams(*buffers(pa.array([b" ".join(words).decode()])), size)
                    counts = (counting(words[at : at + size]) for at in range(len(hashes)))
                    table = found.setdefault(size, {})
                    for value, counted in zip(hashes.tolist(), counts, strict=True):
                        if counted:
                            table.setdefault(value, owner)
    return found


def counting(gram: list[bytes]) -> bool:
    """Whether an n-gram is telling enough to count."""
    return len(set(gram)) >= DISTINCT and 2 * sum(1 for word in gram if LETTER.search(word)) >= len(gram)


def _strings(tests: str | None) -> Iterator[str]:
    """The texts within a problem's tests, which are JSON in the form of their benchmark, or plain code."""
    try:
        waiting = [json.loads(tests or "null")]
    except (json.JSONDecodeError, RecursionError):
        yield tests or ""
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _table(found: dict[int, str]) -> tuple[Array, Array, list[str]]:
    """For one n: the sorted hashes, the filter of `first_match`, and the owners in the order of the hashes."""
    hashes = np.array(sorted(found), np.uint64)
    bits = np.zeros(1 << FILTER_BITS, np.bool_)
    bits[(hashes & np.uint64(len(bits) - 1)).astype(np.int64)] = True
    return hashes, bits, [found[value] for value in sorted(found)]


def _owners(column: pa.Array, index: dict[int, tuple[Array, Array, list[str]]]) -> list[str | None]:
    """For every text the owner of the first n-gram it shares with a problem, None without one."""
    from smallcoder.data.kernels import buffers, first_match, grams

    offsets, data = buffers(column)
    owners: list[str | None] = [None] * len(column)
    for size, (hashes, bits, names) in index.items():
        for row, at in enumerate(first_match(*grams(offsets, data, size), hashes, bits).tolist()):
            if at >= 0:
                owners[row] = names[at]
    return owners
