"""Stage `signals`: what can be counted of every document's quality, how it is distributed, and a score of it.

`SIGNALS` is the table: each is a quotient of counts that one compiled scan makes (`scan`), undefined (NaN) where its
divisor is 0. They are those of Mify-Coder (arXiv 2512.23747, section 3.3.2) that need no model, Ling-Coder-Lite's code
metrics (arXiv 2503.17793, section 2.2.1), and more of their kind. A document's quality starts at 100, each check of
`thresholds.toml` takes up to its points away (`buckets`), and its bucket high, medium or low follows from that.

Writes documents/ with their `quality` (`dedup` keeps the best of a cluster by it), signals/ with one row of signals a
document, repositories/ with one row a repository, and the distributions by language into the facts. `keep` drops the
documents of lower buckets. Nothing depends on the order of rows.

Cost: 100 MB a CPU-second, 50 with reading and writing. With `trees` tree-sitter measures depth and errors too, and
that takes far longer than all the rest.
Memory: a few dozen bytes a document and 300 kB a language. It runs no model: learned scores have stages of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from smallcoder.core.progress import track
from smallcoder.core.records import DOCUMENT
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import Sieve, TableWriter, read_batches
from smallcoder.data.buckets import BUCKETS, Thresholds, read_thresholds
from smallcoder.data.distributions import Distributions
from smallcoder.data.engine import BATCH, parallel_map
from smallcoder.data.lexicon import kind

Array = np.ndarray[Any, Any]
Counts = Any  # arrays by name: records COUNTS, or a mapping


def _over(part: Any, whole: Any) -> Array:
    """part / whole, NaN where the whole is 0."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _deviation(c: Counts) -> Array:
    """Standard deviation of the lengths of lines, in characters."""
    mean = _over(np.maximum(c["characters"] - c["lines"], 0), c["lines"])
    return np.sqrt(np.maximum(_over(c["line_squares"], c["lines"]) - mean**2, 0))


