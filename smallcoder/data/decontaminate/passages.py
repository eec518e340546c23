"""Which passages of a problem a document must not hold, and when it holds one.

    words     13-grams of words (GPT-3, arXiv 2005.14165, appendix C) of the prompt, of the prose within prompt or
              reference (docstrings and comments), or of the tests: one, or a tenth of those of a longer passage. They
              count if they read as prose: 8 different words, two of which hold sentences together, and none that makes
              licence notices. Import lines, tables and loops do not read so.
    whole     all words of such a passage, or of the reference without its comments, one after the other, punctuation
              aside; for passages of 5 (prose: 7) to 100 words. Code of less than 13 must name the problem's function.
    code      n-grams of 12 code tokens, blind to names, of the reference and of the tests: 60% of them and at least 32
              (43 tokens in a row), or all of a shorter passage; of one with less than 40 tokens only where it makes up
              a quarter of the document. Those of signs and numbers alone do not count. What everybody writes (`for i
              in range(len(x))`) is part of many passages, but not of itself enough of any.

The numbers are ours, from the measurements in docs/performance.md (perf/decontaminate.py repeats them). None depends on
other documents, so a verdict does not change with the corpus, and a popular leak is still a leak. A 13-gram that more
than 200 passages share is a benchmark's frame ("write self-contained code starting with") and tells nothing.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from smallcoder.core.tables import read_batches
from smallcoder.data.language import named

Array = np.ndarray[Any, Any]

WORDS, WHOLE, CODE = "words", "whole", "code"
PROSE_SIZE, PROSE_SHARE, FRAME = 13, 0.1, 200
WHOLE_SIZE, WHOLE_PROSE, WHOLE_LONGEST, WHOLE_DIFFERENT = 5, 7, 100, 8
CODE_SIZE, CODE_SHARE, CODE_LEAST = 12, 0.6, 32
GAP = 32  # words or tokens between two n-grams that are of one copy
NAMED = 3  # characters of a function's name that tells something
ALONE, ALONE_SHARE = 40, 0.25  # tokens; share of the document
SHORTEST = 16  # tokens: `def f(x): return g(x)` and the like are nobody's
TELLING = (str, dict, list)  # kinds of JSON that are texts or may hold some
LONGEST = 1 << 16  # characters of a passage that are looked at: tests can be megabytes of numbers


@dataclass(frozen=True)
class Problem:
    """What decontamination reads of a PROBLEM row."""

    benchmark: str
    split: str
    id: str
    prompt: str
    entry_point: str
    reference: str
    tests: str
    lang: str = "python"


@dataclass(frozen=True)
class View:
    """One way to compare: its index (`kernels.Index`), and by passage the problems, n-grams and longest document."""

    how: str
    index: Any
    owners: list[list[int]]
    totals: Array  # int64: different n-grams of the passage
    tokens: Array  # int64: the most tokens that a document may have


@dataclass
class Texts:
    """Passages before they are indexed, each once, and the problems that they are of.

    `rows`: (text, whether it has `//` comments, words or tokens that it must have) -> its number. `pairs`: number and
    problem in turn. Few objects on purpose: the collector of Python looks at them again and again.
    """

    rows: dict[tuple[str, bool, int], int] = field(default_factory=dict)
    pairs: list[int] = field(default_factory=list)

    def add(self, owner: int, text: str, slashed: bool = False, least: int = 0) -> None:
        """Add a passage of a problem. Nothing is lost with an empty one."""
        if text:
            self.pairs += self.rows.setdefault((text, slashed, least), len(self.rows)), owner

    def owners(self, numbers: Array, count: int) -> list[list[int]]:
        """The problems of each of `count` groups of passages, sorted. numbers: the group of each, -1 for none."""
        rows, problems = np.array(self.pairs, np.int64).reshape(-1, 2).T
        many = problems.max(initial=0) + 1
        groups, met = np.divmod(np.unique((numbers[rows] * many + problems)[numbers[rows] >= 0]), many)
        ends = np.searchsorted(groups, np.arange(count + 1)).tolist()
        return [met[start:end].tolist() for start, end in pairwise(ends)]


def read(folder: Path) -> list[Problem]:
    """The problems of a PROBLEM table. Raises InputError on a table of another kind."""
    columns = ["benchmark", "split", "id", "prompt", "entry_point", "reference", "tests", "meta"]
    rows = [row for batch in read_batches(folder, columns) for row in batch.to_pylist()]
    return [
        Problem(
            *(row[name] or "" for name in columns[:-1]),
            lang=named(str(meta.get("lang", "python"))) if isinstance(meta := _loaded(row["meta"]), dict) else "python",
        )
        for row in rows
    ]


def views(problems: list[Problem]) -> list[View]:
    """The passages of all problems, ready to be searched for: WORDS, WHOLE and CODE.

    About 0.15 s per thousand problems with tests; memory is some 50 bytes for each n-gram.
    """
    from smallcoder.data.decontaminate.telling import ANY, PROSE
    from smallcoder.data.decontaminate.telling import CODE as CODE_RULE

    prose, whole, code = _texts(problems)
    return [
        _view(WORDS, prose, PROSE_SIZE, PROSE),
        _view(WHOLE, whole, WHOLE_SIZE, ANY),
        _view(CODE, code, CODE_SIZE, CODE_RULE),
    ]


def _texts(problems: list[Problem]) -> tuple[Texts, Texts, Texts]:
    from smallcoder.data.decontaminate.lexer import SLASHED

    prose, whole, code = Texts(), Texts(), Texts()
    # Versions of one benchmark repeat each other's texts.
    within = lru_cache(1 << 16)(lambda tests: "\n".join(strings(tests))[:LONGEST])
    sources = dict.fromkeys(
        (text[:LONGEST], problem.lang in SLASHED)
        for problem in problems
        for text in (problem.prompt, problem.reference)
    )
    parts = dict(zip(sources, parted([*sources]), strict=True))
    for owner, problem in enumerate(problems):
        slashed = problem.lang in SLASHED
        tests = within(problem.tests)
        prompt, reference = problem.prompt[:LONGEST], problem.reference[:LONGEST]
        said, _ = parts[prompt, slashed]
        noted, bare = parts[reference, slashed]
        for text in (prompt, said, noted, reference, tests):
            prose.add(owner, text)
        for text in (prompt, said, noted):
            if text != reference:  # the prompt may be the code
                whole.add(owner, text, least=WHOLE_PROSE)
        telling = len(problem.entry_point) >= NAMED and problem.entry_point in bare
        for text in (bare, reference):
            whole.add(owner, text, least=WHOLE_SIZE if telling else PROSE_SIZE)
        code.add(owner, bare, slashed, SHORTEST)
        code.add(owner, tests, slashed, 2 * ALONE)
    return prose, whole, code


def parted(texts: Sequence[tuple[str, bool]]) -> list[tuple[str, str]]:
    """The comments and triple-quoted strings of each text, and the rest of it. With a text: has it `//` comments?"""
    from smallcoder.data.decontaminate.lexer import divided

    data = [text.encode("utf-8", "replace") for text, _ in texts]
    offsets = np.cumsum([0, *map(len, data)])
    slashed = np.array([slashed for _, slashed in texts], np.bool_)
    said, ends, rest = divided(offsets, np.frombuffer(b"".join(data) or b"\0", np.uint8), slashed)
    comments, code = said.tobytes(), rest.tobytes()
    spoken = (comments[start:end].decode("utf-8", "replace") for start, end in pairwise([0, *ends.tolist()]))
    return list(zip(spoken, (code[a:b].decode("utf-8", "replace") for a, b in pairwise(offsets.tolist())), strict=True))


def _view(how: str, texts: Texts, size: int, rule: int) -> View:
    from smallcoder.data.decontaminate.kernels import Index, distinct, grams, hash_words, lookup
    from smallcoder.data.decontaminate.telling import LEGAL, STOPS
    from smallcoder.data.kernels import buffers

    code = how == CODE
    columns = (
        *buffers(pa.array([text for text, _, _ in texts.rows], pa.large_string())),
        np.array([slashed for _, slashed, _ in texts.rows], np.bool_),
    )
    stops, legal = (hash_words(*buffers(pa.array(words, pa.large_string()))) for words in (STOPS, LEGAL))
    hashes, bounds, tokens = grams(columns, size, code, rule, (stops, legal))
    sets, ends = distinct(hashes, bounds)
    known: dict[bytes, int] = {}
    groups = [-1] * len(texts.rows)  # of passages that are the same by their n-grams
    found: list[Array] = []
    lengths: list[int] = []
    rows = zip(texts.rows, tokens.tolist(), pairwise(ends.tolist()), strict=True)
    for row, ((_, _, least), length, (start, end)) in enumerate(rows):
        each = sets[start:end]
        if len(each) == 0 or length < least or (how == WHOLE and not _may_be_whole(each, length)):
            continue
        groups[row] = known.setdefault(each.tobytes(), len(known))
        if groups[row] == len(found):
            found.append(each)
            lengths.append(length)
    all_hashes = np.concatenate([*found, np.zeros(0, np.uint64)])
    numbers = np.repeat(np.arange(len(found), dtype=np.int32), [len(each) for each in found])
    order = np.argsort(all_hashes, kind="stable")
    bounds = _bounds(all_hashes[order])
    if how == WORDS:
        shared = np.diff(bounds)
        order = order[np.repeat(shared <= FRAME, shared)]
        bounds = _bounds(all_hashes[order])
    names = all_hashes[order[bounds[:-1]]]
    totals = np.bincount(numbers, minlength=len(found))
    need, most = _terms(how, totals, np.array(lengths, np.int64))
    gap = 1 if how == WHOLE else GAP
    index = Index(size, code, gap, *lookup(names), names, bounds, numbers[order], need)
    return View(how, index, texts.owners(np.array(groups, np.int64), len(found)), totals, most)


def _bounds(ordered: Array) -> Array:
    """Where each run of equal values begins, and the end of the last, int64."""
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    return np.concatenate([np.zeros(min(len(ordered), 1), np.int64), changes, [len(ordered)]]).astype(np.int64)


def _may_be_whole(different: Array, words: int) -> bool:
    """Whether a passage is short enough to be asked for whole, and no run of the same few words."""
    return words <= WHOLE_LONGEST and len(different) >= min(words - WHOLE_SIZE + 1, WHOLE_DIFFERENT)


def _terms(how: str, totals: Array, tokens: Array) -> tuple[Array, Array]:
    """By passage: n-grams that must meet, and the most tokens that a document may have."""
    most = np.full(len(totals), np.iinfo(np.int64).max)
    if how == CODE:
        need = np.maximum(np.ceil(CODE_SHARE * totals), np.minimum(totals, CODE_LEAST))
        most = np.where(tokens < ALONE, (tokens / ALONE_SHARE).astype(np.int64), most)
    else:
        need = totals if how == WHOLE else np.ceil(PROSE_SHARE * totals)
    return need.astype(np.int32), most


def strings(tests: str) -> Iterator[str]:
    """The texts within a problem's tests, which are JSON in the form of their benchmark, or plain code."""
    value = _loaded(tests)
    if not isinstance(value, str | dict | list):
        yield tests
        return
    waiting: list[Any] = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        else:
            inner = value.values() if isinstance(value, dict) else value
            waiting += [each for each in reversed(inner) if isinstance(each, TELLING)]


def _loaded(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
