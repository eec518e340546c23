"""Where a secret could be: one compiled pass over the bytes of a text column.

An anchor is a place and a kind. The pass looks only at the bytes that a secret cannot do without - an `@` between word
characters, the prefix of a known token at the start of a word with enough of a body behind it, a telling name before
`=`, `:` or `,` and a value, dotted and grouped figures, `-----BEGIN` - so that ordinary code gives few anchors and the
patterns in `detect` run on a line or two of a file. It may point at too many places, never at too few: what a pattern
could match it must find.

Cost: 250 MB a CPU-second on Python. The first call compiles for some seconds, later processes load the result.
"""

from itertools import product
from typing import Any

import numba as nb
import numpy as np

from smallcoder.data.kernels import Array
from smallcoder.data.redact.patterns import TOKENS, split

EMAIL, URL, PASSWORD, SECRET, IPV4, IPV6, PHONE, CARD, PRIVATE_KEY, TELEGRAM, AZURE_CLIENT, TOKEN = range(12)
# An anchor of kind TOKEN + n is one of TOKENS[n].

# Names that are given to secrets: how they end, in small letters without `_`, `-` and closing figures. 1: a password,
# which may be any string; 2: a key, which must look like one.
NAMES: dict[bytes, int] = {
    **dict.fromkeys(split("password passwd passwort passphrase passcode pwd"), 1),
    **dict.fromkeys(split("secret token apikey secretkey accesskey authkey privatekey encryptionkey signingkey"), 2),
    **dict.fromkeys(split("accountkey clientkey servicekey masterkey appkey applicationkey consumerkey"), 2),
    **dict.fromkeys(split("sessionkey licensekey sharedkey credential credentials authorization secretid"), 2),
}
ALONE: dict[bytes, int] = {  # as a word of their own: not bypass, not author
    **dict.fromkeys(split("pass pw"), 1),
    **dict.fromkeys(split("auth psk jwt"), 2),
}

_WORD = np.array([(chr(c).isalnum() and c < 128) or c == ord("_") or c >= 128 for c in range(256)])
_LOCAL = np.array([c >= 128 or chr(c).isalnum() or chr(c) in "_.%+-" for c in range(256)])
_DOMAIN = np.array([c < 128 and (chr(c).isalnum() or chr(c) in ".-") for c in range(256)])
_ALPHA = np.array([c < 128 and chr(c).isalpha() for c in range(256)])
_DIGIT = np.array([48 <= c <= 57 for c in range(256)])
_HEX = np.array([c < 128 and chr(c) in "0123456789abcdefABCDEF" for c in range(256)])
_BODY = np.array([c < 128 and (chr(c).isalnum() or chr(c) in "_-.=+/%~:") for c in range(256)])
_URLISH = np.array([33 <= c < 127 and chr(c) not in "\"'`<>\\" for c in range(256)])
_VALUE = np.array([33 <= c < 127 and chr(c) not in "\"'`<>(){}[],;\\" for c in range(256)])
_QUOTE = np.array([chr(c) in "\"'`" for c in range(256)])
# The part a byte plays: 0 none, 1 in a word, 2 and more a mark; then what may stand before and after each mark.
_MARKS = b"@=:,>+(~-\\"
_ROLE = np.array([1 if _WORD[c] else _MARKS.find(c) + 2 if c in _MARKS else 0 for c in range(256)], np.int64)
_BLANK = np.array([chr(c) in " \t" for c in range(256)])
_ANY = np.ones(256, bool)
_NAMED = _WORD | _QUOTE | _BLANK | np.array([chr(c) in "]!" for c in range(256)])
_GIVEN = _VALUE | _QUOTE | _BLANK
_AROUND: dict[str, tuple[Array, Array]] = {
    "@": (_URLISH, _WORD),
    "=": (_NAMED, _GIVEN | (np.arange(256) == ord(">"))),
    ":": (_NAMED, _GIVEN),
    ",": (_QUOTE | _BLANK, _QUOTE | _BLANK | _ALPHA),
    ">": (_WORD, _GIVEN),
    "+": (~_WORD, _DIGIT),
    "(": (_ANY, _DIGIT),
    "~": (np.arange(256) == ord("Q"), _ANY),
    "\\": (_ANY, np.isin(np.arange(256), [*b"nrt"])),
    "-": (np.arange(256) != ord("-"), np.arange(256) == ord("-")),
}
_BEFORE = np.array([_ANY, _ANY, *(_AROUND[chr(mark)][0] for mark in _MARKS)])
_AFTER = np.array([_ANY, _ANY, *(_AROUND[chr(mark)][1] for mark in _MARKS)])

