"""`markup.toml` and the named characters of HTML as hash tables that compiled code can look up.

What an element does, by the names of its kinds:
    block         begins and ends a block of text            void        has no content
    skip          its content is never shown                 raw         its content ends at its own end tag only
    pre           white space counts                         boilerplate, main, header   where in a page it stands
    heading, item, list, numbered, cell, row, table, link, code, paragraph, line, image   what the text in it becomes
    math, annotation, script                                 may hold TeX
    root          its classes say nothing about its parts    holder      its id says something about them
    guessed       boilerplate by a class or an id            section     one of a document: its id is its heading
"""

import tomllib
from functools import cache
from html.entities import html5
from importlib.resources import files
from typing import Any

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import FNV, LOWER, SEED, Array

_NAMES = (
    "block void skip raw pre boilerplate main heading item list numbered cell row table link code math annotation "
    "line image script header root paragraph latex label not guessed holder section"
)
KINDS = _NAMES.split()
(
    BLOCK, VOID, SKIP, RAW, PRE, BOILERPLATE, MAIN, HEADING, ITEM, LIST, NUMBERED, CELL, ROW, TABLE, LINK, CODE, MATH,
    ANNOTATION, LINE, IMAGE, SCRIPT, HEADER, ROOT, PARAGRAPH, LATEX, LABEL, NOT, GUESSED,
    HOLDER, SECTION,
) = (1 << at for at in range(len(KINDS)))  # fmt: skip
LONGEST = 33  # bytes of the longest name of a character, and of other names that are looked up

ELEMENTS, CLASSES, PIECES, CHARACTERS = range(4)  # sections of `tables`
S32 = np.uint64(32)


@compiled
def name_hash(data: Array, start: int, end: int) -> Any:
    """The hash of a name without its ASCII case."""
    h = SEED
    for i in range(start, end):
        h = (h ^ LOWER[data[i]]) * FNV
    return h


@compiled
def exact_hash(data: Array, start: int, end: int) -> Any:
    """The hash of a name with its case."""
    h = SEED
    for i in range(start, end):
        h = (h ^ np.uint64(data[i])) * FNV
    return h


@compiled
def find(known: Array, section: int, h: Any) -> Any:
    """What a hash means in a section of `tables`, 0 where it means nothing."""
    base, mask = np.int64(known[2 * section]), np.int64(known[2 * section + 1])
    at = np.int64(h >> S32) & mask
    while known[base + 2 * at] != 0:
        if known[base + 2 * at] == h:
            return np.int64(known[base + 2 * at + 1])
        at = (at + 1) & mask
    return 0


def hashed(name: str) -> np.uint64:
    """`name_hash` of a name in lower case, or `exact_hash` of any."""
    h = int(SEED)
    for byte in name.encode():
        h = (h ^ byte) * int(FNV) % (1 << 64)
    return np.uint64(h)


@cache
def tables() -> Array:
    """All tables in one array, uint64: where each section begins and its mask, then its hashes and meanings by turns.

    One array, because tuples of arrays cost reference counts at every call: that took half of the time. ELEMENTS gives
    kinds by the name of an element, CLASSES those that a class or an id adds by the whole word, PIECES by a part of it,
    CHARACTERS the UTF-8 of a named character, by its name with the semicolon if it needs one: the bytes from the lowest
    on, their number in the highest.
    """
    encoded = {name: text.encode() for name, text in html5.items()}
    characters = {name: int.from_bytes(text, "little") | len(text) << 56 for name, text in encoded.items()}
    sections = [*(_table(_kinds(name)) for name in ("elements", "classes", "pieces")), _table(characters)]
    starts = np.cumsum([2 * len(sections), *map(len, sections)])
    header = [(int(start), len(section) // 2 - 1) for start, section in zip(starts, sections, strict=False)]
    return np.concatenate([np.array(header, np.uint64).ravel(), *sections])


def _kinds(section: str) -> dict[str, int]:
    table = tomllib.loads(files("smallcoder.data.pages").joinpath("markup.toml").read_text("utf-8"))[section]
    found: dict[str, int] = {}
    for kind, names in table.items():
        for name in names.split():
            found[name] = found.get(name, 0) | 1 << KINDS.index(kind)
    return found


def _table(meanings: dict[str, int]) -> Array:
    size = 1 << (4 * len(meanings)).bit_length()
    rows = np.zeros((size, 2), np.uint64)
    for name, value in meanings.items():
        h = hashed(name)
        at = (int(h) >> 32) % size
        while rows[at, 0]:
            at = (at + 1) % size
        rows[at] = h, value
    return rows.ravel()
