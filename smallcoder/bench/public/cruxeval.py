"""CRUXEval: what a function returns, or what it was given (Gu et al., arXiv 2401.03065)."""

from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows


def load(folder: Path) -> Iterator[Problem]:
    """CRUXEval: 800 functions. The prompt is the function's code, and so is the reference."""
    for row in rows(folder / "cruxeval.jsonl"):
        yield problem(
            "cruxeval",
            "test",
            row["id"],
            row["code"],
            entry_point="f",
            reference=row["code"],
            tests={"input": row["input"], "output": row["output"]},
        )
