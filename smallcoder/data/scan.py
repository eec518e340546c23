"""The counts behind signals and rules: one compiled scan over the buffers of an Arrow text column.

A small state machine walks the tokens of a text: words (as in `kernels`), blanks, line feeds, single other bytes. It
knows of each language how comments and strings are written (`lexicon`), so it tells code, strings, comments and
documentation apart without a parser. The passes of `counting` run beside it. What a count means for a document is for
`rules` and `signals` to say.

Cost: 110 MB a CPU-second on Python on a busy machine. Figures of distinct things are taken from the first LIMIT words
or lines of a document, which bounds the memory.
"""

# Kernels take arrays one by one; neither tuples nor generators are free in them.
# ruff: noqa: PLR0917, PLR1714, SIM110

from typing import Any

import numba as nb
import numpy as np
import pyarrow as pa

from smallcoder.data import lexicon as lx
from smallcoder.data.counting import BASE64, HEXLIKE, NGRAM, addresses, characters, distinct, ngrams, runs
from smallcoder.data.kernels import FNV, SEED, WORD, Array, buffers, longest_row, mixed

_NAMES = (
    "bytes",
    "characters",
    "letters",  # a non-ASCII character counts as one
    "digits",
    "blanks",  # spaces, tabs, line feeds, carriage returns, form feeds
    "punctuation",  # all other ASCII characters but `_`
    "garbled",  # replacement characters, C1 controls, private-use characters
    "colons",
    "mails",  # @ between what may stand beside it in an e-mail address
    "url_bytes",  # from the scheme before "://" to a blank, a quotation mark or a closing bracket
    "encoded",  # bytes in runs of ENCODED_RUN or more of the base64 alphabet and line feeds
    "encoded_run",  # the longest of these runs
    "hexlike",  # bytes in runs of HEXLIKE_RUN or more of what hexadecimal tables are made of
    "hexlike_run",
    "lines",
    "longest_line",  # characters
    "line_squares",  # sum of the squares of the lines' lengths in characters
    "wide_lines",  # of more than WIDE characters
    "code_lines",  # with code or a string that is no documentation
    "comment_lines",  # with nothing but comments or documentation
    "worded_lines",  # with a word
    "distinct_lines",  # different ones among these, compared by their words and punctuation
    "words",
    "longest_word",  # bytes
    "distinct_words",
    "ngrams",  # NGRAM words in a row
    "distinct_ngrams",
    "comment_bytes",  # from the opening mark to the closing one
    "doc_bytes",  # documentation: Python strings that stand alone, and comments that begin with /** or /// or //!
    "string_bytes",  # with their quotes
    "comments",
    "inline_comments",  # after code on the same line
    "docs",
    "identifiers",  # words in code that are neither numbers nor keywords
    "distinct_identifiers",
    "identifier_bytes",
    "short_identifiers",  # of one byte
    "keywords",
    "branches",  # keywords that begin a branch or a loop
    "numbers",
    "functions",  # definitions: by keyword, or `(...) {` in languages without one
    "import_lines",  # whose first word imports
    "print_lines",
    "assert_lines",  # with a word in code that begins with "assert", in any case
    "mark_lines",  # with a mark of unfinished work in a comment: todo, fixme, xxx, hack
    "indent_sum",  # columns of indentation of lines that begin in code, a tab is four
    "indent_max",
    "tab_lines",  # of these, with a tab in the indentation
    "nesting",  # deepest nesting of brackets in code
    "unbalanced",  # brackets in code without a partner of their kind
)
COUNTS = np.dtype([(name, np.int64) for name in _NAMES])
ENCODED_RUN = 64  # StarCoder2 (arXiv 2402.19173)
HEXLIKE_RUN = 16  # eight bytes of two digits, the shortest run that StarCoder2 counts
WIDE = 100  # characters; the mean that StarCoder allows
LIMIT = 1 << 20

Known = tuple[Array, Array, Any]  # the words of a language with a meaning, see `lexicon`

