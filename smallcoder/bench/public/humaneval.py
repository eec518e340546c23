"""HumanEval and what was made of it: HumanEval+, infilling, HumanEvalPack and the translations of MultiPL-E.

Chen et al., arXiv 2107.03374; Liu et al., arXiv 2305.01210; Bavarian et al., arXiv 2207.14255; Muennighoff et al.,
arXiv 2308.07124; Cassano et al., arXiv 2208.08227. MultiPL-E ships no solutions but for Python.
"""

from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows

INFILLING = {"random-span-light": "RandomSpanInfillingLight", "single-line": "SingleLineInfilling"}
PACK = {"cpp": "cpp", "js": "javascript", "python": "python"}
MULTIPL_E = {
    "cpp": "cpp", "cs": "csharp", "go": "go", "java": "java", "js": "javascript", "php": "php", "python": "python",
    "rs": "rust", "sh": "shell", "ts": "typescript",
}  # fmt: skip


def load(folder: Path) -> Iterator[Problem]:
    """HumanEval: 164 problems."""
    for row in rows(folder / "HumanEval.jsonl"):
        yield problem(
            "humaneval",
            "test",
            row["task_id"],
            row["prompt"],
            entry_point=row["entry_point"],
            reference=row["prompt"] + row["canonical_solution"],
            tests={"check": row["test"]},
        )


def load_plus(folder: Path) -> Iterator[Problem]:
    """HumanEval+: the same prompts, other solutions, many more inputs."""
    for row in rows(folder / "HumanEvalPlus.jsonl"):
        yield problem(
            "humanevalplus",
            "test",
            row["task_id"],
            row["prompt"],
            entry_point=row["entry_point"],
            reference=row["prompt"] + row["canonical_solution"],
            tests={"contract": row["contract"], "base": row["base_input"], "plus": row["plus_input"]},
            atol=row["atol"],
        )


def load_infilling(folder: Path) -> Iterator[Problem]:
    """HumanEval with a line or a span cut out: `prompt` comes before the gap, `meta.suffix` after it."""
    for split, name in INFILLING.items():
        for row in rows(folder / f"HumanEval-{name}.jsonl"):
            yield problem(
                "humaneval-infilling",
                split,
                row["task_id"],
                row["prompt"],
                entry_point=row["entry_point"],
                reference=row["prompt"] + row["canonical_solution"] + row["suffix"],
                tests={"check": row["test"]},
                suffix=row["suffix"],
                middle=row["canonical_solution"],
            )


def load_pack(folder: Path) -> Iterator[Problem]:
    """HumanEvalPack in the languages that are there; `meta` has the faulty solution of its repair task."""
    for split, lang in PACK.items():
        if not (folder / split).is_dir():
            continue
        for row in rows(folder / split / "humanevalpack.jsonl"):
            # In C++ the prompt lacks the headers that the declaration has.
            start = row["declaration"] if lang == "cpp" else row["prompt"]
            yield problem(
                "humanevalpack",
                split,
                row["task_id"],
                row["prompt"],
                lang=lang,
                entry_point=row["entry_point"],
                reference=start + row["canonical_solution"],
                tests={"check": row["test"], "example": row["example_test"]},
                instruction=row["instruction"],
                declaration=row["declaration"],
                faulty=row["declaration"] + row["buggy_solution"],
            )


def load_multipl_e(folder: Path) -> Iterator[Problem]:
    """MultiPL-E's HumanEval in the languages that are there."""
    for split, lang in MULTIPL_E.items():
        path = folder / f"humaneval-{split}.jsonl"
        if not path.exists() and not path.with_name(path.name + ".gz").exists():
            continue
        for row in rows(path):
            solution = row.get("canonical_solution")
            yield problem(
                "multipl-e",
                split,
                row["task_id"],
                row["prompt"],
                lang=lang,
                reference=row["prompt"] + solution if solution else "",
                tests={"check": row["test"]},
                stop=row.get("stop_tokens", []),
            )
