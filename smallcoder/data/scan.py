"""The counts behind signals and rules: one compiled scan over the buffers of an Arrow text column.

A small state machine walks the tokens of a text: words (as in `kernels`), blanks, line feeds, single other bytes. It
knows of each language how comments and strings are written (`lexicon`), so it tells code, strings, comments and
documentation apart without a parser. The passes of `counting` run beside it. What a count means for a document is for
`rules` and `signals` to say.

Cost: 150 MB a CPU-second on Python on a busy machine. Figures of distinct things are taken from the first LIMIT words
or lines of a document, which bounds the memory.
"""

# Kernels take arrays one by one; neither tuples nor generators are free in them.
# ruff: noqa: PLR0917, SIM110

from typing import Any

import numpy as np
import pyarrow as pa

from smallcoder.data import lexicon as lx
from smallcoder.data.compiled import compiled
from smallcoder.data.counting import (
    BASE64,
    HEXLIKE,
    NGRAM,
    addresses,
    characters,
    distinct,
    ngrams,
    runs,
    says_generated,
)
from smallcoder.data.kernels import FNV, SEED, WORD, Array, buffers, longest_row, mixed
from smallcoder.data.punctuation import CODE, LINE, QUOTE, STRING, enter, inside, opened, stands

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
    "generated",  # 1 where "generated" or "do not" stands in the first HEAD_LINES lines, in any case
)
COUNTS = np.dtype([(name, np.int64) for name in _NAMES])
ENCODED_RUN = 64  # StarCoder2 (arXiv 2402.19173)
HEXLIKE_RUN = 16  # eight bytes of two digits, the shortest run that StarCoder2 counts
HEAD_LINES = 5
WIDE = 100  # characters; the mean that StarCoder allows
LIMIT = 1 << 20

Known = tuple[Array, Array, Any]  # the words of a language with a meaning, see `lexicon`

_SPAN = "state ends quote since escaped multiline "  # the string or comment the scan is in, and where it began
_OF_LINE = "start continuation hash worded words code comment clean indent tabs prints marks asserts "
_OF_TEXT = "round square curly controls control called names"
_STATE = np.dtype([(name, np.int64) for name in (_SPAN + _OF_LINE + _OF_TEXT).split()])

_IS_WORD, _IS_BLANK, _IS_FEED, _IS_OTHER = range(4)
_KIND = np.array([_IS_WORD if WORD[c] else _IS_FEED if c == 10 else _IS_BLANK if c in b" \t\r\f\v" else _IS_OTHER
                  for c in range(256)], np.uint8)  # fmt: skip
_ASSERT = np.frombuffer(b"assert", np.uint8)


def scan(column: pa.Array, languages: list[str | None]) -> Array:
    """The counts of every text of a column, an array of records COUNTS [rows]; `languages` by name, one a row."""
    offsets, data = buffers(column)
    counts = np.zeros(len(column), COUNTS)
    _scan_rows(offsets, data, lx.language_numbers(languages), lx.FEATURES, lx.lexicon(), counts, np.zeros(1, _STATE))
    return counts


@compiled
def word_hash(text: Array) -> Any:
    """The hash of a word, never 0."""
    h = SEED
    for b in text:
        h = (h ^ np.uint64(b)) * FNV
    return mixed(h) | np.uint64(1)


@compiled
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
        c.generated = says_generated(text, HEAD_LINES)
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


@compiled
def _walk(text: Array, features: Any, known: Known, c: Any, s: Any, words: Array, names: Array, lines: Array) -> None:
    """Walk the tokens of a text and fill the counts that depend on lines, words and states.

    Nearly all that is done for a word or a line is arithmetic without branches: a branch that is guessed wrong costs as
    much as the rest of a token, and what stands between two of them becomes vector instructions. `0 <= i` spares every
    look at the text a test for places that count from its end.
    """
    s.state = s.since = s.escaped = s.multiline = s.names = 0
    s.round = s.square = s.curly = s.controls = s.control = s.called = 0
    i = _begin_line(text, 0, s)
    while 0 <= i < len(text):
        kind = _KIND[text[i]]
        if kind == _IS_WORD:
            i = _word(text, i, features, known, c, s, words, names)
        elif kind == _IS_BLANK:
            while 0 <= i < len(text) and _KIND[text[i]] == _IS_BLANK:
                i += 1
        elif kind == _IS_FEED:
            _end_line(i, c, s, lines)
            i = _begin_line(text, i + 1, s)
        elif s.state != CODE:
            i = inside(text, i, c, s)
        else:
            i = opened(text, i, features, c, s)
    if len(text) and text[len(text) - 1] != 10:
        _end_line(len(text), c, s, lines)
    enter(CODE, len(text), c, s)
    c.unbalanced += s.round + s.square + s.curly


@compiled(forceinline=True)
def _begin_line(text: Array, at: int, s: Any) -> int:
    """Start a line at a place and measure its indentation; returns where its first token is."""
    s.start, s.hash, s.clean = at, 0, s.state == CODE
    s.continuation = s.worded = s.words = s.code = s.comment = 0
    s.prints = s.marks = s.asserts = 0
    i, tabs = at, 0
    while 0 <= i < len(text) and _KIND[text[i]] == _IS_BLANK:
        tabs += text[i] == 9
        i += 1
    s.indent, s.tabs = i - at + 3 * tabs, tabs > 0
    return i


@compiled(forceinline=True)
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
    if s.state != CODE and (s.ends == LINE or (s.ends == QUOTE and not s.multiline and s.escaped != at)):
        enter(CODE, at, c, s)


@compiled(forceinline=True)
def _word(text: Array, start: int, features: Any, known: Known, c: Any, s: Any, words: Array, names: Array) -> int:
    h, i, continuation = SEED, start, 0
    while 0 <= i < len(text) and WORD[text[i]]:
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
    if s.state == CODE:
        quoted = stands(text, i, 34) or stands(text, i, 39)
        if not (quoted and size <= 2 and features & lx.TRIPLE):  # else the prefix of a string
            _code_word(text, start, size, key, meaning, c, s, names)
    elif s.state == STRING:
        s.code = 1
    else:
        s.comment = 1
        s.marks |= meaning >> lx.MARK & 1
    s.words += 1
    return i


@compiled(forceinline=True)
def _code_word(text: Array, start: int, size: int, key: Any, meaning: int, c: Any, s: Any, names: Array) -> None:
    first = text[start]
    number = np.int64((first >= 48) & (first <= 57))
    keyword = meaning >> lx.KEYWORD & 1
    s.code = 1
    s.control = meaning >> lx.CONTROL & 1
    s.prints |= meaning >> lx.PRINT & 1
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
    last = start + size - 1
    third, fifth = text[min(start + 2, last)] | 32, text[min(start + 4, last)] | 32
    if (size >= len(_ASSERT)) & (first | 32 == _ASSERT[0]) & (third == _ASSERT[2]) & (fifth == _ASSERT[4]):
        s.asserts |= _asserts(text, start)


@compiled(forceinline=True)
def _asserts(text: Array, start: int) -> bool:
    for k in range(len(_ASSERT)):
        if text[start + k] | 32 != _ASSERT[k]:
            return False
    return True