SIGNALS: dict[str, Callable[[Counts], Array]] = {
    "characters": lambda c: np.asarray(c["characters"], float),
    "lines": lambda c: np.asarray(c["lines"], float),
    "code_lines": lambda c: np.asarray(c["code_lines"], float),
    "words": lambda c: np.asarray(c["words"], float),
    "alphanumeric_share": lambda c: _over(c["letters"] + c["digits"], c["characters"]),
    "digit_share": lambda c: _over(c["digits"], c["characters"]),
    "blank_share": lambda c: _over(c["blanks"], c["characters"]),
    "punctuation_share": lambda c: _over(c["punctuation"], c["characters"]),
    "garbled_share": lambda c: _over(c["garbled"], c["characters"]),
    "encoded_share": lambda c: _over(c["encoded"], c["bytes"]),
    "url_share": lambda c: _over(c["url_bytes"], c["bytes"]),
    "characters_per_token": lambda c: _over(c["characters"] - c["blanks"], c["words"] + c["punctuation"]),
    "line_length_mean": lambda c: _over(np.maximum(c["characters"] - c["lines"], 0), c["lines"]),
    "line_length_max": lambda c: np.asarray(c["longest_line"], float),
    "line_length_deviation": _deviation,
    "wide_line_share": lambda c: _over(c["wide_lines"], c["lines"]),
    "blank_line_share": lambda c: _over(c["lines"] - c["code_lines"] - c["comment_lines"], c["lines"]),
    "duplicate_line_share": lambda c: _over(c["worded_lines"] - c["distinct_lines"], c["worded_lines"]),
    "duplicate_ngram_share": lambda c: _over(c["ngrams"] - c["distinct_ngrams"], c["ngrams"]),
    "distinct_word_share": lambda c: _over(c["distinct_words"], c["words"]),
    "longest_word": lambda c: np.asarray(c["longest_word"], float),
    "string_share": lambda c: _over(c["string_bytes"], c["bytes"]),
    "comment_share": lambda c: _over(c["comment_bytes"] + c["doc_bytes"], c["bytes"]),
    "doc_share": lambda c: _over(c["doc_bytes"], c["bytes"]),
    "docs_per_function": lambda c: _over(c["docs"], c["functions"]),
    "comment_line_share": lambda c: _over(c["comment_lines"], c["comment_lines"] + c["code_lines"]),
    "inline_comment_share": lambda c: _over(c["inline_comments"], c["code_lines"]),
    "identifiers": lambda c: np.asarray(c["identifiers"], float),
    "distinct_identifier_share": lambda c: _over(c["distinct_identifiers"], c["identifiers"]),
    "identifier_length": lambda c: _over(c["identifier_bytes"], c["identifiers"]),
    "short_identifier_share": lambda c: _over(c["short_identifiers"], c["identifiers"]),
    "keyword_share": lambda c: _over(c["keywords"], c["keywords"] + c["identifiers"] + c["numbers"]),
    "number_share": lambda c: _over(c["numbers"], c["keywords"] + c["identifiers"] + c["numbers"]),
    "branches_per_line": lambda c: _over(c["branches"], c["code_lines"]),
    "functions": lambda c: np.asarray(c["functions"], float),
    "lines_per_function": lambda c: _over(c["code_lines"], c["functions"]),
    "import_share": lambda c: _over(c["import_lines"], c["code_lines"]),
    "print_share": lambda c: _over(c["print_lines"], c["code_lines"]),
    "assert_share": lambda c: _over(c["assert_lines"], c["code_lines"]),
    "mark_share": lambda c: _over(c["mark_lines"], c["lines"]),
    "indent_mean": lambda c: _over(c["indent_sum"], c["code_lines"]),
    "indent_max": lambda c: np.asarray(c["indent_max"], float),
    "tab_share": lambda c: _over(c["tab_lines"], c["code_lines"]),
    "nesting": lambda c: np.asarray(c["nesting"], float),
    "unbalanced": lambda c: np.asarray(c["unbalanced"], float),
}
OF_TREES = ("tree_depth", "tree_error_share")  # NaN unless `trees`
OF_REPOSITORIES = ("stars", "forks", "repository_files")
NAMES = (*SIGNALS, *OF_TREES, *OF_REPOSITORIES)
TABLE = pa.schema(
    [("id", pa.string()), ("lang", pa.string()), ("bucket", pa.string()), ("quality", pa.float64())]
    + [(name, pa.float32()) for name in NAMES]
)
REPOSITORY = pa.schema(
    [
        ("repo", pa.string()),
        ("files", pa.int64()),
        ("bytes", pa.int64()),
        ("code_lines", pa.int64()),
        ("stars", pa.int64()),
        ("forks", pa.int64()),
        ("comment_share", pa.float64()),
        ("quality", pa.float64()),  # mean of its documents
    ]
)


class Config(StageConfig):
    """`thresholds`: a TOML file in place of the one shipped. `keep`: the lowest bucket kept. `workers` are threads."""

    thresholds: Path | None = None
    keep: Literal["high", "medium", "low"] = "low"
    trees: bool = False
    workers: int = run_only(1, ge=1)


