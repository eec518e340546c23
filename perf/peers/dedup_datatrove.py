"""The peer of perf/dedup.py: datatrove's four MinHash steps on a table, one task each, in this process.

    PYTHON perf/peers/dedup_datatrove.py TABLE OUT BANDS ROWS SHINGLE

PYTHON is that of an environment with `datatrove[io,processing]==0.10.*`. Prints CPU-seconds without the imports, peak
memory and the documents kept, as JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.dedup import (  # pyright: ignore[reportMissingImports]
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.readers import ParquetReader  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.writers import ParquetWriter  # pyright: ignore[reportMissingImports]


def main(table: str, out: str, bands: str, rows: str, shingle: str) -> None:
    config = MinhashConfig(n_grams=int(shingle), num_buckets=int(bands), hashes_per_bucket=int(rows))
    run([], ParquetReader(table), config, out)


def run(before: list[list[Any]], reader: Any, config: Any, out: str) -> None:
    """Some steps, then near deduplication of what the reader reads; prints the figures."""
    signatures, buckets, remove = (f"{out}/{name}" for name in ("signatures", "buckets", "remove"))
    find = MinhashDedupBuckets(input_folder=signatures, output_folder=buckets, config=config)
    steps = [
        *before,
        [reader, MinhashDedupSignature(output_folder=signatures, config=config)],
        [find],
        [MinhashDedupCluster(input_folder=buckets, output_folder=remove, config=config)],
        [reader, MinhashDedupFilter(input_folder=remove), ParquetWriter(f"{out}/kept")],
    ]
    start = _cpu()
    for at, step in enumerate(steps):
        tasks = config.num_buckets if find in step else 1
        LocalPipelineExecutor(step, tasks=tasks, logging_dir=f"{out}/logs{at}").run()
    seconds = _cpu() - start
    kept = sum(pq.read_metadata(path).num_rows for path in Path(out, "kept").glob("*.parquet"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "records": kept}))


def _cpu() -> float:
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


if __name__ == "__main__":
    main(*sys.argv[1:])
