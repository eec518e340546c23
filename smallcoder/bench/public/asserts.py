"""Python tests split: what is called goes into the sandbox, what is expected stays outside.

`assert f(1, [2]) == 3` becomes a `Case`: the input (1, [2]), the rule "equal", the expectation 3. Split are asserts
whose one side calls the candidate and whose other is a constant: by ==, `is`, truth, and a difference or
`math.isclose` within a tolerance. A wrapper such as `set(f(x))` is evaluated inside with the call: it claims a value
like any other, and is compared outside. It is not split where that value were a mere True: a candidate could bend the
wrapper.

Tests with loops, helpers or random inputs are not split but made into one source (`together`) that runs in a second
jail and calls the candidate through `remote`. Constants are folded from literals alone: nothing of a benchmark is
executed here. Cost: one parse a problem.
"""

import ast
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Rule = Literal["equal", "is", "near", "close"]
WRAPPERS = {"dict", "float", "frozenset", "int", "len", "list", "round", "set", "sorted", "str", "sum", "tuple"}
_FOLD: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_BUILD: dict[str, Callable[[Any], Any]] = {"frozenset": frozenset, "list": list, "set": set, "tuple": tuple}


@dataclass(frozen=True)
class Case:
    """One assert. `tolerance`: for "near" an absolute difference to stay below, for "close" math.isclose's two."""

    call: tuple[Any, ...] | str
    rule: Rule
    expected: Any
    tolerance: tuple[float, float] = (0.0, 0.0)

    def holds(self, value: Any) -> bool:
        """Whether a value, as decoded plain data, is what was expected: by Python's own rules, which tests rely on."""
        if self.rule == "equal":
            return bool(value == self.expected)
        if self.rule == "is":
            return type(value) is type(self.expected) and value == self.expected
        value = getattr(value, "content", value)  # of a float's subclass, such as numpy's
        if type(value) not in (int, float, bool):
            return False
        try:
            if self.rule == "near":
                return abs(value - self.expected) < self.tolerance[0]
            return math.isclose(value, self.expected, rel_tol=self.tolerance[0], abs_tol=self.tolerance[1])
        except OverflowError:
            return False


class _UnsplitError(Exception):
    pass


def split(tests: Sequence[ast.stmt], entry_point: str, names: set[str]) -> list[Case] | None:
    """The cases of some statements, or None where one is no assert that can be split.

    `names` are what the candidate defines; `entry_point` is that of them which takes plain arguments.
    """
    try:
        return [_case(test.test, entry_point, names) for test in tests if not _idle(test)]  # type: ignore[attr-defined]
    except (_UnsplitError, AttributeError):
        return None


def _idle(test: ast.stmt) -> bool:
    """A statement that tests nothing: a docstring, a bare name, `assert True`."""
    value = test.test if isinstance(test, ast.Assert) else test.value if isinstance(test, ast.Expr) else None
    if isinstance(value, ast.Constant):
        return bool(value.value)
    return isinstance(test, ast.Expr) and not _calls(value)


def _calls(node: ast.AST | None) -> bool:
    return node is not None and any(isinstance(one, ast.Call) for one in ast.walk(node))


def _case(test: ast.expr, entry_point: str, names: set[str]) -> Case:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=call):
            return Case(f"not not ({_source(call, names)})", "equal", False)
        case ast.Compare(left=ast.Call(func=ast.Name("abs"), args=[ast.BinOp(left=call, op=ast.Sub(), right=wanted)]),
                         ops=[ast.Lt()], comparators=[most]):  # fmt: skip
            return Case(_call(call, entry_point, names), "near", constant(wanted), (float(constant(most)), 0.0))
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is() as op], comparators=[right]):
            if not _mentions(left, names):
                left, right = right, left
            wanted = constant(right)
            rule: Rule = "is" if isinstance(op, ast.Is) else "equal"
            if rule == "is" and wanted not in (True, False, None):
                raise _UnsplitError
            return Case(_call(left, entry_point, names, wrapped=not isinstance(wanted, bool)), rule, wanted)
        case ast.Call(func=ast.Attribute(ast.Name("math"), "isclose"), args=[call, wanted], keywords=settings):
            by = {setting.arg: float(constant(setting.value)) for setting in settings}
            tolerance = (by.pop("rel_tol", 1e-9), by.pop("abs_tol", 0.0))
            if by:
                raise _UnsplitError
            return Case(_call(call, entry_point, names), "close", constant(wanted), tolerance)
        case ast.Call():
            return Case(f"not not ({_source(test, names)})", "equal", True)
    raise _UnsplitError


def _call(node: ast.expr, entry_point: str, names: set[str], wrapped: bool = False) -> tuple[Any, ...] | str:
    """A call of the candidate as its arguments, or else as source."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
        if node.func.id == entry_point and not node.keywords:
            try:
                return tuple(constant(argument) for argument in node.args)
            except _UnsplitError:
                pass
        return _source(node, names)
    inner = node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else None
    if not wrapped or inner is None or not isinstance(node.func, ast.Name) or node.func.id not in WRAPPERS:  # type: ignore[attr-defined]
        raise _UnsplitError
    _source(inner, names)
    return ast.unparse(node)


def _source(node: ast.expr, names: set[str]) -> str:
    """The source of a call of one of `names`, all of which must lie inside."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names):
        raise _UnsplitError
    return ast.unparse(node)


def _mentions(node: ast.expr, names: set[str]) -> bool:
    return any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(node))


def constant(node: ast.expr) -> Any:
    """The value of a literal, sums and products of numbers and `set([...])` included."""
    match node:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _FOLD:
            parts = constant(left), constant(right)
            if not all(type(part) in (int, float, complex) for part in parts):
                raise _UnsplitError
            try:
                return _FOLD[type(op)](*parts)
            except ArithmeticError:
                raise _UnsplitError from None
        case ast.Call(func=ast.Name(name), args=[inner], keywords=[]) if name in _BUILD:
            try:
                return _BUILD[name](constant(inner))
            except TypeError:
                raise _UnsplitError from None
        case ast.Tuple(elts=items):
            return tuple(map(constant, items))
        case ast.List(elts=items):
            return list(map(constant, items))
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise _UnsplitError from None


def defined(code: str) -> set[str]:
    """The functions and classes at the top of a source that can be parsed."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(code).body if isinstance(node, kinds)}


def together(reference: str, names: Sequence[str], tests: str) -> str:
    """Tests as one source for a second jail: the candidate's `names` are remote, all other names the reference's."""
    remotes = "\n".join(f"{name} = remote({name!r})" for name in names)
    return f"{reference}\n\n{remotes}\n{tests}\n"
