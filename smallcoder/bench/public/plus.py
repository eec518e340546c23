"""EvalPlus: how HumanEval+ and MBPP+ compare a result with the reference's.

After Liu et al., arXiv 2305.01210, and the code of evalplus 0.3.

Equal by ==, or, where the problem has a tolerance or the reference gave floats, of one type and within that tolerance
(1e-6 by default, and from the first such result on for the rest of the problem, as in evalplus) and 1e-7 of the value.
Seven kinds of problem have rules of their own. JSON has no tuples, sets and complex numbers: `arguments` puts them back
where MBPP+ has them, by the list in evalplus's data/mbpp.py.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Args = list[Any]
AS_SETS = {
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum", "intersection_array",
    "find_dissimilar", "Diff",
}  # fmt: skip
IS_THERE = {"check_str", "text_match_three", "text_starta_endb"}  # what they return cannot be written down
_ATOL, _RTOL = 1e-6, 1e-7
_SAME_HASH = 1000  # members with one hash, beyond which making a set would take for ever


def _deep(value: Any) -> Any:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


def _tuples(values: Any) -> list[Any]:
    return [tuple(value) for value in values]


def _first(change: Callable[[Any], Any]) -> Callable[[Args], Args]:
    return lambda args: [change(args[0]), *args[1:]]


# How the arguments of a problem change -> the problems.
_SHAPES: list[tuple[Callable[[Args], Args], set[int]]] = [
    (_tuples, {2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726}),
    (_tuples, {740, 744, 809}),
    (lambda args: list(map(_tuples, args)), {63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780}),
    (_first(_tuples), {75, 413, 444, 753}),
    (lambda args: [args[0], tuple(args[1])], {106, 750}),
    (lambda args: [[set(one) if isinstance(one, list) and one else {} for one in args[0]]], {115}),
    (lambda args: [float(args[0]), complex(args[1])], {124}),
    (_first(tuple), {250, 307, 405, 446, 617, 720, 763, 808}),
    (lambda args: [tuple(_tuples(arg)) for arg in args], {259, 401, 445}),
    (lambda args: [tuple(tuple(one) if isinstance(one, list) else one for one in args[0])], {278}),
    (_first(lambda arg: {key: tuple(value) for key, value in arg.items()}), {722}),
    (lambda args: [complex(args[0])], {252}),
    (lambda args: list(_deep(args)), {580, 615, 791}),
]  # fmt: skip
_SHAPE = {number: change for change, numbers in _SHAPES for number in numbers}


def arguments(benchmark: str, task: str, inputs: list[Args]) -> list[tuple[Any, ...]]:
    """The positional arguments of every call, as the reference wants them."""
    change = _SHAPE.get(int(task.rpartition("/")[2])) if benchmark == "mbppplus" else None
    return [tuple(change(args) if change else args) for args in inputs]


def compare(
    entry_point: str, inputs: Sequence[tuple[Any, ...]], wanted: Sequence[Any], atol: float
) -> Iterator[Callable[[Any], bool]]:
    """For every input in turn, what judges its result: true where it is right."""
    special = _SPECIAL.get(entry_point)
    for args, expected in zip(inputs, wanted, strict=True):
        if special:
            yield lambda value, args=args, expected=expected, atol=atol: special(value, expected, args, atol)
            continue
        if atol == 0 and _floats(expected):
            atol = _ATOL
        yield lambda value, expected=expected, atol=atol: _equal(value, expected, atol)


def _equal(value: Any, expected: Any, atol: float) -> bool:
    return bool(value == expected) or (atol != 0 and type(value) is type(expected) and _close(value, expected, atol))


def _close(value: Any, expected: Any, atol: float) -> bool:
    if isinstance(expected, (list, tuple)):
        alike = isinstance(value, (list, tuple)) and len(value) == len(expected)
        return alike and all(map(_close, value, expected, [atol] * len(expected)))
    value = getattr(value, "content", value)  # of a float's subclass, such as numpy's
    if not all(isinstance(one, (int, float, complex)) for one in (value, expected)):
        return False
    try:
        return value == expected or abs(value - expected) <= atol + _RTOL * abs(expected)
    except OverflowError:
        return False


def _floats(value: Any) -> bool:
    if isinstance(value, (list, tuple)) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _as_sets(value: Any, expected: Any, args: tuple[Any, ...], atol: float) -> bool:
    if isinstance(value, range):  # as long as it likes, and no reference returns one
        return False
    try:
        common = Counter(map(hash, value)).most_common(1)
        return (not common or common[0][1] <= _SAME_HASH) and set(value) == set(expected)
    except TypeError:
        return False


def _is_there(value: Any, expected: Any, args: tuple[Any, ...], atol: float) -> bool:
    wanted = expected if isinstance(expected, bool) else expected is not None
    return value == wanted if isinstance(value, bool) else (value is not None) == wanted


def _root(value: Any, expected: Any, args: tuple[Any, ...], atol: float) -> bool:
    """HumanEval/32: any root of the polynomial will do."""
    try:
        return abs(sum(factor * math.pow(value, power) for power, factor in enumerate(args[0]))) <= atol
    except (ArithmeticError, TypeError, ValueError):
        return False


def _pyramid(value: Any, expected: Any, args: tuple[Any, ...], atol: float) -> bool:
    """MBPP/581: the height may be the pyramid's own instead of its side's."""
    base, height = args
    other = round(base**2 + 2 * base * math.sqrt((base / 2) ** 2 + height**2))
    return value == expected or (isinstance(value, (int, float)) and abs(value - other) <= atol)


def _digits(value: Any, expected: Any, args: tuple[Any, ...], atol: float) -> bool:
    """MBPP/558: the sum of the differences of the digits, the shorter number padded."""
    texts = [str(arg) for arg in args]
    width = max(map(len, texts))
    other = sum(abs(int(a) - int(b)) for a, b in zip(*(text.zfill(width) for text in texts), strict=True))
    return value in (expected, other)


_SPECIAL: dict[str, Callable[[Any, Any, tuple[Any, ...], float], bool]] = {
    "are_equivalent": lambda value, expected, args, atol: True,
    "sum_div": lambda value, expected, args, atol: value in (expected, 0),
    "surface_Area": _pyramid,
    "digit_distance_nums": _digits,
    "find_zero": _root,
    **dict.fromkeys(AS_SETS, _as_sets),
    **dict.fromkeys(IS_THERE, _is_there),
}
