"""What goes into the sandbox and what comes out. Expected values are in neither: comparing is the caller's work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "error", "timeout", "infra"]
Form = Literal["values", "second jail", "one process"]


@dataclass(frozen=True)
class Limits:
    """What one run may use. CPU time decides a timeout; the wall limit only ends runs that sleep."""

    cpu_seconds: float = 2.0
    wall_seconds: float = 10.0  # time that a run waits for a busy processor does not count
    memory_bytes: int = 512 << 20  # Python functions: address space, the interpreter's own 30 MB included
    output_bytes: int = 1 << 20  # all outputs of a run together, as encoded


@dataclass(frozen=True)
class Program:
    """Source code, and the name of the top-level callable to call. Without one it runs as a program does."""

    code: str
    entry_point: str = ""
    language: str = "python"


@dataclass(frozen=True)
class Output:
    """What one call gave: a value of plain data, types preserved, or, where `error` is not empty, why there is none.

    The error is "Kind: text" of the exception that came out of the call, or says why the value is not bounded plain
    data ("unsupported type Node", "too large", "nested too deeply"). A value of a type that only the candidate knows
    comes as a `View` (worker/codec.py).
    """

    value: Any = None
    error: str = ""


@dataclass(frozen=True)
class Result:
    """One run of a program.

    - ok: the program loaded and `outputs` has one entry per input, in order; or it ran as a program, to its end.
    - error: it did not load or compile, died, or broke the protocol; `outputs` has the calls that came before that.
    - timeout: it used up its CPU time, or slept past the wall limit.
    - infra: the sandbox failed, twice, or a toolchain is missing; this says nothing about the program.

    `form` is how far what it says can be trusted: values of calls are what the candidate claims and no more; tests in a
    second jail saw nothing but such values; in one process, a candidate may have meddled with its tests.
    """

    status: Status
    outputs: list[Output]
    reason: str
    cpu_seconds: float
    tier: str
    form: Form = "values"
    exit_code: int | None = None  # of a program; negative: the signal that ended it
    stdout: bytes = b""
    stderr: bytes = b""
    mark: bytes = b""  # what a program left in its file `mark`


@dataclass(frozen=True)
class Job:
    """One unit of `Sandbox.run_many`. What it holds depends on how the program is to run:

    - functions (Python): `inputs`, each the positional arguments of one call of the entry point, or the source of an
      expression that is evaluated among the program's names;
    - tests (Python, JavaScript, TypeScript, PHP, Bash): the source `tests`, which runs in a second jail; there
      `remote("name")` is the program's function of that name (in PHP and Bash it is called with the name and the
      arguments), and what it returns is plain data. The one output is True, or has the error that ended the tests;
    - programs (any language): `stdin`, and other `files` that lie beside it, by name.
    """

    program: Program
    inputs: Sequence[tuple[Any, ...] | str] = ()
    limits: Limits = Limits()
    tests: str = ""
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
