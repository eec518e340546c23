"""Compiled loops over the buffers of Arrow text columns: keys, shingles, MinHash, exact Jaccard, n-grams, clean texts.

No Python string is made: a kernel gets a column's offsets and bytes (`buffers`), lets go of the interpreter lock and
returns numpy arrays, so threads run it side by side. A word is a maximal run of ASCII letters, digits, `_` and
non-ASCII bytes; a shingle is the hash of `size` words in a row.

The MinHash family is h(x) = a*x + b mod 2^32 with odd a, over x = the upper half of a mixed 64-bit shingle hash
(Broder 1997). It is as good as a random one only because x is mixed first. Exact Jaccard compares the whole 64-bit
hashes. Cost, MB a CPU-second: 340 for signatures of 86 permutations, of which the permutations are a tenth; 270 for
shingle sets, 900 for the keys of texts. The first call compiles for some seconds, later processes load the result from
`__pycache__`.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from smallcoder.data.compiled import compiled

Array = np.ndarray[Any, Any]

WORD = np.array([c >= 128 or chr(c).isalnum() or c == ord("_") for c in range(256)])
SPACE = np.array([chr(c).isspace() and c < 128 for c in range(256)])
_BLANK = np.array([c in b"\t " for c in range(256)])
_PLAIN = np.array([c in b"\t\n" or 32 <= c < 127 for c in range(256)])
LOWER = np.array([c + 32 if 65 <= c <= 90 else c for c in range(256)], np.uint64)

FNV = np.uint64(0x100000001B3)
SEED = np.uint64(0xCBF29CE484222325)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX2 = np.uint64(0xC4CEB9FE1A85EC53)
_S33 = np.uint64(33)
_S29 = np.uint64(29)
_S32 = np.uint64(32)

LARGEST = 16 << 20  # bytes of a document that near deduplication still looks at: bounds the memory of its shingles
BLOCK = 2048  # shingles that pass through all permutations while they are in the first cache
LANES = 32  # a whole number of vectors, so that no loop over a block has a scalar rest


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


@compiled(inline="always")
def mixed(x: Any) -> Any:
    x ^= x >> _S33
    x *= _MIX1
    x ^= x >> _S33
    x *= _MIX2
    return x ^ (x >> _S33)


@compiled
def _shingles(text: Array, fold: bool, ring: Array, out: Array) -> int:
    """Hashes of the shingles of a text's bytes into out; returns how many. `fold` ignores the case of ASCII letters.

    A rolling polynomial over word hashes, mixed. ring: room for the words of one shingle, uint64 [size].
    """
    size = len(ring)
    top = np.uint64(1)
    for _ in range(size):
        top *= _BASE
    rolling = np.uint64(0)
    count = 0  # words
    slot = 0  # count % size
    i, end = 0, len(text)
    while i < end:
        while i < end and not WORD[text[i]]:
            i += 1
        if i == end:
            break
        h = SEED
        while i < end and WORD[text[i]]:
            h = (h ^ (LOWER[text[i]] if fold else np.uint64(text[i]))) * FNV
            i += 1
        h = mixed(h)
        rolling = rolling * _BASE + h
        if count >= size:
            rolling -= top * ring[slot]
        ring[slot] = h
        slot = 0 if slot + 1 == size else slot + 1
        count += 1
        if count >= size:
            out[count - size] = mixed(rolling)
    return max(0, count - size + 1)


@compiled
def longest_row(offsets: Array) -> int:
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@compiled
def _lower(least: Array, a: Array, b: Array, block: Array, count: int) -> None:
    """least[p] = min(least[p], a[p] * x + b[p]) over the x of block[:count]. The block has room for LANES more."""
    padded = (count + LANES - 1) // LANES * LANES
    block[count:padded] = block[0]
    for p in range(len(a)):
        multiplier, offset, found = a[p], b[p], least[p]
        for i in range(padded):
            found = min(found, np.uint32(multiplier * block[i] + offset))
        least[p] = found


@compiled
def signatures(offsets: Array, data: Array, a: Array, b: Array, size: int) -> tuple[Array, Array]:
    """MinHash signatures uint32 [rows, permutations] and numbers of shingles int64 [rows] (with repetitions).

    a, b: uint32 [permutations], a odd. A document without a shingle, or of more than LARGEST bytes, counts none and has
    the signature of the empty set, all ones.
    """
    rows = len(offsets) - 1
    hashes = np.empty(min(longest_row(offsets), LARGEST) // 2 + 1, np.uint64)
    ring = np.empty(size, np.uint64)
    block = np.empty(BLOCK, np.uint32)
    out = np.full((rows, len(a)), np.uint32(0xFFFFFFFF), np.uint32)
    counts = np.zeros(rows, np.int64)
    for row in range(rows):
        if offsets[row + 1] - offsets[row] > LARGEST:
            continue
        counts[row] = _shingles(data[offsets[row] : offsets[row + 1]], False, ring, hashes)
        for start in range(0, counts[row], BLOCK):
            used = min(BLOCK, counts[row] - start)
            for i in range(used):
                block[i] = np.uint32(hashes[start + i] >> _S32)
            _lower(out[row], a, b, block, used)
    return out, counts


@compiled
def sort_hashes(values: Array) -> None:
    """Sort uniform 64-bit hashes in place in linear time: by as many upper bits as there are values, then by insertion.

    Four times as fast as a quicksort on a thousand. Equal values cost nothing more.
    """
    if len(values) < 2:
        return
    bits = 1
    while 1 << bits < len(values):
        bits += 1
    shift = np.uint64(64 - bits)
    places = np.zeros((1 << bits) + 1, np.int64)
    for value in values:
        places[(value >> shift) + np.uint64(1)] += 1
    for at in range(1, len(places)):
        places[at] += places[at - 1]
    unsorted = values.copy()
    for value in unsorted:
        at = value >> shift
        values[places[at]] = value
        places[at] += 1
    for i in range(1, len(values)):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@compiled
def shingle_sets(offsets: Array, data: Array, size: int) -> tuple[Array, Array]:
    """The sorted distinct shingle hashes of all rows in a row, uint64, and their bounds int64 [rows + 1].

    A document of more than LARGEST bytes has none.
    """
    rows = len(offsets) - 1
    ring = np.empty(size, np.uint64)
    room = rows
    for row in range(rows):
        length = offsets[row + 1] - offsets[row]
        room += length // 2 if length <= LARGEST else 0
    out = np.empty(room, np.uint64)
    bounds = np.zeros(rows + 1, np.int64)
    used = 0
    for row in range(rows):
        if offsets[row + 1] - offsets[row] <= LARGEST:
            count = _shingles(data[offsets[row] : offsets[row + 1]], False, ring, out[used:])
            found = out[used : used + count]
            sort_hashes(found)
            for i in range(count):
                if i == 0 or found[i] != out[used - 1]:
                    out[used] = found[i]
                    used += 1
        bounds[row + 1] = used
    return out[:used].copy(), bounds


@compiled
def text_keys(offsets: Array, data: Array) -> Array:
    """A 128-bit hash of every text without its differences in white space, uint64 [rows, 2].

    A run of white space counts as one blank, and none at the ends. Two chains of multiplications over eight bytes at a
    time: made against chance, not against an opponent.
    """
    rows = len(offsets) - 1
    plain = np.empty((longest_row(offsets) // 8 + 1) * 8, np.uint8)
    packed = plain.view(np.uint64)
    out = np.empty((rows, 2), np.uint64)
    for row in range(rows):
        length, blank = 0, True
        for i in range(offsets[row], offsets[row + 1]):  # without a branch: words are short
            space = SPACE[data[i]]
            plain[length] = 32 if space else data[i]
            length += 1 - (space & blank)
            blank = space
        if length and plain[length - 1] == 32:
            length -= 1
        words = (length + 7) // 8
        plain[length : words * 8] = 0
        one, two = SEED, _BASE
        for i in range(words):
            one = (one ^ packed[i]) * _MIX1
            one ^= one >> _S33
            two = (two + packed[i]) * _MIX2
            two ^= two >> _S29
        out[row, 0], out[row, 1] = mixed(one ^ np.uint64(length)), mixed(two + np.uint64(length))
    return out


@compiled
def jaccard(left: Array, right: Array) -> float:
    """Exact Jaccard similarity of two sorted arrays without repetitions; 0 if either is empty."""
    i = j = common = 0
    while i < len(left) and j < len(right):
        one, two = left[i], right[j]
        common += one == two
        i += one <= two
        j += two <= one
    union = len(left) + len(right) - common
    return common / union if common else 0.0


@compiled
def find_root(parent: Array, node: int) -> int:
    """Root of a node of a union-find forest; halves the path on its way."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@compiled
def grams(offsets: Array, data: Array, size: int) -> tuple[Array, Array]:
    """Hashes of all case-folded word n-grams of every row in order, uint64, and their bounds int64 [rows + 1]."""
    rows = len(offsets) - 1
    ring = np.empty(size, np.uint64)
    out = np.empty((offsets[rows] - offsets[0]) // 2 + rows, np.uint64)
    bounds = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        used = bounds[row]
        bounds[row + 1] = used + _shingles(data[offsets[row] : offsets[row + 1]], True, ring, out[used:])
    return out[: bounds[rows]].copy(), bounds


@compiled
def plain_rows(offsets: Array, data: Array) -> Array:
    """Which texts are ASCII without control characters, trailing blanks or four line feeds in a row, bool [rows].

    They begin with something else than a line feed and end with exactly one.
    """
    plain = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(plain)):
        feeds, before = 1, np.uint8(32)
        for i in range(offsets[row], offsets[row + 1]):
            c = data[i]
            if not _PLAIN[c]:
                feeds = 9
                break
            if c == 10:
                feeds += 1
                if _BLANK[before] or feeds > 3:
                    feeds = 9
                    break
            else:
                feeds = 0
            before = c
        plain[row] = feeds == 1 and before == 10
    return plain