_AT, _EQUALS, _COLON, _COMMA, _MORE, _PLUS, _OPEN, _TILDE, _DASH, _BACKSLASH = _MARKS
_CLOSE, _DOT, _SPACE, _TAB, _UNDERSCORE, _BRACKET, _NOT, _LESS = b"). \t_]!<"

_NEWLINE = np.uint8(10)
_BEGIN = np.frombuffer(b"BEGIN", np.uint8)
# How many letters and figures belong to a backslash before them: \n, \x41, \u0041, \U00000041.
_ESCAPE = np.array([{"x": 3, "u": 5, "U": 9}.get(chr(c), 1) for c in range(256)])
_SLOTS = 4096
BLOCK = 1 << 14
MIN_LENGTH = 7  # of anything that begins with a letter or a figure


def _table(words: list[bytes]) -> tuple[Array, Array]:
    """The words as uint8 [n, longest], and their lengths."""
    lengths = np.array([len(word) for word in words], np.int64)
    out = np.zeros((len(words), lengths.max()), np.uint8)
    for row, word in zip(out, words, strict=True):
        row[: len(word)] = np.frombuffer(word, np.uint8)
    return out, lengths


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


@nb.njit(inline="always")
def _slot(text: Array, i: int) -> Any:
    """`_slot_of` the three bytes at i."""
    return (np.int64(text[i]) * 961 + np.int64(text[i + 1]) * 31 + np.int64(text[i + 2]) * 1021) & (_SLOTS - 1)


_PREFIX, _PREFIX_LENGTH = _table([token.prefix for token in TOKENS])
_LEAST = np.array([token.least for token in TOKENS], np.int64)
_HEADS, _NEXT = _chains([token.prefix for token in TOKENS])
_NAME, _NAME_LENGTH = _table([*NAMES, *ALONE])
_NAME_KIND = np.array([*NAMES.values(), *ALONE.values()], np.int64)
_FREE_NAMES = len(NAMES)
_LAST = np.zeros((256, 256), bool)  # the last two letters of a name, in both cases
for _name in (*NAMES, *ALONE):
    for _a, _b in product({_name[-2], _name[-2] - 32}, {_name[-1], _name[-1] - 32}):
        _LAST[_a, _b] = True


@nb.njit(nogil=True, cache=True)
def find_anchors(offsets: Array, data: Array) -> Array:
    """Anchors of the buffers of a column (`kernels.buffers`): int64 [n, 3] of row, byte in the row, kind, in order.

    The byte is the first of the secret, or the separator behind a telling name, or the `://` of a URL.
    """
    out = np.empty((1024, 3), np.int64)
    used = 0
    places = np.empty(BLOCK, np.int64)
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


@nb.njit(nogil=True, cache=True)
def _candidates(text: Array, first: int, places: Array) -> int:
    """Bytes of the block at `first` that could belong to a secret by their neighbours alone; returns how many.

    All the time goes here, so there is nothing but looks into tables.
    """
    end = len(text)
    count = 0
    for i in range(first, min(end, first + BLOCK)):
        role = _ROLE[text[i]]
        if role == 0:
            continue
        before = text[i - 1] if i > 0 else _NEWLINE
        if role == 1:
            if not _WORD[before] and i + MIN_LENGTH <= end and (_DIGIT[text[i]] or _HEADS[_slot(text, i)] >= 0):
                places[count] = i
                count += 1
            continue
        after = text[i + 1] if i + 1 < end else _NEWLINE
        if _AFTER[role, after] and _BEFORE[role, before]:
            places[count] = i
            count += 1
    return count


@nb.njit(nogil=True, cache=True)
def _examine(text: Array, i: int, end: int) -> tuple[int, int, int]:
    """Place and kind of what the candidate at i belongs to, and the `://` before an address; -1 for none."""
    c = text[i]
    if c == _BACKSLASH:  # in "\nghp_..." a word begins after the escape
        i += 2
        if i + MIN_LENGTH > end or not _WORD[text[i]]:
            return i, -1, -1
        c = text[i]
    if _WORD[c]:
        kind = _figures(text, i, end) if _DIGIT[c] else -1
        if kind < 0:
            head: Any = _HEADS[_slot(text, i)]
            kind = _token(text, i, end, head)
        return i, kind, -1
    if c == _AT:
        return _at_sign(text, i, end)
    if c == _TILDE:
        return i - 5, AZURE_CLIENT if i >= 5 and _DIGIT[text[i - 2]] else -1, -1
    if c == _DASH:
        return i, PRIVATE_KEY if _begins_key(text, i, end) else -1, -1
    if c in (_OPEN, _PLUS):
        return i, PHONE if _begins_phone(text, i, end) else -1, -1
    return i, _named(text, i, end), -1


