"""Writing and reading a table of documents: `core/tables` beside the same parquet in other compressions.

    python perf/tables.py [FOLDER ...]     folders of Python files; the standard library without one

Prints MB of text per CPU-second of writing and of reading, and the size on disk as a share of the text. Ours takes the
digest of every row as it writes, the others do not; `digest` is that part alone.
"""

import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.tables import TableWriter, read_batches, table_digest
from smallcoder.data.filters import BATCH

ROUNDS = 3


def seconds(work: Callable[[], object]) -> float:
    """The least CPU-seconds of a few rounds."""
    costs = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        costs.append(time.process_time() - start)
    return min(costs)


def ours(batches: list[pa.RecordBatch], folder: Path) -> None:
    with TableWriter(folder, DOCUMENT) as writer:
        for batch in batches:
            writer.write(batch)


def others(batches: list[pa.RecordBatch], folder: Path, compression: str) -> None:
    folder.mkdir(exist_ok=True)
    small: Any = [field.name for field in DOCUMENT if field.type != pa.large_string()]
    path = folder / "part.parquet"
    with pq.ParquetWriter(path, DOCUMENT, compression=compression, use_dictionary=small, write_statistics=small) as out:
        for batch in batches:
            out.write_batch(batch)


def consume(folder: Path) -> None:
    for _ in read_batches(folder, batch_rows=BATCH):
        pass


def main(folders: list[str]) -> None:
    paths = [path for folder in folders or [sysconfig.get_paths()["stdlib"]] for path in Path(folder).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(paths) if path.is_file()]
    rows = [dict.fromkeys(DOCUMENT.names) | {"id": record_id(text), "text": text} for text in texts]
    batches = pa.Table.from_pylist(rows, DOCUMENT).combine_chunks().to_batches(BATCH)
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} documents, {size:.1f} MB; MB per CPU-second, best of {ROUNDS}")
    print(f"digest                 {size / seconds(lambda: table_digest(batches)):6.0f}")
    for name in ("ours", "lz4", "zstd", "snappy", "none"):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "table"
            write = partial(ours, batches, folder) if name == "ours" else partial(others, batches, folder, name)
            wrote, read = seconds(write), seconds(partial(consume, folder))
            share = sum(path.stat().st_size for path in folder.iterdir()) / 1e6 / size
            print(f"{name:8s} write {size / wrote:8.0f}   read {size / read:6.0f}   size {share:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
