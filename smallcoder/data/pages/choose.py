"""Which blocks of a page are its content, and the content as Markdown.

Out go blocks within elements that are no content by their name or role, and by their class unless that would leave next
to nothing; then, where a page names its main part and enough text stands in it, what lies outside; then runs of short
blocks that are all links. The thresholds are ours, set on the pages of perf/pages.py. Code is no menu. It knows nothing
of other pages of the same site, which a template repeats.

Code stands between fences, with its language where a class names it; headings, items and cells have the marks of
Markdown. Marks that the text itself holds are not escaped. Linear, 1 GB of text a CPU-second.
"""

# Kernels take arrays one by one; neither tuples nor generators are free in them.
# ruff: noqa: SIM110
from typing import Any

import numba as nb
import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import Array
from smallcoder.data.pages.scan import CODE, HEADING, ITEM

LEAST_KEPT = 0.2  # share of the text outside elements that are boilerplate by name, below which classes do not count
LEAST_MAIN, MAIN_BYTES = 0.25, 200  # share of this text, and its bytes, with which a main part counts
LINKS, SHORT, RUN = 0.7, 120, 3  # share of a block that is links, its bytes, and how many such blocks make a menu
LABEL_BYTES = 16
_OPAQUE = tuple(
    np.frombuffer(name, np.uint8) for name in (b"none", b"default", b"text", b"plaintext", b"plain", b"block")
)
_LABEL = np.array([c < 128 and (chr(c).isalnum() or chr(c) in "+#") for c in range(256)])


@compiled
def markdown(data: Array, text: Array, rows: Array, out: Array) -> int:
    """Write the content into `out`; its length, at most BLOCK_MARKS (`html.py`) a block more than the text's."""
    keep = _chosen(rows)
    used, before = 0, -1
    fence = 0  # the mark of the fence that is open
    for at in range(len(rows)):
        if not keep[at]:
            continue
        row = rows[at]
        start, end = _trimmed(text, row)
        joined = fence and row.kind == CODE and row.line and rows[at - 1].line and before == at - 1
        if start == end and not joined:
            continue
        if fence and not joined:
            used = _put(out, _put(out, used, 10, 1), fence, 3)
            fence = 0
        if before >= 0:
            tight = joined or (row.kind == ITEM and rows[before].kind == ITEM)
            used = _put(out, used, 10, 1 if tight else 2)
        if row.kind == CODE and not joined:
            fence = 126 if _holds_fence(text, start, end) else 96
            used = _put(out, _label(data, row, out, _put(out, used, fence, 3)), 10, 1)
        used = _prefix(row, out, used)
        for i in range(start, end):
            out[used] = text[i]
            used += 1
        before = at
    return _put(out, _put(out, used, 10, 1), fence, 3) if fence else used


@compiled
def _chosen(rows: Array) -> Array:
    keep = np.zeros(len(rows), np.bool_)
    every = sure = main = 0
    for row in rows:
        size = 0 if row.boilerplate else row.end - row.start
        every += size
        sure += 0 if row.guessed else size
    by_class = sure >= LEAST_KEPT * every
    for row in rows:
        if row.main and not row.boilerplate and not (by_class and row.guessed):
            main += row.end - row.start
    by_main = main >= MAIN_BYTES and main >= LEAST_MAIN * (sure if by_class else every)
    for at in range(len(rows)):
        row = rows[at]
        keep[at] = not (row.boilerplate or (by_class and row.guessed) or (by_main and not row.main))
    _without_menus(rows, keep)
    return keep


@compiled
def _without_menus(rows: Array, keep: Array) -> None:
    run = 0
    for at in range(len(rows) + 1):
        if at < len(rows):
            if not keep[at]:
                continue
            size = rows[at].end - rows[at].start
            linked = rows[at].kind != CODE and size <= SHORT and rows[at].links >= LINKS * size
        else:
            linked = False
        if linked and rows[at].kind != HEADING:
            run += 1
            continue
        if run < RUN:
            run = 0
        back = at - 1
        while run and back >= 0:
            if keep[back]:
                keep[back] = False
                run -= 1
            back -= 1
        run = 0


@compiled
def _trimmed(text: Array, row: Any) -> tuple[int, int]:
    """Code without the blank lines before it; blanks behind a block are gone already."""
    start = i = row.start
    while row.kind == CODE and i < row.end and text[i] in (9, 10, 32):
        i += 1
        start = i if text[i - 1] == 10 else start
    return start, row.end


@compiled
def _put(out: Array, used: int, byte: int, times: int) -> int:
    for k in range(times):
        out[used + k] = byte
    return used + times


@compiled
def _prefix(row: Any, out: Array, used: int) -> int:
    """The marks before a heading or an item."""
    if row.kind == HEADING:
        return _put(out, _put(out, used, 35, min(max(row.level, 1), 6)), 32, 1)
    if row.kind != ITEM:
        return used
    used = _put(out, used, 32, 2 * min(max(row.level - 1, 0), 4))
    if not row.number:
        return _put(out, _put(out, used, 45, 1), 32, 1)
    number, digits = min(row.number, 9999), 1
    while number >= 10**digits:
        digits += 1
    for k in range(digits):
        out[used + k] = 48 + number // 10 ** (digits - 1 - k) % 10
    return _put(out, _put(out, used + digits, 46, 1), 32, 1)


@compiled
def _holds_fence(text: Array, start: int, end: int) -> bool:
    for i in range(start, end - 2):
        if text[i] == 96 and text[i + 1] == 96 and text[i + 2] == 96:
            return True
    return False


@compiled
def _label(data: Array, row: Any, out: Array, used: int) -> int:
    """The language of a block of code, where its class says one."""
    start, end = row.label_start, row.label_end
    length = end - start
    if not 0 < length <= LABEL_BYTES:
        return used
    for i in range(start, end):
        if not _LABEL[data[i]]:
            return used
    for word in nb.literal_unroll(_OPAQUE):
        if len(word) == length:
            same = True
            for k in range(length):
                same &= data[start + k] | 32 == word[k]
            if same:
                return used
    for k in range(length):
        out[used + k] = data[start + k]
    return used + length
