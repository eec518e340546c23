"""Punctuation in a text that is scanned: where strings and comments open and close, and how brackets nest.

The half of `scan` that knows how languages write these (`lexicon`); `s` is its state and `c` its counts.
"""

# Kernels take arrays one by one; neither tuples nor generators are free in them.
# ruff: noqa: PLR1714

from typing import Any

import numpy as np

from smallcoder.data import lexicon as lx
from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import FNV, Array

CODE, STRING, COMMENT, DOC = range(4)  # what the scan is in
LINE, QUOTE, _TRIPLE, _BLOCK, _MARKUP = range(5)  # what ends a string or a comment

_PLAIN, _STRINGS, _COMMENTS, _BRACKETS = range(4)  # what a byte of punctuation may do in code
_ACTION = np.array([_STRINGS if c in b"\"'`" else _COMMENTS if c in b"#/-;%<" else _BRACKETS if c in b"()[]{},="
                    else _PLAIN for c in range(256)], np.uint8)  # fmt: skip
_ROUND, _SQUARE, _CURLY = (
    np.array([1 if c == pair[0] else -1 if c == pair[1] else 0 for c in range(256)], np.int8)
    for pair in (b"()", b"[]", b"{}")
)
_BLANKS = np.array([c in b" \t\r\n\f\v" for c in range(256)])


@compiled(forceinline=True)
def inside(text: Array, i: int, c: Any, s: Any) -> int:
    """A byte of punctuation inside a string or comment: does it end there?"""
    b, width = text[i], 1
    closes = False
    if s.state == STRING:
        s.code = 1
    else:
        s.comment = 1
    if s.ends == QUOTE or s.ends == _TRIPLE:
        if i != s.escaped:
            if b == 92:
                s.escaped = i + 1
            elif b == s.quote:
                closes = s.ends == QUOTE or (stands(text, i + 1, b) and stands(text, i + 2, b))
                width = 3 if closes and s.ends == _TRIPLE else 1
    elif s.ends == _BLOCK:
        closes = b == 42 and stands(text, i + 1, 47)
        width = 2 if closes else 1
    elif s.ends == _MARKUP:
        closes = b == 45 and stands(text, i + 1, 45) and stands(text, i + 2, 62)
        width = 3 if closes else 1
    if closes:
        enter(CODE, i + width, c, s)
    return _hash_on(text, i, i + width, s)


@compiled(forceinline=True)
def opened(text: Array, i: int, features: int, c: Any, s: Any) -> int:
    """A byte of punctuation in code: does it open a string or a comment, or is it a bracket?"""
    b = text[i]
    action = _ACTION[b]
    if action == _PLAIN:
        s.code, s.control = 1, 0
        return _hash_on(text, i, i + 1, s)
    if action == _STRINGS:
        strings = lx.QUOTES | lx.DOUBLE if b == 34 else lx.QUOTES if b == 39 else lx.BACKTICK
        if features & strings:
            triple = features & lx.TRIPLE and stands(text, i + 1, b) and stands(text, i + 2, b)
            alone = features & lx.TRIPLE and not s.code and s.round + s.square + s.curly == 0
            enter(DOC if alone else STRING, i, c, s)
            s.ends, s.quote, s.multiline = (_TRIPLE if triple else QUOTE), b, b == 96
            c.docs += s.state == DOC
            if s.state == DOC:
                s.comment = 1
            else:
                s.code, s.called = 1, 0
            return _hash_on(text, i, i + (3 if triple else 1), s)
        s.code = 1
        size = 0
        if b == 39 and features & lx.DOUBLE:  # 'x' or '\x'
            size = 3 + stands(text, i + 1, 92)
            size = size if stands(text, i + size - 1, b) and not stands(text, i + size - 2, 10) else 0
        return _hash_on(text, i, i + max(size, 1), s)
    width, state, ends = _comment(text, i, features) if action == _COMMENTS else (0, CODE, LINE)
    if width:
        c.comments += 1
        c.docs += state == DOC
        c.inline_comments += s.code
        enter(state, i, c, s)
        s.comment, s.ends = 1, ends
        return _hash_on(text, i, i + width, s)
    s.code = 1
    _bracket(b, stands(text, i + 1, 62), features, c, s)
    return _hash_on(text, i, i + 1, s)


