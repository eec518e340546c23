"""Stage `middles`: the syntax subtrees of each file that make good middles, as a table of spans for `pack`.

It reads documents that hold one file each and writes spans/ alone, in their order; `repositories` writes its own. What
makes a good middle is said in `spans`. Cost: that of parsing, see perf/graph.py. Memory: one batch a worker.
"""

from collections import Counter
from pathlib import Path

import pyarrow as pa

from smallcoder.core.errors import EmptyError
from smallcoder.core.progress import track
from smallcoder.core.records import SPAN
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import TableWriter, read_batches
from smallcoder.data.engine import parallel_map
from smallcoder.data.filters import BATCH


class Config(StageConfig):
    """Nothing to set."""

    workers: int = run_only(1, ge=1)


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/spans. Raises EmptyError where no document has a middle."""
    batches = read_batches(inputs["documents"], ("id", "text", "lang"), BATCH)
    counts: Counter[str] = Counter()
    with TableWriter(out / "spans", SPAN) as writer:
        for batch, found in track(parallel_map(middles, batches, config.workers, processes=True), "middles"):
            writer.write(found)
            counts.update(found.column("kind").to_pylist())
            counts[""] += batch.num_rows
    if not writer.rows:
        raise EmptyError("no document has a syntax known to `spans`", "give it source code, with its language")
    documents = counts.pop("")
    headline = f"{writer.rows:,} middles in {documents:,} documents"
    return {"records": writer.rows, "documents": documents, "kinds": dict(sorted(counts.items())), "headline": headline}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(note="places in documents")


def middles(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The spans of a batch of documents, in its order."""
    from smallcoder.repos.spans import spans

    rows = [
        {"id": row["id"], "kind": span.kind, "start": span.start, "end": span.end}
        for row in batch.to_pylist()
        for span in sorted(spans((row["text"] or "").encode(), row["lang"]), key=lambda span: (span.start, span.end))
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SPAN)
