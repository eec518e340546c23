"""Stage `notebooks`: Jupyter notebooks to scripts, or to text in which every cell has its mark.

`form = "script"` joins the code cells; Markdown cells, magics and shell lines become comments, and the language is that
of the kernel, as in StarCoder2's "Jupyter - scripts" (arXiv 2402.19173, section 2.4), which lets Jupytext do it. A
notebook that names no language counts as Python where its code parses as such. `form = "cells"` keeps cells and short
outputs in their order, each behind a mark: `<|cell_code|>`, `<|cell_markdown|>` or `<|cell_output|>`. Which of these
strings in the text are marks the side table `spans/` alone says (`core.records.SPAN`, rows of kind "mark"): one that a
user wrote into a cell has no span and stays plain text. The language of such a document stays "jupyter". Spans point
into the text as it is here, so in this form let no later stage change texts.

Of outputs, text is kept up to a length; of an error its last line; images, HTML and what else a kernel says go. Formats
2 to 4 of nbformat are read. Reasons: `broken_json`, `no_cells`, `no_code`, `unknown_language` (script alone). Documents
in other languages pass unchanged. Let it stand right behind `read`, whose `extensions` must let ".ipynb" in and whose
`max_bytes` must leave room for the images: `clean` would judge the JSON.

About 20 MB of notebooks a CPU-second where many cells hold magics and 80 where few do (perf/notebooks.py); 160 as
cells. It runs nothing, orders no cells by their execution counts, and sees a magic only where a statement may begin.
"""

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from smallcoder.core.records import DOCUMENT, SPAN, record_id
from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.data.comments import DOUBLE, SINGLE, TRIPLE
from smallcoder.data.filters import Filter, Judged
from smallcoder.data.language import programming_language
from smallcoder.data.read.files import writable

NOTEBOOK = "jupyter"
MARKS = {"code": "<|cell_code|>", "markdown": "<|cell_markdown|>", "output": "<|cell_output|>"}

# How a line of a script is made a comment.
COMMENT = {
    "#": "python r julia ruby perl shell elixir raku powershell coffeescript crystal nim tcl gnuplot awk fish",
    "//": "scala java kotlin javascript typescript cpp c csharp fsharp go rust swift groovy php dart d",
    "%": "matlab erlang prolog",
    "--": "sql haskell lua elm ada",
    ";": "clojure scheme commonlisp racket",
}
MARK_OF = {language: mark for mark, languages in COMMENT.items() for language in languages.split()}
# Languages of kernels whose names are no interpreter's.
KERNELS = {"octave": "matlab", "sagemath": "python", "pyspark": "python", "sparkr": "r", "ir": "r", "f#": "fsharp"}
NUMBER = re.compile(r"[\d.]*$")

# Magics and shell lines where a statement may begin: IPython's, which also know `x = !ls` and a question mark at the
# end, and what the kernels of other languages share.
PYTHON_MAGIC = re.compile(
    r"(?P<in>[ \t]*+)(?:%{1,2}[A-Za-z_]|![^=]|\?{1,2}[\w.%]|[\w.%*]+\?{1,2}[ \t]*$"
    r"|[\w.,\[\]\"' \t]++=[ \t]*(?:![\w./~$({]|%[A-Za-z_]))"
)
OTHER_MAGIC = re.compile(r"(?P<in>[ \t]*+)(?:%{1,2}[A-Za-z_]|![\w./~]|#!\w)")
OTHER_CELL = re.compile(
    r"%%(?!(?:time|timeit|prun|capture|memit|mprun|snakeviz)\b)\w"
)  # its body is no code of the kernel
STRING = re.compile(rf"(?P<text>{TRIPLE})|{DOUBLE}|{SINGLE}|#[^\n]*+")

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
OBJECT = re.compile(r"<(?:Figure|matplotlib\.|IPython\.|Axes|[\w.]+ (?:object )?at 0x)[^\n]*>\Z")
LEADING = re.compile(r"\A(?:[ \t]*\n)+")
CUT = "...\n"

Fields = dict[str, Any]


class Config(StageConfig):
    """What to make of notebooks. The limits are of a cell's outputs in the form "cells"; 0 lines drop them all."""

    form: Literal["script", "cells"] = "script"
    output_lines: int = Field(default=10, ge=0)  # ours
    output_chars: int = Field(default=1000, ge=0)  # ours
    workers: int = run_only(1, ge=1)


