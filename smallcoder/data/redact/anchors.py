"""Where a secret could be: one compiled pass over the bytes of a text column.

An anchor is a place and a kind. The pass looks only at the bytes that a secret cannot do without - an `@` between word
characters, the prefix of a known token at the start of a word with enough of a body behind it, a telling name before
`=`, `:` or `,` and a value, dotted and grouped figures, `-----BEGIN` - so that ordinary code gives few anchors and the
patterns in `detect` run on a line or two of a file. It may point at too many places, never at too few: what a pattern
could match it must find.

Cost: 450 MB a CPU-second on Python. The first call compiles for some seconds, later processes load the result.
"""

from typing import Any

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import WORD, Array
from smallcoder.data.redact.characters import (
    ALPHA,
    AT,
    BACKSLASH,
    BODY,
    CLOSE,
    COLON,
    DASH,
    DIGIT,
    DOMAIN,
    DOT,
    HEX,
    LOCAL,
    MARKS,
    OPEN,
    PLUS,
    QUOTE,
    SPACE,
    TILDE,
    UNDERSCORE,
    URLISH,
    VALUE,
    run,
    table,
)
from smallcoder.data.redact.names import A_KEY, A_PASSWORD, named
from smallcoder.data.redact.patterns import TOKENS

EMAIL, URL, PASSWORD, SECRET, IPV4, IPV6, PHONE, CARD, PRIVATE_KEY, TELEGRAM, AZURE_CLIENT, TOKEN = range(12)
# An anchor of kind TOKEN + n is one of TOKENS[n].

_BLANK = np.array([chr(c) in " \t" for c in range(256)])
_ANY = np.ones(256, bool)
_NAMED = WORD | QUOTE | _BLANK | np.array([chr(c) in "]!" for c in range(256)])
_GIVEN = VALUE | QUOTE | _BLANK
_AROUND: dict[str, tuple[Array, Array]] = {
    "@": (URLISH, WORD),
    "=": (_NAMED, _GIVEN | (np.arange(256) == ord(">"))),
    ":": (_NAMED, _GIVEN),
    ",": (QUOTE | _BLANK, QUOTE | _BLANK | ALPHA),
    ">": (WORD, _GIVEN),
    "+": (~WORD, DIGIT),
    "(": (_ANY, DIGIT),
    "~": (np.arange(256) == ord("Q"), _ANY),
    "\\": (_ANY, np.isin(np.arange(256), [*b"nrt"])),
    "-": (np.arange(256) != ord("-"), np.arange(256) == ord("-")),
}


def _parts() -> Array:
    """What each byte may be to a candidate, uint64 [256]: a bit for each kind of candidate, the first for words.

    The lowest 16 bits: that it is one. The next: that it may stand after one; the third: before.
    """
    kinds = [(WORD, ~WORD, _ANY), *((np.arange(256) == mark, *_AROUND[chr(mark)]) for mark in MARKS)]
    parts = np.zeros(256, np.uint64)
    for kind, (itself, before, after) in enumerate(kinds):
        for place, members in enumerate((itself, after, before)):
            parts[members] |= np.uint64(1 << (16 * place + kind))
    return parts


_PARTS = _parts()
_S16, _S32, _SELF = np.uint64(16), np.uint64(32), np.uint64(0xFFFF)
_NEWLINE = np.uint8(10)
_BEGIN = np.frombuffer(b"BEGIN", np.uint8)
# How many letters and figures belong to a backslash before them: \n, \x41, \u0041, \U00000041.
_ESCAPE = np.array([{"x": 3, "u": 5, "U": 9}.get(chr(c), 1) for c in range(256)])
_SLOTS = 4096
BLOCK = 1 << 14
MIN_LENGTH = 7  # of a text with a secret, and of any that begins with a letter or a figure


def _chains(prefixes: list[bytes]) -> tuple[Array, Array]:
    """A hash table by the first three bytes: heads int32 [_SLOTS] and for each prefix the next one; -1 ends a chain."""
    heads = np.full(_SLOTS, -1, np.int32)
    following = np.full(len(prefixes), -1, np.int32)
    for at, prefix in reversed(list(enumerate(prefixes))):  # so that the first of the table is tried first
        slot = _slot_of(*prefix[:3])
        following[at], heads[slot] = heads[slot], at
    return heads, following


def _slot_of(a: int, b: int, c: int) -> int:
    return (a * 961 + b * 31 + c * 1021) & (_SLOTS - 1)


@compiled(inline="always")
def _slot(text: Array, i: int) -> Any:
    """`_slot_of` the three bytes at i."""
    return (np.int64(text[i]) * 961 + np.int64(text[i + 1]) * 31 + np.int64(text[i + 2]) * 1021) & (_SLOTS - 1)


