"""Plain data as bytes, both ways, for the border between trusted code and a candidate.

A value is one tag byte and, where needed, a 4-byte little-endian count and a payload:

    N None   T True   F False   i int (two's complement)   f float (8 bytes, one NaN)   s str (UTF-8, lone
    surrogates allowed)   b bytes   l list   t tuple   S set   Z frozenset   d dict (keys and values in turn)

The encoding is canonical: equal values of equal types give equal bytes, except that a dict keeps its order. Types are
exact. Some values of the standard library (`_VIEWS`: Decimal, Counter, deque, dates, ...) come back as themselves; any
other subclass of a plain type, dataclass, enum member or numpy value comes back as a `View`: the name of its type and
its plain content, never its code. `decode` trusts nothing it reads: every count is checked against the bytes that are
left, depth is bounded, and keys that would make hashing quadratic are refused. Cost: linear in the data. Neither side
ever runs code that the data names, as pickle would.
"""

import marshal
import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

MAX_DEPTH = 100
MAX_SAME_HASH = 64  # keys of one container with one hash: honest data has a handful, an attack has thousands
_NAN = struct.pack("<d", float("nan"))


class EncodeError(Exception):
    """The value is not bounded plain data. The message says why in a few words."""


class DecodeError(Exception):
    """The bytes are not exactly one encoded value."""


@dataclass(frozen=True, eq=False)
class View:
    """A value of a type that only the candidate knows: the type's name and plain content.

    The view of a subclass of a plain type (`plain`) equals what its content equals, as such an object does unless it
    says otherwise; and what it says does not count here. Other views equal views of that name and content alone.
    """

    type: str
    content: Any
    plain: bool

    def __eq__(self, other: object) -> bool:
        if isinstance(other, View):
            return self.content == other.content and ((self.plain and other.plain) or self.type == other.type)
        return self.plain and self.content == other

    def __hash__(self) -> int:
        return hash(self.content)


def _fraction(parts: tuple[int, int]) -> Any:
    from fractions import Fraction

    numerator, denominator = parts
    if max(numerator.bit_length(), denominator.bit_length()) > 1 << 14:  # reducing it takes quadratic time
        raise ValueError
    return Fraction(numerator, denominator)


def _decimal(text: str) -> Any:
    from decimal import Decimal

    value = Decimal(text)
    if value.is_snan():  # it raises whenever it is compared
        raise ValueError(text)
    return value