@dataclass(frozen=True)
class Cell:
    """A cell: `kind` is "code" or "markdown"; the outputs are as nbformat stores them."""

    kind: str
    text: str
    outputs: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Notebook:
    """The cells of a notebook and its language, None where it names none."""

    cells: list[Cell]
    language: str | None


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents, out/dropped and, in the form "cells", out/spans. Raises EmptyError where nothing is kept.

    Facts besides the retention: `notebooks` that were read, `languages` of those that became scripts, and `cells`, how
    many code, Markdown and empty ones there were and how many outputs were kept, cut and dropped.
    """
    return Filter(partial(judge, config), _facts, ("spans", SPAN) if config.form == "cells" else None)


def _facts(retention: Facts, counts: Counter[str]) -> Facts:
    languages = {key.split()[1]: counts[key] for key in sorted(counts) if key.startswith("language ")}
    cells = {name: counts[name] for name in ("code", "markdown", "empty", "output", "output_cut", "output_dropped")}
    return {**retention, "notebooks": counts["notebooks"], "languages": languages, "cells": cells}


def judge(config: Config, batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch. What is dropped is as it was read."""
    reasons: list[str | None] = [None] * batch.num_rows
    if NOTEBOOK not in set(batch.column("lang").to_pylist()):
        return Judged(batch, reasons)
    counts: Counter[str] = Counter()
    rows = batch.to_pylist()
    spans: list[dict[str, Any]] = []
    for at, row in enumerate(rows):
        if row["lang"] != NOTEBOOK:
            continue
        counts["notebooks"] += 1
        found = converted(config, row["text"] or "", counts)
        if isinstance(found, str):
            reasons[at] = found
            continue
        text, language, marks = found
        changed = {"id": record_id("notebooks", config.form, row["id"], text), "text": text, "lang": language}
        rows[at] = row | changed | {"lineage": [*(row["lineage"] or []), row["id"]]}
        spans += [{"id": changed["id"], "kind": "mark", "start": start, "end": end} for start, end in marks]
    side = pa.RecordBatch.from_pylist(spans, schema=SPAN) if config.form == "cells" else None
    return Judged(pa.RecordBatch.from_pylist(rows, schema=DOCUMENT), reasons, counts, side)


def converted(config: Config, source: str, counts: Counter[str]) -> tuple[str, str, list[tuple[int, int]]] | str:
    """The text of a notebook, its language and where its marks stand in UTF-8 bytes; or the reason to drop it."""
    notebook = parse(source)
    if isinstance(notebook, str):
        return notebook
    cells = [cell for cell in notebook.cells if cell.text]
    counts["empty"] += len(notebook.cells) - len(cells)
    if not any(cell.kind == "code" for cell in cells):
        return "no_code"
    if config.form == "cells":
        counts.update(cell.kind for cell in cells)
        return _marked(config, cells, counts)
    language = notebook.language or ("python" if _is_python(cells) else None)
    if language not in MARK_OF:
        return "unknown_language"
    counts.update(cell.kind for cell in cells)
    counts[f"language {language}"] += 1
    mark = MARK_OF[language]
    parts = (code(cell.text, language) if cell.kind == "code" else _comment(cell.text, mark) for cell in cells)
    return writable("\n\n".join(parts) + "\n"), language, []


def parse(source: str) -> Notebook | str:
    """The notebook that a text of nbformat 2, 3 or 4 holds; or the reason why there is none. Never raises."""
    try:
        data = json.loads(source)
    except (ValueError, RecursionError):  # ValueError: also a number of too many digits
        return "broken_json"
    if not isinstance(data, dict):
        return "broken_json"
    sheets = [data] if "cells" in data else _dicts(data.get("worksheets"))
    raw = [cell for sheet in sheets for cell in _dicts(sheet.get("cells"))]
    if not raw:
        return "no_cells"
    return Notebook(list(_cells(raw)), _language(_dict(data.get("metadata")), raw))


def code(text: str, language: str) -> str:
    """A code cell as a part of a script: its magics and shell lines are comments."""
    mark = MARK_OF[language]
    if mark == "%" or not re.search(r"[%!?]", text):
        return text
    if OTHER_CELL.match(text.lstrip()):
        return _comment(text, mark)
    python = language == "python"
    if python and _parses(text):
        return text
    magic = PYTHON_MAGIC if python else OTHER_MAGIC
    quoted = [found.span() for found in STRING.finditer(text) if found["text"]] if python else []
    lines: list[str] = []
    at = inside = 0
    goes_on = False
    for line in text.split("\n"):
        while inside < len(quoted) and quoted[inside][1] <= at:
            inside += 1
        found = magic.match(line)
        if (found or goes_on) and not (inside < len(quoted) and quoted[inside][0] < at):
            blanks = found["in"] if found else ""
            # A block must not be left empty.
            lines.append(f"{blanks}{f'pass  {mark}' if blanks and python else mark} {line[len(blanks) :]}")
            goes_on = line.endswith("\\")
        else:
            lines.append(line)
            goes_on = False
        at += len(line) + 1
    return "\n".join(lines)


