"""CRUXEval: what a function returns, or what it was given (Gu et al., arXiv 2401.03065).

Answers are expressions. What a function returns must be one of constants and Python's own functions, so that neither a
copied call nor a name of the process that evaluates it is a value; what it was given must be one call of the function
with constants. The authors' harness only looks for the text of the call, so
that `f (1)` or `0 if f(1) else 1` pass there.
"""

import ast
import builtins
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


_OWN = {name for name in dir(builtins) if not name.startswith("_")}
_OWN -= {"eval", "exec", "globals", "locals", "vars"}  # which find other names


def value(answer: str) -> str:
    """An answer that is one expression whose only names are its own and Python's; for any other, one that fails."""
    try:
        names = [one for one in ast.walk(ast.parse(answer.strip(), mode="eval")) if isinstance(one, ast.Name)]
        bound = {one.id for one in names if isinstance(one.ctx, ast.Store)}
        if all(one.id in _OWN | bound for one in names):
            return answer.strip()
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass
    return "not_an_expression_of_constants"


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