_PREFIX, _PREFIX_LENGTH = table([token.prefix for token in TOKENS])
_LEAST = np.array([token.least for token in TOKENS], np.int64)
_HEADS, _NEXT = _chains([token.prefix for token in TOKENS])
_BEGINS = _HEADS >= 0


@compiled
def find_anchors(offsets: Array, data: Array) -> Array:
    """Anchors of the buffers of a column (`kernels.buffers`): int64 [n, 3] of row, byte in the row, kind, in order.

    The byte is the first of the secret, or the separator behind a telling name, or the `://` of a URL.
    """
    out = np.empty((1024, 3), np.int64)
    used = 0
    places = np.empty(BLOCK + 1, np.int64)
    for row in range(len(offsets) - 1):
        text = data[offsets[row] : offsets[row + 1]]
        for first in range(0, len(text), BLOCK):
            for at in places[: _candidates(text, first, places)]:
                place, kind, url = _examine(text, at, len(text))
                if used + 2 > len(out):
                    grown = np.empty((2 * len(out), 3), np.int64)
                    for k in range(3 * used):  # a slice would take 2 s more to compile
                        grown.flat[k] = out.flat[k]
                    out = grown
                if kind >= 0:
                    out[used, 0], out[used, 1], out[used, 2] = row, place, kind
                    used += 1
                if url >= 0:
                    out[used, 0], out[used, 1], out[used, 2] = row, url, URL
                    used += 1
    return out[:used].copy()


@compiled
def _candidates(text: Array, first: int, places: Array) -> int:
    """Bytes of the block at `first` that could belong to a secret by their neighbours alone; returns how many.

    Nearly all the time goes here, so there is nothing but looks into tables, and no branch to be guessed: what is no
    candidate is overwritten. places: int64 [BLOCK + 1].
    """
    end = len(text)
    if end < MIN_LENGTH:
        return 0
    block = text[first : min(end, first + BLOCK)]
    before = _PARTS[text[first - 1] if first > 0 else _NEWLINE] >> _S32
    here = _PARTS[block[0]]
    count = 0
    for i in range(len(block) - 1):
        after = _PARTS[block[i + 1]]
        places[count] = first + i
        count += (before & (after >> _S16) & here & _SELF) != 0
        before, here = here >> _S32, after
    after = _PARTS[text[first + len(block)] if first + len(block) < end else _NEWLINE]
    places[count] = first + len(block) - 1
    count += (before & (after >> _S16) & here & _SELF) != 0
    kept = 0
    for i in places[:count]:
        c = text[i]
        begins = (i + MIN_LENGTH <= end) & (DIGIT[c] | _BEGINS[_slot(text, min(i, end - MIN_LENGTH))])
        places[kept] = i
        kept += ~WORD[c] | begins
    return kept


@compiled
def _examine(text: Array, i: int, end: int) -> tuple[int, int, int]:
    """Place and kind of what the candidate at i belongs to, and the `://` before an address; -1 for none."""
    c = text[i]
    if c == BACKSLASH:  # in "\nghp_..." a word begins after the escape
        i += 2
        if i + MIN_LENGTH > end or not WORD[text[i]]:
            return i, -1, -1
        c = text[i]
    if WORD[c]:
        kind = _figures(text, i, end) if DIGIT[c] else -1
        if kind < 0:
            head: Any = _HEADS[_slot(text, i)]
            kind = _token(text, i, end, head)
        return i, kind, -1
    if c == AT:
        return _at_sign(text, i, end)
    if c == TILDE:
        return i - 5, AZURE_CLIENT if i >= 5 and DIGIT[text[i - 2]] else -1, -1
    if c == DASH:
        return i, PRIVATE_KEY if _begins_key(text, i, end) else -1, -1
    if c in (OPEN, PLUS):
        return i, PHONE if _begins_phone(text, i, end) else -1, -1
    told = named(text, i, end)
    return i, PASSWORD if told == A_PASSWORD else SECRET if told == A_KEY else -1, -1


@compiled
def _token(text: Array, i: int, end: int, at: int) -> int:
    """TOKEN + n for the first of a chain of prefixes that stands at i with enough of a body behind it, or -1."""
    while at >= 0:
        length = _PREFIX_LENGTH[at]
        if i + length + _LEAST[at] <= end:
            same = 0
            while same < length and text[i + same] == _PREFIX[at, same]:
                same += 1
            if same == length:
                body = i + length
                least = body + _LEAST[at]
                if text[body] == SPACE:
                    body += 1
                while body < least and BODY[text[body]]:
                    body += 1
                if body == least:
                    return TOKEN + at
        at = _NEXT[at]
    return -1


