"""`smallcoder exec`: one program of any language in the sandbox, for a person at a terminal."""

import sys
from pathlib import Path

from smallcoder.core.errors import InputError, ToolError
from smallcoder.sandbox.languages import NAMES, by_suffix
from smallcoder.sandbox.protocol import Job, Limits, Program
from smallcoder.sandbox.sandbox import Sandbox, known

_TIMED_OUT, _BROKE = 124, 125  # as timeout(1)
_OUTPUT_BYTES = 16 << 20


def execute(file: Path, language: str | None, cpu_seconds: float, memory_bytes: int, unsafe: bool) -> int:
    """Run a program with our standard input (unless that is a terminal), print what it prints, return its exit code.

    124 for a timeout, 125 where it did not compile or passed another limit, 128 + n for signal n. Raises InputError
    where the file or the language is not there, ToolError where a toolchain is missing or no sandbox can be built.
    """
    name = known(language) if language else by_suffix(str(file))
    if not name:
        raise InputError(f"the language of {file} is not clear", f"name one with --lang: {', '.join(NAMES)}")
    try:
        code = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read ({error})", "name a file of source text") from None
    given = b"" if str(file) == "-" or sys.stdin.isatty() else sys.stdin.buffer.read()
    limits = Limits(cpu_seconds, max(60.0, 3 * cpu_seconds), memory_bytes, _OUTPUT_BYTES)
    with Sandbox(1, languages=(name,), unsafe=unsafe) as sandbox:
        job = Job(Program(code, language=name), limits=limits, stdin=given)
        result = next(sandbox.run_many([job]))
    if result.status == "infra":
        raise ToolError(f"{name} cannot run here: {result.reason}", "see `smallcoder check`")
    sys.stdout.buffer.write(result.stdout)
    sys.stdout.flush()
    sys.stderr.buffer.write(result.stderr)
    if result.reason:
        print(f"smallcoder: {result.status}: {result.reason.partition(chr(10))[0]}", file=sys.stderr)
    if result.tier == "unsafe":
        print("smallcoder: this ran UNSAFE, without a sandbox", file=sys.stderr)
    if result.status != "ok":
        return _TIMED_OUT if result.status == "timeout" else _BROKE
    code_ = result.exit_code or 0
    return code_ if code_ >= 0 else 128 - code_