_SPAN = "state ends quote since escaped multiline "  # the string or comment the scan is in, and where it began
_OF_LINE = "start continuation hash worded words code comment clean indent tabs prints marks asserts "
_OF_TEXT = "round square curly controls control called names"
_STATE = np.dtype([(name, np.int64) for name in (_SPAN + _OF_LINE + _OF_TEXT).split()])
_CODE, _STRING, _COMMENT, _DOC = range(4)
_LINE, _QUOTE, _TRIPLE, _BLOCK, _MARKUP = range(5)  # what ends it

_IS_WORD, _IS_BLANK, _IS_FEED, _IS_OTHER = range(4)
_KIND = np.array([_IS_WORD if WORD[c] else _IS_FEED if c == 10 else _IS_BLANK if c in b" \t\r\f\v" else _IS_OTHER
                  for c in range(256)], np.uint8)  # fmt: skip
_PLAIN, _STRINGS, _COMMENTS, _BRACKETS = range(4)  # what a byte of punctuation may do in code
_ACTION = np.array([_STRINGS if c in b"\"'`" else _COMMENTS if c in b"#/-;%<" else _BRACKETS if c in b"()[]{},="
                    else _PLAIN for c in range(256)], np.uint8)  # fmt: skip
_ROUND, _SQUARE, _CURLY = (
    np.array([1 if c == pair[0] else -1 if c == pair[1] else 0 for c in range(256)], np.int8)
    for pair in (b"()", b"[]", b"{}")
)
_ASSERT = np.frombuffer(b"assert", np.uint8)


def scan(column: pa.Array, languages: list[str | None]) -> Array:
    """The counts of every text of a column, an array of records COUNTS [rows]; `languages` by name, one a row."""
    offsets, data = buffers(column)
    counts = np.zeros(len(column), COUNTS)
    _scan_rows(offsets, data, lx.language_numbers(languages), lx.FEATURES, lx.lexicon(), counts, np.zeros(1, _STATE))
    return counts


@nb.njit(nogil=True, cache=True)
def word_hash(text: Array) -> Any:
    """The hash of a word, never 0."""
    h = SEED
    for b in text:
        h = (h ^ np.uint64(b)) * FNV
    return mixed(h) | np.uint64(1)