@compiled
def _figures(text: Array, i: int, end: int) -> int:
    """The kind of the number at i, the start of a word."""
    if i > 1 and (text[i - 1] == DOT or text[i - 1] == DASH) and DIGIT[text[i - 2]]:
        return -1  # the middle of a number that was looked at
    figures = run(text, i, end, 20, DIGIT)
    after = i + figures
    if 13 <= figures < 20:
        return CARD
    if after + 4 >= end:
        return -1
    c = text[after]
    if c == COLON:
        telegram = 8 <= figures <= 10 and after + 36 <= end and text[after + 1] == text[after + 2] == 65
        if telegram:
            return TELEGRAM
    elif c == DOT and figures <= 3 and _is_dotted(text, after, end):
        return IPV4
    if figures == 3 and i + 12 <= end and c in (DASH, DOT, SPACE):
        if _ends_phone(text, i + 4, end):
            return PHONE
    elif figures == 4 and c in (DASH, SPACE):
        second = run(text, i + 5, end, 7, DIGIT)
        if second in (4, 6) and i + 5 + second < end and text[i + 5 + second] == c:
            return CARD
    # Global unicast addresses of IPv6 begin with 2 or 3.
    if text[i] in (50, 51) and text[i + 4] == COLON and run(text, i, end, 5, HEX) == 4:
        return IPV6 if HEX[text[i + 5]] or text[i + 5] == COLON else -1
    return -1


@compiled
def _is_dotted(text: Array, at: int, end: int) -> bool:
    """Whether three more groups of one to three figures follow, each after a dot; the first dot is at `at`."""
    for _ in range(3):
        if at >= end or text[at] != DOT:
            return False
        width = run(text, at + 1, end, 4, DIGIT)
        if width == 0 or width > 3:
            return False
        at += width + 1
    return True


@compiled
def _ends_phone(text: Array, i: int, end: int) -> bool:
    """Whether three figures, a mark and four figures stand at i."""
    return run(text, i, end, 4, DIGIT) == 3 and not WORD[text[i + 3]] and run(text, i + 4, end, 5, DIGIT) == 4


@compiled
def _begins_key(text: Array, i: int, end: int) -> bool:
    """Whether `-----BEGIN ` stands at i, by its fifth, sixth, tenth and eleventh byte."""
    if i + 20 >= end or text[i + 4] != DASH:
        return False
    return text[i + 5] == _BEGIN[0] and text[i + 9] == _BEGIN[4] and text[i + 10] == SPACE


@compiled
def _begins_phone(text: Array, i: int, end: int) -> bool:
    """Whether three figures in parentheses stand at i, or a plus and nine figures with what groups them in between."""
    if i + 9 >= end or (i > 0 and text[i] == text[i - 1] == PLUS):
        return False
    if text[i] == OPEN:
        return text[i + 4] == CLOSE and run(text, i + 1, end, 4, DIGIT) == 3
    figures = 0
    for at in range(i + 1, min(end, i + 24)):
        if DIGIT[text[at]]:
            figures += 1
        elif text[at] not in (SPACE, DASH, DOT, OPEN, CLOSE):
            break
    return figures >= 9


@compiled
def _at_sign(text: Array, i: int, end: int) -> tuple[int, int, int]:
    """EMAIL where an address may stand, and the `://` where the @ may belong to a URL."""
    url = -1
    if i == 0:
        return i, -1, url
    lowest = max(0, i - 400)
    at = i - 1
    while at > lowest and URLISH[text[at]] and not (text[at] == COLON and text[at + 1] == 47 and text[at + 2] == 47):
        at -= 1
    if text[at] == COLON and at + 3 <= i and text[at + 1] == 47 and text[at + 2] == 47:
        url = at
    length = run(text, i + 1, end, 254, DOMAIN)
    last = i + length
    while last > i and not WORD[text[last]]:
        last -= 1
    top = last
    while top > i and text[top] != DOT:
        top -= 1
    start: Any = i
    while start > max(0, i - 64) and LOCAL[text[start - 1]]:
        start -= 1
    while text[start] & 0xC0 == 0x80:  # never within a character
        start += 1
    if start > 0 and text[start - 1] == BACKSLASH and (start == 1 or text[start - 2] != BACKSLASH):
        start += _ESCAPE[text[start]]
    while start < i and not (WORD[text[start]] and text[start] != UNDERSCORE):
        start += 1
    kind = EMAIL if start < i and top > i + 1 and last - top >= 2 else -1
    return start, kind, url
