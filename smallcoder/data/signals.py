"""Signals: what can be counted of every document's quality.

`SIGNALS` is the table: each is a quotient of counts that one compiled scan makes (`scan`), undefined (NaN) where its
divisor is 0. They are those of Mify-Coder (arXiv 2512.23747, section 3.3.2) that need no model, Ling-Coder-Lite's code
metrics (arXiv 2503.17793, section 2.2.1), and more of their kind. What is good about them is said in `buckets`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

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


def measure(batch: pa.RecordBatch, counts: Array, files: Mapping[str | None, int], trees: bool) -> Array:
    """The signals of a DOCUMENT batch with these counts, float64 [rows, len(NAMES)].

    `files`: documents by repository. With `trees` every text is parsed.
    """
    columns = [signal(counts) for signal in SIGNALS.values()]
    columns += list(_trees(batch) if trees else np.full((2, batch.num_rows), np.nan))
    columns += [np.array(batch.column(name).to_pylist(), float) for name in ("stars", "forks")]
    repos = batch.column("repo").to_pylist()
    columns.append(np.array([files[repo] if repo is not None else np.nan for repo in repos], float))
    return np.stack(columns, axis=1)


def _trees(batch: pa.RecordBatch) -> Array:
    from smallcoder.data.syntax import tree

    texts, languages = (batch.column(name).to_pylist() for name in ("text", "lang"))
    found = [tree(text or "", lang) for text, lang in zip(texts, languages, strict=True)]
    pairs = [(one.depth, one.errors) if one else (np.nan, np.nan) for one in found]
    return np.array(pairs, float).reshape(len(pairs), 2).T