# Types of the standard library that cross as themselves, by name: their module, which a slot need not have loaded, the
# type of their plain content, how to get that, and what builds the value again (only ever called with such content).
_VIEWS: dict[str, tuple[str, type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "complex": ("builtins", tuple, lambda value: (value.real, value.imag), lambda parts: complex(*parts)),
    "bytearray": ("builtins", bytes, bytes, bytearray),
    "range": ("builtins", tuple, lambda value: (value.start, value.stop, value.step), lambda parts: range(*parts)),
    "Decimal": ("decimal", str, str, _decimal),
    "Fraction": ("fractions", tuple, lambda value: (value.numerator, value.denominator), _fraction),
    "date": ("datetime", str, date.isoformat, date.fromisoformat),
    "datetime": ("datetime", str, datetime.isoformat, datetime.fromisoformat),
    "time": ("datetime", str, time.isoformat, time.fromisoformat),
    "timedelta": (
        "datetime", tuple, lambda value: (value.days, value.seconds, value.microseconds), lambda it: timedelta(*it),
    ),
    "deque": ("collections", list, list, deque),
    "Counter": ("collections", dict, dict, Counter),
    "OrderedDict": ("collections", dict, dict, OrderedDict),
    "defaultdict": ("collections", dict, dict, lambda content: defaultdict(None, content)),
}  # fmt: skip
# What a subclass of each plain type holds, by the plain type's own methods.
_CONTENT: list[tuple[type, Callable[[Any], Any]]] = [
    (int, int.__pos__),
    (float, float.__pos__),
    (str, lambda value: str.__getitem__(value, slice(None))),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
    (list, lambda value: list.__getitem__(value, slice(None))),
    (tuple, lambda value: tuple.__getitem__(value, slice(None))),
    (dict, lambda value: dict(dict.items(value))),
    (set, lambda value: set(set.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
]


@dataclass(frozen=True)
class Digest:
    """Stands for a plain value that is too large to be sent: it can be compared with another's digest."""

    digest: bytes


def digest(value: Any) -> bytes:
    """The digest of a value of exact plain types, alike for equal values but for the order of dicts.

    Raises EncodeError where the types are not plain. Fast: a marshal of version 2, which has no references.
    """
    from hashlib import blake2b  # not at the top: it maps OpenSSL, which every fork would copy

    try:
        return blake2b(marshal.dumps(value, 2), digest_size=32).digest()
    except (ValueError, MemoryError) as error:
        raise EncodeError("too large") from error


def encode(value: Any, limit: int) -> bytes:
    """Encode plain data in at most `limit` bytes. Raises EncodeError for other types, depth or size."""
    out = bytearray()
    _encode(value, out, limit, 0)
    return bytes(out)


def _encode(value: Any, out: bytearray, limit: int, depth: int) -> None:  # noqa: PLR0912 (a table of types)
    if depth > MAX_DEPTH:
        raise EncodeError("nested too deeply")
    kind = type(value)
    if value is None or kind is bool:
        out += b"N" if value is None else b"T" if value else b"F"
    elif kind is int:
        _block(b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True), out, limit)
    elif kind is float:
        out += b"f" + (_NAN if value != value else struct.pack("<d", value))  # noqa: PLR0124 (only NaN differs)
    elif kind is str:
        if len(value) > limit:  # before a copy is made
            raise EncodeError("too large")
        _block(b"s", value.encode("utf-8", "surrogatepass"), out, limit)
    elif kind is bytes:
        _block(b"b", value, out, limit)
    elif kind is list or kind is tuple:
        out += (b"l" if kind is list else b"t") + len(value).to_bytes(4, "little")
        for item in value:
            _encode(item, out, limit, depth + 1)
    elif kind is dict:
        out += b"d" + len(value).to_bytes(4, "little")
        for key, item in value.items():
            _encode(key, out, limit, depth + 1)
            _encode(item, out, limit, depth + 1)
    elif kind is set or kind is frozenset:
        items: list[bytes] = []
        for item in value:
            part = bytearray()
            _encode(item, part, limit - len(out), depth + 1)
            items.append(bytes(part))
        out += (b"S" if kind is set else b"Z") + len(items).to_bytes(4, "little") + b"".join(sorted(items))
    else:
        tag, content = _view(value, kind)
        name = value.type if kind is View else kind.__name__
        _block(tag + b"s", name.encode("utf-8", "surrogatepass"), out, limit)
        _encode(content, out, limit, depth + 1)
    if len(out) > limit:
        raise EncodeError("too large")


def _view(value: Any, kind: type) -> tuple[bytes, Any]:
    if kind is View:
        return b"v" if value.plain else b"o", value.content
    known = _VIEWS.get(kind.__name__)
    if known and getattr(sys.modules.get(known[0]), kind.__name__, None) is kind:
        return b"o", known[2](value)
    for plain, content in _CONTENT:
        if issubclass(kind, plain):
            return b"v", content(value)
    if "__dataclass_fields__" in vars(kind):
        return b"o", {name: getattr(value, name) for name in vars(kind)["__dataclass_fields__"]}
    enum = sys.modules.get("enum")
    if enum and issubclass(kind, enum.Enum):
        return b"o", value.name
    numpy = sys.modules.get("numpy")
    if numpy and issubclass(kind, numpy.generic):
        return b"v", value.item()
    if numpy and issubclass(kind, numpy.ndarray):
        return b"o", (str(value.dtype), value.tolist())
    raise EncodeError(f"unsupported type {kind.__name__}")


def _block(tag: bytes, data: bytes, out: bytearray, limit: int) -> None:
    if len(out) + len(data) > limit:
        raise EncodeError("too large")
    out += tag + len(data).to_bytes(4, "little") + data


def decode(data: bytes) -> Any:
    """The one value that `data` holds. Raises DecodeError on anything that `encode` would not have written."""
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise DecodeError("bytes after the value")
    return value


def _decode(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise DecodeError("nested too deeply")
    tag = data[at : at + 1]
    at += 1
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], at
    if tag == b"f":
        if at + 8 > len(data):
            raise DecodeError("cut short")
        return struct.unpack_from("<d", data, at)[0], at + 8
    if tag in (b"o", b"v"):
        name, at = _decode(data, at, MAX_DEPTH)  # a scalar
        content, at = _decode(data, at, depth + 1)
        return _object(tag, name, content), at
    if at + 4 > len(data):
        raise DecodeError("cut short")
    count = struct.unpack_from("<I", data, at)[0]
    at += 4
    if at + count > len(data):  # an item takes at least one byte
        raise DecodeError("a count larger than the data")
    if tag in b"isb" and tag:
        return _scalar(tag, data[at : at + count]), at + count
    items: list[Any] = []
    for _ in range(2 * count if tag == b"d" else count):
        item, at = _decode(data, at, depth + 1)
        items.append(item)
    return _container(tag, items), at


_CONSTANTS = {b"N": None, b"T": True, b"F": False}


def _scalar(tag: bytes, data: bytes) -> int | str | bytes:
    if tag == b"b":
        return data
    if tag == b"i":
        return int.from_bytes(data, "little", signed=True)
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise DecodeError("not UTF-8") from None


def _object(tag: bytes, name: Any, content: Any) -> Any:
    if type(name) is not str:
        raise DecodeError("a type without a name")
    if tag == b"v" or name not in _VIEWS:
        return View(name, content, tag == b"v")
    _, kind, _, build = _VIEWS[name]
    if type(content) is not kind:
        raise DecodeError(f"no {name}")
    try:
        return build(content)
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        raise DecodeError(f"no {name}") from None


_HASHED: dict[bytes, Callable[[list[Any], list[Any]], Any]] = {
    b"S": lambda keys, _: set(keys),
    b"Z": lambda keys, _: frozenset(keys),
    b"d": lambda keys, items: dict(zip(keys, items[1::2], strict=True)),
}


def _container(tag: bytes, items: list[Any]) -> Any:
    if tag == b"l":
        return items
    if tag == b"t":
        return tuple(items)
    if tag not in _HASHED:
        raise DecodeError("unknown tag")
    keys = items[::2] if tag == b"d" else items
    try:
        if len(keys) > MAX_SAME_HASH and max(Counter(map(hash, keys)).values()) > MAX_SAME_HASH:
            raise DecodeError("too many keys with one hash")
        value = _HASHED[tag](keys, items)
    except TypeError:
        raise DecodeError("a key that cannot be hashed") from None
    if len(value) != len(keys):
        raise DecodeError("a key twice")
    return value
