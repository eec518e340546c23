"""What the attributes of a tag say of its element, read in one compiled pass over them."""

# Kernels take arrays one by one; neither tuples nor generators are free in them.
# ruff: noqa: PLR0917
from typing import Any

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import LOWER, SPACE, Array
from smallcoder.data.pages import tables as t
from smallcoder.data.pages.tables import find, hashed, name_hash

# `kinds` to add to the element's own; where an alternative text and a label of a language stand; TeX or not.
_FIELDS = "kinds by_id text_start text_end label_start label_end tex display"
ATTRIBUTES = np.dtype([(name, np.int64) for name in _FIELDS.split()])

_CLASS, _ID, _ROLE, _STYLE, _TYPE, _ENCODING, _DISPLAY = map(
    hashed, ("class", "id", "role", "style", "type", "encoding", "display")
)
_HIDDEN, _ARIA_HIDDEN, _ALT, _ALTTEXT, _MODE = map(hashed, ("hidden", "aria-hidden", "alt", "alttext", "mode"))
_TRUE, _BLOCK, _DISPLAY_MODE, _ROLE_MAIN = map(hashed, ("true", "block", "display", "main"))
_TEX, _LATEX, _NO_SNIPPET = map(hashed, ("tex", "latex", "data-nosnippet"))
_ROLES = np.array([hashed(name) for name in ("navigation", "banner", "contentinfo", "complementary", "search", "menu")])
_NONE, _PRE, _MATH_TEX, _X_TEX, _DISPLAYED = (
    np.frombuffer(word, np.uint8)
    for word in (b"display:none", b"white-space:pre", b"math/tex", b"x-tex", b"mode=display")
)
_PART = np.array([c in b"-_:" for c in range(256)])
_UPPER = np.array([65 <= c <= 90 for c in range(256)])


@compiled
def attributes(a: Any, data: Array, i: int, kind: int, known: Array) -> int:
    """Read a tag from behind its name to its end into `a`; returns where the tag ends."""
    a.kinds = a.by_id = a.text_start = a.text_end = a.label_start = a.label_end = a.tex = a.display = 0
    size = len(data)
    while i < size:
        while i < size and (SPACE[data[i]] or data[i] == 47):
            i += 1
        if i < size and data[i] == 62:
            a.kinds |= 0 if a.kinds & t.SECTION else a.by_id
            return i + 1
        start = i
        i += 1
        while i < size and not SPACE[data[i]] and data[i] not in (47, 61, 62):
            i += 1
        end = i
        while i < size and SPACE[data[i]]:
            i += 1
        first = last = i
        if i < size and data[i] == 61:
            i += 1
            while i < size and SPACE[data[i]]:
                i += 1
            quote = data[i] if i < size and data[i] in (34, 39) else 0
            first = i = i + (quote > 0)
            if quote:
                while i < size and data[i] != quote:
                    i += 1
            else:
                while i < size and not SPACE[data[i]] and data[i] != 62:
                    i += 1
            last = i
            i += quote > 0
        if end - start < t.LONGEST and not kind & t.ROOT:
            _attribute(a, data, name_hash(data, start, end), first, last, kind, known)
    return size


@compiled
def _attribute(a: Any, data: Array, name: Any, first: int, last: int, kind: int, known: Array) -> None:
    if name == _CLASS:
        code = kind & (t.PRE | t.CODE | t.MAIN)  # of these, classes are names of colour schemes and the like
        a.kinds |= _classes(a, data, first, last, kind, known) & ~(t.GUESSED | t.SKIP if code else 0)
    elif name == _ID:  # most are made of headings: "cookies" is a section about cookies
        found = _classes(a, data, first, last, kind, known)
        a.kinds |= found & (~t.GUESSED if kind & t.HOLDER else t.MAIN)
        a.by_id = found & t.GUESSED if kind & t.HOLDER else 0
    elif name == _ROLE:
        role = name_hash(data, first, min(last, first + t.LONGEST))
        if role == _ROLE_MAIN:
            a.kinds |= t.MAIN
        for known_role in _ROLES:
            a.kinds |= t.BOILERPLATE if role == known_role else 0
    elif name == _STYLE:
        a.kinds |= t.SKIP if _holds(data, first, last, _NONE) else 0
        a.kinds |= t.PRE if _holds(data, first, last, _PRE) else 0
    elif name == _HIDDEN or (name == _NO_SNIPPET and kind & t.LINK):  # the latter are line numbers that lead to lines
        a.kinds |= t.SKIP
    elif name == _ARIA_HIDDEN:
        if name_hash(data, first, min(last, first + t.LONGEST)) == _TRUE:
            a.kinds |= t.GUESSED if kind & t.BLOCK else t.SKIP
    elif name == _ALTTEXT or (name == _ALT and kind & t.IMAGE):
        a.text_start, a.text_end = first, last
    elif name in (_TYPE, _ENCODING):
        value = name_hash(data, first, min(last, first + t.LONGEST))
        a.tex |= value in (_TEX, _LATEX) or _holds(data, first, last, _MATH_TEX) or _holds(data, first, last, _X_TEX)
        a.display |= _holds(data, first, last, _DISPLAYED)
    elif name in (_DISPLAY, _MODE):
        a.display |= name_hash(data, first, min(last, first + t.LONGEST)) in (_BLOCK, _DISPLAY_MODE)


@compiled
def _holds(data: Array, first: int, last: int, word: Array) -> bool:
    """Whether a value holds a word, blanks and case left out."""
    for start in range(first, last):
        if data[start] == 32:
            continue  # or a run of blanks would be gone through from each of them
        k, i = 0, start
        while i < last and k < len(word):
            if LOWER[data[i]] == word[k]:
                k += 1
            elif data[i] != 32:
                break
            i += 1
        if k == len(word):
            return True
    return False


@compiled
def _classes(a: Any, data: Array, first: int, last: int, kind: int, known: Array) -> int:
    """What the words of a class or an id say."""
    i, found = first, 0
    while i < last:
        while i < last and SPACE[data[i]]:
            i += 1
        start = i
        while i < last and not SPACE[data[i]]:
            i += 1
        if 0 < i - start < 64:
            found |= find(known, t.CLASSES, name_hash(data, start, i))
            if kind & (t.BLOCK | t.CODE) or not kind:
                found |= _pieces(a, data, start, i, known)
    return found


@compiled
def _pieces(a: Any, data: Array, start: int, end: int, known: Array) -> int:
    """GUESSED where the first or the last piece of a word tells of boilerplate and none speaks against it."""
    i, said, last, piece = start, 0, 0, 0
    while i < end:
        first = i
        i += 1
        while i < end and not _PART[data[i]] and not (_UPPER[data[i]] and not _UPPER[data[i - 1]]):
            i += 1
        last = find(known, t.PIECES, name_hash(data, first, i))
        if piece == 0:
            said = last
            if last & t.LABEL and i + 1 < end:
                a.label_start, a.label_end = i + 1, end
        if last & t.NOT:
            return 0
        piece += 1
        while i < end and _PART[data[i]]:
            i += 1
    return t.GUESSED if (said | last) & t.BOILERPLATE else 0
