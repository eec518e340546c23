"""Sets of bytes that compiled redaction asks for, as tables of 256; single bytes; a run of members of a set."""

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import Array

LOCAL = np.array([c >= 128 or chr(c).isalnum() or chr(c) in "_.%+-" for c in range(256)])
DOMAIN = np.array([c < 128 and (chr(c).isalnum() or chr(c) in ".-") for c in range(256)])
ALPHA = np.array([c < 128 and chr(c).isalpha() for c in range(256)])
DIGIT = np.array([48 <= c <= 57 for c in range(256)])
HEX = np.array([c < 128 and chr(c) in "0123456789abcdefABCDEF" for c in range(256)])
BODY = np.array([c < 128 and (chr(c).isalnum() or chr(c) in "_-.=+/%~:") for c in range(256)])
URLISH = np.array([33 <= c < 127 and chr(c) not in "\"'`<>\\" for c in range(256)])
VALUE = np.array([33 <= c < 127 and chr(c) not in "\"'`<>(){}[],;\\" for c in range(256)])
QUOTE = np.array([chr(c) in "\"'`" for c in range(256)])

MARKS = b"@=:,>+(~-\\"
AT, EQUALS, COLON, COMMA, MORE, PLUS, OPEN, TILDE, DASH, BACKSLASH = MARKS
CLOSE, DOT, SPACE, TAB, UNDERSCORE, BRACKET, NOT, LESS = b"). \t_]!<"


def table(words: list[bytes]) -> tuple[Array, Array]:
    """The words as uint8 [n, longest], and their lengths."""
    lengths = np.array([len(word) for word in words], np.int64)
    out = np.zeros((len(words), lengths.max()), np.uint8)
    for row, word in zip(out, words, strict=True):
        row[: len(word)] = np.frombuffer(word, np.uint8)
    return out, lengths


@compiled
def run(text: Array, i: int, end: int, most: int, members: Array) -> int:
    """How many members stand at i, no more than `most`."""
    stop = min(end, i + most)
    at = i
    while at < stop and members[text[at]]:
        at += 1
    return at - i
