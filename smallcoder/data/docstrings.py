"""Stage `docstrings`: examples "write this function" from functions of the corpus that have a docstring.

The user turn holds a signature and the first paragraph of the docstring, the answer is the function without the
docstring, as it stands in the file. Only functions that such a prompt can decide are taken: at the top level of a
module, short, with a docstring that says more than the name does, and with no imports and no names in the body but
its own and builtins. Every function that is passed over is counted under its first reason.

Of what is left, `max_examples` are chosen by the hash that is their id; a function found in several documents
belongs to the one with the smallest id. So the order of documents does not count. Only short functions with a docstring
are parsed: about 35 MB of documents a CPU-second. All candidates are held in memory, about 1 kB each.

Python only. It does not run the functions and does not know whether a docstring tells the truth.
"""

import ast
import builtins
import re
import symtable
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Any

from pydantic import Field

from smallcoder.core.errors import EmptyError
from smallcoder.core.progress import track
from smallcoder.core.records import EXAMPLE, record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.core.tables import TableWriter, read_batches

MAX_DOCSTRING = 2000  # characters: functions longer than this and an answer are not parsed
FUNCTION = re.compile(r"^(?:async )?def [^\n]*\n(?:(?:[ \t)][^\n]*)?\n)*", re.MULTILINE)
QUOTES = re.compile("\"\"\"|'''")
BUILTINS = frozenset(dir(builtins))
COLUMNS = ("id", "text", "lang", "license", "lineage")
MARKS = re.compile(r"\b(?:todo|fixme|bug|xxx|deprecated)\b|>>>|@param|:param|:\w+:|https?:", re.IGNORECASE)
WORD = re.compile(r"[A-Za-z]+")
FRAMES = (
    "Write the Python function `{signature}`.\n{summary}",
    "Complete the function `{signature}`: {summary}",
    "Implement `{signature}`.\n\n{summary}",
    'Fill in this function:\n\n{signature}:\n    """{summary}"""',
)

Row = dict[str, Any]


class Config(StageConfig):
    """What to take. Lengths are in characters: with a 4k vocabulary 19 in 20 are then under 210 tokens."""

    max_examples: int = Field(default=1000, ge=1, le=1_000_000)
    max_answer: int = Field(default=450, ge=40)
    min_answer: int = Field(default=40, ge=0)
    max_summary: int = Field(default=200, ge=20)
    min_words: int = Field(default=4, ge=1)  # of the summary


