"""HTML as blocks of text, in one compiled pass over its bytes: no tree is built.

A page becomes a run of UTF-8 bytes and a table of its blocks: paragraphs, headings, list items, code. The open
elements stand on a stack; an end tag closes the nearest one of its name, but none beyond a cell, and that of an inline
element none beyond a block: browsers mend most pages to the same effect (the HTML standard, section 13.2, does much
more). White space counts in `pre` and its old relatives, in elements whose class or style says so, and in `code` that
holds indented lines; NBSP is a blank there. TeX comes from MathJax scripts, from `alttext` and annotations of MathML,
and from alternative texts of pictures of formulas, between $ or $$. Line numbers, copy buttons, anchors of headings
and what is hidden are left out.

Time is linear in the bytes whatever they are: DEEPEST elements are kept open, and an end tag looks at no more of them
than NEAREST. Cost: 75 MB a CPU-second of small pages full of tags, 135 of documentation (perf/pages.py). It runs no
scripts and reads no style sheets.
"""

# Kernels take arrays one by one; neither tuples nor generators are free in them.
# ruff: noqa: PLR0917
from typing import Any

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import LOWER, SPACE, Array
from smallcoder.data.pages import tables as t
from smallcoder.data.pages.attributes import ATTRIBUTES, attributes
from smallcoder.data.pages.characters import begin, code, put, text
from smallcoder.data.pages.tables import find, name_hash

DEEPEST, NEAREST = 4096, 256
PARAGRAPH, HEADING, ITEM, CODE = range(4)  # kinds of blocks
_BLOCK = "start end kind level number line boilerplate guessed main links label_start label_end"
BLOCK = np.dtype([(name, np.int32) for name in _BLOCK.split()])
_NOW = "skip pre line_pre boilerplate guessed main heading list link code math "  # how many such elements are open
_STATE = (
    "used start spaced bar links depth blocks level number awaited tick formula dollars muted label_start label_end "
)
STATE = np.dtype([(name, np.int64) for name in (_NOW + _STATE).split()])
_LETTER = np.array([chr(c).isalpha() and c < 128 for c in range(256)])
_NAME = np.array([c > 32 and c not in b"/>" for c in range(256)])
_CODE_NAME = np.frombuffer(b"code", np.uint8)