@nb.njit(nogil=True, cache=True)
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
                if text[body] == _SPACE:
                    body += 1
                while body < least and _BODY[text[body]]:
                    body += 1
                if body == least:
                    return TOKEN + at
        at = _NEXT[at]
    return -1


@nb.njit(nogil=True, cache=True)
def _run(text: Array, i: int, end: int, most: int, members: Array) -> int:
    """How many members stand at i, no more than `most`."""
    stop = min(end, i + most)
    at = i
    while at < stop and members[text[at]]:
        at += 1
    return at - i


@nb.njit(nogil=True, cache=True)
def _figures(text: Array, i: int, end: int) -> int:
    """The kind of the number at i, the start of a word."""
    if i > 1 and (text[i - 1] == _DOT or text[i - 1] == _DASH) and _DIGIT[text[i - 2]]:
        return -1  # the middle of a number that was looked at
    figures = _run(text, i, end, 20, _DIGIT)
    after = i + figures
    if 13 <= figures < 20:
        return CARD
    if after + 4 >= end:
        return -1
    c = text[after]
    if c == _COLON:
        telegram = 8 <= figures <= 10 and after + 36 <= end and text[after + 1] == text[after + 2] == 65
        if telegram:
            return TELEGRAM
    elif c == _DOT and figures <= 3 and _is_dotted(text, after, end):
        return IPV4
    if figures == 3 and i + 12 <= end and c in (_DASH, _DOT, _SPACE):
        if _ends_phone(text, i + 4, end):
            return PHONE
    elif figures == 4 and c in (_DASH, _SPACE):
        second = _run(text, i + 5, end, 7, _DIGIT)
        if second in (4, 6) and i + 5 + second < end and text[i + 5 + second] == c:
            return CARD
    # Global unicast addresses of IPv6 begin with 2 or 3.
    if text[i] in (50, 51) and text[i + 4] == _COLON and _run(text, i, end, 5, _HEX) == 4:
        return IPV6 if _HEX[text[i + 5]] or text[i + 5] == _COLON else -1
    return -1


@nb.njit(nogil=True, cache=True)
def _is_dotted(text: Array, at: int, end: int) -> bool:
    """Whether three more groups of one to three figures follow, each after a dot; the first dot is at `at`."""
    for _ in range(3):
        if at >= end or text[at] != _DOT:
            return False
        width = _run(text, at + 1, end, 4, _DIGIT)
        if width == 0 or width > 3:
            return False
        at += width + 1
    return True


@nb.njit(nogil=True, cache=True)
def _ends_phone(text: Array, i: int, end: int) -> bool:
    """Whether three figures, a mark and four figures stand at i."""
    return _run(text, i, end, 4, _DIGIT) == 3 and not _WORD[text[i + 3]] and _run(text, i + 4, end, 5, _DIGIT) == 4


@nb.njit(nogil=True, cache=True)
def _begins_key(text: Array, i: int, end: int) -> bool:
    """Whether `-----BEGIN ` stands at i, by its fifth, sixth, tenth and eleventh byte."""
    if i + 20 >= end or text[i + 4] != _DASH:
        return False
    return text[i + 5] == _BEGIN[0] and text[i + 9] == _BEGIN[4] and text[i + 10] == _SPACE


@nb.njit(nogil=True, cache=True)
def _begins_phone(text: Array, i: int, end: int) -> bool:
    """Whether three figures in parentheses stand at i, or a plus and nine figures with what groups them in between."""
    if i + 9 >= end or (i > 0 and text[i] == text[i - 1] == _PLUS):
        return False
    if text[i] == _OPEN:
        return text[i + 4] == _CLOSE and _run(text, i + 1, end, 4, _DIGIT) == 3
    figures = 0
    for at in range(i + 1, min(end, i + 24)):
        if _DIGIT[text[at]]:
            figures += 1
        elif text[at] not in (_SPACE, _DASH, _DOT, _OPEN, _CLOSE):
            break
    return figures >= 9


