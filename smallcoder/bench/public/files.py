"""Reading a benchmark's published files: JSON lines or one JSON array, plain or gzip-compressed."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallcoder.bench.problem import Problem
from smallcoder.core.errors import InputError

Row = dict[str, Any]
REMEDY = "fetch the benchmark's published file again"


def rows(path: Path) -> list[Row]:
    """The records of `path`, or of `path` with ".gz" behind it. Raises InputError on anything but a list of objects."""
    source = path if path.exists() else path.with_name(path.name + ".gz")
    try:
        with gzip.open(source, "rb") if source.suffix == ".gz" else source.open("rb") as file:
            text = file.read().decode("utf-8")
        found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in _lines(text)]
    except FileNotFoundError as error:
        raise InputError(f"there is no {path.name} in {path.parent}", REMEDY) from error
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise InputError(f"{source} is damaged ({str(error)[:80]})", REMEDY) from error
    if not all(isinstance(row, dict) for row in found):
        raise InputError(f"{source} holds something other than records", REMEDY)
    return found


def _lines(text: str) -> Iterator[str]:
    # Not splitlines: JSON strings may hold U+2028 and the like.
    return (line for line in text.split("\n") if line.strip())


def problem(
    benchmark: str,
    split: str,
    task_id: Any,
    prompt: str,
    *,
    lang: str = "python",
    entry_point: str = "",
    reference: str = "",
    tests: Any = None,
    **meta: Any,
) -> Problem:
    """A Problem whose id is "BENCHMARK/SPLIT/TASK"; `tests` becomes JSON."""
    return Problem(
        id=f"{benchmark}/{split}/{task_id}",
        benchmark=benchmark,
        split=split,
        prompt=prompt,
        entry_point=entry_point,
        reference=reference,
        tests=json.dumps(tests),
        meta={"lang": lang, "task_id": task_id, **meta},
    )
