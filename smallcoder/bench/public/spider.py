"""Spider: SQL from questions (Yu et al., arXiv 1809.08887)."""

from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows


def load(folder: Path) -> Iterator[Problem]:
    """The questions of the dev split, numbered in its order; `meta.database` names the folder under `database`."""
    for number, row in enumerate(rows(folder / "dev.json")):
        yield problem(
            "spider", "dev", number, row["question"], lang="sql", reference=row["query"], database=row["db_id"]
        )
