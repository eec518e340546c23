"""Stage `clean`: one form for every document, without the text that teaches nothing.

In this order: line ends become line feeds; text once decoded with the wrong encoding is repaired (mojibake, by ftfy,
line by line, only where its marks are); control, bidirectional and zero-width marks go; trailing blanks go; encoding
declarations and comment blocks at the top that speak of licences or copyright go (the licence stays in its column,
docstrings stay in the text, and so do lines that say a program wrote the file: `rules` looks for them); three and more
blank lines become two; one line end closes the file.

Cleaning twice changes nothing more. Documents keep their ids. About 600 MB a CPU-second without reading and writing: a
kernel finds the texts that are clean already but for a header, and most steps are guarded by a plain substring search.
Headers are known in the comments of the language's row in `lexicon`; documentation comments (`///`, `//!`) are none. No
code is parsed or reformatted; text that was damaged more than once, or cut inside a character, is left as it is.
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.data import lexicon as lx
from smallcoder.data.filters import Filter, Judged

CONTROLS = bytes([code for code in range(32) if code not in b"\t\n"] + [127])
# The same, C1 controls, zero-width marks, and the bidirectional controls of CVE-2021-42574.
MARKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+")
# The first byte of a UTF-8 character read as Latin-1 or Windows-1252, and one of its next bytes read so.
MOJIBAKE = re.compile(
    "[\xc2-\xdf\xe0-\xef\xf0-\xf4][\x80-\xbf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)

FIRST = re.compile(r"(?:#!.*|<\?php[ \t]*|<\?xml[^\n]*\?>[ \t]*)\n")  # stays before the comments of a header
CODING = re.compile(r"(?:\b|file)(?:en)?coding[:=][ \t]*[-\w.]+")  # PEP 263
LEGAL = re.compile(r"copyright|\(c\)|licen[sc]e|spdx-|all rights reserved|warranty", re.IGNORECASE)
# The marks of a generated file: those of StarCoder2 (arXiv 2402.19173), and two that name no generator.
GENERATED = re.compile(
    r"auto[- ]?generated|automatically generated|generated automatically|this file is generated"
    r"|@generated|do not (?:manually )?(?:edit|modify) (?:this|it|by hand|manually)",
    re.IGNORECASE,
)


# What a text without these words, in any case, cannot match: they are found in a tenth of the time.
CODING_WORDS = ("coding",)
LEGAL_WORDS = ("copyright", "(c)", "licen", "spdx-", "all rights reserved", "warranty")
GENERATED_WORDS = ("generated", "do not")


class Config(StageConfig):
    """What clean means is fixed. `workers` are processes."""

    workers: int = run_only(1, ge=1)


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents; what is empty once clean goes to out/dropped. `bytes_in` of the facts is before."""

    def facts(retention: Facts, counts: Counter[str]) -> Facts:
        return {**retention, "bytes_in": counts["bytes_in"], "repaired": counts["repaired"]}

    return Filter(judge, facts)


def judge(batch: pa.RecordBatch) -> Judged:
    """The batch with clean texts. Of most files nothing but a header need be looked at, if at all."""
    from smallcoder.data.kernels import buffers
    from smallcoder.data.plain import plain_rows

    offsets, data = buffers(batch.column("text"))
    heads = HEADS[data[np.minimum(offsets[:-1], len(data) - 1)]]
    plain = plain_rows(offsets, data)
    changed = np.zeros(len(batch), bool)
    repaired, cleaned = 0, []
    langs = batch.column("lang").to_pylist()
    for row in np.flatnonzero(~plain | heads).tolist():
        text = data[offsets[row] : offsets[row + 1]].tobytes().decode()
        new = _beheaded(text, langs[row]) if plain[row] else clean(text, langs[row])
        repaired += not plain[row] and damaged(text)
        if new != text:
            changed[row] = True
            cleaned.append(new)
    if cleaned or batch.column("text").null_count:
        texts = batch.column("text").cast(pa.large_string()).fill_null("")
        texts = pc.call_function("replace_with_mask", [texts, pa.array(changed), pa.array(cleaned, pa.large_string())])
        batch = batch.set_column(batch.schema.get_field_index("text"), "text", texts)
    kept = pc.call_function("binary_length", [batch.column("text")]).to_pylist()
    counts = Counter(bytes_in=int(offsets[-1] - offsets[0]), repaired=repaired)
    return Judged(batch, [None if size else "empty" for size in kept], counts)


