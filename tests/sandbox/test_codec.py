import math
import struct
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import make_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.sandbox.worker.codec import MAX_DEPTH, DecodeError, EncodeError, View, decode, encode

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
    for odd in (object(), type("O", (), {})(), print, iter([1]), math, type):
        with pytest.raises(EncodeError, match="unsupported type"):
            encode([odd], LIMIT)


def test_values_of_the_standard_library_cross_as_themselves():
    now = datetime(2024, 2, 29, 1, 2, 3, 4)
    values = [
        1j, bytearray(b"x"), range(3, 9, 2), Decimal("1.50"), Fraction(1, 3), now, now.date(), now.time(),
        timedelta(1, 2, 3), deque([1, 2]), Counter("aab"), OrderedDict(a=1), defaultdict(int, {1: 2}),
    ]  # fmt: skip
    back = decode(encode(values, LIMIT))
    assert back == values
    assert [type(item) for item in back] == [type(item) for item in values]


def test_what_only_the_candidate_knows_comes_as_a_view():
    class Always(int):
        __eq__ = lambda self, other: True  # noqa: E731
        __hash__ = int.__hash__

    Point = namedtuple("Point", "x y")
    data_type = make_dataclass("Data", ["x"])
    claimed = decode(encode(Always(3), LIMIT))
    assert type(claimed) is View
    assert claimed == 3
    assert claimed != 4
    assert decode(encode([Point(1, 2)], LIMIT)) == [(1, 2)]
    data = decode(encode(data_type([5]), LIMIT))
    assert (data.type, data.content) == ("Data", {"x": [5]})
    assert data != {"x": [5]}
    assert decode(encode(Enum("Colour", "RED").RED, LIMIT)).content == "RED"


def test_forged_objects_are_refused():
    for name, content in (("bytearray", 10**12), ("Decimal", "x"), ("Fraction", (1 << 99999, 3)), ("range", ("a",)),
                          ("timedelta", (10**99, 0, 0)), ("complex", (1, 2, 3)), ("Fraction", (1, 0))):  # fmt: skip
        with pytest.raises(DecodeError):
            decode(b"o" + encode(name, LIMIT) + encode(content, LIMIT))
    with pytest.raises(DecodeError):
        decode(b"o" + encode(["x"], LIMIT) + encode(1, LIMIT))


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
