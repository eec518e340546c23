"""The other peer of perf/dedup.py: text-dedup's MinHash on a table, one process.

    PYTHON perf/peers/dedup_textdedup.py TABLE OUT BANDS ROWS SHINGLE

PYTHON is that of an environment with `text-dedup==0.4.*`. Prints CPU-seconds without the imports, peak memory and the
documents kept, as JSON. Its faster hash (xxh3) is asked for.
"""

import json
import resource
import sys
import time

from datasets import load_from_disk  # pyright: ignore[reportMissingImports]
from text_dedup.minhash import main as minhash  # pyright: ignore[reportMissingImports]


def main(table: str, out: str, bands: str, rows: str, shingle: str) -> None:
    options = {
        "path": "parquet",
        "data_files": f"{table}/*.parquet",
        "split": "train",
        "cache_dir": f"{out}/cache",
        "output": f"{out}/kept",
        "column": "text",
        "num_proc": "1",
        "ngram": shingle,
        "min_length": shingle,
        "num_perm": str(int(bands) * int(rows)),
        "b": bands,
        "r": rows,
        "threshold": "0.75",
        "hash_func": "xxh3",
    }
    start = _cpu()
    minhash([part for name, value in options.items() for part in (f"--{name}", value)], standalone_mode=False)
    seconds = _cpu() - start
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "records": len(load_from_disk(f"{out}/kept"))}))


def _cpu() -> float:
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


if __name__ == "__main__":
    main(*sys.argv[1:])
