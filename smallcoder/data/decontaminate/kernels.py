"""Compiled search for passages: n-grams of words or of code tokens, hashed, counted per passage where they meet.

An n-gram of code is blind to names but not to their pattern: a name counts as the number of tokens since it last
occurred within the n-gram, and as new if it did not (the p-strings of Baker, "Parameterized duplication in strings",
SIAM J. Computing 26, 1997). Renaming therefore changes nothing, and `a[i] = b[j]` differs from `a[i] = a[i]`. The hash
rolls: a name that leaves the window makes its next occurrence new, which is mended in the sum.

A text matches a passage where enough of the passage's different n-grams occur in one stretch, in which no two
neighbouring ones are further apart than a gap. All n-grams of the text are looked up, so unlike winnowing (Schleimer,
Wilkerson, Aiken, "Winnowing", SIGMOD 2003) nothing depends on which were picked; a bit filter answers nearly all looks.
"""

from typing import Any, NamedTuple

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.decontaminate.lexer import NAME, fresh, tokens, words
from smallcoder.data.decontaminate.telling import ANY, mark_tokens, tells_something
from smallcoder.data.kernels import mixed, sort_hashes

Array = np.ndarray[Any, Any]

CHUNK = 4096  # tokens that are looked at together
SLOTS = 512  # for names, by their lowest bits
LONGEST = 32  # tokens of an n-gram

_BASE = np.uint64(0x9E3779B97F4A7C15)
_S6, _S32 = np.uint64(6), np.uint64(32)
_LOW6, _ONE, _SLOT = np.uint64(63), np.uint64(1), np.uint64(SLOTS - 1)
_POWERS = np.array([pow(int(_BASE), n, 1 << 64) for n in range(LONGEST)], np.uint64)
_DISTANCES = np.array(
    [(0xA0761D6478BD642F * (n + 1)) % (1 << 64) for n in range(LONGEST)], np.uint64
)  # [0]: a new name


class Index(NamedTuple):
    """N-grams of passages and what it takes to match one. Posting p says that its n-gram is one of passages[p]."""

    size: int  # tokens of an n-gram
    code: bool  # of code tokens, not of words
    gap: int  # tokens that may lie between two n-grams of one stretch
    bits: Array  # uint64 [2^a]: a filter of the hashes, 64 bits each
    slots: Array  # int64 [2^b]: open-addressed table of 1 + the hash's number, 0 where empty
    hashes: Array  # uint64 [n-grams], sorted
    starts: Array  # int64 [n-grams + 1]: the postings of each
    passages: Array  # int32 [postings]
    need: Array  # int32 [passages]: n-grams that must meet


