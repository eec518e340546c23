"""Stage `drills`: writes examples/ (training) and problems/ (four held-out splits) of the drills benchmark."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from smallcoder.bench.problem import Problem, write_problems
from smallcoder.core.progress import Progress
from smallcoder.core.records import EXAMPLE, record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.core.tables import TableWriter

LICENSE = "Apache-2.0"  # they are made by this program
EXAMPLE_BYTES = 200  # measured: prompt, answer and the row's other columns
BATCH = 2048


class Config(StageConfig):
    """How many to make. Splits are equally large."""

    train_examples: int = Field(default=17_000, ge=1, le=200_000)
    problems_per_split: int = Field(default=300, ge=1, le=20_000)
    seed: int = 0


def expect(config: Config, inputs: Mapping[str, Size]) -> Size:
    """Examples alone: the problems are few."""
    return Size(records=config.train_examples, bytes=config.train_examples * EXAMPLE_BYTES)


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Write both tables; facts count operations, wordings and sizes, and show a problem of each split."""
    from smallcoder.bench.drills import generate

    with Progress("problems", 2) as progress:
        problems = generate.problems(config.seed, config.problems_per_split)
        write_problems(out / "problems", problems)
        progress.advance()
        families = _write_examples(config, out / "examples")
        progress.advance()
    return {
        "records": config.train_examples,
        "problems": len(problems),
        "trained_families": len(families),
        "pair_share": generate.PAIR_SHARE,
        "splits": {split: _describe([p for p in problems if p.split == split]) for split in generate.SPLITS},
    }


def _write_examples(config: Config, folder: Path) -> Counter[str]:
    from smallcoder.bench.drills import generate

    families: Counter[str] = Counter()
    rows = []
    with TableWriter(folder, EXAMPLE) as table:
        for drill in generate.training(config.seed, config.train_examples):
            families.update(operation.name for operation in drill.operations)
            messages = [{"role": "user", "content": drill.prompt}, {"role": "assistant", "content": drill.answer}]
            name = record_id(generate.BENCHMARK, drill.prompt, drill.answer)
            rows.append(
                {"id": name, "messages": messages, "tools": None, "task": "drills", "license": LICENSE, "lineage": []}
            )
            if len(rows) == BATCH:
                table.write_rows(rows)
                rows = []
        table.write_rows(rows)
    return families


def _describe(problems: list[Problem]) -> Facts:
    first = problems[0]
    return {
        "problems": len(problems),
        "families": len({problem.meta["family"] for problem in problems}),
        "example": {"prompt": first.prompt, "reference": first.reference},
    }
