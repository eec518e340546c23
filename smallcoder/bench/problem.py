"""A problem of a benchmark, and what became of one answer to it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from smallcoder.core.errors import InputError
from smallcoder.core.records import PROBLEM
from smallcoder.core.tables import TableWriter, read_table

Status = Literal["passed", "failed", "timeout", "infra"]


@dataclass(frozen=True)
class Problem:
    """One row of a PROBLEM table. `tests` is the text that the benchmark's grader reads; `meta` is JSON data."""

    id: str
    benchmark: str
    split: str
    prompt: str
    entry_point: str
    reference: str
    tests: str
    meta: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The problem as a row of a PROBLEM table."""
        return asdict(self) | {"meta": json.dumps(self.meta, sort_keys=True)}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Problem":
        """The inverse of `row`. Raises InputError where `meta` is not a JSON object."""
        try:
            meta = json.loads(row["meta"] or "{}")
        except ValueError:
            meta = None
        if not isinstance(meta, dict):
            raise InputError(f"problem {row['id']}: meta is not a JSON object", "make the problems again")
        return cls(**{**row, "meta": meta})


@dataclass(frozen=True)
class Verdict:
    """`infra` means the machinery failed, not the answer: such verdicts are never scored. `tier` is the sandbox's.

    `form` says what the verdict rests on: "values" compared outside, tests in a "second jail", or, weaker, tests that
    ran in "one process" with the answer.
    """

    status: Status
    reason: str
    tier: str
    form: str = "values"


def write_problems(folder: Path, problems: Sequence[Problem]) -> None:
    """Write a PROBLEM table."""
    with TableWriter(folder, PROBLEM) as table:
        table.write_rows([problem.row() for problem in problems])


def read_problems(folder: Path) -> list[Problem]:
    """All problems of a PROBLEM table in order. Raises InputError on a table of another kind."""
    table = read_table(folder)
    missing = [name for name in PROBLEM.names if name not in table.schema.names]
    if missing:
        raise InputError(f"{folder} is not a table of problems: it has no column {missing[0]!r}", "name one that is")
    return [Problem.from_row(row) for row in table.select(PROBLEM.names).to_pylist()]