def lookup(hashes: Array) -> tuple[Array, Array]:
    """The filter and the table of an `Index`, for sorted distinct hashes. About 0.1 s per million."""
    bits = np.zeros(1 << (len(hashes) // 2).bit_length(), np.uint64)  # 32 to 64 bits a hash: 2 to 3% pass by chance
    slots = np.zeros(1 << (2 * len(hashes)).bit_length(), np.int64)
    _enter(hashes, bits, slots)
    return bits, slots


@compiled
def _enter(hashes: Array, bits: Array, slots: Array) -> None:
    filter_mask, slot_mask = np.uint64(len(bits) - 1), np.uint64(len(slots) - 1)
    for number in range(len(hashes)):
        value = hashes[number]
        bits[(value >> _S6) & filter_mask] |= _ONE << (value & _LOW6)
        at = (value >> _S32) & slot_mask
        while slots[at]:
            at = (at + _ONE) & slot_mask
        slots[at] = number + 1


class Chunk(NamedTuple):
    """Some tokens of a text in a row. From one chunk to the next the last tokens stay, so that no n-gram is lost."""

    state: Array  # int64 [7]: the lexer's memory
    values: Array  # uint64 [CHUNK]: values of the tokens
    kinds: Array  # uint8 [CHUNK]: their kinds
    terms: Array  # uint64 [CHUNK]: what each counts as in the n-gram
    nexts: Array  # int64 [CHUNK]: where a name comes next, if near; -1 if not
    seen: Array  # int64 [SLOTS]: where a name of each slot came last
    hashes: Array  # uint64 [CHUNK]: of the n-grams


@compiled
def _chunk() -> Chunk:
    return Chunk(
        np.zeros(7, np.int64),
        np.zeros(CHUNK, np.uint64),
        np.zeros(CHUNK, np.uint8),
        np.zeros(CHUNK, np.uint64),
        np.zeros(CHUNK, np.int64),
        np.zeros(SLOTS, np.int64),
        np.zeros(CHUNK, np.uint64),
    )


@compiled
def _fill(text: tuple[Array, int, bool], i: int, count: int, code: bool, chunk: Chunk) -> tuple[int, int]:
    """Read on from byte i into the chunk, which holds `count` tokens, until it has no room; the new count and byte.

    A chunk that is not full afterwards is the last of its text if the byte is the text's end.
    """
    if code:
        return tokens(text, i, count, chunk.state, (chunk.values, chunk.kinds))
    return words(text, i, count, chunk.values)


@compiled
def _hash(chunk: Chunk, count: int, size: int, code: bool) -> int:
    """Polynomial hashes of the n-grams of the first `count` tokens; returns how many."""
    if not code:
        _roll(chunk.values[:count], size, chunk.hashes)
        return max(0, count - size + 1)
    values, kinds, terms, nexts, seen = chunk.values, chunk.kinds, chunk.terms, chunk.nexts, chunk.seen
    seen[:] = -LONGEST
    top = _POWERS[size - 1]
    h = np.uint64(0)
    for n in range(count):
        out = n - size
        if out >= 0:
            h -= terms[out] * top
            after = nexts[out]
            if after >= 0:
                h += (_DISTANCES[0] - terms[after]) * _POWERS[n - 1 - after]
                terms[after] = _DISTANCES[0]
        value = values[n]
        nexts[n] = -1
        if kinds[n] == NAME:
            term = _DISTANCES[0]
            slot, nearest = value & _SLOT, max(0, n - size + 1)
            before = seen[slot]  # if any, it cannot be later
            seen[slot] = n
            while before >= nearest:
                if values[before] == value and kinds[before] == NAME:
                    term = _DISTANCES[n - before]
                    nexts[before] = n
                    break
                before -= 1
            value = term
        terms[n] = value
        h = h * _BASE + value
        if n >= size - 1:
            chunk.hashes[n - size + 1] = mixed(h)
    return max(0, count - size + 1)


@compiled
def _roll(values: Array, size: int, hashes: Array) -> None:
    """The same of n-grams of words, which are what they are."""
    top = _POWERS[size - 1]
    h = np.uint64(0)
    for n in range(min(size - 1, len(values))):
        h = h * _BASE + values[n]
    for n in range(len(values) - size + 1):
        h = h * _BASE + values[n + size - 1]
        hashes[n] = mixed(h)
        h -= values[n] * top


@compiled
def _keep(chunk: Chunk, count: int, size: int) -> int:
    """Move the last size - 1 tokens to the front; returns how many."""
    left = min(count, size - 1)
    for n in range(left):
        chunk.values[n] = chunk.values[count - left + n]
        chunk.kinds[n] = chunk.kinds[count - left + n]
    return left


@compiled
def grams(
    columns: tuple[Array, Array, Array], size: int, code: bool, rule: int, vocabulary: tuple[Array, Array]
) -> tuple[Array, Array, Array]:
    """Hashes of every n-gram of every text in order, 0 for one that tells nothing; their bounds; tokens of each text.

    columns: offsets int64 [rows + 1], bytes uint8, and whether each text has `//` comments, bool [rows]. vocabulary:
    sorted hashes of STOPS and LEGAL.
    """
    offsets, data, slashed = columns
    rows = len(offsets) - 1
    # A token takes a byte or more; a dedent takes none, but has a line to itself.
    out = np.empty((offsets[rows] - offsets[0]) + rows, np.uint64)
    bounds, counts = np.zeros(rows + 1, np.int64), np.zeros(rows, np.int64)
    chunk = _chunk()
    marks = np.zeros(CHUNK, np.uint8)
    used = 0
    for row in range(rows):
        text = (data, offsets[row + 1], slashed[row])
        fresh(chunk.state, offsets[row])
        left, i = 0, offsets[row]
        while True:
            count, i = _fill(text, i, left, code, chunk)
            counts[row] += count - left
            if rule != ANY:
                mark_tokens((chunk.values[:count], chunk.kinds), rule, vocabulary, marks)
            for n in range(_hash(chunk, count, size, code)):
                tells = rule == ANY or tells_something(rule, chunk.values[n : n + size], marks[n : n + size])
                out[used] = chunk.hashes[n] if tells else np.uint64(0)
                used += 1
            if count < CHUNK and i >= offsets[row + 1]:
                break
            left = _keep(chunk, count, size)
        bounds[row + 1] = used
    return out[:used].copy(), bounds, counts


@compiled
def distinct(hashes: Array, bounds: Array) -> tuple[Array, Array]:
    """The sorted distinct hashes of every text, 0 left out, and their bounds int64 [rows + 1]."""
    out, ends = np.empty_like(hashes), np.zeros_like(bounds)
    used = 0
    for row in range(len(bounds) - 1):
        last = np.uint64(0)
        found = hashes[bounds[row] : bounds[row + 1]].copy()
        sort_hashes(found)
        for value in found:
            if value != last:
                out[used] = last = value
                used += 1
        ends[row + 1] = used
    return out[:used], ends


@compiled
def hash_words(offsets: Array, data: Array) -> Array:
    """Sorted hashes of the first word of every text."""
    out, found = np.empty(len(offsets) - 1, np.uint64), np.empty(CHUNK, np.uint64)
    for row in range(len(out)):
        words((data, offsets[row + 1], False), offsets[row], 0, found)
        out[row] = found[0]
    return np.sort(out)


class Stretches(NamedTuple):
    """Where passages are being met: by passage and, the last, by posting."""

    last: Array  # int64: where its last n-gram was met
    current: Array  # int64: the stretch that one was in
    counts: Array  # int32: different n-grams met in that stretch
    slot: Array  # int64: its line in the result
    seen: Array  # int32: the stretch the n-gram was last met in; a batch has less than 2^31 tokens


@compiled
def _stretches(index: Index) -> Stretches:
    passages = len(index.need)
    return Stretches(
        np.full(passages, -(1 << 40), np.int64),
        np.zeros(passages, np.int64),
        np.zeros(passages, np.int32),
        np.full(passages, -1, np.int64),
        np.full(len(index.passages), -1, np.int32),
    )


@compiled
def _look(hashes: Array, index: Index, hits: tuple[Array, Array]) -> int:
    """Look n-grams up: the numbers of those that passages have, and where in `hashes` they are; returns how many."""
    bits, slots, known = index.bits, index.slots, index.hashes
    numbers, places = hits
    filter_mask, slot_mask = np.uint64(len(bits) - 1), np.uint64(len(slots) - 1)
    used = 0
    for n in range(len(hashes)):
        value = hashes[n]
        if (bits[(value >> _S6) & filter_mask] >> (value & _LOW6)) & _ONE:
            at = (value >> _S32) & slot_mask
            while slots[at]:
                if known[slots[at] - 1] == value:
                    numbers[used], places[used] = slots[at] - 1, n
                    used += 1
                    break
                at = (at + _ONE) & slot_mask
    return used


@compiled
def _meet(
    hits: tuple[Array, Array],
    now: tuple[int, int, int, int],
    index: Index,
    met: Stretches,
    found: list[tuple[Any, Any, Any, Any]],
) -> None:
    """Count n-grams of the text for each passage that has them, and put those that are matched into `found`.

    hits: numbers of the n-grams, and their places. now: position of place 0 among the tokens of all texts, which index
    it is, the text's row, the first line of `found` that is the text's. found: lines of (index, row, passage, n-grams).
    """
    numbers, places = hits
    start, which, row, first = now
    starts, passages, need = index.starts, index.passages, index.need
    last, current, count, slot, seen = met.last, met.current, met.counts, met.slot, met.seen
    for hit in range(len(numbers)):
        position = start + places[hit]
        for posting in range(starts[numbers[hit]], starts[numbers[hit] + 1]):
            passage = passages[posting]
            if position - last[passage] > index.gap:
                current[passage] = position  # a stretch is known by where it begins
                count[passage] = 0
            last[passage] = position
            if seen[posting] == current[passage]:
                continue
            seen[posting] = current[passage]
            count[passage] += 1
            if count[passage] < need[passage]:
                continue
            most = np.int64(count[passage])
            if slot[passage] < first:
                slot[passage] = len(found)
                found.append((which, row, np.int64(passage), most))
            elif found[slot[passage]][3] < most:
                found[slot[passage]] = (which, row, np.int64(passage), most)


@compiled
def search(columns: tuple[Array, Array, Array], indexes: tuple[Index, ...]) -> tuple[Array, Array]:
    """The passages that each text matches: int64 [hits, 4] of index, row, passage, n-grams that met; tokens of texts.

    columns as for `grams`. An index, row and passage come together once, with the best stretch. The tokens are int64
    [2, rows]: words, and tokens of code, each read once for all indexes. Memory is a few bytes for each posting of the
    indexes, whatever the texts.
    """
    offsets, data, slashed = columns
    counts = np.zeros((2, len(offsets) - 1), np.int64)
    met = [_stretches(indexes[which]) for which in range(len(indexes))]
    found: list[tuple[Any, Any, Any, Any]] = [(np.int64(0), np.int64(0), np.int64(0), np.int64(0)) for _ in range(0)]
    chunk = _chunk()
    numbers, places = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    longest = gap = 0
    for which in range(len(indexes)):
        longest, gap = max(longest, indexes[which].size), max(gap, indexes[which].gap)
    position = 0  # of the chunk's first token among those of all texts
    for kind in range(2):
        code = kind == 1
        for row in range(len(offsets) - 1):
            fresh(chunk.state, offsets[row])
            first = len(found)
            left, i = 0, offsets[row]
            while True:
                count, i = _fill((data, offsets[row + 1], slashed[row]), i, left, code, chunk)
                for which in range(len(indexes)):
                    index = indexes[which]
                    if index.code == code:
                        made = _hash(chunk, count, index.size, code)
                        known = max(0, left - index.size + 1)  # n-grams of the tokens that were kept
                        hits = _look(chunk.hashes[known:made], index, (numbers, places))
                        now = (position + known, np.int64(which), np.int64(row), first)
                        if hits:
                            _meet((numbers[:hits], places[:hits]), now, index, met[which], found)
                counts[kind, row] += count - left
                last = count < CHUNK and i >= offsets[row + 1]
                left = _keep(chunk, count, longest)
                position += count - left
                if last:
                    break
            position += left + gap + 1
    out = np.empty((len(found), 4), np.int64)
    for line in range(len(found)):
        out[line, 0], out[line, 1], out[line, 2], out[line, 3] = found[line]
    return out, counts