@dataclass(frozen=True)
class Measured:
    """Of a DOCUMENT batch: signals float64 [rows, len(NAMES)], quality float64 [rows], bucket numbers, and counts."""

    signals: Array
    quality: Array
    buckets: Array
    counts: Array


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents, out/dropped, out/signals and out/repositories."""
    thresholds = read_thresholds(config.thresholds, NAMES)
    files = _files(inputs["documents"])
    distributions, repositories = Distributions(NAMES), _Repositories()
    totals = {name: {"records": 0, "bytes": 0} for name in BUCKETS}
    least = BUCKETS.index(config.keep)

    def judge(batch: pa.RecordBatch) -> Measured:
        return measure(batch, thresholds, files, config.trees)

    batches = parallel_map(judge, read_batches(inputs["documents"], batch_rows=BATCH), config.workers)
    with Sieve(out, DOCUMENT) as sieve, TableWriter(out / "signals", TABLE) as table:
        for batch, found in track(batches, "signals", unit="batches"):
            distributions.add(batch.column("lang").to_pylist(), found.signals)
            repositories.add(batch, found)
            for number, name in enumerate(BUCKETS):
                totals[name]["records"] += int((found.buckets == number).sum())
                totals[name]["bytes"] += int(found.counts["bytes"][found.buckets == number].sum())
            table.write(_rows(batch, found))
            position = batch.schema.get_field_index("quality")
            judged = batch.set_column(position, "quality", pa.array(found.quality))
            sieve.put(judged, [None if at <= least else f"{BUCKETS[at]}_quality" for at in found.buckets.tolist()])
        facts = sieve.close()
    repositories.write(out / "repositories")
    return {**facts, "buckets": totals, "thresholds": thresholds.facts(), "distributions": distributions.facts()}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """No more than the input."""
    return replace(inputs["documents"], note="at most")


def outside(config: Config) -> dict[str, str]:
    """The thresholds, where a file of the user has them."""
    return {"thresholds": read_thresholds(config.thresholds, NAMES).digest} if config.thresholds else {}


def measure(batch: pa.RecordBatch, thresholds: Thresholds, files: Mapping[str | None, int], trees: bool) -> Measured:
    """The signals of a DOCUMENT batch and their score. `files`: documents by repository."""
    from smallcoder.data.scan import scan

    languages = batch.column("lang").to_pylist()
    counts = scan(batch.column("text"), languages)
    columns = [signal(counts) for signal in SIGNALS.values()]
    columns += list(_trees(batch, languages) if trees else np.full((2, len(languages)), np.nan))
    columns += [np.array(batch.column(name).to_pylist(), float) for name in ("stars", "forks")]
    repos = batch.column("repo").to_pylist()
    columns.append(np.array([files[repo] if repo is not None else np.nan for repo in repos], float))
    values = np.stack(columns, axis=1)
    quality = thresholds.quality(values, [kind(lang) for lang in languages])
    return Measured(values, quality, thresholds.buckets(quality), counts)


def _trees(batch: pa.RecordBatch, languages: list[str | None]) -> Array:
    from smallcoder.data.syntax import tree

    found = [tree(text or "", lang) for text, lang in zip(batch.column("text").to_pylist(), languages, strict=True)]
    pairs = [(one.depth, one.errors) if one else (np.nan, np.nan) for one in found]
    return np.array(pairs, float).reshape(len(pairs), 2).T


def _files(documents: Path) -> dict[str | None, int]:
    """Documents by repository."""
    found: dict[str | None, int] = {}
    for batch in read_batches(documents, ["repo"]):
        for repo in batch.column("repo").to_pylist():
            found[repo] = found.get(repo, 0) + 1
    return found


def _rows(batch: pa.RecordBatch, found: Measured) -> pa.RecordBatch:
    names = pa.array([BUCKETS[at] for at in found.buckets.tolist()], pa.string())
    head = [batch.column("id"), batch.column("lang"), names, pa.array(found.quality)]
    columns = [pa.array(found.signals[:, at].astype(np.float32), from_pandas=True) for at in range(len(NAMES))]
    return pa.RecordBatch.from_arrays([*head, *columns], schema=TABLE)


class _Repositories:
    """Sums by repository, in whole numbers so that the order of documents does not count."""

    def __init__(self) -> None:
        self._sums: dict[str, Array] = {}  # files, bytes, code lines, comment bytes, quality in thousandths
        self._known: dict[str, tuple[int | None, int | None]] = {}

    def add(self, batch: pa.RecordBatch, found: Measured) -> None:
        counts = found.counts
        comments = counts["comment_bytes"] + counts["doc_bytes"]
        quality = np.rint(1000 * found.quality).astype(np.int64)
        values = np.stack([np.ones_like(comments), counts["bytes"], counts["code_lines"], comments, quality], axis=1)
        about = (batch.column(name).to_pylist() for name in ("repo", "stars", "forks"))
        for row, (repo, stars, forks) in enumerate(zip(*about, strict=True)):
            if repo is not None:
                self._sums[repo] = self._sums.get(repo, 0) + values[row]
                known = self._known.get(repo, (None, None))
                self._known[repo] = (_larger(known[0], stars), _larger(known[1], forks))

    def write(self, folder: Path) -> None:
        with TableWriter(folder, REPOSITORY) as writer:
            names = sorted(self._sums)
            for at in range(0, len(names), BATCH):
                writer.write_rows([self._row(name) for name in names[at : at + BATCH]])

    def _row(self, repo: str) -> dict[str, Any]:
        files, size, code_lines, comments, quality = self._sums[repo].tolist()
        stars, forks = self._known[repo]
        values = (
            repo,
            files,
            size,
            code_lines,
            stars,
            forks,
            comments / size if size else None,
            quality / 1000 / files,
        )
        return dict(zip(REPOSITORY.names, values, strict=True))


def _larger(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)
