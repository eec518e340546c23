"""Counts of a text that need no state: characters by class, addresses, runs of a set of bytes, what is distinct.

Compiled helpers of `scan`, each a pass of its own over bytes or hashes: characters and addresses take 0.4 ns a byte,
runs 0.9, hash sets 1.3 ns for each of their items.
"""

from typing import Any

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import FNV, WORD, Array, mixed

NGRAM = 5  # words, the shortest of Gopher's duplicate n-grams (arXiv 2112.11446, table A1)
BLOCK = 64  # bytes that are passed over together
URL = np.array([c > 32 and chr(c) not in "\"'<>`)]" for c in range(256)])
MAIL = np.array([WORD[c] or c in b"+-." for c in range(256)])
BASE64 = np.array([c < 128 and (chr(c).isalnum() or chr(c) in "+/=\n") for c in range(256)])
_GENERATED, _DO_NOT = (np.frombuffer(word, np.uint8) for word in (b"generated", b"do not"))
HEXLIKE = np.array([chr(c) in "0123456789abcdefABCDEFxu\\, \t\n" for c in range(256)])


@compiled
def characters(text: Array, c: Any) -> None:
    continuation = letters = digits = blanks = other = colons = 0
    for b in text:
        continuation += (b & 0xC0) == 0x80
        letters += (((b | 32) >= 97) & ((b | 32) <= 122)) | (b >= 0xC0)
        digits += (b >= 48) & (b <= 57)
        blanks += (b == 32) | ((b >= 9) & (b <= 13))
        other += b == 95
        colons += b == 58
    c.bytes = len(text)
    c.characters = len(text) - continuation
    c.letters, c.digits, c.blanks, c.colons = letters, digits, blanks, colons
    c.punctuation = c.characters - letters - digits - blanks - other
    if continuation:
        for i in range(len(text) - 1):
            b, following = text[i], text[i + 1]
            if b >= 0xC2:
                c.garbled += (b == 0xC2) & (following < 0xA0)  # U+0080 to U+009F
                c.garbled += (b == 0xEE) | ((b == 0xEF) & (following < 0xA4))  # U+E000 to U+F8FF
                c.garbled += b == 0xEF and following == 0xBF and text[i + 2] == 0xBD  # U+FFFD


@compiled
def addresses(text: Array) -> tuple[int, int]:
    """(bytes of URLs, signs of e-mail addresses)."""
    urls = mails = end = 0
    for first in range(1, len(text) - 1, BLOCK):
        here, before = text[first : len(text) - 1][:BLOCK], text[first - 1 :]
        maybe = False
        for i in range(len(here)):  # without a branch, so that it becomes vector instructions
            maybe |= (here[i] == 64) | ((here[i] == 47) & (before[i] == 58))
        if maybe:
            urls, mails, end = _addresses(text, first, first + len(here), (urls, mails, end))
    return urls, mails


@compiled
def _addresses(text: Array, first: int, last: int, so_far: tuple[int, int, int]) -> tuple[int, int, int]:
    """The same from one byte to another; and where the last URL ends."""
    urls, mails, end = so_far
    for i in range(first, last):
        b = text[i]
        if b == 47:
            if text[i - 1] == 58 and text[i + 1] == 47 and i > end and i + 2 < len(text) and URL[text[i + 2]]:
                start = i - 1
                while start > 0 and 97 <= text[start - 1] | 32 <= 122:
                    start -= 1
                end = i
                while end < len(text) and URL[text[end]]:
                    end += 1
                urls += end - start
        elif b == 64:
            before, after = text[i - 1], text[i + 1]
            mails += MAIL[before] & (WORD[after] | (after == 45))
    return urls, mails, end


@compiled
def runs(text: Array, members: Array, least: int) -> tuple[int, int]:
    """Bytes in maximal runs of at least `least` members, and the longest of them.

    Such a run covers one of every `least` places, and half as many bytes before that place or after it.
    """
    total = longest = 0
    half, quarter = least // 2, least // 4
    at = least - 1
    while at < len(text):
        maybe = members[text[at - half]] & members[text[at - quarter]]
        if at + half < len(text):
            maybe |= members[text[at + half]] & members[text[at + quarter]]
        if not maybe & members[text[at]]:
            at += least
            continue
        left = right = at
        while left > 0 and members[text[left - 1]]:
            left -= 1
        while right < len(text) and members[text[right]]:
            right += 1
        if right - left >= least:
            total += right - left
            longest = max(longest, right - left)
        at = right + least
    return total, longest


@compiled
def says_generated(text: Array, lines: int) -> bool:
    """Whether the first lines hold "generated" or "do not", in any case: no mark of a generated file is without one."""
    for i in range(len(text)):
        lines -= text[i] == 10
        if lines == 0:
            break
        b = text[i] | 32
        if (b == _GENERATED[0] and _stands(text, i, _GENERATED)) or (b == _DO_NOT[0] and _stands(text, i, _DO_NOT)):
            return True
    return False


@compiled
def _stands(text: Array, i: int, word: Array) -> bool:
    same = 0
    while same < len(word) and i + same < len(text) and text[i + same] | 32 == word[same]:
        same += 1
    return same == len(word)


@compiled
def distinct(hashes: Array, slots: Array) -> int:
    """How many different values, none of them 0. slots: room for four times as many."""
    size = 2
    while size < 2 * len(hashes):
        size *= 2
    mask = np.uint64(size - 1)
    slots[:size] = 0
    found = 0
    for h in hashes:
        at = h >> np.uint64(1) & mask
        while slots[at] != 0 and slots[at] != h:
            at = (at + np.uint64(1)) & mask
        found += slots[at] == 0
        slots[at] = h
    return found


@compiled
def ngrams(words: Array) -> Array:
    """Hashes of NGRAM words in a row, in place of the words."""
    count = max(len(words) - NGRAM + 1, 0)
    for i in range(count):
        h = words[i]
        for k in range(1, NGRAM):
            h = h * FNV + words[i + k]
        words[i] = mixed(h) | np.uint64(1)
    return words[:count]
