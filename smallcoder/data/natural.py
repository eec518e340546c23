"""Stage `language`: keeps documents whose natural language is wanted and known with confidence.

Prose is judged by its text without code, addresses and marks; source code by its comments and docstrings, where they
hold enough text. CLD2 names the languages of the first `sample` characters; confidence is the share of the text that is
in the first of them, and 0 where CLD2 calls its own answer unreliable. Mify-Coder (arXiv 2512.23747, section 3.3.1)
drops samples of low confidence so and gives no figure.

About 100 MB a CPU-second without reading and writing; a third goes into finding comments, as much into CLD2.
Identifiers and strings are not judged. It sees no language after the sample, and tells close relatives (Danish and
Norwegian, Serbian and Croatian) apart only in longer texts. CLD2 passes over words that it has seen before, so that a
sentence repeated many times counts little.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from smallcoder.core.errors import InputError
from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.data.comments import comments
from smallcoder.data.filters import Filter, Judged

# Documents that are prose as a whole. A document of no known language is taken for prose too.
PROSE = frozenset(
    [
        "asciidoc",
        "html",
        "latex",
        "markdown",
        "mediawiki",
        "org",
        "restructuredtext",
        "roff",
        "text",
        "textile",
        "typst",
    ]
)
FENCED = re.compile(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1|\Z)|`[^`\n]+`", re.MULTILINE | re.DOTALL)
# CLD2's codes where those of ISO 639-1 differ, and the two scripts of Chinese as one.
CODES = {"iw": "he", "jw": "jv", "zh-Hant": "zh", "un": "unknown", "xxx": "unknown"}
UNKNOWN = "unknown"
NAMED = 4  # languages of the headline


class Config(StageConfig):
    """Which languages to keep, by ISO 639-1 code; none named means all of them, as long as they are certain."""

    natural: tuple[str, ...] = ("en",)
    min_confidence: float = Field(
        default=0.7, ge=0, le=1
    )  # ours: drops 2 of 2086 files of installed Python with enough comments
    code: bool = True  # judge source code by its comments
    min_text: int = Field(default=200, ge=0)  # bytes of words, as CLD2 counts them; with fewer a document stays
    sample: int = Field(default=3000, ge=100)  # characters of comments or prose
    workers: int = run_only(1, ge=1)


@dataclass(frozen=True)
class Natural:
    """A language by ISO 639-1 code or UNKNOWN, the confidence in it (0 to 1), and how many bytes of words were seen."""

    language: str
    confidence: float
    bytes: int


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped. Raises InputError for a code that CLD2 does not know.

    Facts besides the retention: `natural`, records and bytes by language of all that was judged, and `judged`, how many
    were by their text, by their comments, or not (too little text, or a kind that is not looked at).
    """
    import pycld2

    known = {CODES.get(code, code) for _, code in pycld2.LANGUAGES} - {UNKNOWN}
    if unknown := sorted(set(config.natural) - known):
        raise InputError(f"there is no language {unknown[0]!r}", "use ISO 639-1 codes such as en, de, zh")
    return Filter(partial(judge, config), _facts)


def _facts(retention: Facts, counts: Counter[str]) -> Facts:
    languages: dict[str, dict[str, int]] = {}
    for key in sorted(counts):
        kind, _, language = key.partition(" ")
        if language:
            languages.setdefault(language, {})[kind] = counts[key]
    judged = {key: counts[key] for key in ("text", "comments", "too_little", "not_looked_at")}
    most = sorted(languages, key=lambda language: (-languages[language]["records"], language))[:NAMED]
    headline = ", ".join(f"{language} {languages[language]['records']:,}" for language in most)
    return {**retention, "headline": headline or "no file with enough words", "natural": languages, "judged": judged}


def outside(config: Config) -> dict[str, str]:
    """The version of CLD2's tables."""
    import pycld2

    return {"cld2": str(pycld2.VERSION)}


def judge(config: Config, batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch; its rows stay as they are."""
    counts: Counter[str] = Counter()
    reasons: list[str | None] = []
    sizes = pc.call_function("binary_length", [batch.column("text")]).to_pylist()
    rows = zip(*(batch.column(name).to_pylist() for name in ("text", "lang")), sizes, strict=True)
    for text, lang, size in rows:
        prose = lang is None or lang in PROSE
        said = text if prose else comments(text or "", lang, config.sample) if config.code else None
        if said is None:
            counts["not_looked_at"] += 1
            reasons.append(None)
            continue
        found = natural_language(said[: config.sample], html=lang == "html")
        if found.bytes < config.min_text:
            counts["too_little"] += 1
            reasons.append(None)
            continue
        counts["text" if prose else "comments"] += 1
        counts[f"records {found.language}"] += 1
        counts[f"bytes {found.language}"] += size or 0
        reasons.append(_reason(found, config))
    return Judged(batch, reasons, counts)


def _reason(found: Natural, config: Config) -> str | None:
    if found.language == UNKNOWN or found.confidence < config.min_confidence:
        return "language_uncertain"
    return "natural_language" if config.natural and found.language not in config.natural else None


def natural_language(text: str, html: bool = False) -> Natural:
    """The language that most of a text is in, by CLD2. Never raises, whatever the text; time grows with its length."""
    reliable, size, details = _detect(text if html else without_code(FENCED.sub("\n", text)), html)
    shares: Counter[str] = Counter()
    for _, code, percent, _ in details:
        shares[CODES.get(str(code), str(code))] += percent
    language, share = max(shares.items(), key=lambda item: (item[1], item[0]))
    return Natural(language, share / 100 if reliable and language != UNKNOWN else 0.0, size)


def without_code(text: str) -> str:
    """The text with a blank in place of each run of ASCII that is spelt as no word is (`plain.blank_code`)."""
    import numpy as np

    from smallcoder.data.plain import blank_code

    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    return blank_code(data).tobytes().decode("utf-8", "surrogatepass")


def _detect(text: str, html: bool) -> tuple[bool, int, Any]:
    """CLD2's answer. It refuses controls, surrogates and noncharacters: where it does, only what prints is kept."""
    import pycld2 as cld2

    try:
        return cld2.detect(text, isPlainText=not html)
    except (cld2.error, UnicodeEncodeError):
        printing = "".join(letter if letter.isprintable() else " " for letter in text)
    try:
        return cld2.detect(printing, isPlainText=not html)
    except (cld2.error, UnicodeEncodeError):  # a newer Unicode than its own
        return False, 0, ((UNKNOWN, "un", 0, 0.0),)
