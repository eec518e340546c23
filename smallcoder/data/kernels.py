"""Compiled loops over the buffers of Arrow text columns: words, shingles, MinHash, exact Jaccard, n-gram search.

No Python string is made: a kernel gets a column's offsets and bytes (`buffers`), lets go of the interpreter lock and
returns numpy arrays, so threads run it side by side. A word is a maximal run of ASCII letters, digits, `_` and
non-ASCII bytes; a shingle is the hash of `size` words in a row.

The MinHash family is h(x) = a*x + b mod 2^32 with odd a, over x = the upper half of a mixed 64-bit shingle hash
(Broder 1997; eight permutations at a time on common processors). It is as good as a random one only because x is mixed
first. Exact Jaccard compares the whole 64-bit hashes. Cost: 250 MB a CPU-second for signatures of 110 permutations,
130 for shingle sets. The first call compiles for some seconds, later processes load the result from `__pycache__`.
"""

from typing import Any

import numba as nb
import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]

WORD = np.array([c >= 128 or chr(c).isalnum() or c == ord("_") for c in range(256)])
_LOWER = np.array([c + 32 if 65 <= c <= 90 else c for c in range(256)], np.uint64)

FNV = np.uint64(0x100000001B3)
SEED = np.uint64(0xCBF29CE484222325)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX2 = np.uint64(0xC4CEB9FE1A85EC53)
_S33 = np.uint64(33)
_S32 = np.uint64(32)


def buffers(column: pa.Array) -> tuple[Array, Array]:
    """Offsets int64 [rows + 1] and bytes uint8 of a text column, without copying a large_string. Nulls read as ""."""
    column = column.cast(pa.large_string())
    if column.null_count:
        column = column.fill_null("")
    _, offsets, data = column.buffers()
    first, rows = column.offset, len(column)
    if rows == 0 or data is None or data.size == 0:
        data, offsets, first = bytes(1), bytes(8 * (rows + 1)), 0
    return np.frombuffer(offsets, np.int64)[first : first + rows + 1], np.frombuffer(data, np.uint8)


@nb.njit(nogil=True, cache=True, inline="always")
def mixed(x: Any) -> Any:
    x ^= x >> _S33
    x *= _MIX1
    x ^= x >> _S33
    x *= _MIX2
    return x ^ (x >> _S33)


@nb.njit(nogil=True, cache=True)
def _words(data: Array, start: int, end: int, fold: bool, out: Array) -> int:
    """Hashes of the words of data[start:end] into out; returns how many. `fold` ignores the case of ASCII letters."""
    count = 0
    i = start
    while i < end:
        while i < end and not WORD[data[i]]:
            i += 1
        if i == end:
            break
        h = SEED
        while i < end and WORD[data[i]]:
            h = (h ^ (_LOWER[data[i]] if fold else np.uint64(data[i]))) * FNV
            i += 1
        out[count] = mixed(h)
        count += 1
    return count


@nb.njit(nogil=True, cache=True)
def _shingles(words: Array, count: int, size: int, out: Array) -> int:
    """Hashes of the `count - size + 1` shingles into out; returns how many. A rolling polynomial, mixed."""
    if count < size:
        return 0
    top = np.uint64(1)
    for _ in range(size):
        top *= _BASE
    h = np.uint64(0)
    for i in range(count):
        h = h * _BASE + words[i]
        if i >= size:
            h -= top * words[i - size]
        if i >= size - 1:
            out[i - size + 1] = mixed(h)
    return count - size + 1


@nb.njit(nogil=True, cache=True)
def longest_row(offsets: Array) -> int:
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@nb.njit(nogil=True, cache=True)
def signatures(offsets: Array, data: Array, a: Array, b: Array, size: int) -> tuple[Array, Array]:
    """MinHash signatures uint32 [rows, permutations] and numbers of shingles int64 [rows] (with repetitions).

    a, b: uint32 [permutations], a odd. A document without a shingle has the signature of the empty set, all ones.
    """
    rows = len(offsets) - 1
    room = longest_row(offsets) // 2 + 1
    words, hashes = np.empty(room, np.uint64), np.empty(room, np.uint64)
    out = np.full((rows, len(a)), np.uint32(0xFFFFFFFF), np.uint32)
    counts = np.zeros(rows, np.int64)
    for row in range(rows):
        count = _shingles(words, _words(data, offsets[row], offsets[row + 1], False, words), size, hashes)
        counts[row] = count
        least = out[row]
        for i in range(count):
            x = np.uint32(hashes[i] >> _S32)
            for p in range(len(a)):
                value = np.uint32(a[p] * x + b[p])
                least[p] = min(least[p], value)
    return out, counts


