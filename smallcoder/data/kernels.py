"""Compiled loops over the buffers of Arrow text columns: keys, shingles, MinHash, exact Jaccard, n-grams.

No Python string is made: a kernel gets a column's offsets and bytes (`buffers`), lets go of the interpreter lock and
returns numpy arrays, so threads run it side by side. A word is a maximal run of ASCII letters, digits, `_` and
non-ASCII bytes; a shingle is the hash of `size` words in a row.

The MinHash family is h(x) = a*x + b mod 2^32 with odd a, over x = the upper half of a mixed 64-bit shingle hash
(Broder 1997). It is as good as a random one only because x is mixed first. Exact Jaccard compares the whole 64-bit
hashes. Cost, MB a CPU-second: 800 for signatures of 86 permutations, of which the permutations are a quarter; 1,400 for
the keys of texts. The first call compiles for some seconds, later processes load the result from
`__pycache__`.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from smallcoder.data.compiled import compiled

Array = np.ndarray[Any, Any]

WORD = np.array([c >= 128 or chr(c).isalnum() or c == ord("_") for c in range(256)])
SPACE = np.array([chr(c).isspace() and c < 128 for c in range(256)])
_BLANKED = np.array([32 if SPACE[c] else c for c in range(256)], np.uint8)
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
def word_hashes(text: Array, out: Array) -> int:
    """The FNV-1a hashes of a text's words into out, uint64 [len(text) // 2 + 2]; returns how many.

    Where words end is never branched on: to guess it wrong costs as much as to hash them. And the text's halves are
    walked at once, so that one's multiplications need not wait for the other's. 1.2 GB a CPU-second, three times as
    fast as one word after the other.
    """
    middle = len(text) // 2
    while middle < len(text) and WORD[text[middle]]:
        middle += 1
    left, right, rest = text[:middle], text[middle:], out[middle // 2 + 1 :]
    h = g = SEED
    j = k = 0
    in_left = in_right = False
    for i in range(min(len(left), len(right))):
        out[j], rest[k] = h, g
        j, in_left, h = _step(left[i], j, in_left, h)
        k, in_right, g = _step(right[i], k, in_right, g)
    for i in range(len(right), len(left)):
        out[j] = h
        j, in_left, h = _step(left[i], j, in_left, h)
    for i in range(len(left), len(right)):
        rest[k] = g
        k, in_right, g = _step(right[i], k, in_right, g)
    if in_left:
        out[j] = h
        j += 1
    if in_right:
        rest[k] = g
        k += 1
    for i in range(k):
        out[j + i] = rest[i]
    return j + k


@compiled(inline="always")
def _step(b: Any, count: Any, within: Any, h: Any) -> tuple[Any, Any, Any]:
    """One byte on: how many words have ended, is it in one, and the hash of that so far."""
    word = WORD[b]
    longer = (h ^ np.uint64(b)) * FNV
    return count + (within & ~word), word, longer if word else SEED


@compiled
def folded(text: Array) -> Array:
    """A copy with small ASCII letters."""
    out = np.empty(len(text), np.uint8)
    for i in range(len(text)):
        b = text[i]
        out[i] = b + 32 if (b >= 65) & (b <= 90) else b
    return out


@compiled
def _shingles(text: Array, fold: bool, size: int, out: Array) -> int:
    """Hashes of the shingles of a text's bytes into out; returns how many. `fold` ignores the case of ASCII letters.

    A rolling polynomial over word hashes, mixed. out: room as for `word_hashes`.
    """
    top = np.uint64(1)
    for _ in range(size):
        top *= _BASE
    count = word_hashes(folded(text) if fold else text, out)
    rolling = leaving = np.uint64(0)
    for n in range(min(size - 1, count)):
        out[n] = mixed(out[n])
        rolling = rolling * _BASE + out[n]
    for n in range(size - 1, count):
        first = n - size + 1
        out[n] = mixed(out[n])
        rolling = rolling * _BASE + out[n] - top * leaving
        leaving = out[first]
        out[first] = mixed(rolling)
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
    hashes = np.empty(min(longest_row(offsets), LARGEST) // 2 + 2, np.uint64)
    block = np.empty(BLOCK, np.uint32)
    out = np.full((rows, len(a)), np.uint32(0xFFFFFFFF), np.uint32)
    counts = np.zeros(rows, np.int64)
    for row in range(rows):
        if offsets[row + 1] - offsets[row] > LARGEST:
            continue
        counts[row] = _shingles(data[offsets[row] : offsets[row + 1]], False, size, hashes)
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
    room = rows + 1
    for row in range(rows):
        length = offsets[row + 1] - offsets[row]
        room += length // 2 if length <= LARGEST else 0
    out = np.empty(room, np.uint64)
    bounds = np.zeros(rows + 1, np.int64)
    used = 0
    for row in range(rows):
        if offsets[row + 1] - offsets[row] <= LARGEST:
            count = _shingles(data[offsets[row] : offsets[row + 1]], False, size, out[used:])
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
        length, before = np.uint64(0), np.uint8(32)
        for b in data[offsets[row] : offsets[row + 1]]:  # without a branch: words are short
            c = _BLANKED[b]
            plain[length] = c
            length += np.uint64((c != 32) | (before != 32))
            before = c
        length = np.int64(length)
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
    out = np.empty((offsets[rows] - offsets[0]) // 2 + rows + 1, np.uint64)
    bounds = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        used = bounds[row]
        bounds[row + 1] = used + _shingles(data[offsets[row] : offsets[row + 1]], True, size, out[used:])
    return out[: bounds[rows]].copy(), bounds