@compiled(forceinline=True)
def _comment(text: Array, i: int, features: int) -> tuple[int, int, int]:
    """(bytes of the opening mark, state, what ends it) of a comment that begins at i; 0 bytes if none does."""
    b = text[i]
    if b == 35:
        blank = i == 0 or _BLANKS[text[i - 1]]
        if features & lx.HASH or (features & lx.HASH_BLANK and blank):
            return 1, COMMENT, LINE
    elif b == 47:
        if features & lx.SLASHES and stands(text, i + 1, 47):
            return 2, (DOC if stands(text, i + 2, 47) or stands(text, i + 2, 33) else COMMENT), LINE
        if features & lx.BLOCKS and stands(text, i + 1, 42):
            return 2, (DOC if stands(text, i + 2, 42) and not stands(text, i + 3, 47) else COMMENT), _BLOCK
    elif b == 45:
        if features & lx.DASHES and stands(text, i + 1, 45):
            return 2, COMMENT, LINE
    elif b == 59:
        if features & lx.SEMICOLON:
            return 1, COMMENT, LINE
    elif b == 37:
        if features & lx.PERCENT and not (i > 0 and text[i - 1] == 92):
            return 1, COMMENT, LINE
    elif (
        b == 60
        and features & lx.MARKUP
        and stands(text, i + 1, 33)
        and stands(text, i + 2, 45)
        and stands(text, i + 3, 45)
    ):
        return 4, COMMENT, _MARKUP
    return 0, CODE, LINE


@compiled(forceinline=True)
def _bracket(b: int, arrow: bool, features: int, c: Any, s: Any) -> None:
    """Nesting and balance; where functions have no keyword, `(...) {` is one. `arrow`: the next byte is `>`."""
    round_, square, curly = _ROUND[b], _SQUARE[b], _CURLY[b]  # 1 opens, -1 closes
    c.unbalanced += (s.round + round_ < 0) + (s.square + square < 0) + (s.curly + curly < 0)
    s.round = max(s.round + round_, 0)
    s.square = max(s.square + square, 0)
    s.curly = max(s.curly + curly, 0)
    c.nesting = max(c.nesting, s.round + s.square + s.curly)
    if features & lx.BRACES:
        called = s.called
        if b == 40:
            s.controls = s.controls << 1 | s.control
            called = 0
        elif b == 41:
            called = 1 - (s.controls & 1)
            s.controls >>= 1
        elif b == 123:
            c.functions += called
            called = 0
        elif b == 125 or b == 91 or b == 44 or b == 59 or (b == 61 and not arrow):
            called = 0
        s.called = called
    s.control = 0


@compiled(forceinline=True)
def enter(state: int, at: int, c: Any, s: Any) -> None:
    """Change the state at a place: the bytes since the last change belong to the state that ends."""
    size = at - s.since
    if s.state == STRING:
        c.string_bytes += size
    elif s.state == COMMENT:
        c.comment_bytes += size
    elif s.state == DOC:
        c.doc_bytes += size
    s.state, s.since = state, at


@compiled(forceinline=True)
def _hash_on(text: Array, start: int, end: int, s: Any) -> int:
    """Make text[start:end], no words, part of the line's hash."""
    for i in range(start, end):
        s.hash = np.int64((np.uint64(s.hash) ^ np.uint64(text[i])) * FNV)
    return end


@compiled(forceinline=True)
def stands(text: Array, at: int, b: int) -> bool:
    """Whether a byte stands at a place of a text that may end before it."""
    return at < len(text) and text[at] == b
