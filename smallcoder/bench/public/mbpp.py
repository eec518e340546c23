"""MBPP and what was made of it: the sanitized part, MBPP+ and MBXP in four languages.

Austin et al., arXiv 2108.07732; Liu et al., arXiv 2305.01210; Athiwaratkun et al., arXiv 2210.14868. Only some of the
problems of MBXP come with a solution.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows

MBXP = {
    "java": "mbjp_release_v1.2",
    "javascript": "mbjsp_release_v1.2",
    "php": "mbphp_release_v1.2",
    "python": "mbpp_release_v1",
}


def load(folder: Path) -> Iterator[Problem]:
    """MBPP: 974 problems, and the 427 that were checked by hand as the split `sanitized`."""
    for split, name, prompt in (("full", "mbpp.jsonl", "text"), ("sanitized", "sanitized-mbpp.json", "prompt")):
        for row in rows(folder / name):
            setup = row["test_setup_code"] if split == "full" else "\n".join(row["test_imports"])
            yield problem(
                "mbpp",
                split,
                row["task_id"],
                row[prompt],
                entry_point=_entry_point(row["code"], row["test_list"]),
                reference=row["code"],
                tests={"setup": setup, "list": row["test_list"], "challenge": row.get("challenge_test_list", [])},
            )


def _entry_point(code: str, tests: list[str]) -> str:
    """The function that the tests call: of those the solution defines, the one that the first test names first."""
    defined = set(re.findall(r"^def\s+(\w+)", code, re.MULTILINE))
    called = re.findall(r"\w+", tests[0] if tests else "")
    return next((name for name in called if name in defined), "")


def load_plus(folder: Path) -> Iterator[Problem]:
    """MBPP+: 378 problems with many more inputs."""
    for row in rows(folder / "MbppPlus.jsonl"):
        yield problem(
            "mbppplus",
            "test",
            row["task_id"],
            row["prompt"],
            entry_point=row["entry_point"],
            reference=row["canonical_solution"],
            tests={
                "assertion": row["assertion"],
                "contract": row["contract"],
                "base": row["base_input"],
                "plus": row["plus_input"],
            },
            atol=row["atol"],
        )


def load_mbxp(folder: Path) -> Iterator[Problem]:
    """MBXP in the languages that are there."""
    for lang, name in MBXP.items():
        path = folder / f"{name}.jsonl"
        if not path.exists() and not path.with_name(path.name + ".gz").exists():
            continue
        for row in rows(path):
            solution = row.get("canonical_solution")
            yield problem(
                "mbxp",
                lang,
                row["task_id"],
                row["prompt"],
                lang=lang,
                entry_point=row["entry_point"],
                reference=row["prompt"] + solution if solution else "",
                tests={"check": row["test"]},
                description=row["description"],
            )
