"""Figures that tell code from data, counted from the buffers of an Arrow text column.

Two compiled passes over the bytes, one for characters and one for lines: about 150 MB a CPU-second. What a figure means
for a document is for `rules` to say.
"""

import numba as nb
import numpy as np

from smallcoder.data.kernels import FNV, SEED, WORD, Array, longest_row, mixed

SIGNALS = (
    "bytes",
    "characters",
    "letters",  # a non-ASCII character counts as one
    "digits",
    "garbled",  # replacement characters, C1 controls, private-use characters
    "encoded",  # bytes in runs of ENCODED_RUN or more of the base64 alphabet and line feeds
    "encoded_run",  # the longest of these runs
    "hexlike",  # bytes in runs of HEXLIKE_RUN or more of what hexadecimal tables are made of
    "hexlike_run",
    "lines",
    "longest_line",  # characters
    "worded_lines",  # lines with a word in them
    "distinct_lines",  # different ones among these, not counting indentation
)
ENCODED_RUN = 64  # StarCoder2 (arXiv 2402.19173)
HEXLIKE_RUN = 16  # eight bytes of two digits, the shortest run that StarCoder2 counts

_LETTER = np.array([c >= 128 or chr(c).isalpha() for c in range(256)])
_DIGIT = np.array([48 <= c <= 57 for c in range(256)])
_BASE64 = np.array([c < 128 and (chr(c).isalnum() or chr(c) in "+/=\n") for c in range(256)])
_HEXLIKE = np.array([chr(c) in "0123456789abcdefABCDEFxu\\, \t\n" for c in range(256)])
_INDENT = np.array([chr(c) in " \t" for c in range(256)])
_FEED = 10


@nb.njit(nogil=True, cache=True)
def signals(offsets: Array, data: Array) -> Array:
    """int64 [rows, len(SIGNALS)], in the order of SIGNALS, for the buffers of a column (`kernels.buffers`)."""
    rows = len(offsets) - 1
    out = np.zeros((rows, 13), np.int64)
    hashes = np.empty(longest_row(offsets) + 1, np.uint64)
    for row in range(rows):
        text = data[offsets[row] : offsets[row + 1]]
        out[row, 0] = len(text)
        _characters(text, out[row, 1:5])
        _runs(text, _BASE64, ENCODED_RUN, out[row, 5:7])
        _runs(text, _HEXLIKE, HEXLIKE_RUN, out[row, 7:9])
        _lines(text, hashes, out[row, 9:])
    return out


@nb.njit(nogil=True, cache=True)
def _characters(text: Array, out: Array) -> None:
    characters = letters = digits = garbled = 0
    for i in range(len(text)):
        c = text[i]
        if c & 0xC0 != 0x80:
            characters += 1
            letters += _LETTER[c]
            digits += _DIGIT[c]
        if c >= 0xC2 and i + 1 < len(text):
            following = text[i + 1]
            garbled += c == 0xC2 and following < 0xA0  # U+0080 to U+009F
            garbled += c == 0xEE or (c == 0xEF and following < 0xA4)  # U+E000 to U+F8FF
            garbled += c == 0xEF and following == 0xBF and text[i + 2] == 0xBD  # U+FFFD
    out[0], out[1], out[2], out[3] = characters, letters, digits, garbled


@nb.njit(nogil=True, cache=True)
def _runs(text: Array, members: Array, least: int, out: Array) -> None:
    """Bytes in runs of at least `least` members, and the longest of them."""
    run = total = longest = 0
    for i in range(len(text) + 1):
        if i < len(text) and members[text[i]]:
            run += 1
        elif run:
            if run >= least:
                total += run
                longest = max(longest, run)
            run = 0
    out[0], out[1] = total, longest


@nb.njit(nogil=True, cache=True)
def _lines(text: Array, hashes: Array, out: Array) -> None:
    lines = longest = worded = length = 0
    h, has_word = SEED, False
    for i in range(len(text)):
        c = text[i]
        if c != _FEED:
            length += c & 0xC0 != 0x80
            has_word = has_word or WORD[c]
            if h != SEED or not _INDENT[c]:
                h = (h ^ np.uint64(c)) * FNV
        if c == _FEED or i == len(text) - 1:
            lines += 1
            longest = max(longest, length)
            if has_word:
                hashes[worded] = mixed(h)
                worded += 1
            length, h, has_word = 0, SEED, False
    ordered = np.sort(hashes[:worded])
    distinct = 0
    for i in range(worded):
        distinct += i == 0 or ordered[i] != ordered[i - 1]
    out[0], out[1], out[2], out[3] = lines, longest, worded, distinct
