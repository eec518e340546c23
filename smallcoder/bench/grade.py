"""Grades answers: takes the code out of a completion, has a sandbox run it on the inputs, compares the results here.

Expected values never enter the sandbox. `problem.tests` is JSON, {"inputs": [...], "expected": [...]}: each input the
Python literal of a tuple of positional arguments, each expected result a literal too, so that types survive. Results
are compared by type: True is not 1, a list is not a tuple, 1 is not 1.0. Only where a problem's meta has a "tolerance"
may numbers be apart by that share of the expected one, or by that much near zero, and may an int stand for a float.

The text of an answer is cut out by lines and never parsed here: hostile nesting can crash a parser. Does not judge
answers that print, read files or need packages; benchmarks of that kind bring a grader of their own.
"""

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol

from smallcoder.bench.problem import Problem, Status, Verdict
from smallcoder.core.errors import InputError

SHOWN = 80  # characters of a value in a reason
_FENCE = re.compile(r" {0,3}```")
_CODE = re.compile(r"(async def|def|class|import|from) |@")


@dataclass(frozen=True)
class Answer:
    """A program as it goes into a sandbox."""

    code: str
    entry_point: str = ""
    language: str = "python"


@dataclass(frozen=True)
class Limits:
    """What a run may use."""

    cpu_seconds: float = 2.0
    wall_seconds: float = 10.0
    memory_bytes: int = 512 << 20
    output_bytes: int = 1 << 20


@dataclass(frozen=True)
class Trial:
    """One run of an answer as a sandbox takes it: calls of its entry point, `tests` in a second jail, or a program."""

    program: Answer
    inputs: Sequence[tuple[Any, ...] | str] = ()
    limits: Limits = Limits()
    tests: str = ""
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    mark: str = ""  # the secret that a program writes at the end of its tests


class Output(Protocol):
    """What one call gave; `value` counts where `error` is empty."""

    @property
    def value(self) -> Any: ...
    @property
    def error(self) -> str: ...


class Result(Protocol):
    """One run of an answer. `status` is ok, error, timeout or infra; ok has one output for each input."""

    @property
    def status(self) -> Literal["ok", "error", "timeout", "infra"]: ...
    @property
    def outputs(self) -> Sequence[Output]: ...
    @property
    def reason(self) -> str: ...
    @property
    def tier(self) -> str: ...
    @property
    def form(self) -> str: ...
    @property
    def cpu_seconds(self) -> float: ...
    @property
    def mark(self) -> bytes: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def stderr(self) -> bytes: ...


class Sandbox(Protocol):
    """What grading needs of a sandbox; `program` is an `Answer`, or has its attributes."""

    def run(self, program: Any, inputs: Sequence[tuple[Any, ...]]) -> Result: ...


def grade(problem: Problem, text: str, sandbox: Sandbox) -> Verdict:
    """Grade one completion."""
    return judge(problem, sandbox.run(Answer(extract(text, problem.entry_point), problem.entry_point), inputs(problem)))


def extract(text: str, entry_point: str) -> str:
    """The code of a completion: of its fenced blocks the first that names the entry point, else the first one.

    Without a fence it is the text from the first line that looks like code on. What comes before `</think>` is not
    part of an answer. A block that is cut off counts as well.
    """
    lines = text.rpartition("</think>")[2].splitlines()
    blocks: list[str] = []
    fenced: list[str] | None = None
    for line in lines:
        if _FENCE.match(line):
            if fenced is not None:
                blocks.append("\n".join(fenced))
            fenced = [] if fenced is None else None
        elif fenced is not None:
            fenced.append(line)
    if fenced is not None:
        blocks.append("\n".join(fenced))
    if blocks:
        return next((block for block in blocks if entry_point in block), blocks[0])
    start = next((number for number, line in enumerate(lines) if _CODE.match(line)), 0)
    return "\n".join(lines[start:])


def inputs(problem: Problem) -> list[tuple[Any, ...]]:
    """The positional arguments of every test. Raises InputError where the problem's tests cannot be read."""
    return _tests(problem.id, problem.tests)[0]


@lru_cache(maxsize=64)
def _tests(name: str, tests: str) -> tuple[list[tuple[Any, ...]], list[Any]]:
    try:
        data = json.loads(tests)
        arguments, expected = ([ast.literal_eval(text) for text in data[key]] for key in ("inputs", "expected"))
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise InputError(f"problem {name}: its tests cannot be read ({error})", "make the problems again") from None
    if not arguments or len(arguments) != len(expected) or not all(isinstance(item, tuple) for item in arguments):
        raise InputError(f"problem {name}: it needs tests, each a tuple and a result", "make the problems again")
    return arguments, expected


def judge(problem: Problem, result: Result) -> Verdict:
    """The verdict on a run of an answer on `inputs(problem)`."""
    if result.status != "ok":
        status: Status = "failed" if result.status == "error" else result.status
        return Verdict(status, result.reason or result.status, result.tier, result.form)
    expected = _tests(problem.id, problem.tests)[1]
    tolerance = float(problem.meta.get("tolerance", 0.0))
    assert len(result.outputs) == len(expected), "a sandbox that is ok answers every call"
    for number, (output, wanted) in enumerate(zip(result.outputs, expected, strict=True), 1):
        if output.error:
            return Verdict("failed", f"test {number}: {output.error}", result.tier)
        if not same(output.value, wanted, tolerance):
            return Verdict("failed", f"test {number}: {show(output.value)}, expected {show(wanted)}", result.tier)
    return Verdict("passed", "", result.tier)


def same(value: Any, wanted: Any, tolerance: float = 0.0) -> bool:
    """Whether two results are equal, by type all the way down. Order counts in lists and tuples; nan equals nan."""
    if tolerance and type(value) in (int, float) and type(wanted) in (int, float):
        return value == wanted or math.isclose(value, wanted, rel_tol=tolerance, abs_tol=tolerance)
    if type(value) is not type(wanted):
        return False
    if isinstance(wanted, (list, tuple)):
        return len(value) == len(wanted) and all(map(same, value, wanted, [tolerance] * len(wanted)))
    if isinstance(wanted, dict):
        return _typed(value) == _typed(wanted) and all(same(value[key], wanted[key], tolerance) for key in wanted)
    if isinstance(wanted, (set, frozenset)):
        return _typed(value) == _typed(wanted)
    return value == wanted or (value != value and wanted != wanted)  # noqa: PLR0124


def _typed(keys: Any) -> set[Any]:
    """Keys or members in a form in which 1, True and 1.0 differ, inside tuples and frozensets too."""

    def typed(key: Any) -> Any:
        inner = tuple(map(typed, key)) if isinstance(key, tuple) else key
        return type(key), frozenset(map(typed, key)) if isinstance(key, frozenset) else inner

    return set(map(typed, keys))


def show(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write out integers of more than some thousand digits
        text = f"a {type(value).__name__} that holds a huge number"
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
