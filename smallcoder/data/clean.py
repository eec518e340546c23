"""Stage `clean`: one form for every document, without the text that teaches nothing.

In this order: line ends become line feeds; control, bidirectional and zero-width marks go; trailing blanks go; encoding
declarations and comment blocks at the top that speak of licences or copyright go (the licence stays in its column,
docstrings stay in the text, and so do lines that say a program wrote the file: `rules` looks for them); three and more
blank lines become two; one line end closes the file.

Cleaning twice changes nothing more. Documents keep their ids. About 60 MB a CPU-second with reading and writing, as
nearly every step is guarded by a plain substring search. Only `#` comments are known as headers; no code is parsed or
reformatted.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.data.engine import Judged, sift

CONTROLS = bytes([code for code in range(32) if code not in b"\t\n"] + [127])
# The same, C1 controls, zero-width marks, and the bidirectional controls of CVE-2021-42574.
MARKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+")
TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
BLANK_LINES = re.compile(r"\n{4,}")

HEADER = re.compile(r"(?:(?:[ \t]*#.*)?\n)+")  # comments and blank lines before the first code
CODING = re.compile(r"coding[:=][ \t]*[-\w.]+")  # PEP 263
LEGAL = re.compile(r"copyright|\(c\)|licen[sc]e|spdx-|all rights reserved|warranty", re.IGNORECASE)
# The marks of a generated file: those of StarCoder2 (arXiv 2402.19173), and two that name no generator.
GENERATED = re.compile(
    r"auto[- ]?generated|automatically generated|generated automatically|this file is generated"
    r"|@generated|do not (?:manually )?(?:edit|modify) (?:this|it|by hand|manually)",
    re.IGNORECASE,
)


class Config(StageConfig):
    """What clean means is fixed. `workers` are processes."""

    workers: int = run_only(1, ge=1)


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents; what is empty once clean goes to out/dropped. `bytes_in` of the facts is before."""
    facts, counts = sift(judge, inputs["documents"], out, "clean", workers=config.workers, processes=True)
    return {**facts, "bytes_in": counts["bytes_in"]}


def judge(batch: pa.RecordBatch) -> Judged:
    """The batch with clean texts."""
    texts = batch.column("text")
    before = pc.call_function("sum", [pc.call_function("binary_length", [texts])]).as_py() or 0
    cleaned = [clean(text) for text in texts.to_pylist()]
    position = batch.schema.get_field_index("text")
    batch = batch.set_column(position, "text", pa.array(cleaned, pa.large_string()))
    return Judged(batch, [None if text else "empty" for text in cleaned], Counter(bytes_in=before))


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """No more than the input."""
    return replace(inputs["documents"], note="at most")


def clean(text: str) -> str:
    """The clean form of a document, "" if nothing is left. clean(clean(text)) == clean(text)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # bytes.translate is ten times as fast as the pattern, and most files are ASCII.
    text = text.encode().translate(None, CONTROLS).decode() if text.isascii() else MARKS.sub("", text)
    if " \n" in text or "\t\n" in text or text[-1:] in " \t":
        text = TRAILING.sub("", text)
    text = without_legal_header(text.strip("\n") + "\n").strip("\n")
    if "\n\n\n\n" in text:
        text = BLANK_LINES.sub("\n\n\n", text)
    return text + "\n" if text else ""


def without_legal_header(text: str) -> str:
    """The text without the encoding lines and legal blocks among the comments at its top. It ends with a line feed."""
    header = HEADER.match(text)
    if not header or not (LEGAL.search(header[0]) or CODING.search(header[0])):
        return text
    kept = []
    for block in re.split(r"\n{2,}", header[0].strip("\n")):
        legal = LEGAL.search(block)
        lines = [line for line in block.split("\n") if not CODING.search(line)]
        if legal:
            lines = [line for line in lines if GENERATED.search(line) or (line[:2] == "#!" and text.startswith(line))]
        if lines:
            kept.append("\n".join(lines))
    return "\n\n".join(kept) + header[0][len(header[0].rstrip("\n")) :] + text[header.end() :]
