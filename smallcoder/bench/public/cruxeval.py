"""CRUXEval: what a function returns, or what it was given (Gu et al., arXiv 2401.03065).

Answers are expressions. What a function returns is evaluated away from that function, so that a copied call finds none;
what it was given must be one call of it with constants. The authors' harness only looks for the text of the call, so
that `f (1)` or `0 if f(1) else 1` pass there.
"""

import ast
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


def call(answer: str) -> str:
    """An answer that is one call of `f` with constants; for any other, an expression that fails and says so."""
    try:
        found = ast.parse(answer.strip(), mode="eval").body
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id == "f":
            for argument in [*found.args, *(keyword.value for keyword in found.keywords)]:
                ast.literal_eval(argument)
            return ast.unparse(found)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    return "not_a_call_of_f_with_constants"
