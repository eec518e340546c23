"""Whether a benchmark can be trusted here: each reference answer must pass, and answers that do nothing must fail."""

from collections.abc import Sequence
from dataclasses import dataclass

from smallcoder.bench.grade import Sandbox, grade
from smallcoder.bench.problem import Problem

EXAMPLES = 3  # faults that are named


@dataclass(frozen=True)
class Outcome:
    """What checking found: the number of problems, and a line for each fault."""

    problems: int
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.problems > 0 and not self.faults

    def __str__(self) -> str:
        if not self.problems:
            return "there are no problems to check"
        if self.ok:
            return f"{self.problems:,} reference answers pass, empty ones fail"
        named = "; ".join(self.faults[:EXAMPLES])
        return f"{len(self.faults)} faults in {self.problems:,} problems: {named}"


def check_benchmark(problems: Sequence[Problem], sandbox: Sandbox) -> Outcome:
    """Grade every reference, an empty text, and a function that returns nothing."""
    faults: list[str] = []
    for problem in problems:
        verdict = grade(problem, problem.reference, sandbox)
        if verdict.status != "passed":
            faults.append(f"{problem.id}: its reference is graded {verdict.status} ({verdict.reason})")
        idle = f"def {problem.entry_point}(*arguments, **settings):\n    pass"
        for text in ("", idle):
            verdict = grade(problem, text, sandbox)
            if verdict.status != "failed":
                faults.append(f"{problem.id}: an answer that does nothing is graded {verdict.status}")
    return Outcome(len(problems), tuple(faults))