def blocks(html: bytes) -> tuple[Array, Array]:
    """The text of a page, uint8, and its blocks, an array of BLOCK; `html` is UTF-8."""
    data = np.frombuffer(html or b" ", np.uint8)
    state, found = np.zeros(1, STATE), np.zeros(1, ATTRIBUTES)
    out, rows = np.empty(2 * len(data) + 64, np.uint8), np.empty(len(data) // 3 + 2, BLOCK)
    _scan(data, out, rows, state, found, t.tables())
    return out[: state[0]["used"]], rows[: state[0]["blocks"]]


@compiled
def _scan(data: Array, out: Array, rows: Array, state: Array, found: Array, known: Array) -> None:
    s, a, size = state[0], found[0], len(data)
    names = np.zeros(DEEPEST, np.uint64)
    kinds, numbers = np.zeros(DEEPEST, np.int64), np.zeros(DEEPEST, np.int64)
    s.tick = -1
    code_end = indented = i = 0  # the next `</code` and the next line that begins with blanks, as far as known
    while i < size:
        after = data[i + 1] if data[i] == 60 and i + 1 < size else 0
        if _LETTER[after]:
            end = _name_end(data, i + 1)
            name = name_hash(data, i + 1, min(end, i + 1 + t.LONGEST))
            kind = find(known, t.ELEMENTS, name)
            start, i = i + 1, attributes(a, data, end, kind, known)
            kind |= a.kinds
            if kind & t.RAW:
                i = _raw(s, data, start, end, i, out, rows, kind, a)
                continue
            if kind & t.CODE and not s.pre:
                code_end = _find_end(data, max(code_end, i))
                indented = _find_indented(data, max(indented, i))
                kind = kind ^ t.CODE | t.PRE | t.BLOCK if indented < code_end < size else kind
            _open(s, data, out, rows, name, kind, data[end - 1] - 48, names, kinds, numbers, a, known)
        elif after == 47 and i + 2 < size and _LETTER[data[i + 2]]:
            end = _name_end(data, i + 2)
            name = name_hash(data, i + 2, min(end, i + 2 + t.LONGEST))
            i = _tag_end(data, end)
            _close(s, out, rows, name, find(known, t.ELEMENTS, name), names, kinds)
        elif after in (33, 63, 47):
            i = _comment(data, i)
        elif s.skip:
            i = _hidden(data, i)
        else:
            i = code(s, data, i, out, known) if s.pre else text(s, data, i, out, known)
    while s.depth:
        _pop(s, out, rows, kinds)
    _flush(s, out, rows)


@compiled
def _name_end(data: Array, i: int) -> int:
    while i < len(data) and _NAME[data[i]]:
        i += 1
    return i


@compiled
def _tag_end(data: Array, i: int) -> int:
    while i < len(data) and data[i] != 62:
        i += 1
    return i + 1


@compiled
def _hidden(data: Array, i: int) -> int:
    """Over text that is not shown."""
    i += 1
    while i < len(data) and data[i] != 60:
        i += 1
    return i


@compiled
def _comment(data: Array, i: int) -> int:
    """Over a comment or a declaration."""
    size = len(data)
    if not (i + 3 < size and data[i + 2] == 45 and data[i + 3] == 45):
        return _tag_end(data, i)
    i += 4
    while i < size and not (data[i] == 62 and data[i - 1] == 45 and data[i - 2] == 45):
        i += 1
    return i + 1


@compiled
def _find_end(data: Array, i: int) -> int:
    """Where the next `</code` begins."""
    for at in range(i, len(data) - 5):
        if data[at] == 60 and data[at + 1] == 47:
            same = True
            for k in range(4):
                same &= LOWER[data[at + 2 + k]] == _CODE_NAME[k]
            if same:
                return at
    return len(data)


@compiled
def _find_indented(data: Array, i: int) -> int:
    """The next line end, written or as `<br>`, with two blanks behind it."""
    for at in range(max(i, 3), len(data) - 2):
        if (
            data[at + 1] == 32
            and data[at + 2] == 32
            and (data[at] == 10 or (data[at] == 62 and data[at - 2] == 98 and data[at - 3] == 60))
        ):
            return at
    return len(data)


@compiled
def _raw(
    s: Any, data: Array, name: int, name_end: int, i: int, out: Array, rows: Array, kind: int, a: Any
) -> int:  # fmt: skip
    """Over an element whose content is no markup. What it holds is code in `xmp` and `plaintext`, or TeX."""
    size, length, end = len(data), name_end - name, i
    while end < size:
        if data[end] == 60 and end + 1 + length < size and data[end + 1] == 47:
            same = True
            for k in range(length):
                same &= LOWER[data[end + 2 + k]] == LOWER[data[name + k]]
            if same:
                break
        end += 1
    if not s.skip and kind & t.SCRIPT and a.tex:
        begin(s, out)
        put(s, out, 36, 2 if a.display else 1)
        for k in range(i, end):
            put(s, out, data[k] if data[k] else 32)
        put(s, out, 36, 2 if a.display else 1)
    elif not s.skip and kind & t.PRE:
        _flush(s, out, rows)
        s.pre += 1
        for k in range(i, end):
            put(s, out, data[k] if data[k] else 32)
        _flush(s, out, rows)
        s.pre -= 1
    return _tag_end(data, end)


@compiled
def _open(
    s: Any, data: Array, out: Array, rows: Array, name: Any, kind: int, last: int, names: Array, kinds: Array,
    numbers: Array, a: Any, known: Array,
) -> None:  # fmt: skip
    """A start tag; `last` is the digit that its name ends in."""
    if kind & t.BLOCK:
        while s.depth and kinds[s.depth - 1] & t.PARAGRAPH:  # its end tag may be left out, and so may those below
            _pop(s, out, rows, kinds)
        if s.depth and names[s.depth - 1] == name and kind & (t.ITEM | t.CELL | t.ROW):
            _pop(s, out, rows, kinds)
        _boundary(s, out, rows, kind)
    if kind & t.LINE and not s.skip and (s.pre or s.used > s.start):
        put(s, out, 10)
        s.spaced = 0
    if kind & t.IMAGE and kind & t.LATEX and not s.skip:
        _formula(s, data, a, out, known)
    if kind & t.HEADER and not s.main:
        kind |= t.BOILERPLATE
    s.level = last if kind & t.HEADING else s.level
    if kind & t.ITEM and not s.skip:
        _item(s, kinds, numbers)
    if a.label_end and kind & (t.BLOCK | t.CODE | t.PRE):
        s.label_start, s.label_end = a.label_start, a.label_end
    if kind & t.VOID or s.depth == DEEPEST:
        return
    if not s.skip and not kind & t.SKIP:
        kind |= _inline(s, data, out, kind, a, known)
    names[s.depth], kinds[s.depth], numbers[s.depth] = name, kind, 0
    s.depth += 1
    _count(s, kind, 1)


@compiled
def _item(s: Any, kinds: Array, numbers: Array) -> None:
    """The next item of a list: its number, where it has one, and that its text is awaited."""
    s.awaited, s.number = 1, 0
    if s.depth and kinds[s.depth - 1] & t.NUMBERED:
        numbers[s.depth - 1] += 1
        s.number = numbers[s.depth - 1]


@compiled
def _inline(s: Any, data: Array, out: Array, kind: int, a: Any, known: Array) -> int:
    """What is written where an element of code or mathematics opens. Answers SKIP where its content is not wanted."""
    if kind & t.CODE and not s.pre and not s.code:
        begin(s, out)
        s.tick = s.used
        put(s, out, 96)
    if kind & t.MATH and not s.math:
        if a.text_end > a.text_start:
            _formula(s, data, a, out, known)
            return t.SKIP
        begin(s, out)
        s.formula, s.dollars = s.used, 2 if a.display else 1
    if kind & t.ANNOTATION:
        if not (a.tex and s.math and s.formula >= s.start):
            return t.SKIP
        s.used = s.formula  # in place of its symbols
        put(s, out, 36, s.dollars)
        s.spaced = 0
    return 0


@compiled
def _formula(s: Any, data: Array, a: Any, out: Array, known: Array) -> None:
    """The alternative text of a formula, between dollars unless it has its own."""
    start, end = a.text_start, a.text_end
    while start < end and SPACE[data[start]]:
        start += 1
    if start < end:
        dollars = 0 if data[start] == 36 else 2 if a.display else 1
        begin(s, out)
        put(s, out, 36, dollars)
        part = data[:end]
        while start < end:
            start = text(s, part, start, out, known)
        put(s, out, 36, dollars)


@compiled
def _close(s: Any, out: Array, rows: Array, name: Any, kind: int, names: Array, kinds: Array) -> None:
    """An end tag: close the nearest element of its name, and all within it."""
    at = s.depth - 1
    while at >= 0 and names[at] != name:
        inner = kinds[at]
        beyond = (inner & t.CELL and not kind & t.TABLE) or (inner & t.BLOCK and not kind & t.BLOCK)
        if beyond or s.depth - at > NEAREST:
            return
        at -= 1
    while at >= 0 and s.depth > at:
        _pop(s, out, rows, kinds)


@compiled
def _pop(s: Any, out: Array, rows: Array, kinds: Array) -> None:
    """Close the innermost element."""
    kind = int(kinds[s.depth - 1])
    if not kind & t.SKIP:
        if kind & t.BLOCK:
            _boundary(s, out, rows, kind)
        if kind & t.CODE and s.tick >= s.start and s.code == 1:
            if s.used == s.tick + 1:
                s.used -= 1
            else:
                put(s, out, 96)
            s.tick = -1
        if kind & t.ANNOTATION and not s.skip:
            put(s, out, 36, s.dollars)
            s.muted += 1  # the rest of the formula says the same again
            s.skip += 1
        if kind & t.MATH and s.math == 1:
            s.skip -= s.muted
            s.muted = 0
    s.awaited = 0 if kind & t.ITEM else s.awaited
    s.depth -= 1
    _count(s, kind, -1)


@compiled
def _boundary(s: Any, out: Array, rows: Array, kind: int) -> None:
    """What the beginning or the end of a block means to the text: a line of code, a cell of a row, or another block."""
    if s.skip:
        return
    if kind & t.CELL and not kind & t.PRE and not s.pre:
        s.bar = s.used > s.start
    elif s.pre and not kind & t.PRE:
        if s.used > s.start and out[s.used - 1] != 10:
            put(s, out, 10)
    else:
        _flush(s, out, rows)


@compiled
def _flush(s: Any, out: Array, rows: Array) -> None:
    """End the block, if there is one."""
    used = s.used
    while used > s.start and SPACE[out[used - 1]]:
        used -= 1
    s.spaced = s.bar = 0
    if used > s.start or (s.line_pre and s.blocks):
        row: Any = rows[s.blocks]
        row.start, row.end = s.start, used
        row.kind = CODE if s.pre else HEADING if s.heading else ITEM if s.awaited else PARAGRAPH
        row.level = s.level if s.heading else s.list
        row.number, row.line = s.number, s.line_pre > 0
        row.boilerplate, row.guessed, row.main = s.boilerplate > 0, s.guessed > 0, s.main > 0
        row.links = s.links
        row.label_start, row.label_end = s.label_start, s.label_end
        s.label_start = s.label_end = s.awaited = 0
        s.blocks += 1
    s.used = s.start = used
    s.tick = -1


@compiled
def _count(s: Any, kind: int, by: int) -> None:
    """An element of these kinds opens (1) or closes (-1)."""
    s.skip += by if kind & t.SKIP else 0
    s.pre += by if kind & t.PRE else 0
    s.line_pre += by if kind & t.PRE and kind & t.CELL else 0
    s.boilerplate += by if kind & t.BOILERPLATE else 0
    s.guessed += by if kind & t.GUESSED else 0
    s.main += by if kind & t.MAIN else 0
    s.heading += by if kind & t.HEADING else 0
    s.list += by if kind & t.LIST else 0
    s.link += by if kind & t.LINK else 0
    s.code += by if kind & t.CODE else 0
    s.math += by if kind & t.MATH else 0