def _comment(text: str, mark: str) -> str:
    return "\n".join(f"{mark} {line}".rstrip() for line in text.split("\n"))


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in other people's strings
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_python(cells: list[Cell]) -> bool:
    return all(_parses(code(cell.text, "python")) for cell in cells if cell.kind == "code")


def _cells(raw: list[Fields]) -> Iterator[Cell]:
    for cell in raw:
        kind = cell.get("cell_type")
        text = _joined(cell.get("source", cell.get("input"))).replace("\r\n", "\n")
        text = LEADING.sub("", text.rstrip())
        if kind == "code":
            outputs = cell.get("outputs")
            yield Cell(kind, text, outputs if isinstance(outputs, list) else [])
        elif kind == "markdown":
            yield Cell(kind, text)
        elif kind == "heading" and text:  # of nbformat 3
            level = cell.get("level")
            yield Cell("markdown", "#" * (level if isinstance(level, int) and 0 < level < 7 else 1) + " " + text)


def _language(metadata: Fields, cells: list[Fields]) -> str | None:
    """The language that the metadata, else the first code cell names: as a shebang or a file's ending would tell it."""
    info, kernel = _dict(metadata.get("language_info")), _dict(metadata.get("kernelspec"))
    first = next((cell.get("language") for cell in cells if cell.get("cell_type") == "code"), None)
    for name in (info.get("name"), kernel.get("language"), metadata.get("language"), first, kernel.get("name")):
        if isinstance(name, str) and name.strip():
            word = name.strip().lower()[:40]
            if known := KERNELS.get(NUMBER.sub("", word)) or programming_language("", f"#!{word}"):
                return known
    ending = info.get("file_extension")
    return programming_language(f"x{ending}") if isinstance(ending, str) and ending.startswith(".") else None


def _marked(config: Config, cells: list[Cell], counts: Counter[str]) -> tuple[str, str, list[tuple[int, int]]]:
    pieces: list[str] = []
    marks: list[tuple[int, int]] = []
    size = 0
    for cell in cells:
        for kind, text in ((cell.kind, f"{cell.text}\n"), ("output", _output(config, cell.outputs, counts))):
            if text:
                piece = MARKS[kind] + writable(text)
                marks.append((size, size + len(MARKS[kind])))
                size += len(piece.encode())
                pieces.append(piece)
    return "".join(pieces), NOTEBOOK, marks


def _output(config: Config, outputs: list[Any], counts: Counter[str]) -> str:
    """What the outputs of a cell say in text, within the limits; ends with a line end where there is any."""
    texts = [said for output in outputs if (said := _said(output))]
    counts["output_dropped"] += len(outputs) - len(texts)
    whole = "\n".join(texts)
    lines = whole.split("\n")
    kept = "\n".join(lines[: config.output_lines])[: config.output_chars].rstrip()
    if not kept:
        counts["output_dropped"] += len(texts)
        return ""
    counts["output"] += len(texts)
    counts["output_cut"] += kept != whole
    return f"{kept}\n" if kept == whole else f"{kept}\n{CUT}"


def _said(output: Any) -> str:
    """The text of one output; "" for an image, HTML, the error stream and objects that show no more than their kind."""
    output = _dict(output)
    kind = output.get("output_type")
    if kind in ("error", "pyerr"):
        name, value = (str(output.get(key) or "") for key in ("ename", "evalue"))
        text = f"{name}: {value.strip().partition(chr(10))[0]}".strip(": ")
    elif kind == "stream":
        text = "" if "stderr" in (output.get("name"), output.get("stream")) else _joined(output.get("text"))
    else:
        text = _joined(_dict(output.get("data")).get("text/plain", output.get("text")))
        text = "" if OBJECT.match(text.strip()) else text
    text = ESCAPES.sub("", text).replace("\r\n", "\n")
    # A progress bar writes over its line: what stands there in the end counts.
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")).strip("\n")


def _joined(value: Any) -> str:
    """A text that nbformat stores as a string or as a list of its lines; "" for anything else."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> Fields:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[Fields]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
