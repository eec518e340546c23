"""The text between two tags, copied or put in order, in compiled code: blanks, named characters, controls."""

# Kernels take arrays one by one; neither tuples nor generators are free in them.
from typing import Any

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import SPACE, Array
from smallcoder.data.pages.tables import CHARACTERS, LONGEST, exact_hash, find

WORDS = np.array([c < 128 and chr(c).isalnum() for c in range(256)])
TEXT = np.array([c > 32 and c not in b"<&\xc2\xe2\xef\x7f" for c in range(256)])  # bytes that only need copying
VERBATIM = TEXT | np.isin(np.arange(256), (9, 10, 32))
NO_BREAK, SOFT_HYPHEN = 0xA0C2, 0xADC2  # in UTF-8, the first byte lowest
# What numbers from 128 to 159 stand for (the HTML standard, section 13.2.5.80): they are read as windows-1252.
WINDOWS = np.array([ord(bytes([c]).decode("cp1252", "replace")) for c in range(128, 160)])


@compiled
def put(s: Any, out: Array, byte: int, times: int = 1) -> None:
    for _ in range(times):
        out[s.used] = byte
        s.used += 1


@compiled
def begin(s: Any, out: Array) -> None:
    """Before something is written: the blank, or the bar between cells, that was held back."""
    if s.used == s.start:
        s.links = 0
    elif not s.pre and s.used > s.tick + 1:
        if s.bar:
            put(s, out, 32)
            put(s, out, 124)
            put(s, out, 32)
        elif s.spaced and out[s.used - 1] != 10:
            put(s, out, 32)
    s.spaced = s.bar = 0


@compiled
def text(s: Any, data: Array, i: int, out: Array, known: Array) -> int:
    """Text up to the next tag, its white space as single blanks."""
    size, first = len(data), i
    while i < size and (data[i] != 60 or i == first):
        b = data[i]
        if SPACE[b]:
            s.spaced = 1
            i += 1
        elif TEXT[b] or b == 60:
            begin(s, out)
            i = _copy(s, data, i, out, TEXT)
        else:
            i = _rest(s, data, i, out, known)
    return i


@compiled
def code(s: Any, data: Array, i: int, out: Array, known: Array) -> int:
    """Text up to the next tag as it stands, line ends as feeds."""
    size, first = len(data), i
    while i < size and (data[i] != 60 or i == first):
        b = data[i]
        if VERBATIM[b] or b == 60:
            begin(s, out)
            i = _copy(s, data, i, out, VERBATIM)
        elif b == 13:
            put(s, out, 10, i + 1 == size or data[i + 1] != 10)
            i += 1
        else:
            i = _rest(s, data, i, out, known)
    return i


@compiled
def _copy(s: Any, data: Array, i: int, out: Array, plain: Array) -> int:
    """One byte and all plain ones behind it."""
    used, first = s.used, i
    out[used] = data[i]
    i += 1
    while i < len(data) and plain[data[i]]:
        out[used + i - first] = data[i]
        i += 1
    s.used = used + i - first
    s.links += i - first if s.link else 0
    return i


@compiled
def _rest(s: Any, data: Array, i: int, out: Array, known: Array) -> int:
    """One character of the rarer kinds: an entity, a blank or a mark beyond ASCII, a control."""
    size, b = len(data), data[i]
    if b == 38:
        return _entity(s, data, i, out, known)
    after = data[i + 1] if i + 1 < size else 0
    last = data[i + 2] if i + 2 < size else 0
    if b == 0xC2 and after == 0xA0:
        _blank(s, out)
        return i + 2
    if b == 0xC2 and after == 0xAD:  # soft hyphen
        return i + 2
    if (b == 0xE2 and after == 0x80 and last == 0x8B) or (b == 0xEF and after == 0xBB and last == 0xBF):
        return i + 3  # blank of no width, byte order mark
    if b >= 32 and b != 127:
        begin(s, out)
        put(s, out, b)
    return i + 1


@compiled
def _blank(s: Any, out: Array) -> None:
    """A blank that does not break lines."""
    if s.pre:
        begin(s, out)
        put(s, out, 32)
    else:
        s.spaced = 1


@compiled
def _entity(s: Any, data: Array, i: int, out: Array, known: Array) -> int:
    """A character by name or number, or the ampersand that stands for itself."""
    size, end = len(data), i + 1
    if end < size and data[end] == 35:
        end, point = _number(data, end + 1)
        if point == 160 or (point in (9, 10, 13, 32) and not s.pre):
            _blank(s, out)
        elif point >= 0:
            begin(s, out)
            _character(s, out, point)
        if point >= 0:
            return end
    else:
        while end < size and WORDS[data[end]] and end < i + LONGEST:
            end += 1
        end += end < size and data[end] == 59
        found = find(known, CHARACTERS, exact_hash(data, i + 1, end))
        if found & 0xFFFF in (NO_BREAK, SOFT_HYPHEN) and found >> 56 == 2:
            _blank(s, out)
        elif found:
            begin(s, out)
            for k in range(found >> 56):
                put(s, out, found >> 8 * k & 255)
        if found:
            return end
    begin(s, out)
    put(s, out, 38)
    return i + 1


@compiled
def _number(data: Array, i: int) -> tuple[int, int]:
    """Where the number of a character ends, and the number; -1 for none."""
    size, point = len(data), 0
    base = 16 if i < size and data[i] | 32 == 120 else 10
    first = i = i + (base == 16)
    while i < min(size, first + 8):
        digit = data[i] - 48 if data[i] < 58 else (data[i] | 32) - 87
        if digit < 0 or digit >= base:
            break
        point = point * base + digit
        i += 1
    if i == first:
        return i, -1
    return i + (i < size and data[i] == 59), point


@compiled
def _character(s: Any, out: Array, point: int) -> None:
    """A character by its number, in UTF-8; U+FFFD for what is none, nothing for controls."""
    if point > 0x10FFFF or 0xD800 <= point < 0xE000 or point == 0:
        point = 0xFFFD
    if 128 <= point < 160:
        point = WINDOWS[point - 128]
    if (point < 32 and point not in (9, 10, 13)) or point in (127, 0xAD, 0x200B, 0xFEFF):
        return
    extra = 0 if point < 0x80 else 1 if point < 0x800 else 2 if point < 0x10000 else 3
    put(s, out, point if not extra else (0xFF00 >> extra + 1) & 0xFF | point >> 6 * extra)
    for k in range(1, extra + 1):
        put(s, out, 0x80 | point >> 6 * (extra - k) & 63)
