"""Stage `pairs`: comments with the code they speak of, cut out of source files, by Ling-Coder-Lite's seven rules.

A pair is a comment on lines of its own with the code right below it, or a function with its docstring. The code ends by
its indentation: with the block that it opens, or with the paragraph. A pair is a document of its own: its text as it
stands in the file, less the common indentation.

The rules (arXiv 2503.17793, section 2.3.2) stand in `RULES`; the first that a pair fails gives the reason. Of pairs
with the same text the one from the document of the smallest id stays. About 7 MB of source a CPU-second, as every
document is scanned twice; 150 bytes of memory a pair. Whether a comment tells the truth is for `consistency`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from pathlib import Path
from textwrap import dedent
from typing import Any

import pyarrow as pa

from smallcoder.core.progress import track
from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import Sieve, read_batches
from smallcoder.data.comments import BY_LANGUAGE, DEEPEST, spans
from smallcoder.data.engine import parallel_map
from smallcoder.data.filters import BATCH

ANNOTATION = re.compile(r"\b(?:TODO|BUG|FIXME|XXX|HACK)\b")
FUNCTION = re.compile(r"[ \t]*(?:async )?def ")
CLOSING = re.compile(r"[ \t]*(?:[})\]{]|end\b|else\b|elif\b|except\b|finally\b|catch\b)")
LAST = re.compile(r"[ \t]*(?:[})\]]+;?|end)[ \t]*$")
SPECIAL = re.compile(r"[^\w\s]|_")
INDENTATION = re.compile(rf"[ \t]{{1,{DEEPEST}}}+")
REST = re.compile(r"[ \t\r]*(?:\n|\Z)")  # of a line on which a comment ends
HEADER_LINES = 30  # of a function, above its docstring

Row = dict[str, Any]


class Config(StageConfig):
    """Ling's limits, in characters but for `max_lines`; a pair at a limit stays."""

    min_code: int = 30
    max_code: int = 100_000
    max_lines: int = 100
    min_comment: int = 30
    max_comment: int = 100_000
    max_special: float = 0.8  # share of the comment that is neither letter, digit nor blank
    workers: int = run_only(1, ge=1)


@dataclass(frozen=True)
class Pair:
    """A comment with its marks, the code without it, and both as they stand in the file."""

    comment: str
    code: str
    text: str


