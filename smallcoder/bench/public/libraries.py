"""Benchmarks of code that uses libraries: DS-1000, BigCodeBench, PandasEval.

Lai et al., arXiv 2211.11501; Zhuo et al., arXiv 2406.15877; Zan et al., arXiv 2206.06888.
"""

from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows


def load_ds1000(folder: Path) -> Iterator[Problem]:
    """DS-1000; the split is the library."""
    for row in rows(folder / "ds1000.jsonl"):
        about = row["metadata"]
        yield problem(
            "ds-1000",
            about["library"].lower(),
            about["problem_id"],
            row["prompt"],
            reference=row["reference_code"],
            tests={"context": row["code_context"]},
            perturbation=about["perturbation_type"],
        )


def load_bigcodebench(folder: Path) -> Iterator[Problem]:
    """BigCodeBench, its complete form; `meta.instruction` is the other one."""
    for row in rows(folder / "BigCodeBench.jsonl"):
        yield problem(
            "bigcodebench",
            "test",
            row["task_id"],
            row["complete_prompt"],
            entry_point=row["entry_point"],
            reference=row["complete_prompt"] + row["canonical_solution"],
            tests={"unittest": row["test"]},
            instruction=row["instruct_prompt"],
            libraries=row["libs"],
        )


def load_pandaseval(folder: Path) -> Iterator[Problem]:
    """PandasEval; the first of its solutions is the reference."""
    for row in rows(folder / "PandasEval.jsonl"):
        solutions = row["canonical_solution"]
        yield problem(
            "pandaseval",
            "test",
            row["task_id"],
            row["prompt"],
            entry_point=row["entry_point"],
            reference=row["prompt"] + solutions[0],
            tests={"check": row["test"]},
            others=solutions[1:],
        )