@nb.njit(nogil=True, cache=True)
def _at_sign(text: Array, i: int, end: int) -> tuple[int, int, int]:
    """EMAIL where an address may stand, and the `://` where the @ may belong to a URL."""
    url = -1
    if i == 0:
        return i, -1, url
    lowest = max(0, i - 400)
    at = i - 1
    while at > lowest and _URLISH[text[at]] and not (text[at] == _COLON and text[at + 1] == 47 and text[at + 2] == 47):
        at -= 1
    if text[at] == _COLON and at + 3 <= i and text[at + 1] == 47 and text[at + 2] == 47:
        url = at
    length = _run(text, i + 1, end, 254, _DOMAIN)
    last = i + length
    while last > i and not _WORD[text[last]]:
        last -= 1
    top = last
    while top > i and text[top] != _DOT:
        top -= 1
    start: Any = i
    while start > max(0, i - 64) and _LOCAL[text[start - 1]]:
        start -= 1
    if start > 0 and text[start - 1] == _BACKSLASH and (start == 1 or text[start - 2] != _BACKSLASH):
        start += _ESCAPE[text[start]]
    while start < i and not (_WORD[text[start]] and text[start] != _UNDERSCORE):
        start += 1
    kind = EMAIL if start < i and top > i + 1 and last - top >= 2 else -1
    return start, kind, url


@nb.njit(nogil=True, cache=True)
def _named(text: Array, i: int, end: int) -> int:
    """PASSWORD or SECRET where a telling name stands before the separator at i and a value after it."""
    c = text[i]
    if i < 2 or i + 6 > end:
        return -1
    stop = i
    while stop > 0 and text[stop - 1] in (_SPACE, _TAB, _NOT):
        stop -= 1
    if c == _COMMA and (stop == 0 or not _QUOTE[text[stop - 1]]):
        return -1
    while stop > 0 and (_QUOTE[text[stop - 1]] or text[stop - 1] == _BRACKET):
        stop -= 1
    kind = _telling(text, stop)
    if kind == 0 and c == _EQUALS:  # `name: str = value`
        stop = _name_start(text, stop)
        while stop > 0 and text[stop - 1] == _SPACE:
            stop -= 1
        if stop > 0 and text[stop - 1] == _COLON:
            kind = _telling(text, stop - 1)
    if kind == 0 or not _has_value(text, i, end):
        return -1
    if c == _MORE:
        start = _name_start(text, stop)
        if start == 0 or text[start - 1] != _LESS:
            return -1
    return PASSWORD if kind == 1 else SECRET


@nb.njit(nogil=True, cache=True)
def _name_start(text: Array, stop: int) -> int:
    """Where the name that ends at `stop` starts."""
    at = stop
    while at > 0 and at > stop - 64 and (_WORD[text[at - 1]] or text[at - 1] == _DASH):
        at -= 1
    return at


@nb.njit(nogil=True, cache=True)
def _has_value(text: Array, i: int, end: int) -> bool:
    """Whether a quoted value, or six bytes of a bare one, follow the separator at i."""
    at = i + 1
    while at < end and at < i + 3 and text[at] in (_EQUALS, _MORE):
        at += 1
    while at < end and text[at] in (_SPACE, _TAB):
        at += 1
    quote = at + _run(text, at, end, 2, _ALPHA)  # r"", f""
    if quote < end and _QUOTE[text[quote]]:
        return True
    return text[i] != _COMMA and _run(text, at, end, 6, _VALUE) == 6


@nb.njit(nogil=True, cache=True)
def _begins_word(text: Array, i: int) -> bool:
    """Whether a word of a name begins at i: `pass` in db_pass and dbPass, not in bypass."""
    return i == 0 or not _ALPHA[text[i - 1]] or (text[i] < 97 <= text[i - 1])


@nb.njit(nogil=True, cache=True)
def _telling(text: Array, stop: int) -> int:
    """What the name that ends at `stop` tells: see NAMES; 0 is nothing."""
    last = stop
    while last > 0 and last > stop - 4 and (_DIGIT[text[last - 1]] or text[last - 1] == _UNDERSCORE):
        last -= 1
    if last < 2 or not _LAST[text[last - 2], text[last - 1]]:
        return 0
    for row in range(len(_NAME_LENGTH)):
        left = _NAME_LENGTH[row]
        at = last
        while left > 0 and at > 0:
            b = text[at - 1]
            if b | 32 == _NAME[row, left - 1] and _ALPHA[b]:
                left -= 1
            elif b not in (_UNDERSCORE, _DASH):
                break
            at -= 1
        if left == 0 and (row < _FREE_NAMES or _begins_word(text, at)):
            return _NAME_KIND[row]
    return 0