# Rule i, duplicates, is the stage's own. XXX and HACK are ours beside Ling's TODO, BUG and FIXME.
RULES: dict[str, Callable[[Pair, Config], bool]] = {
    "short_code": lambda pair, limits: len(pair.code) < limits.min_code,
    "long_code": lambda pair, limits: len(pair.code) > limits.max_code,
    "many_lines": lambda pair, limits: pair.code.count("\n") + 1 > limits.max_lines,
    "empty_comment": lambda pair, _: not any(map(str.isalnum, pair.comment)),
    "short_comment": lambda pair, limits: len(pair.comment) < limits.min_comment,
    "long_comment": lambda pair, limits: len(pair.comment) > limits.max_comment,
    "special_characters": lambda pair, limits: (
        len(SPECIAL.findall(pair.comment)) > limits.max_special * len(pair.comment)
    ),
    "annotation": lambda pair, _: ANNOTATION.search(pair.comment) is not None,
}


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Write out/documents and out/dropped, whose records are pairs. Raises EmptyError where no pair is kept."""
    table = inputs["documents"]
    owners: dict[bytes, str] = {}
    for found in _scan(config, table, "pairs"):
        for row, reason in found:
            if reason is None:
                digest = md5(row["text"].encode(), usedforsecurity=False).digest()
                owners[digest] = min(owners.get(digest, row["lineage"][-1]), row["lineage"][-1])
    with Sieve(out, DOCUMENT) as sieve:
        for found in _scan(config, table, "writing pairs"):
            reasons = []
            for row, reason in found:
                digest = md5(row["text"].encode(), usedforsecurity=False).digest()
                owned = owners.get(digest) == row["lineage"][-1]
                if owned and reason is None:
                    owners[digest] = ""  # a second one in the same document
                reasons.append(reason if reason or owned else "duplicate")
            sieve.put(pa.RecordBatch.from_pylist([row for row, _ in found], schema=DOCUMENT), reasons)
        return sieve.close()


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(note="pairs of comment and code")


def _scan(config: Config, table: Path, title: str) -> Iterator[list[tuple[Row, str | None]]]:
    batches = read_batches(table, batch_rows=BATCH)
    judged = parallel_map(partial(rows, config), batches, config.workers, processes=True)
    return (found for _, found in track(judged, title, unit="batches"))


def rows(config: Config, batch: pa.RecordBatch) -> list[tuple[Row, str | None]]:
    """The pairs of a DOCUMENT batch as rows of their own, and for each the rule that it fails."""
    found: list[tuple[Row, str | None]] = []
    for document in batch.to_pylist():
        for pair in pairs(document["text"] or "", document["lang"], config.max_lines):
            row = document | {
                "id": record_id("pairs", document["id"], pair.text),
                "text": pair.text,
                "lineage": [*(document["lineage"] or []), document["id"]],
            }
            found.append((row, next((reason for reason, fails in RULES.items() if fails(pair, config)), None)))
    return found


def pairs(text: str, lang: str | None, most_lines: int = 100) -> Iterator[Pair]:
    """The pairs of a source text, in its order; none for a language whose comments are not known.

    Code is cut off a little past `most_lines`, which bounds the time that nested comments can cost.
    """
    if lang not in BY_LANGUAGE:
        return
    line = 0
    for start, end in _blocks(text, lang):
        line = max(line, text.rfind("\n", line, start) + 1)
        rest = REST.match(text, end)
        if not rest or start - line > DEEPEST or text[line:start].strip() not in {"", "r", "R", "u", "U"}:
            continue
        below = rest.end()
        quoted = text[start : start + 3] in {'"""', "'''"}
        above = _header(text, line) if quoted else line
        if above is None:
            continue
        lines = most_lines + 2 + text.count("\n", above, below)
        stop = _block_end(text, above if quoted else below, lines)
        if stop > below:
            code = text[above:line] + text[below:stop]
            whole = text[above:stop]
            if whole[0] in " \t":
                code, whole = dedent(code), dedent(whole)
            yield Pair(text[start:end], code.strip("\n"), whole + "\n")


def _blocks(text: str, lang: str) -> Iterator[tuple[int, int]]:
    """The comments of a text, those on following lines as one."""
    begun: tuple[int, int] | None = None
    for start, end in spans(text, lang):
        if begun and not text[begun[1] : start].strip() and text.count("\n", begun[1], start) == 1:
            begun = begun[0], end
        else:
            if begun:
                yield begun
            begun = start, end
    if begun:
        yield begun


def _header(text: str, line: int) -> int | None:
    """Where the function starts whose docstring stands on the line that begins there; None for another's."""
    indentation = _indentation(text, line)
    for _ in range(HEADER_LINES):
        if line == 0:
            return None
        line = text.rfind("\n", 0, line - 1) + 1
        if FUNCTION.match(text, line):
            return line if _indentation(text, line) < indentation else None
    return None


def _block_end(text: str, start: int, lines: int) -> int:
    """The end of the block that the line at `start` opens, else of its paragraph, or of `lines`; `start` if none."""
    if start >= len(text) or text[start : _line_end(text, start)].isspace() or text[start] == "\n":
        return start
    indentation, stop, opened = _indentation(text, start), start, False
    at = start
    for _ in range(lines):
        if at >= len(text):
            break
        end = _line_end(text, at)
        blank = not text[at:end].strip()
        deeper = not blank and _indentation(text, at) > indentation
        if blank:
            if not opened:
                break
        elif at > start and not deeper:
            closing = CLOSING.match(text, at) and _indentation(text, at) == indentation
            if not closing and (opened or _indentation(text, at) < indentation):
                break
        if not blank:
            opened, stop = opened or deeper, end
            if opened and not deeper and at > start and LAST.match(text[at:end]):
                break
        at = end + 1
    return stop


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _indentation(text: str, line: int) -> int:
    """Columns before the first character of a line that is no blank, a tab as eight."""
    blanks = INDENTATION.match(text, line)
    return 0 if blanks is None else len(blanks[0]) + 7 * blanks[0].count("\t")
