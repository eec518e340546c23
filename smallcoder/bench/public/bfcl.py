"""The Berkeley Function-Calling Leaderboard, v1 and the live v2 (Patil et al., gorilla.cs.berkeley.edu)."""

import json
from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows

PREFIXES = {"v1": "gorilla_openfunctions_v1_test_", "v2": "BFCL_v2_"}


def load(folder: Path) -> Iterator[Problem]:
    """Every category that is there. The reference is its possible answers as JSON; relevance categories have none."""
    for version, prefix in PREFIXES.items():
        for path in sorted((folder / version).glob(f"{prefix}*.json*")):
            name = path.name.removesuffix(".gz")
            answers_path = path.parent / "possible_answer" / path.name
            answers = {row["id"]: row["ground_truth"] for row in rows(answers_path)} if answers_path.exists() else {}
            split = name.removeprefix(prefix).removesuffix(".json")
            for row in rows(path):
                answer = answers.get(row["id"])
                yield problem(
                    "bfcl",
                    f"{version}-{split}",
                    row["id"],
                    _question(row["question"]),
                    lang="json",
                    reference=json.dumps(answer) if answer else "",
                    functions=row["function"],
                )


def _question(question: object) -> str:
    """The text of a question, or of all the messages of a dialogue."""
    if isinstance(question, list):
        return "\n".join(_question(part) for part in question)
    return str(question.get("content", "")) if isinstance(question, dict) else str(question)
