"""Simple rules that tell a document from what is worth learning, one reason word a rule.

`RULES` is the table: they are tried in its order, and the first that a document fails gives the reason. Thresholds and
their sources stand in `Limits`. Code, data and prose have rules of their own, as Ling-Coder-Lite (arXiv 2503.17793,
section 2.1) has them: no limit on line lengths for text about code, but on images, links and placeholders.

A rule is a comparison of whole columns of counts (`scan`); where a pattern has the last word, it is searched only in
documents that the counts leave open. Beside the scan they cost next to nothing, but for the syntax rule, which comes
last: Python's parser does 12 MB a CPU-second.

Not here: licences, statistical and learned quality, personal data, natural language, and running the code: an
execution check needs a sandbox, which this part must not import.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.stage import StageConfig
from smallcoder.data.clean import GENERATED
from smallcoder.data.lexicon import DOUBLE, QUOTES, features, kind
from smallcoder.data.read.files import VENDORED
from smallcoder.data.syntax import errors, parses

Array = np.ndarray[Any, Any]

# StarCoder2 and Linguist look for the marks of generated files in the first lines, Linguist in names as well.
HEAD = r"\A(?:[^\n]*\n){0,4}[^\n]*(?:" + GENERATED.pattern + ")"
GENERATED_PATHS = (
    r"(?i)(?:_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h)|\.(?:min|bundle|chunk)\.(?:js|css|mjs)|\.designer\.(?:cs|vb)|\.g\.dart"
    r"|\.g\.cs|\.freezed\.dart|[-.]min\.(?:js|css)|(?:^|/)(?:package-lock\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock"
    r"|cargo\.lock|composer\.lock|go\.sum|moc_[^/]*\.cpp|ui_[^/]*\.h|parsetab\.py|_version\.py))$"
)
VENDORED_PATHS = "(?:^|/)(?:" + "|".join(sorted(map(re.escape, VENDORED))) + ")/"
# StarCoder2's patterns of data in hexadecimal and Unicode escapes; base64 is counted by the kernel.
ESCAPES = re.compile(r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}|(?:\\u[0-9a-fA-F]{4}){8,}")
XML_HEADER = r"(?s)\A.{0,86}<\?xml version="  # DeepSeek-Coder, StarCoder: a file with the wrong ending
ADDRESSES = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-fA-F]{1,4}:){3,7}:?[0-9a-fA-F]{1,4}\b")
FIGURES = (
    r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?|\b\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\b"
    r"|(?<![\w.])\+?\(?\d{2,4}\)?(?:[ -]\d{2,4}){2,4}\b"
)
DATES = re.compile(FIGURES)  # and telephone numbers
CONTACTS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,3}|" + FIGURES)
MARKUP = re.compile(r"<(script|style)\b.*?(?:</\1|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>?", re.IGNORECASE | re.DOTALL)
IMAGES = re.compile(
    r"!\[[^\]\n]{0,300}\](?:\([^)\n]{0,2000}\)|\[[^\]\n]{0,80}\])|<img\b[^<>]{0,2000}>|^\.\. (?:image|figure)::.*$"
    r"|data:image/[\w.+-]+;base64,[\w+/=]*",
    re.IGNORECASE | re.MULTILINE,
)
LINKS = re.compile(
    r"\]\([^)\s]{0,2000}\)|<a\b[^<>]{0,2000}>|https?://[^\s\"'<>`)\]]+|^\[[^\]\n]{1,80}\]:.*$", re.MULTILINE
)
PLACEHOLDERS = re.compile(
    r"\{\{[^{}\n]{1,80}\}\}|\[(?:insert|your|placeholder|todo|tbd)\b[^\[\]\n]{0,60}\]"
    r"|<(?:insert|your|placeholder)\b[^<>\n]{0,60}>|\b(?:todo|tbd|coming soon|under construction)\b",
    re.IGNORECASE,
)
LOREM = re.compile("lorem ipsum", re.IGNORECASE)  # C4 (arXiv 1910.10683)


class Limits(StageConfig):
    """Thresholds: a document at a threshold stays. Lengths in characters, shares between 0 and 1."""

    generated: bool = False  # keep files that say a program wrote them, or whose name does
    vendored: bool = False  # keep other people's work inside a repository, by its folder
    # code
    min_lines: int = 10  # NeMo Curator, NumberOfLinesOfCodeFilter
    max_lines: int = 20_000  # the same; StarCoder2 has 100,000
    max_line: int = 1000  # StarCoder (arXiv 2305.06161), DeepSeek-Coder (2401.14196), after Codex (2107.03374)
    mean_line: float = 100.0  # the same
    minified_line: float = 110.0  # mean length, GitHub Linguist; JavaScript and CSS
    min_blanks: float = 0.03  # ours: less white space than any person leaves
    min_comments: float = 0.0  # NeMo Curator, SantaCoder (2301.03988): 0.01, which drops plain modules
    max_comments: float = 0.85  # NeMo Curator, PythonCommentToCodeFilter; documentation counts
    max_numbers: float = 0.6  # ours: share of the words in code; above are tables (docs/log.md)
    # data
    min_data: int = 50  # characters of JSON and YAML: DeepSeek-Coder
    max_data: int = 5000
    max_data_lines: int = 512  # StarCoder2, any data
    # prose
    min_words: int = 50  # Gopher (arXiv 2112.11446, table A1)
    max_words: int = 100_000
    min_visible: float = 0.2  # of HTML: StarCoder, DeepSeek-Coder
    min_visible_text: int = 100
    max_images: float = 0.2  # Ling-Coder-Lite names these three and gives no figure: ours, shares of the text
    max_links: float = 0.5
    max_placeholders: float = 0.02
    # all
    min_letters: float = 0.25  # StarCoder2 (arXiv 2402.19173), DeepSeek-Coder
    max_encoded: float = 0.5  # StarCoder2: share of the text in runs of encoded data
    max_encoded_run: int = 1024  # StarCoder2: the longest single run
    max_garbled: float = 0.01  # ours; Ling-Coder-Lite gives no figure
    max_repeated_lines: float = 0.7  # Ling-Coder-Lite
    max_repeated_words: float = 0.7  # Ling-Coder-Lite, read as five words in a row: any long program repeats its names
    max_addresses: float = 0.6  # Ling-Coder-Lite: URLs and IP addresses
    max_contacts: float = 0.5  # Ling-Coder-Lite: e-mail addresses, telephone numbers, dates
    syntax: Literal["off", "python", "all"] = "python"  # Mify-Coder (arXiv 2512.23747, section 3.3.4); all: tree-sitter
    max_errors: float = 0.05  # ours: share of the text that tree-sitter cannot place


@dataclass(frozen=True)
class Batch:
    """What the rules look at: columns of a DOCUMENT batch, and the counts of its texts, which `[name]` gives."""

    texts: pa.Array
    paths: pa.Array
    languages: list[str | None]
    counts: Array

    def __getitem__(self, name: str) -> Array:
        return self.counts[name]

    def among(self, *languages: str) -> Array:
        """Which documents are in one of these languages, bool [rows]."""
        return np.array([lang in languages for lang in self.languages], bool)


@dataclass(frozen=True)
class Rule:
    """One row of the table: `suspects` says by whole columns which documents fail, bool [rows].

    Where it can only say which may, `fails(text, language, counts, limits)` decides for each of those.
    """

    kinds: frozenset[str]
    suspects: Callable[[Batch, Limits], Array]
    fails: Callable[[str, str | None, Any, Limits], bool] | None = None


def reasons(batch: pa.RecordBatch, counts: Array, limits: Limits) -> list[str | None]:
    """Why to drop each row of a DOCUMENT batch, None to keep it; `counts` are those of its texts (`scan`)."""
    languages = batch.column("lang").to_pylist()
    texts = batch.column("text")
    docs = Batch(texts, batch.column("path"), languages, counts)
    kinds = [kind(lang) for lang in languages]
    of_kind = {one: np.array([other == one for other in kinds], bool) for one in ("code", "data", "prose")}
    found: list[str | None] = [None] * len(languages)
    left = np.ones(len(languages), bool)
    for reason, rule in RULES.items():
        suspects = left & rule.suspects(docs, limits)
        suspects &= np.logical_or.reduce([of_kind[one] for one in rule.kinds])
        for row in np.flatnonzero(suspects).tolist():
            text = texts[row].as_py() or "" if rule.fails else ""
            if rule.fails is None or rule.fails(text, languages[row], counts[row], limits):
                found[row] = reason
                left[row] = False
    return found


def _matches(column: pa.Array, pattern: str, ignore_case: bool = False) -> Array:
    options = pc.MatchSubstringOptions(pattern, ignore_case=ignore_case)
    found = pc.call_function("match_substring_regex", [column], options)
    return found.fill_null(False).to_numpy(zero_copy_only=False)


def _generated(docs: Batch, limits: Limits) -> Array:
    if limits.generated:
        return np.zeros(len(docs.languages), bool)
    found = _matches(docs.paths, GENERATED_PATHS)
    rows = np.flatnonzero(docs["generated"])  # nearly none is: the pattern takes longer than all other rules
    found[rows] |= _matches(docs.texts.take(pa.array(rows)), HEAD, ignore_case=True)
    return found


def _minified(docs: Batch, limits: Limits) -> Array:
    packed = docs["characters"] > (limits.minified_line + 1) * docs["lines"]
    dense = docs["blanks"] < limits.min_blanks * docs["characters"]
    return (packed & docs.among("javascript", "typescript", "css")) | (dense & (docs["characters"] >= 1000))


def _comments(docs: Batch) -> Array:
    return docs["comment_bytes"] + docs["doc_bytes"]


def _words_in_code(docs: Batch) -> Array:
    """Numbers, keywords and names; the words of strings and comments are not among them."""
    return docs["numbers"] + docs["keywords"] + docs["identifiers"]


def _commented(docs: Batch) -> Array:
    """Which documents are in a language whose comments are known."""
    return np.array([features(lang) & ~(QUOTES | DOUBLE) != 0 for lang in docs.languages], bool)


def _hidden(text: str, lang: str | None, counts: Any, limits: Limits) -> bool:
    visible = len(" ".join(MARKUP.sub(" ", text).split()))
    return visible < limits.min_visible_text or visible < limits.min_visible * len(text)


def _suspected_encoded(docs: Batch, limits: Limits) -> Array:
    most = limits.max_encoded * docs["bytes"]
    found = (docs["encoded_run"] > limits.max_encoded_run) | (docs["encoded"] > most)
    return found | (docs["hexlike_run"] > limits.max_encoded_run) | (docs["hexlike"] > most)


def _encoded(text: str, lang: str | None, counts: Any, limits: Limits) -> bool:
    most = limits.max_encoded * counts["bytes"]
    if counts["encoded_run"] > limits.max_encoded_run or counts["encoded"] > most:
        return True
    runs = [len(match[0]) for match in ESCAPES.finditer(text)]
    return max(runs, default=0) > limits.max_encoded_run or sum(runs) > most


# The next two first bound what their pattern could match: an address of 39 characters has three colons or is four
# sevenths digits, an e-mail address has one @ in 320 characters, dates and telephone numbers are a third digits.


def _suspected_addresses(docs: Batch, limits: Limits) -> Array:
    most = limits.max_addresses * docs["characters"]
    return docs["url_bytes"] + 2 * docs["digits"] + 13 * docs["colons"] > most


def _mostly_addresses(text: str, lang: str | None, counts: Any, limits: Limits) -> bool:
    return counts["url_bytes"] + _matched(ADDRESSES, text) > limits.max_addresses * len(text)


def _suspected_contacts(docs: Batch, limits: Limits) -> Array:
    return 320 * docs["mails"] + 3 * docs["digits"] > limits.max_contacts * docs["characters"]


def _mostly_contacts(text: str, lang: str | None, counts: Any, limits: Limits) -> bool:
    pattern = CONTACTS if counts["mails"] else DATES  # five times as fast as with addresses that are not there
    return _matched(pattern, text) > limits.max_contacts * len(text)


def _matched(pattern: re.Pattern[str], text: str) -> int:
    return sum(len(match[0]) for match in pattern.finditer(text))


def _placeholders(text: str, lang: str | None, counts: Any, limits: Limits) -> bool:
    return LOREM.search(text) is not None or _matched(PLACEHOLDERS, text) > limits.max_placeholders * len(text)


def _syntax_error(text: str, lang: str | None, counts: Any, limits: Limits) -> bool:
    if lang == "python":
        return not parses(text)
    share = errors(text, lang)
    return share is not None and share > limits.max_errors


def _parsed(docs: Batch, limits: Limits) -> Array:
    every = {"off": False, "python": False, "all": True}[limits.syntax]
    return np.array([every or (limits.syntax == "python" and lang == "python") for lang in docs.languages], bool)


def _all(docs: Batch, limits: Limits) -> Array:
    return np.ones(len(docs.languages), bool)


CODE, DATA, PROSE = frozenset(["code"]), frozenset(["data"]), frozenset(["prose"])
ALL = CODE | DATA | PROSE
RULES: dict[str, Rule] = {
    "generated": Rule(ALL, _generated),
    "vendored": Rule(ALL, lambda docs, limits: _matches(docs.paths, VENDORED_PATHS) & (not limits.vendored)),
    "minified": Rule(CODE, _minified),
    "too_short": Rule(CODE, lambda docs, limits: docs["lines"] < limits.min_lines),
    "too_long": Rule(CODE, lambda docs, limits: docs["lines"] > limits.max_lines),
    "long_line": Rule(CODE, lambda docs, limits: docs["longest_line"] > limits.max_line),
    "long_lines": Rule(CODE, lambda docs, limits: docs["characters"] > (limits.mean_line + 1) * docs["lines"]),
    "xml_header": Rule(CODE, lambda docs, limits: _matches(docs.texts, XML_HEADER) & ~docs.among("xslt", "jsp")),
    "few_comments": Rule(
        CODE, lambda docs, limits: (_comments(docs) < limits.min_comments * docs["bytes"]) & _commented(docs)
    ),
    "mostly_comments": Rule(CODE, lambda docs, limits: _comments(docs) > limits.max_comments * docs["bytes"]),
    "data_size": Rule(
        DATA,
        lambda docs, limits: (
            ((docs["characters"] < limits.min_data) | (docs["characters"] > limits.max_data))
            & docs.among("json", "yaml")
        ),
    ),
    "data_lines": Rule(DATA, lambda docs, limits: docs["lines"] > limits.max_data_lines),
    "few_words": Rule(PROSE, lambda docs, limits: docs["words"] < limits.min_words),
    "many_words": Rule(PROSE, lambda docs, limits: docs["words"] > limits.max_words),
    "little_text": Rule(PROSE, lambda docs, limits: docs.among("html"), _hidden),
    "images": Rule(
        PROSE, _all, lambda text, lang, counts, limits: _matched(IMAGES, text) > limits.max_images * len(text)
    ),
    "links": Rule(
        PROSE,
        lambda docs, limits: ~docs.among("html"),
        lambda text, lang, counts, limits: _matched(LINKS, text) > limits.max_links * len(text),
    ),
    "placeholders": Rule(PROSE, _all, _placeholders),
    "few_letters": Rule(ALL, lambda docs, limits: docs["letters"] < limits.min_letters * docs["characters"]),
    "encoded_data": Rule(ALL, _suspected_encoded, _encoded),
    "mostly_numbers": Rule(CODE, lambda docs, limits: docs["numbers"] > limits.max_numbers * _words_in_code(docs)),
    "garbled": Rule(ALL, lambda docs, limits: docs["garbled"] > limits.max_garbled * docs["characters"]),
    "repeated_lines": Rule(
        ALL,
        lambda docs, limits: (
            docs["worded_lines"] - docs["distinct_lines"] > limits.max_repeated_lines * docs["worded_lines"]
        ),
    ),
    "repeated_words": Rule(
        ALL,
        lambda docs, limits: docs["ngrams"] - docs["distinct_ngrams"] > limits.max_repeated_words * docs["ngrams"],
    ),
    "mostly_addresses": Rule(ALL, _suspected_addresses, _mostly_addresses),
    "mostly_contacts": Rule(ALL, _suspected_contacts, _mostly_contacts),
    "syntax_error": Rule(CODE, _parsed, _syntax_error),
}
