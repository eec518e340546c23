"""The import graph of one repository: which of its files imports which other.

Every file of a language in `languages/` is parsed by tree-sitter; its imports are looked for in the repository by that
language's rules. What a program imports by computed names is counted, not found; nothing is run or read from disk.

Of a text only those stretches are parsed that hold its imports (`stretches`), and the whole where these alone are no
text without errors. Trees take 50 times a text's room and are dropped one by one: memory is that of the texts.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from smallcoder.data.syntax import bounded, parser, unreadable
from smallcoder.repos.files import Files
from smallcoder.repos.imports import Language, Parsed, Resolve
from smallcoder.repos.languages import language
from smallcoder.repos.query import captures
from smallcoder.repos.stretches import stretches

BROKEN = "[(ERROR) (MISSING)] @broken"


@dataclass(frozen=True)
class Graph:
    """`imports`: every file -> the files it imports, sorted, never itself.

    `counts` of imports: "found", "outside", "missing" (should be here and is not), "dynamic"; of files: "large" and
    "deep", those not parsed for what they are (`data/syntax`).
    """

    imports: Mapping[str, list[str]]
    counts: Counter[str] = field(default_factory=Counter)


def graph(files: Files) -> Graph:
    """The import graph of a repository. Files of other languages are in it, without imports of their own."""
    counts: Counter[str] = Counter()
    parsed: dict[str, Parsed] = {}
    for path, file in files.items():
        if (speaker := language(file.lang)) is not None:
            if reason := unreadable(file.text):
                counts[reason] += 1
            elif (said := parse(speaker, path, file.lang or "", file.text)) is not None:
                parsed[path] = said
    found: dict[str, list[str]] = {path: [] for path in files}
    resolvers: dict[tuple[str, ...], Resolve] = {}
    for path, said in parsed.items():
        speaker = language(files[path].lang)
        assert speaker is not None
        if speaker.LANGS not in resolvers:
            resolvers[speaker.LANGS] = speaker.resolver(files, parsed)
        resolve, targets = resolvers[speaker.LANGS], set[str]()
        for wanted in said.imports:
            answer = resolve(path, wanted)
            counts["missing" if answer is None else "found" if answer else "outside"] += 1
            targets.update(answer or ())
        counts["dynamic"] += said.dynamic
        found[path] = sorted(targets - {path})
    return Graph(found, counts)


def parse(speaker: Language, path: str, lang: str, text: bytes) -> Parsed | None:
    """What one file says; None where tree-sitter has no grammar for it, or takes too long."""
    grammar = speaker.grammar(path, lang)
    if (whole := parser(grammar)) is None:
        return None
    kept = stretches(speaker, text)
    if not kept:
        return Parsed()
    if kept != [(0, len(text))]:
        part, end = _part(grammar), kept[-1][1]
        # Rows need not be right, as long as they grow.
        part.included_ranges = [_range(at, start, stop) for at, (start, stop) in enumerate(kept)]
        root = bounded(part, text[:end])
        if root is not None and _complete(root, grammar, end):
            return speaker.parse(root, text[:end])
    root = bounded(whole, text)
    return None if root is None else speaker.parse(root, text)


@cache
def _part(grammar: str) -> Any:
    """A parser of its own, since which ranges it reads stays with it."""
    whole = parser(grammar)
    return type(whole)(whole.language)


def _range(row: int, start: int, end: int) -> Any:
    from tree_sitter import Range

    return Range((row, 0), (row + 1, 0), start, end)


def _complete(root: Any, grammar: str, size: int) -> bool:
    """Whether nothing is wrong with a text, but for what is missing at its end."""
    if not root.has_error:
        return True
    broken = captures(root, grammar, BROKEN).get("broken", ())
    return all(node.is_missing and node.start_byte >= size - 1 for node in broken)