@nb.njit(nogil=True, cache=True)
def _scan_rows(
    offsets: Array, data: Array, numbers: Array, features: Array, lexicon: Any, counts: Array, state: Array
) -> None:
    room = min(longest_row(offsets) // 2 + 2, LIMIT)
    words, names = np.empty(room, np.uint64), np.empty(room, np.uint64)  # hashes; the last place takes all beyond
    lines = np.empty(min(2 * room, LIMIT), np.uint64)
    slots = np.empty(1, np.uint64)
    for row in range(len(offsets) - 1):
        text = data[offsets[row] : offsets[row + 1]]
        c, s = counts[row], state[0]
        characters(text, c)
        c.url_bytes, c.mails = addresses(text)
        c.encoded, c.encoded_run = runs(text, BASE64, ENCODED_RUN)
        c.hexlike, c.hexlike_run = runs(text, HEXLIKE, HEXLIKE_RUN)
        keys, meanings, shifts = lexicon
        known = keys[numbers[row]], meanings[numbers[row]], shifts[numbers[row]]
        _walk(text, features[numbers[row]], known, c, s, words, names, lines)
        most = 4 * max(min(c.words, len(words)), min(c.worded_lines, len(lines)), 2)
        if len(slots) < most:
            slots = np.empty(most, np.uint64)
        c.distinct_lines = distinct(lines[: min(c.worded_lines, len(lines))], slots)
        c.distinct_identifiers = distinct(names[: min(s.names, len(names))], slots)
        seen = words[: min(c.words, len(words))]
        c.distinct_words = distinct(seen, slots)
        c.ngrams = max(len(seen) - NGRAM + 1, 0)
        c.distinct_ngrams = distinct(ngrams(seen), slots)


@nb.njit(nogil=True, cache=True)
def _walk(text: Array, features: Any, known: Known, c: Any, s: Any, words: Array, names: Array, lines: Array) -> None:
    """Walk the tokens of a text and fill the counts that depend on lines, words and states.

    Nearly all that is done for a word or a line is arithmetic without branches: a branch that is guessed wrong costs as
    much as the rest of a token.
    """
    s.state = s.since = s.escaped = s.multiline = s.names = 0
    s.round = s.square = s.curly = s.controls = s.control = s.called = 0
    i = _begin_line(text, 0, s)
    while i < len(text):
        kind = _KIND[text[i]]
        if kind == _IS_WORD:
            i = _word(text, i, features, known, c, s, words, names)
        elif kind == _IS_BLANK:
            while i < len(text) and _KIND[text[i]] == _IS_BLANK:
                i += 1
        elif kind == _IS_FEED:
            _end_line(i, c, s, lines)
            i = _begin_line(text, i + 1, s)
        elif s.state != _CODE:
            i = _inside(text, i, c, s)
        else:
            i = _open(text, i, features, c, s)
    if len(text) and text[len(text) - 1] != 10:
        _end_line(len(text), c, s, lines)
    _enter(_CODE, len(text), c, s)
    c.unbalanced += s.round + s.square + s.curly


@nb.njit(nogil=True, cache=True, forceinline=True)
def _begin_line(text: Array, at: int, s: Any) -> int:
    """Start a line at a place and measure its indentation; returns where its first token is."""
    s.start, s.hash, s.clean = at, 0, s.state == _CODE
    s.continuation = s.worded = s.words = s.code = s.comment = 0
    s.prints = s.marks = s.asserts = 0
    i, tabs = at, 0
    while i < len(text) and _KIND[text[i]] == _IS_BLANK:
        tabs += text[i] == 9
        i += 1
    s.indent, s.tabs = i - at + 3 * tabs, tabs > 0
    return i


@nb.njit(nogil=True, cache=True, forceinline=True)
def _end_line(at: int, c: Any, s: Any, lines: Array) -> None:
    length = at - s.start - s.continuation
    c.lines += 1
    c.longest_line = max(c.longest_line, length)
    c.line_squares += length * length
    c.wide_lines += length > WIDE
    c.print_lines += s.prints
    c.mark_lines += s.marks
    c.assert_lines += s.asserts
    lines[min(c.worded_lines, len(lines) - 1)] = mixed(np.uint64(s.hash)) | np.uint64(1)
    c.worded_lines += s.worded
    c.code_lines += s.code
    c.comment_lines += s.comment & ~s.code
    indent = s.indent * (s.code & s.clean)
    c.indent_sum += indent
    c.indent_max = max(c.indent_max, indent)
    c.tab_lines += s.tabs & s.code & s.clean
    if s.state != _CODE and (s.ends == _LINE or (s.ends == _QUOTE and not s.multiline and s.escaped != at)):
        _enter(_CODE, at, c, s)


@nb.njit(nogil=True, cache=True, forceinline=True)
def _enter(state: int, at: int, c: Any, s: Any) -> None:
    """Change the state at a place: the bytes since the last change belong to the state that ends."""
    size = at - s.since
    if s.state == _STRING:
        c.string_bytes += size
    elif s.state == _COMMENT:
        c.comment_bytes += size
    elif s.state == _DOC:
        c.doc_bytes += size
    s.state, s.since = state, at


@nb.njit(nogil=True, cache=True, forceinline=True)
def _word(text: Array, start: int, features: Any, known: Known, c: Any, s: Any, words: Array, names: Array) -> int:
    h, i, continuation = SEED, start, 0
    while i < len(text) and WORD[text[i]]:
        h = (h ^ np.uint64(text[i])) * FNV
        continuation += (text[i] & 0xC0) == 0x80
        i += 1
    key, size = mixed(h) | np.uint64(1), i - start
    s.hash = np.int64((np.uint64(s.hash) ^ key) * FNV)
    s.worded = 1
    s.continuation += continuation
    words[min(c.words, len(words) - 1)] = key
    c.words += 1
    c.longest_word = max(c.longest_word, size)
    keys, meanings, shift = known
    slot = np.int64(key >> shift) & (lx.SLOTS - 1)
    meaning = np.int64(meanings[slot]) * (keys[slot] == key)
    if s.state == _CODE:
        quoted = _is(text, i, 34) or _is(text, i, 39)
        if not (quoted and size <= 2 and features & lx.TRIPLE):  # else the prefix of a string
            _code_word(text, start, size, key, meaning, c, s, names)
    elif s.state == _STRING:
        s.code = 1
    else:
        s.comment = 1
        s.marks |= meaning >> lx.MARK & 1
    s.words += 1
    return i


@nb.njit(nogil=True, cache=True, forceinline=True)
def _code_word(text: Array, start: int, size: int, key: Any, meaning: int, c: Any, s: Any, names: Array) -> None:
    first = text[start]
    number = np.int64((first >= 48) & (first <= 57))
    keyword = meaning >> lx.KEYWORD & 1
    s.code = 1
    s.control = meaning >> lx.CONTROL & 1
    s.prints |= meaning >> lx.PRINT & 1
    s.asserts |= size >= len(_ASSERT) and first | 32 == 97 and _asserts(text, start)
    c.numbers += number
    c.keywords += keyword
    c.branches += meaning >> lx.BRANCH & 1
    c.functions += meaning >> lx.FUNCTION & 1
    c.import_lines += (meaning >> lx.IMPORT & 1) * (s.words == 0)
    named = 1 - (number | keyword)
    names[min(s.names, len(names) - 1)] = key
    s.names += named
    c.identifiers += named
    c.identifier_bytes += named * size
    c.short_identifiers += named & (size == 1)


@nb.njit(nogil=True, cache=True, forceinline=True)
def _asserts(text: Array, start: int) -> bool:
    for k in range(len(_ASSERT)):
        if text[start + k] | 32 != _ASSERT[k]:
            return False
    return True


@nb.njit(nogil=True, cache=True, forceinline=True)
def _hash_on(text: Array, start: int, end: int, s: Any) -> int:
    """Make text[start:end], no words, part of the line's hash."""
    for i in range(start, end):
        s.hash = np.int64((np.uint64(s.hash) ^ np.uint64(text[i])) * FNV)
    return end


@nb.njit(nogil=True, cache=True, forceinline=True)
def _is(text: Array, at: int, b: int) -> bool:
    return at < len(text) and text[at] == b


@nb.njit(nogil=True, cache=True, forceinline=True)
def _inside(text: Array, i: int, c: Any, s: Any) -> int:
    """A byte of punctuation inside a string or comment: does it end there?"""
    b, width = text[i], 1
    closes = False
    if s.state == _STRING:
        s.code = 1
    else:
        s.comment = 1
    if s.ends == _QUOTE or s.ends == _TRIPLE:
        if i != s.escaped:
            if b == 92:
                s.escaped = i + 1
            elif b == s.quote:
                closes = s.ends == _QUOTE or (_is(text, i + 1, b) and _is(text, i + 2, b))
                width = 3 if closes and s.ends == _TRIPLE else 1
    elif s.ends == _BLOCK:
        closes = b == 42 and _is(text, i + 1, 47)
        width = 2 if closes else 1
    elif s.ends == _MARKUP:
        closes = b == 45 and _is(text, i + 1, 45) and _is(text, i + 2, 62)
        width = 3 if closes else 1
    if closes:
        _enter(_CODE, i + width, c, s)
    return _hash_on(text, i, i + width, s)


@nb.njit(nogil=True, cache=True, forceinline=True)
def _open(text: Array, i: int, features: int, c: Any, s: Any) -> int:
    """A byte of punctuation in code: does it open a string or a comment, or is it a bracket?"""
    b = text[i]
    action = _ACTION[b]
    if action == _PLAIN:
        s.code, s.control = 1, 0
        return _hash_on(text, i, i + 1, s)
    if action == _STRINGS:
        strings = lx.QUOTES | lx.DOUBLE if b == 34 else lx.QUOTES if b == 39 else lx.BACKTICK
        if features & strings:
            triple = features & lx.TRIPLE and _is(text, i + 1, b) and _is(text, i + 2, b)
            alone = features & lx.TRIPLE and not s.code and s.round + s.square + s.curly == 0
            _enter(_DOC if alone else _STRING, i, c, s)
            s.ends, s.quote, s.multiline = (_TRIPLE if triple else _QUOTE), b, b == 96
            c.docs += s.state == _DOC
            if s.state == _DOC:
                s.comment = 1
            else:
                s.code, s.called = 1, 0
            return _hash_on(text, i, i + (3 if triple else 1), s)
        s.code = 1
        size = 0
        if b == 39 and features & lx.DOUBLE:  # 'x' or '\x'
            size = 3 + _is(text, i + 1, 92)
            size = size if _is(text, i + size - 1, b) and not _is(text, i + size - 2, 10) else 0
        return _hash_on(text, i, i + max(size, 1), s)
    width, state, ends = _comment(text, i, features) if action == _COMMENTS else (0, _CODE, _LINE)
    if width:
        c.comments += 1
        c.docs += state == _DOC
        c.inline_comments += s.code
        _enter(state, i, c, s)
        s.comment, s.ends = 1, ends
        return _hash_on(text, i, i + width, s)
    s.code = 1
    _bracket(b, _is(text, i + 1, 62), features, c, s)
    return _hash_on(text, i, i + 1, s)


@nb.njit(nogil=True, cache=True, forceinline=True)
def _comment(text: Array, i: int, features: int) -> tuple[int, int, int]:
    """(bytes of the opening mark, state, what ends it) of a comment that begins at i; 0 bytes if none does."""
    b = text[i]
    if b == 35:
        blank = i == 0 or _KIND[text[i - 1]] == _IS_BLANK or text[i - 1] == 10
        if features & lx.HASH or (features & lx.HASH_BLANK and blank):
            return 1, _COMMENT, _LINE
    elif b == 47:
        if features & lx.SLASHES and _is(text, i + 1, 47):
            return 2, (_DOC if _is(text, i + 2, 47) or _is(text, i + 2, 33) else _COMMENT), _LINE
        if features & lx.BLOCKS and _is(text, i + 1, 42):
            return 2, (_DOC if _is(text, i + 2, 42) and not _is(text, i + 3, 47) else _COMMENT), _BLOCK
    elif b == 45:
        if features & lx.DASHES and _is(text, i + 1, 45):
            return 2, _COMMENT, _LINE
    elif b == 59:
        if features & lx.SEMICOLON:
            return 1, _COMMENT, _LINE
    elif b == 37:
        if features & lx.PERCENT and not (i > 0 and text[i - 1] == 92):
            return 1, _COMMENT, _LINE
    elif b == 60 and features & lx.MARKUP and _is(text, i + 1, 33) and _is(text, i + 2, 45) and _is(text, i + 3, 45):
        return 4, _COMMENT, _MARKUP
    return 0, _CODE, _LINE


@nb.njit(nogil=True, cache=True, forceinline=True)
def _bracket(b: int, arrow: bool, features: int, c: Any, s: Any) -> None:
    """Nesting and balance; where functions have no keyword, `(...) {` is one. `arrow`: the next byte is `>`."""
    round_, square, curly = _ROUND[b], _SQUARE[b], _CURLY[b]  # 1 opens, -1 closes
    c.unbalanced += (s.round + round_ < 0) + (s.square + square < 0) + (s.curly + curly < 0)
    s.round = max(s.round + round_, 0)
    s.square = max(s.square + square, 0)
    s.curly = max(s.curly + curly, 0)
    c.nesting = max(c.nesting, s.round + s.square + s.curly)
    if features & lx.BRACES:
        called = s.called
        if b == 40:
            s.controls = s.controls << 1 | s.control
            called = 0
        elif b == 41:
            called = 1 - (s.controls & 1)
            s.controls >>= 1
        elif b == 123:
            c.functions += called
            called = 0
        elif b == 125 or b == 91 or b == 44 or b == 59 or (b == 61 and not arrow):
            called = 0
        s.called = called
    s.control = 0