@nb.njit(nogil=True, cache=True)
def shingle_sets(offsets: Array, data: Array, size: int) -> tuple[Array, Array]:
    """The sorted distinct shingle hashes of all rows in a row, uint64, and their bounds int64 [rows + 1]."""
    rows = len(offsets) - 1
    room = longest_row(offsets) // 2 + 1
    words, hashes = np.empty(room, np.uint64), np.empty(room, np.uint64)
    out = np.empty((offsets[rows] - offsets[0]) // 2 + rows, np.uint64)
    bounds = np.zeros(rows + 1, np.int64)
    used = 0
    for row in range(rows):
        count = _shingles(words, _words(data, offsets[row], offsets[row + 1], False, words), size, hashes)
        ordered = np.sort(hashes[:count])
        for i in range(count):
            if i == 0 or ordered[i] != ordered[i - 1]:
                out[used] = ordered[i]
                used += 1
        bounds[row + 1] = used
    return out[:used].copy(), bounds


@nb.njit(nogil=True, cache=True)
def jaccard(left: Array, right: Array) -> float:
    """Exact Jaccard similarity of two sorted arrays without repetitions; 0 if either is empty."""
    i = j = common = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            common += 1
            i += 1
            j += 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    union = len(left) + len(right) - common
    return common / union if common else 0.0


@nb.njit(nogil=True, cache=True)
def find_root(parent: Array, node: int) -> int:
    """Root of a node of a union-find forest; halves the path on its way."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@nb.njit(nogil=True, cache=True)
def connect(
    parent: Array, band: tuple[Array, Array], sets: tuple[Array, Array, Array], threshold: float
) -> tuple[int, int]:
    """Join in `parent` the documents that share a band and are similar enough; returns pairs (seen, compared).

    band: documents sorted by their key in the band, and these keys. sets: (values, starts, ends), where document d has
    the shingles values[starts[d] : ends[d]]. A threshold of 0 joins all that share the band. The root of a group is
    its smallest member. Two that are in one group already are not compared: nothing could come of it.
    """
    order, keys = band
    values, starts, ends = sets
    seen = compared = 0
    start = 0
    for end in range(1, len(keys) + 1):
        if end < len(keys) and keys[end] == keys[start]:
            continue
        for i in range(start + 1, end):
            for j in range(start, i):
                seen += 1
                left, right = find_root(parent, order[i]), find_root(parent, order[j])
                if left == right:
                    continue
                if threshold > 0:
                    one = values[starts[order[i]] : ends[order[i]]]
                    two = values[starts[order[j]] : ends[order[j]]]
                    if min(len(one), len(two)) < threshold * max(len(one), len(two)):
                        continue
                    compared += 1
                    if jaccard(one, two) < threshold:
                        continue
                parent[max(left, right)] = min(left, right)
        start = end
    return seen, compared


@nb.njit(nogil=True, cache=True)
def grams(offsets: Array, data: Array, size: int) -> tuple[Array, Array]:
    """Hashes of all case-folded word n-grams of every row in order, uint64, and their bounds int64 [rows + 1]."""
    rows = len(offsets) - 1
    words = np.empty(longest_row(offsets) // 2 + 1, np.uint64)
    out = np.empty((offsets[rows] - offsets[0]) // 2 + rows, np.uint64)
    bounds = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        used = bounds[row]
        count = _words(data, offsets[row], offsets[row + 1], True, words)
        bounds[row + 1] = used + _shingles(words, count, size, out[used:])
    return out[: bounds[rows]].copy(), bounds


@nb.njit(nogil=True, cache=True)
def first_match(hashes: Array, bounds: Array, wanted: Array, filter_bits: Array) -> Array:
    """For every row the position in `wanted` of its first hash that is there, -1 without one. int64 [rows].

    wanted: sorted uint64; filter_bits: bool [2^k], True at the lowest k bits of every wanted hash, so that nearly all
    hashes cost one look.
    """
    mask = np.uint64(len(filter_bits) - 1)
    out = np.full(len(bounds) - 1, -1, np.int64)
    for row in range(len(out)):
        for i in range(bounds[row], bounds[row + 1]):
            if filter_bits[hashes[i] & mask]:
                at = np.searchsorted(wanted, hashes[i])
                if at < len(wanted) and wanted[at] == hashes[i]:
                    out[row] = at
                    break
    return out
