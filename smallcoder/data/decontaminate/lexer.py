"""What decontamination compares: the words of a text, or the tokens of its code, read from its bytes by compiled code.

Words are maximal runs of letters, digits, `_` and non-ASCII bytes, without regard to case. Everything else between
them is passed over, also the two bytes of an escaped line break or tab, so that prose is the same text as a comment,
in a string, wrapped anew or behind the marks of another language.

Tokens are those of code without its comments and triple-quoted strings. They are of two kinds. Names (what a programmer
may rename) are told apart but have no value of their own. Literals have one: keywords, built-in functions where they
are called, attributes, numbers, strings, every other character, and where lines are marked by `#` the end of an
indented block. What formatters change is left out: layout, the kind of quotes, `;`, commas before a closing bracket.

One lexer serves all languages and only knows two styles of comment, `#` and `//` with `/* */` (`SLASHED`). It is no
parser: raw strings, nested comments, heredocs and the like are read wrongly, but in the same way on both sides. Every
loop is linear in the text, whatever the text.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import FNV, SEED, WORD, Array, folded, mixed, word_hashes

SLASHED = frozenset(
    """apex astro c cpp csharp css cuda dart glsl go groovy hlsl java javascript kotlin less metal objectivec
    objectivecpp opencl php protobuf rust scala scss solidity svelte swift systemverilog thrift typescript verilog vue
    zig""".split()  # noqa: SIM905
)
# Words that renaming leaves alone: keywords, and Python's built-in functions where they are called.
KEYWORDS = """
False None True and as assert async await break class continue def del elif else except finally for from global if
import in is lambda nonlocal not or pass raise return try while with yield
""".split()  # noqa: SIM905
SLASHED_KEYWORDS = """
as async auto await bool boolean break byte case catch char class const continue default defer do double else enum
export extends extern false final finally float fn for foreach func function go goto if impl implements import in
include int interface let long mod mut namespace new nil null nullptr operator override package private protected pub
public return short signed sizeof static string struct super switch template this throw throws trait true try typedef
typename typeof uint union unsigned use using var virtual void volatile while yield
""".split()  # noqa: SIM905
CALLED = """
abs all any ascii bin bool bytes callable chr complex dict divmod enumerate eval filter float format frozenset getattr
hasattr hash hex id input int isinstance issubclass iter len list map max min next object oct open ord pow print range
repr reversed round set setattr slice sorted str sum super tuple type zip
""".split()  # noqa: SIM905

ROOM = 4  # for a word without an end, and the one that `word_hashes` writes ahead, in each half
SIGN, NAME, FIXED = 0, 1, 2  # kinds of tokens; FIXED is a name that is a literal, or a string
_ONE = np.uint64(1)
_STRING, _FORMATTED, _NUMBER = np.uint64(0x5851F42D4C957F2D), np.uint64(0x2545F4914F6CDD1D), np.uint64(0x9E3779B97F4A7)
DEDENT = np.uint64(0xD1342543DE82EF95)
_N, _R, _T = b"nrt"
_TAB, _LINE, _RETURN, _SPACE, _QUOTE2, _HASH, _QUOTE1, _STAR, _COMMA, _DOT, _SLASH, _BACK, _F, _BRACE, _OPEN = (
    ord(character) for character in "\t\n\r \"#'*,./\\f{("
)
_BLANK = np.array([(c <= 32 and c != _LINE) or chr(c) in ";`$" or c == 127 for c in range(256)])
_MARK, _DIGIT, _NAME, _OPENS, _CLOSES = range(1, 6)  # kinds of the characters that are more than themselves
_KIND = np.zeros(256, np.uint8)
_KIND[WORD] = _NAME
_KIND[48:58] = _DIGIT
_KIND[[ord(c) for c in "\n\\#/'\","]] = _MARK
_KIND[[ord(c) for c in "([{"]] = _OPENS
_KIND[[ord(c) for c in ")]}"]] = _CLOSES
_PREFIX = np.array([chr(c) in "rRbBuUfF" for c in range(256)])


def _table(*lists: Sequence[str]) -> tuple[Array, Array]:
    """Open-addressed table of the FNV-1a hashes of words, uint64, 0 where empty; a bit for each list they are in."""
    words = {word: sum(1 << at for at, words in enumerate(lists) if word in words) for words in lists for word in words}
    hashes = np.zeros(1 << (4 * len(words)).bit_length(), np.uint64)
    bits = np.zeros(len(hashes), np.uint8)
    for word in sorted(words):
        value = int(SEED)
        for byte in word.encode():
            value = ((value ^ byte) * int(FNV)) % (1 << 64)
        at = value & (len(hashes) - 1)
        while hashes[at]:
            at = (at + 1) & (len(hashes) - 1)
        hashes[at], bits[at] = value, words[word]
    return hashes, bits


_FIXED, _FIXED_IN = _table(KEYWORDS, SLASHED_KEYWORDS, CALLED)
_MASK = np.uint64(len(_FIXED) - 1)


@compiled
def words(source: tuple[Array, int, bool], i: int, count: int, values: Array) -> tuple[int, int]:
    """Put words from byte i on into values[count:], fewer than it has room for; the new count, the byte to go on from.

    source: bytes, end, whether it has `//` comments, which matters not. No value is 0.
    """
    data, end, _ = source
    stop = min(end, i + max(0, 2 * (len(values) - count - ROOM)))
    while stop < end and WORD[data[stop]]:
        stop += 1
    text, plain = data[i:stop], folded(data[i:stop])
    for at in range(1, len(plain)):
        escaped = (text[at - 1] == _BACK) & ((text[at] == _N) | (text[at] == _R) | (text[at] == _T))
        plain[at] = _SPACE if escaped else plain[at]
    found = word_hashes(plain, values[count:])
    for n in range(count, count + found):
        values[n] = mixed(values[n]) | _ONE
    return count + found, stop


@compiled
def fresh(state: Array, start: int) -> None:
    """Set the lexer's memory, int64 [7], for a text that starts at `start`.

    It holds: where an unclosed ' and " is known to reach; whether an unclosed triple ' and " is known; columns of the
    indentation; open brackets; where the line of the next token starts, -1 if its start has been seen to.
    """
    state[:] = 0
    state[6] = start


@compiled
def comment(text: tuple[Array, int, bool], i: int, state: Array) -> int:
    """Where the comment or triple-quoted string that starts at i ends; i if none does."""
    data, end, slashed = text
    c = data[i]
    if slashed:
        if c != _SLASH or i + 1 >= end or data[i + 1] not in (_SLASH, _STAR):
            return i
        block = data[i + 1] == _STAR
        i += 2
        while i < end and (data[i] != _SLASH or data[i - 1] != _STAR if block else data[i] != _LINE):
            i += 1
        return min(i + 1, end) if block else i
    if c == _HASH:
        while i < end and data[i] != _LINE:
            i += 1
        return i
    if c not in (_QUOTE1, _QUOTE2) or i + 2 >= end or data[i + 1] != c or data[i + 2] != c:
        return i
    known = 2 if c == _QUOTE1 else 3
    if state[known]:
        return i
    j = i + 3
    while j + 2 < end:
        if data[j] == _BACK:
            j += 1
        elif data[j] == c and data[j + 1] == c and data[j + 2] == c:
            return j + 3
        j += 1
    state[known] = 1
    return i


@compiled
def _string_end(text: tuple[Array, int, bool], i: int, state: Array) -> int:
    """Where the string that starts at i ends, with its closing quote; -1 if it does not on its line."""
    data, end, _ = text
    quote = data[i]
    known = 0 if quote == _QUOTE1 else 1
    if i < state[known]:
        return -1
    j = i + 1
    while j < end and data[j] != _LINE:
        if data[j] == quote:
            return j + 1
        j += 2 if data[j] == _BACK else 1
    state[known] = j
    return -1


@compiled
def _string(data: Array, start: int, past: int, formatted: bool) -> Any:
    """Value of a string, its quotes included; all that hold an expression are one."""
    value = SEED
    for i in range(start + 1, past - 1):
        if formatted and data[i] == _BRACE:
            return _FORMATTED
        value = (value ^ np.uint64(data[i])) * FNV
    return mixed(value ^ _STRING)


@compiled
def _mark(text: tuple[Array, int, bool], i: int, state: Array) -> int:
    """Where the white space, the comment or what formatters add ends that starts at the mark at i; i if none does."""
    data, end, _ = text
    c = data[i]
    if c == _LINE:
        state[6] = i + 1
        return i + 1
    if c == _BACK:  # joins two lines: the second one's indentation means nothing
        i += 1
        i += i < end and data[i] == _RETURN
        return i + (i < end and data[i] == _LINE)
    if c != _COMMA:
        return comment(text, i, state)
    past = i + 1
    while past < end and data[past] <= _SPACE:
        past += 1
    return i + 1 if past < end and _KIND[data[past]] == _CLOSES else i


@compiled
def _dedents(data: Array, i: int, state: Array) -> bool:
    """At the first token of a line: whether the line is indented less than the one before. Notes its indentation."""
    start = state[6]
    state[6] = -1
    columns = 0
    while start < i and data[start] in (_SPACE, _TAB):
        columns = (columns // 8 + 1) * 8 if data[start] == _TAB else columns + 1
        start += 1
    if state[5] > 0:
        if columns > 0 or _KIND[data[i]] == _CLOSES:
            return False
        state[5] = 0  # a bracket that was never closed: no one starts a continued line in the first column
    less = columns < state[4]
    state[4] = columns
    return less


@compiled
def tokens(  # noqa: PLR0912, PLR0915  # one loop: a call that passes arrays costs as much as a token
    text: tuple[Array, int, bool], i: int, count: int, state: Array, out: tuple[Array, Array]
) -> tuple[int, int]:
    """Put the tokens from byte i on into out[count:], until it is full; the new count, and the byte to go on from.

    text: bytes, end, whether it has `//` comments. out: values and kinds.
    """
    data, end, slashed = text
    values, kinds = out
    listed = 2 if slashed else 1
    formatted = False
    while count < len(values):
        while 0 <= i < end and _BLANK[data[i]]:  # not below 0, so no place counts from the end: a test less a byte
            i += 1
        if not 0 <= i < end:
            if slashed or state[4] == 0:
                break
            state[4] = 0
            values[count], kinds[count] = DEDENT, SIGN
            count += 1
            continue
        c = data[i]
        kind = _KIND[c]
        if kind == _MARK:
            past = _mark(text, i, state)
            if past > i:
                i, formatted = past, False
                continue
        if not slashed and state[6] >= 0 and _dedents(data, i, state):
            values[count], kinds[count] = DEDENT, SIGN
            count += 1
            continue
        start, value, is_a = i, np.uint64(c), SIGN
        i += 1
        if kind == _NAME:
            value = (SEED ^ value) * FNV
            while 0 <= i < end and WORD[data[i]]:
                value = (value ^ np.uint64(data[i])) * FNV
                i += 1
            if i < end and i - start <= 2 and data[i] in (_QUOTE1, _QUOTE2) and _PREFIX[c] and _PREFIX[data[i - 1]]:
                formatted = data[i - 1] | 32 == _F or c | 32 == _F
                continue  # the string is next
            at = value & _MASK
            while _FIXED[at] != value and _FIXED[at] != np.uint64(0):
                at = (at + _ONE) & _MASK
            called = i < end and data[i] == _OPEN and _FIXED_IN[at] & 4
            fixed = called or _FIXED_IN[at] & listed or (start > 0 and data[start - 1] == _DOT)
            is_a = FIXED if fixed else NAME
        elif kind == _DIGIT:
            value = _NUMBER ^ value
            while i < end and (WORD[data[i]] or (data[i] == _DOT and i + 1 < end and _KIND[data[i + 1]] == _DIGIT)):
                value = (value ^ np.uint64(data[i])) * FNV
                i += 1
        elif c in (_QUOTE1, _QUOTE2):
            past = _string_end(text, start, state)
            if past > 0:
                value, i, is_a = _string(data, start, past, formatted), past, FIXED
            formatted = False
        elif kind == _OPENS:
            state[5] += 1
        elif kind == _CLOSES:
            state[5] = max(0, state[5] - 1)
        values[count], kinds[count] = mixed(value + _ONE), is_a
        count += 1
    return count, i


@compiled
def comments(data: Array, slashed: bool) -> Array:
    """Which bytes of a text belong to comments and triple-quoted strings: bool [bytes]."""
    out = np.zeros(len(data), np.bool_)
    state = np.zeros(7, np.int64)
    text = (data, len(data), slashed)
    i = 0
    while i < len(data):
        past = comment(text, i, state)
        if past > i:
            out[i:past] = True
        elif data[i] in (_QUOTE1, _QUOTE2):
            past = max(i + 1, _string_end(text, i, state))
        else:
            past = i + 1
        i = past
    return out


@compiled
def divided(offsets: Array, data: Array, slashed: Array) -> tuple[Array, Array, Array]:
    """The comments of every text, a line feed between two of one text, and where each text's end; and the rest.

    Comments are those of `comments`; in the rest, uint8 as long as the data, blanks and the line feeds stand for them.
    """
    said, rest = np.empty_like(data), data.copy()
    ends = np.zeros(len(offsets) - 1, np.int64)
    used = 0
    for row in range(len(ends)):
        first, start = used, offsets[row]
        marked = comments(data[start : offsets[row + 1]], slashed[row])
        for i in range(len(marked)):
            if marked[i]:
                c = data[start + i]
                if i > 0 and not marked[i - 1] and used > first:
                    said[used] = _LINE
                    used += 1
                said[used] = c
                used += 1
                rest[start + i] = c if c == _LINE else _SPACE
        ends[row] = used
    return said[:used], ends, rest
