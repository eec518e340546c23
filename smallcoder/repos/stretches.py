"""Which stretches of a text hold its imports, so that tree-sitter need not parse the rest: two to five times as fast.

Every import holds a match of its language's `MENTIONS`. The text after the last one is left out, from the next line on
that begins a statement in column 0. Python and Java say more: by `STARTS`, where what can be read on its own begins, a
function or a class at whatever depth included, and by `QUOTES`, what opens and closes a string of several lines. Then
stretches without a mention are left out too, unless they hold an odd number of quotes, or half a comment, and so may
open or close a string or a comment.

That is right as long as what is kept parses: what is left out has been complete, and the tokens of the rest, and their
tree, are those that they would be in the whole text. `graph` looks for errors, and where there are any, other than that
something is still open at the end, it parses the whole. perf/graph.py compares both ways on every tenth file.
"""

import re
from bisect import bisect_right

from smallcoder.repos.imports import Language

# Where a statement begins at the top level, in whatever language: neither by a sign that goes on with one, nor by a
# word, nor after a comma or a backslash. A wrong guess leaves something open, and costs a second parse.
LINE = rb"\n(?<![\\,]\n)(?<![\\,]\r\n)"
TOP = rb"(?=[\w@#/$])(?!(?:else|elif|elsif|except|finally|catch|rescue|end|from|as)\b)"
NEXT = re.compile(LINE + TOP)
WORTH = 0.8  # where more than this share of a text would be left, all of it is
MOST = 100  # stretches; the parser looks through all of them for every token

Stretches = list[tuple[int, int]]


def stretches(speaker: Language, text: bytes) -> Stretches:
    """What to parse of a text, in bytes; nothing where it has no imports."""
    mentions, starts = getattr(speaker, "MENTIONS", None), getattr(speaker, "STARTS", None)
    if mentions is None:
        return [(0, len(text))]
    return between(text, mentions, starts, getattr(speaker, "QUOTES", ())) if starts else head(text, mentions)


def head(text: bytes, mentions: re.Pattern[bytes]) -> Stretches:
    """The text up to where a statement begins after the last mention; nothing if there is none."""
    last = -1
    for found in mentions.finditer(text):
        last = found.end()
    if last < 0:
        return []
    top = NEXT.search(text, last)
    return _worth([(0, top.end() if top else len(text))], text)


def between(
    text: bytes, mentions: re.Pattern[bytes], starts: re.Pattern[bytes], quotes: tuple[bytes, ...]
) -> Stretches:
    """What begins at a match of `starts`, ends before the next, and has a mention, or an odd number of some quotes."""
    places = [found.start() for found in mentions.finditer(text)]
    if not places:
        return []
    cuts = [0, *(found.end() for found in starts.finditer(text)), len(text)]
    kept: Stretches = []
    done = 0  # number of the first stretch not looked at
    for at in [*sorted({bisect_right(cuts, place) - 1 for place in places}), len(cuts) - 1]:
        if _odd(text, quotes, cuts[done], cuts[at]):
            for gap in range(done, at):
                if _odd(text, quotes, cuts[gap], cuts[gap + 1]):
                    _add(kept, cuts[gap], cuts[gap + 1])
        if at + 1 < len(cuts):
            _add(kept, cuts[at], cuts[at + 1])
        done = at + 1
    return _worth(kept, text) if len(kept) <= MOST else head(text, mentions)


def _add(kept: Stretches, start: int, end: int) -> None:
    if kept and kept[-1][1] == start:
        start = kept.pop()[0]
    kept.append((start, end))


def _odd(text: bytes, quotes: tuple[bytes, ...], start: int, end: int) -> bool:
    half = text.count(b"/*", start, end) != text.count(b"*/", start, end)
    return half or any(text.count(quote, start, end) % 2 for quote in quotes)


def _worth(kept: Stretches, text: bytes) -> Stretches:
    return kept if sum(end - start for start, end in kept) < WORTH * len(text) else [(0, len(text))]
