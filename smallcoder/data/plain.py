"""Compiled looks at the bytes of texts that spare Python the sight of most: which are clean already (`clean`), and what
in a text is spelt as code (`natural`).
"""

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import Array


@compiled
def plain_rows(offsets: Array, data: Array) -> Array:
    """Which texts are without control characters, trailing blanks or four line feeds in a row, bool [rows].

    They begin with something else than a line feed, end with exactly one, and hold no character that `clean` may take
    away or repair.
    """
    plain = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(plain)):
        text = data[offsets[row] : offsets[row + 1]]
        if len(text) > 1 and text[0] != 10 and text[-1] == 10 and text[-2] != 10:
            odd, ascii = _odd(text)
            plain[row] = not odd and (ascii or not _marked(text))
    return plain


@compiled
def _odd(text: Array) -> tuple[bool, bool]:
    """Has a text control characters, trailing blanks or four line feeds in a row; is it ASCII?

    Three loops without a branch, which become vector instructions: one loop for all takes four times as long.
    """
    odd = high = False
    for c in text:
        odd |= ((c < 32) & (c != 9) & (c != 10)) | (c == 127)
        high |= c > 127
    for i in range(len(text) - 1):
        odd |= ((text[i] == 32) | (text[i] == 9)) & (text[i + 1] == 10)
    for i in range(len(text) - 3):
        odd |= (text[i] == 10) & (text[i + 1] == 10) & (text[i + 2] == 10) & (text[i + 3] == 10)
    return odd, not high


@compiled
def _marked(text: Array) -> bool:
    """Whether UTF-8 holds one of `clean.MARKS`, or what could be one of `clean.MOJIBAKE`, by their bytes."""
    for i in range(len(text) - 2):
        b, c, d = text[i], text[i + 1], text[i + 2]
        if b < 0xC2:
            continue
        if b == 0xC2 and c < 0xA0:  # U+0080 to U+009F
            return True
        if b == 0xC3 and d in (0xC2, 0xC5, 0xC6, 0xCB, 0xE2):
            return True
        if b == 0xE2 and c == 0x80 and (d in (0x8B, 0x8E, 0x8F) or 0xAA <= d <= 0xAE):
            return True
        if b == 0xE2 and c == 0x81 and 0xA0 <= d <= 0xA9:
            return True
        if b == 0xEF and c == 0xBB and d == 0xBF:
            return True
    return False


_VISIBLE, _MARK, _SMALL, _LETTER, _JOINT = 1, 2, 4, 8, 16
_SPELLING = np.array(
    [
        _VISIBLE * (33 <= c <= 126)
        + _MARK * (chr(c) in "_@\\/<>{}=$|`[]#*~^+")
        + _SMALL * (97 <= c <= 122)
        + _LETTER * (65 <= c <= 90 or 97 <= c <= 122)
        + _JOINT * (chr(c) in ".(:")
        for c in range(256)
    ],
    np.uint8,
)


@compiled
def blank_code(text: Array) -> Array:
    """The bytes with a blank in place of each run of visible ASCII that is spelt as no word is.

    It has a mark such as `_`, `/` or `=`, or `.`, `(` or `:` between a small letter and a letter: addresses, markup,
    paths, calls, dotted and underscored names.
    """
    out = np.empty(len(text), np.uint8)
    used = at = 0
    while at < len(text):
        end = at
        code = False
        before = second = np.uint8(0)  # spelling of the last byte and of the one before it
        while end < len(text) and _SPELLING[text[end]] & _VISIBLE:
            spelt = _SPELLING[text[end]]
            if spelt & _MARK or (spelt & _LETTER and before & _JOINT and second & _SMALL):
                code = True
            before, second = spelt, before
            end += 1
        if code:
            out[used] = 32
            used += 1
        else:
            end += end == at  # a byte of another kind
            out[used : used + end - at] = text[at:end]
            used += end - at
        at = end
    return out[:used]
