"""Stage `toxic`: drops documents whose prose is obscene or abusive, by counting words of a table.

Prose (markdown, plain text, ...) is judged as a whole, source code by its comments and docstrings alone, so that a word
filter's own list or a test's input is no reason. A word is a run of letters, figures and `_`, so names that contain
one of the table are other words. The table (`toxic.toml`) has none with an innocent sense in code.

Word lists are blunt. C4 (arXiv 1910.10683, section 2.2) drops a page for a single word of a public list, and that list
was shown to remove texts about minorities above others (arXiv 2104.08758, section 5). So this one holds no names of
groups, and one curse in a long file is not enough: the weighted count must reach a minimum and a share of the words.
Ling-Coder-Lite (arXiv 2503.17793, section 2.1) removes "samples containing toxic content" and does not say how.

Cost: 300 MB a CPU-second; comments are cut out only where the whole text holds enough of the table. English only. It
knows no phrases, no disguised spellings and no intent: a quotation counts like an insult, politely worded hatred does
not count. A learned classifier (`quality`) sees more.
"""

import codecs
import tomllib
from collections import Counter
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from smallcoder.core.stage import Inputs, StageConfig, run_only
from smallcoder.data.comments import comments
from smallcoder.data.filters import Filter, Judged
from smallcoder.data.natural import PROSE

WEIGHTS = {"vulgar": 1, "severe": 3}
SLOTS = 1 << 16


class Config(StageConfig):
    """A document is dropped where both thresholds are reached."""

    min_count: int = Field(default=3, ge=1)  # ours: vulgar words, and severe ones three times
    min_share: float = Field(
        default=0.002, ge=0, le=1
    )  # ours: of that count in all words; one page of text has some 500
    workers: int = run_only(1, ge=1)


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped. `with_words`: documents that hold any word of the table, dropped or not."""
    return Filter(partial(judge, config), lambda facts, counts: {**facts, "with_words": counts["with_words"]})


def judge(config: Config, batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch; its rows stay as they are."""
    langs = batch.column("lang")
    counts, _ = count(batch.column("text"))
    reasons: list[str | None] = [None] * batch.num_rows
    rows = [row for row in range(batch.num_rows) if counts[row] >= config.min_count]
    if rows:
        texts = [prose(batch.column("text")[row].as_py(), langs[row].as_py()) for row in rows]
        for row, found, words in zip(rows, *count(pa.array(texts, pa.large_string())), strict=True):
            if found >= config.min_count and found >= config.min_share * words:
                reasons[row] = "toxic"
    return Judged(batch, reasons, Counter(with_words=int((counts > 0).sum())))


def prose(text: str, lang: str | None) -> str:
    """What of a document is written for people."""
    return text if lang is None or lang in PROSE else comments(text, lang) or ""


def count(column: pa.Array) -> tuple[Any, Any]:
    """The weighted number of words of the table in each row of a text column, and the number of words: int64 [rows]."""
    import numpy as np

    from smallcoder.data.kernels import buffers, grams

    hashes, bounds = grams(*buffers(column), 1)
    slots, wanted, weights = _table()
    near = np.flatnonzero(slots[hashes & np.uint64(SLOTS - 1)])
    at = np.minimum(np.searchsorted(wanted, hashes[near]), len(wanted) - 1)
    value = np.where(wanted[at] == hashes[near], weights[at], 0)
    row = np.searchsorted(bounds, near, side="right") - 1
    return np.bincount(row, value, minlength=len(column)).astype(np.int64), np.diff(bounds)


@cache
def _table() -> tuple[Any, Any, Any]:
    """Which low bits any word of the table has, the sorted hashes of the words, and their weights."""
    import numpy as np

    from smallcoder.data.kernels import buffers, grams

    lists = words()
    hashes, _ = grams(*buffers(pa.array([word for name in WEIGHTS for word in lists[name]], pa.large_string())), 1)
    weights = np.repeat([*WEIGHTS.values()], [len(lists[name]) for name in WEIGHTS])
    slots = np.zeros(SLOTS, bool)
    slots[hashes & np.uint64(SLOTS - 1)] = True
    order = np.argsort(hashes)
    return slots, hashes[order], weights[order]


def words() -> dict[str, list[str]]:
    """The table in clear: severity to words."""
    table = tomllib.loads(files("smallcoder.data").joinpath("toxic.toml").read_text(encoding="utf-8"))
    return {name: codecs.decode(table[name], "rot13").split() for name in WEIGHTS}
