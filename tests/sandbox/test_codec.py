import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.sandbox.worker.codec import MAX_DEPTH, DecodeError, EncodeError, decode, encode

LIMIT = 1 << 20
TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too
KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary(),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=6,
)
PLAIN = st.recursive(
    KEYS | st.integers(-(10**400), 10**400),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.sets(KEYS, max_size=5)
        | st.dictionaries(KEYS, inner, max_size=5)
    ),
    max_leaves=20,
)


def shape(value):
    """A value in a form where == means equal values of equal types, NaN and -0.0 included, sets in any order."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else struct.pack("<d", value))
    if isinstance(value, list | tuple):
        return (type(value), [shape(item) for item in value])
    if isinstance(value, set | frozenset):
        return (type(value), sorted(repr(shape(item)) for item in value))
    if isinstance(value, dict):
        return (dict, [(shape(key), shape(item)) for key, item in value.items()])
    return (type(value), value)


@given(PLAIN)
def test_round_trip_keeps_values_and_types(value):
    assert shape(decode(encode(value, LIMIT))) == shape(value)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_or_are_a_value(data):
    try:
        value = decode(data)
    except DecodeError:
        return
    encode(value, LIMIT)


@given(PLAIN, st.data())
def test_cut_or_extended_data_is_refused(value, data):
    whole = encode(value, LIMIT)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for bad in (whole[:cut], whole + b"N"):
        with pytest.raises(DecodeError):
            decode(bad)


def test_types_are_exact():
    assert encode(True, 9) != encode(1, 9) != encode(1.0, 9)
    for odd in (object(), range(3), type("L", (list,), {})(), type("I", (int,), {})(1), bytearray(b"x"), 1j, print):
        with pytest.raises(EncodeError, match="unsupported type"):
            encode([odd], LIMIT)


def test_depth_and_size_are_bounded():
    nested: list = []
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    cyclic: list = []
    cyclic.append(cyclic)
    for value in (nested, cyclic):
        with pytest.raises(EncodeError, match="deep"):
            encode(value, LIMIT)
    wide: object = "x" * 1000
    for _ in range(30):  # 10**9 references to one string
        wide = [wide, wide]
    for value in (wide, "x" * 2000, b"x" * 2000, 1 << 20000, [0] * 2000, {str(i) for i in range(500)}):
        with pytest.raises(EncodeError, match="large"):
            encode(value, 1000)
    with pytest.raises(DecodeError):
        decode(b"l\x01\x00\x00\x00" * (MAX_DEPTH + 2) + b"N")


def test_attacks_on_the_decoder():
    one = encode(1, 99)
    collisions = [encode(i * ((1 << 61) - 1), 99) for i in range(1, 5000)]
    for data, why in (
        (b"S" + struct.pack("<I", len(collisions)) + b"".join(collisions), "one hash"),
        (b"S\x02\x00\x00\x00" + one + one, "twice"),
        (b"d\x02\x00\x00\x00" + one + b"N" + b"T" + b"N", "twice"),
        (b"S\x01\x00\x00\x00l\x00\x00\x00\x00", "hashed"),
        (b"l\xff\xff\xff\xff", "count"),
        (b"i\xff\xff\xff\x7f", "count"),
        (b"s\x01\x00\x00\x00\xff", "UTF-8"),
        (b"", "cut"),
    ):
        with pytest.raises(DecodeError, match=why):
            decode(data)
