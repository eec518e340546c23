"""What goes into the sandbox and what comes out. Expected values are in neither: comparing is the caller's work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "error", "timeout", "infra"]


@dataclass(frozen=True)
class Limits:
    """What one run may use. CPU time decides a timeout; the wall limit only ends runs that sleep."""

    cpu_seconds: float = 2.0
    wall_seconds: float = 10.0
    memory_bytes: int = 512 << 20  # address space, the interpreter's own 30 MB included
    output_bytes: int = 1 << 20  # all outputs of a run together, as encoded


@dataclass(frozen=True)
class Program:
    """Python source and the name of the top-level callable to call."""

    code: str
    entry_point: str


@dataclass(frozen=True)
class Output:
    """What one call gave: a value of plain data, types preserved, or, where `error` is not empty, why there is none.

    The error is "Kind: text" of the exception that came out of the call, or says why the value is not bounded plain
    data ("unsupported type Counter", "too large", "nested too deeply").
    """

    value: Any = None
    error: str = ""


@dataclass(frozen=True)
class Result:
    """One run of a program.

    - ok: the program loaded and `outputs` has one entry per input, in order.
    - error: it did not load, died, or broke the protocol; `outputs` has the calls that came before that.
    - timeout: it used up its CPU time, or slept past the wall limit.
    - infra: the sandbox failed, twice; this says nothing about the program.
    """

    status: Status
    outputs: list[Output]
    reason: str
    cpu_seconds: float
    tier: str


@dataclass(frozen=True)
class Job:
    """One unit of `Sandbox.run_many`: a program, the positional arguments of each call, and limits."""

    program: Program
    inputs: Sequence[tuple[Any, ...]]
    limits: Limits = Limits()
