"""The digest of a table: 128 bits that name a multiset of rows, whatever their order and the batches they came in.

A value's hash has two lanes of 64 bits: XXH3 (https://github.com/Cyan4973/xxHash) of the bytes of strings, the bits of
numbers, and sums over what lists and structures hold. A row's is the mixed sum of its values', each mixed with its
column's name, and the digest of rows is the sum of theirs modulo 2^128, so digests of parts add up. Whole columns pass
through at a time. Made against chance, not against an opponent. The width of a number, or whether a string column has
32-bit or 64-bit offsets, does not count.

Cost: some 6 GB a CPU-second of long texts, and 2 microseconds a row.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Lanes = np.ndarray[Any, Any]  # uint64 [2, values]

_ROUNDS = tuple(map(np.uint64, (32, 0x9FB21C651E98DF25, 29, 0xC4CEB9FE1A85EC53, 32)))  # shift, multiply, shift, ...
_PLACE = np.uint64(0x9E3779B97F4A7C15)  # between one place of a list and the next
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def digest(batch: pa.RecordBatch) -> int:
    """The sum of the rows' hashes; that of no rows is 0."""
    low, high = _mixed(_together(batch.schema.names, batch.columns, len(batch)))
    return _sum(low) + (_sum(high) << 64)


def hexadecimal(total: int) -> str:
    """A sum of digests as it is written down."""
    return f"{total % (1 << 128):032x}"


def _together(names: Sequence[str], columns: Sequence[pa.Array], rows: int) -> Lanes:
    """Of the values that belong together, in each row of some named columns."""
    values = np.empty((2, len(names), rows), np.uint64)  # mixed all at once: each call of numpy's costs some hundred
    for at, (name, column) in enumerate(zip(names, columns, strict=True)):
        np.add(_values(column), _salt(name), out=values[:, at])
    return _mixed(values).sum(axis=1)


def _values(column: pa.Array) -> Lanes:
    """Of each value of a column; [2, 1] where all are null."""
    if column.null_count == len(column):
        return _salt("null")
    found = _known(column)
    if column.null_count:
        found = np.where(column.is_null().to_numpy(zero_copy_only=False), _salt("null"), found)
    return found


def _known(column: pa.Array) -> Lanes:
    """Of each value but the nulls, for which it is anything."""
    kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return _strings(column, np.int64)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):  # names: few of them, again and again
        names = pc.call_function("dictionary_encode", [column])
        return _strings(names.dictionary, np.int32)[:, names.indices.fill_null(0).to_numpy()]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _lists(column)
    if pa.types.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        return _mixed(_together(names, column.flatten(), len(column)))
    if pa.types.is_floating(kind):
        floats = column.fill_null(0.0).to_numpy().astype(np.float64)
        floats[np.isnan(floats)] = np.nan  # it has many forms
        return floats.view(np.uint64)[None]
    if pa.types.is_uint64(kind):
        return column.fill_null(0).to_numpy()[None]
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64)[None]
    return _strings(pa.array(map(repr, column.to_pylist()), pa.large_string()), np.int64)


def _strings(column: pa.Array, offset: type) -> Lanes:
    from xxhash import xxh3_128_digest  # images for training may lack it

    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, offset)[column.offset : column.offset + len(column) + 1].tolist()
    view = memoryview(data or b"")
    hashed = b"".join([xxh3_128_digest(view[start:end]) for start, end in pairwise(bounds)])
    return np.frombuffer(hashed, ">u8").astype(np.uint64).reshape(-1, 2).T


def _lists(column: pa.Array) -> Lanes:
    """Of each list: the sum over its values, each mixed with its place."""
    sizes = column.value_lengths().fill_null(0).to_numpy()
    ends = np.cumsum(sizes)
    total = np.zeros((2, ends[-1] + 1), np.uint64)
    if ends[-1]:
        places = np.arange(1, ends[-1] + 1) - np.repeat(ends - sizes, sizes)
        np.cumsum(_mixed(_values(column.flatten()) + places.astype(np.uint64) * _PLACE), axis=1, out=total[:, 1:])
    return total[:, ends] - total[:, ends - sizes]


def _mixed(values: Lanes) -> Lanes:
    """The lanes, every bit of them spread over all. One to one."""
    first, one, second, two, third = _ROUNDS
    values = values ^ (values >> first)
    values *= one
    values ^= values >> second
    values *= two
    values ^= values >> third
    return values


@cache
def _salt(name: str) -> Lanes:
    from xxhash import xxh3_128_digest

    return np.frombuffer(xxh3_128_digest(name.encode()), ">u8").astype(np.uint64).reshape(2, 1)


def _sum(lane: Lanes) -> int:
    """Exact, unlike numpy's."""
    return (int((lane >> _HALF).sum()) << 32) + int((lane & _LOW).sum())
