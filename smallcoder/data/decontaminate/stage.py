"""The stage: documents in, documents without benchmark problems out, and a table of what was found."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.core.tables import TableWriter, read_batches
from smallcoder.data.decontaminate.meaning import MEANING, Meaning
from smallcoder.data.decontaminate.passages import CODE, Array, Problem, View, read, views
from smallcoder.data.filters import BATCH, Filter, Judged

HIT = pa.schema(
    [
        ("document", pa.string()),
        ("benchmark", pa.string()),
        ("split", pa.string()),
        ("problem", pa.string()),
        ("how", pa.string()),  # words | whole | code | meaning
        ("overlap", pa.float64()),  # share of the passage's n-grams that met, or the cosine
    ]
)
TEXT, COPIED, MEANT = "contaminated_text", "contaminated_code", "contaminated_meaning"
MOST_PROBLEMS = 50  # in the facts
ROUNDING = 1e-3  # batches of another make-up move a cosine by less than this
Hit = tuple[int, int, str, float]  # row, problem, how, overlap


class Config(StageConfig):
    """The rules are fixed, so that "decontaminated" means one thing. `cosine` is for the input `model` alone."""

    cosine: float = Field(default=0.92, gt=0, le=1)
    workers: int = run_only(1, ge=1)


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents, out/dropped and out/hits: a row for each problem found in each document that is dropped."""
    problems = read(inputs["problems"])
    searched = views(problems)
    meaning = Meaning(inputs["model"], problems, config.cosine) if "model" in inputs else None

    def facts(retention: Facts, counts: Counter[str]) -> Facts:
        if meaning:
            meaning.least -= ROUNDING
        grams = {view.how: len(view.index.hashes) for view in searched}
        return {
            **retention,
            "problems": len(problems),
            "problem_grams": sum(grams.values()),
            "grams": grams,
            **_report(out, problems, partial(hits, searched=searched, meaning=meaning), config.cosine),
        }

    return Filter(partial(_judge, searched=searched, meaning=meaning), facts, processes=False)


def _judge(batch: pa.RecordBatch, searched: list[View], meaning: Meaning | None) -> Judged:
    return Judged(batch, reasons(batch.num_rows, hits(batch, searched, meaning)))


def hits(batch: pa.RecordBatch, searched: list[View], meaning: Meaning | None = None) -> list[Hit]:
    """Every problem that each row of a DOCUMENT batch holds, with the best overlap for each way it was found."""
    from smallcoder.data.decontaminate.kernels import search
    from smallcoder.data.kernels import buffers

    columns = (*buffers(batch.column("text")), _slashed(batch))
    best: dict[tuple[int, int, str], float] = {}
    all_found, tokens = search(columns, tuple(view.index for view in searched))
    for number, view in enumerate(searched):
        found = all_found[all_found[:, 0] == number, 1:]
        overlaps = found[:, 2] / view.totals[found[:, 1]]
        short = tokens[int(view.index.code), found[:, 0]] <= view.tokens[found[:, 1]]
        for (row, passage, _), overlap in zip(found[short].tolist(), overlaps[short].tolist(), strict=True):
            for owner in view.owners[passage]:
                key = (row, owner, view.how)
                best[key] = max(best.get(key, 0.0), overlap)
    if meaning is not None:
        for row, owner, cosine in meaning.nearest(batch.column("text").to_pylist()):
            best[row, owner, MEANING] = cosine
    return [(*key, overlap) for key, overlap in sorted(best.items())]


def reasons(rows: int, found: list[Hit]) -> list[str | None]:
    """The reason word of each row, the surest one first: same words, same code, same meaning; None without a hit."""
    words = {CODE: COPIED, MEANING: MEANT}
    order = [TEXT, COPIED, MEANT, None]
    out: list[str | None] = [None] * rows
    for row, _, how, _ in found:
        out[row] = min(out[row], words.get(how, TEXT), key=order.index)
    return out


def _slashed(batch: pa.RecordBatch) -> Array:
    from smallcoder.data.decontaminate.lexer import SLASHED

    return np.array([lang in SLASHED for lang in batch.column("lang").to_pylist()], np.bool_)


def _report(out: Path, problems: list[Problem], find: Callable[[pa.RecordBatch], list[Hit]], cosine: float) -> Facts:
    """Write out/hits from a second look at what was dropped, which is little; count documents by problem.

    So the filter stays a function of each row alone, and its workers share nothing. Only what was dropped for its
    meaning may fall short of the cosine by ROUNDING.
    """
    by_benchmark: Counter[str] = Counter()
    by_problem: Counter[str] = Counter()
    by_how: Counter[str] = Counter()
    with TableWriter(out / "hits", HIT) as table:
        for batch in read_batches(out / "dropped", ["id", "text", "lang", "reason"], BATCH):
            ids, why = (batch.column(name).to_pylist() for name in ("id", "reason"))
            found = [hit for hit in find(batch) if hit[2] != MEANING or hit[3] >= cosine or why[hit[0]] == MEANT]
            rows = [
                {
                    "document": ids[row],
                    "benchmark": problems[owner].benchmark,
                    "split": problems[owner].split,
                    "problem": problems[owner].id,
                    "how": how,
                    "overlap": overlap,
                }
                for row, owner, how, overlap in found
            ]
            table.write_rows(rows)
            by_benchmark.update(f"{b}/{s}" for _, b, s in {(r["document"], r["benchmark"], r["split"]) for r in rows})
            by_problem.update(p for _, p in {(r["document"], r["problem"]) for r in rows})
            by_how.update(how for _, how in {(r["document"], r["how"]) for r in rows})
        count = table.rows
    most = sorted(by_problem.items(), key=lambda item: (-item[1], item[0]))[:MOST_PROBLEMS]
    return {
        "hits": count,
        "documents_by_benchmark": dict(sorted(by_benchmark.items())),
        "documents_by_how": dict(sorted(by_how.items())),
        "problems_found": len(by_problem),
        "documents_by_problem": dict(most),
    }