@dataclass(frozen=True)
class Passed:
    """A function that was passed over, and why."""

    reason: str
    bytes: int


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(note=f"at most {config.max_examples:,} examples")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Write examples/. Raises EmptyError where no function qualifies."""
    records: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    best: dict[str, Row] = {}
    for batch in track(read_batches(inputs["documents"], COLUMNS), "functions", unit="batches"):
        for row in batch.to_pylist():
            for item in examples(row, config) if row["lang"] == "python" else ():
                if isinstance(item, Passed):
                    records[item.reason] += 1
                    sizes[item.reason] += item.bytes
                    continue
                other = best.setdefault(item["id"], item)
                if other is not item:
                    records["duplicate"] += 1
                    sizes["duplicate"] += _answer_bytes(item)
                    best[item["id"]] = min(item, other, key=lambda row: row["lineage"][-1])
    chosen = nsmallest(config.max_examples, best.values(), key=lambda row: row["id"])
    if not chosen:
        raise EmptyError(
            f"no function can be an example ({dict(records) or 'there is no Python'})",
            "read more Python, or widen limits",
        )
    left = len(best) - len(chosen)
    if left:
        records["not_chosen"] = left
        sizes["not_chosen"] = sum(map(_answer_bytes, best.values())) - sum(map(_answer_bytes, chosen))
    with TableWriter(out / "examples", EXAMPLE) as table:
        table.write_rows(chosen)
    return _facts(chosen, records, sizes)


def _facts(chosen: list[Row], records: Counter[str], sizes: Counter[str]) -> Facts:
    kept = sum(map(_answer_bytes, chosen))
    return {
        "records_in": len(chosen) + records.total(),
        "bytes_in": kept + sizes.total(),
        "records": len(chosen),
        "bytes": kept,
        "dropped": {reason: {"records": records[reason], "bytes": sizes[reason]} for reason in sorted(+records)},
        "licenses": dict(sorted(Counter(str(row["license"]) for row in chosen).items())),
        "example": chosen[0]["messages"],
    }


def _answer_bytes(row: Row) -> int:
    return len(row["messages"][1]["content"].encode())


def examples(document: Row, config: Config) -> Iterator[Row | Passed]:
    """For every function at the top level of a document: an EXAMPLE row, or why there is none.

    Functions are cut out by lines and only those that may do are parsed. One that a string with text in the first
    column cuts short does not parse, and is passed over.
    """
    text = document["text"] + "\n"
    for match in FUNCTION.finditer(text):
        source = match.group().rstrip()
        above = text[: match.start()].rpartition("\n")[0].rpartition("\n")[2]
        if above.startswith(("@", ")")):
            found: tuple[str, str] | str = "decorated"
        elif not QUOTES.search(source):
            found = "no_docstring"
        elif len(source) > config.max_answer + MAX_DOCSTRING:
            found = "long"
        else:
            found = _example(source, config)
        if isinstance(found, str):
            yield Passed(found, len(source.encode(errors="replace")))
        else:
            yield _row(document, *found)


def _row(document: Row, prompt: str, answer: str) -> Row:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {
        "id": record_id("docstrings", prompt, answer),
        "messages": messages,
        "tools": None,
        "task": "docstrings",
        "license": document["license"],
        "lineage": [*document["lineage"], document["id"]],
    }


def _example(source: str, config: Config) -> tuple[str, str] | str:
    """Prompt and answer of a function, or the reason why there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            node = ast.parse(source).body[0]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return "unparsable"
    if not isinstance(node, ast.FunctionDef) or node.name.startswith("__"):
        return "special"
    docstring = ast.get_docstring(node)
    if not docstring:
        return "no_docstring"
    summary = " ".join(docstring.split("\n\n")[0].split())
    if reason := _poor(summary, node.name, config):
        return reason
    if _is_stub(node.body[1:]):
        return "stub"
    quoted = node.body[0]
    if len(node.body) == 1 or quoted.lineno == node.lineno or node.body[1].lineno == quoted.end_lineno:
        return "one_line"
    lines = source.splitlines(keepends=True)
    head, tail = lines[node.lineno - 1 : quoted.lineno - 1], lines[quoted.end_lineno : node.end_lineno]
    answer = ("".join(head).rstrip() + "\n" + "".join(tail).lstrip("\n")).rstrip()
    if not config.min_answer <= len(answer) <= config.max_answer:
        return "long" if len(answer) > config.max_answer else "short"
    if not answer.isascii() or not summary.isascii():
        return "not_ascii"
    if any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)) or _outside(answer):
        return "outside_names"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    signature = f"def {node.name}({ast.unparse(node.args)}){returns}"
    frame = FRAMES[int(record_id(signature, summary), 16) % len(FRAMES)]
    return frame.format(signature=signature, summary=summary), answer


def _poor(summary: str, name: str, config: Config) -> str:
    """Why a summary says too little, or too much for a prompt; empty where it is fine."""
    words = [word.lower() for word in WORD.findall(summary)]
    named = {word.lower() for word in WORD.findall(name.replace("_", " "))} | {"a", "an", "the", "of", "to", "for"}
    if len(words) < config.min_words or set(words) <= named:
        return "trivial_docstring"
    if len(summary) > config.max_summary:
        return "long_docstring"
    letters = sum(map(str.isalpha, summary)) + summary.count(" ")
    return "odd_docstring" if MARKS.search(summary) or letters < 0.8 * len(summary) else ""


def _is_stub(body: list[ast.stmt]) -> bool:
    """Nothing but pass, `...`, raise, bare constants and names."""
    empty = ast.Pass | ast.Raise
    return all(
        isinstance(node, empty)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Return) and (node.value is None or isinstance(node.value, ast.Constant | ast.Name)))
        for node in body
    )


def _outside(code: str) -> bool:
    """Whether a function imports, or uses names of its module. One that does not compile counts as if it did."""
    try:
        module = symtable.symtable(code, "function", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    own = {symbol.get_name() for symbol in module.get_symbols() if symbol.is_assigned()}
    tables = [module]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            free = symbol.is_global() or table is module
            if free and symbol.is_referenced() and symbol.get_name() not in BUILTINS | own:
                return True
    return False
