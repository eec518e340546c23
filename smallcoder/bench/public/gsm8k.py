"""GSM8K: grade-school mathematics in words (Cobbe et al., arXiv 2110.14168)."""

from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows


def load(folder: Path) -> Iterator[Problem]:
    """The test split, numbered in its order. The number behind `####` is the answer."""
    for number, row in enumerate(rows(folder / "test.jsonl")):
        answer = row["answer"].rsplit("####", 1)[-1].strip().replace(",", "")
        yield problem(
            "gsm8k", "test", number, row["question"], lang="text", reference=row["answer"], tests={"answer": answer}
        )