def clean(text: str, lang: str | None = None) -> str:
    """The clean form of a document, "" if nothing is left. clean(clean(text, lang), lang) == clean(text, lang)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # bytes.translate is ten times as fast as the pattern, and most files are ASCII.
    text = text.encode().translate(None, CONTROLS).decode() if text.isascii() else _readable(text)
    if " \n" in text or "\t\n" in text or text[-1:] in " \t":
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    text = _beheaded(text.strip("\n") + "\n", lang)
    while "\n\n\n\n" in text:  # a pattern takes ten times as long
        text = text.replace("\n\n\n\n", "\n\n\n")
    return text


def _beheaded(text: str, lang: str | None) -> str:
    """Without its legal headers a text that ends with one line feed and begins with something else; "" for nothing."""
    while (shorter := without_legal_header(text, lang).strip("\n") + "\n") != text:
        text = shorter  # what stands first now may be followed by another header
    return text if text != "\n" else ""


def damaged(text: str) -> bool:
    """Whether `repair` changes a text."""
    return not text.isascii() and repair(text) != text


def repair(text: str) -> str:
    """The text with mojibake undone, line by line. A line without its marks is never touched."""
    if not MOJIBAKE.search(text):
        return text
    from ftfy import fix_encoding

    return "\n".join(fix_encoding(line) if MOJIBAKE.search(line) else line for line in text.split("\n"))


def _readable(text: str) -> str:
    """Repaired and without marks. Either may uncover more work for the other; both only shorten."""
    while True:
        found = MARKS.sub("", repair(text))
        if found == text:
            return text
        text = found


# Feature of a language, what its comment looks like with its line end, and how one line is written.
LINES = (
    (lx.HASH | lx.HASH_BLANK, r"[ \t]*#.*\n", "# {}"),
    (lx.SLASHES, r"[ \t]*//(?![/!]).*\n", "// {}"),
    (lx.DASHES, r"[ \t]*--.*\n", "-- {}"),
    (lx.SEMICOLON, r"[ \t]*;.*\n", ";; {}"),
    (lx.PERCENT, r"[ \t]*%.*\n", "% {}"),
)
BLOCKS = (
    (lx.BLOCKS, r"[ \t]*/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/[ \t]*\n", "/* {} */"),
    (lx.MARKUP, r"[ \t]*<!--[^-]*+(?:-(?!->)[^-]*+)*+-->[ \t]*\n", "<!-- {} -->"),
)
FENCES = " \t#/*-;%<!>"  # what comments are drawn with
HEADS = np.array([c in b" \t#/-;%<" for c in range(256)])  # what a header, or a line before one, can begin with


@cache
def _comments(lang: str | None) -> tuple[re.Pattern[str], re.Pattern[str], str]:
    """Of a language: the comments and blank lines at a text's top, one comment of these, and how a line is written.

    A comment is a block comment, or line comments without a blank line between them.
    """
    known = lx.features(lang) or (lx.MARKUP if lang in lx.PROSE else lx.HASH)  # `#` is a title there
    lines = [style for style in LINES if style[0] & known]
    blocks = [style for style in BLOCKS if style[0] & known]
    line, block = ("|".join(style[1] for style in styles) or "(?!)" for styles in (lines, blocks))
    return re.compile(f"(?:{block}|{line}|\\n)+"), re.compile(f"{block}|(?:{line})+"), [*lines, *blocks, LINES[0]][0][2]


def without_legal_header(text: str, lang: str | None = None) -> str:
    """The text without the encoding lines and legal comments at its top. It ends with a line feed."""
    header, comment, style = _comments(lang)
    first = FIRST.match(text)
    start = first.end() if first else 0
    found = header.match(text, start)
    if not found or not (_holds(found[0], LEGAL_WORDS, LEGAL) or _holds(found[0], CODING_WORDS, CODING)):
        return text
    kept = []
    for block in comment.findall(found[0]):
        lines = block.rstrip("\n").split("\n")
        if style[0] == "#":
            lines = [line for line in lines if not _holds(line, CODING_WORDS, CODING)]
        if _holds(block, LEGAL_WORDS, LEGAL):
            lines = [style.format(line.strip(FENCES)) for line in lines if _holds(line, GENERATED_WORDS, GENERATED)]
        if lines:
            kept.append("\n".join(lines))
    between = found[0][len(found[0].rstrip("\n")) :]
    between = between if kept or not first else between[1:]
    return text[:start] + "\n\n".join(kept) + between + text[found.end() :]


def _holds(text: str, words: tuple[str, ...], pattern: re.Pattern[str]) -> bool:
    """Whether the pattern is found in a text; `words` are what ASCII cannot match without."""
    low = text.lower()
    return (any(word in low for word in words) or not text.isascii()) and pattern.search(text) is not None
