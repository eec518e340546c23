"""Names that tell of a secret, and whether one of them stands before a separator and a value after it."""

from itertools import product

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import WORD, Array
from smallcoder.data.redact.characters import (
    ALPHA,
    BRACKET,
    COLON,
    COMMA,
    DASH,
    DIGIT,
    EQUALS,
    LESS,
    MORE,
    NOT,
    QUOTE,
    SPACE,
    TAB,
    UNDERSCORE,
    VALUE,
    run,
    table,
)
from smallcoder.data.redact.patterns import split

NOTHING, A_PASSWORD, A_KEY = range(3)  # what a name tells of: a password may be any string, a key must look like one
# Names that are given to secrets: how they end, in small letters without `_`, `-` and closing figures.
NAMES: dict[bytes, int] = {
    **dict.fromkeys(split("password passwd passwort passphrase passcode pwd"), A_PASSWORD),
    **dict.fromkeys(split("secret token apikey secretkey accesskey authkey privatekey encryptionkey"), A_KEY),
    **dict.fromkeys(split("signingkey accountkey clientkey servicekey masterkey appkey applicationkey"), A_KEY),
    **dict.fromkeys(split("consumerkey sessionkey licensekey sharedkey credential credentials authorization"), A_KEY),
    **dict.fromkeys(split("secretid"), A_KEY),
}
ALONE: dict[bytes, int] = {  # as a word of their own: not bypass, not author
    **dict.fromkeys(split("pass pw"), A_PASSWORD),
    **dict.fromkeys(split("auth psk jwt"), A_KEY),
}

_NAME, _NAME_LENGTH = table([*NAMES, *ALONE])
_NAME_KIND = np.array([*NAMES.values(), *ALONE.values()], np.int64)
_FREE_NAMES = len(NAMES)
_LAST = np.zeros((256, 256), bool)  # the last two letters of a name, in both cases
for _name in (*NAMES, *ALONE):
    for _a, _b in product({_name[-2], _name[-2] - 32}, {_name[-1], _name[-1] - 32}):
        _LAST[_a, _b] = True


@compiled
def named(text: Array, i: int, end: int) -> int:
    """What a name before the separator at i tells of, NOTHING where no value follows."""
    c = text[i]
    if i < 2 or i + 6 > end:
        return NOTHING
    stop = i
    while stop > 0 and text[stop - 1] in (SPACE, TAB, NOT):
        stop -= 1
    if c == COMMA and (stop == 0 or not QUOTE[text[stop - 1]]):
        return NOTHING
    while stop > 0 and (QUOTE[text[stop - 1]] or text[stop - 1] == BRACKET):
        stop -= 1
    kind = _telling(text, stop)
    if kind == NOTHING and c == EQUALS:  # `name: str = value`
        stop = _name_start(text, stop)
        while stop > 0 and text[stop - 1] == SPACE:
            stop -= 1
        if stop > 0 and text[stop - 1] == COLON:
            kind = _telling(text, stop - 1)
    if kind == NOTHING or not _has_value(text, i, end):
        return NOTHING
    if c == MORE:
        start = _name_start(text, stop)
        if start == 0 or text[start - 1] != LESS:
            return NOTHING
    return kind


@compiled
def _name_start(text: Array, stop: int) -> int:
    """Where the name that ends at `stop` starts."""
    at = stop
    while at > 0 and at > stop - 64 and (WORD[text[at - 1]] or text[at - 1] == DASH):
        at -= 1
    return at


@compiled
def _has_value(text: Array, i: int, end: int) -> bool:
    """Whether a quoted value, or six bytes of a bare one, follow the separator at i."""
    at = i + 1
    while at < end and at < i + 3 and text[at] in (EQUALS, MORE):
        at += 1
    while at < end and text[at] in (SPACE, TAB):
        at += 1
    quote = at + run(text, at, end, 2, ALPHA)  # r"", f""
    if quote < end and QUOTE[text[quote]]:
        return True
    return text[i] != COMMA and run(text, at, end, 6, VALUE) == 6


@compiled
def _begins_word(text: Array, i: int) -> bool:
    """Whether a word of a name begins at i: `pass` in db_pass and dbPass, not in bypass."""
    return i == 0 or not ALPHA[text[i - 1]] or (text[i] < 97 <= text[i - 1])


@compiled
def _telling(text: Array, stop: int) -> int:
    """What the name that ends at `stop` tells of."""
    last = stop
    while last > 0 and last > stop - 4 and (DIGIT[text[last - 1]] or text[last - 1] == UNDERSCORE):
        last -= 1
    if last < 2 or not _LAST[text[last - 2], text[last - 1]]:
        return NOTHING
    for row in range(len(_NAME_LENGTH)):
        left = _NAME_LENGTH[row]
        at = last
        while left > 0 and at > 0:
            b = text[at - 1]
            if b | 32 == _NAME[row, left - 1] and ALPHA[b]:
                left -= 1
            elif b not in (UNDERSCORE, DASH):
                break
            at -= 1
        if left == 0 and (row < _FREE_NAMES or _begins_word(text, at)):
            return _NAME_KIND[row]
    return NOTHING
