"""The rows of a table by repository, in bounded memory.

A table that fits `ROOM` is grouped at once; a larger one is spread over files on disk by a hash of the repository's
name, and each of them taken in turn, again and again until it fits or holds one repository alone. So what sets the
limit is the largest repository, and `ROOM`. Every pass writes and reads the table once; with 64 files a pass two of
them are enough for half a terabyte.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

ROOM = 128 << 20  # bytes of Arrow data
FILES = 64


def by_repository(batches: Iterable[pa.RecordBatch], scratch: Path, room: int = ROOM) -> Iterator[pa.Table]:
    """The rows of each repository as one table, sorted by path and id; rows without a repository in none.

    Their order depends on the names alone. `scratch` is a folder for files that are gone afterwards.
    """
    with TemporaryDirectory(dir=scratch) as folder:
        yield from _gather(iter(batches), Path(folder), room, 0)


def _gather(batches: Iterator[pa.RecordBatch], folder: Path, room: int, depth: int) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    names: set[str] = set()
    size = 0
    for batch in batches:
        known = batch.filter(batch.column("repo").is_valid())
        held.append(known)
        names.update(known.column("repo").to_pylist())
        size += known.nbytes
        if size > room and len(names) > 1:
            break
    else:
        yield from _groups(held)
        return
    files = [folder / f"{depth}-{number:02d}.arrow" for number in range(FILES)]
    _spread(held, batches, files, depth)
    del held
    for path in files:
        if path.exists():
            with pa.OSFile(str(path)) as file:
                yield from _gather(iter(pa.ipc.open_stream(file)), folder, room, depth + 1)
            path.unlink()


def _groups(batches: list[pa.RecordBatch]) -> Iterator[pa.Table]:
    if not batches:
        return
    table = pa.Table.from_batches(batches)
    batches.clear()
    table = table.take(pc.call_function("sort_indices", [table.select(["repo", "path", "id"])], _order()))
    names = table.column("repo").to_pylist()
    start = 0
    for at in range(1, len(names) + 1):
        if at == len(names) or names[at] != names[start]:
            yield table.slice(start, at - start)
            start = at


def _order() -> pc.SortOptions:
    return pc.SortOptions([(name, "ascending") for name in ("repo", "path", "id")])


def _spread(held: list[pa.RecordBatch], more: Iterable[pa.RecordBatch], files: list[Path], depth: int) -> None:
    """Every row to the file of its repository's hash."""
    writers: dict[int, pa.RecordBatchStreamWriter] = {}
    options = pa.ipc.IpcWriteOptions(compression="lz4")

    def write(batch: pa.RecordBatch) -> None:
        known = batch.filter(batch.column("repo").is_valid())
        numbers = pa.array([_number(name, depth) for name in known.column("repo").to_pylist()], pa.int64())
        for number in sorted(set(numbers.to_pylist())):
            if number not in writers:
                writers[number] = pa.ipc.new_stream(str(files[number]), batch.schema, options=options)
            writers[number].write_batch(known.filter(pc.call_function("equal", [numbers, pa.scalar(number)])))

    try:
        for batch in held:
            write(batch)
        held.clear()
        for batch in more:
            write(batch)
    finally:
        for writer in writers.values():
            writer.close()


def _number(name: str, depth: int) -> int:
    """Another spread at every depth."""
    return int.from_bytes(blake2b(f"{depth} {name}".encode(), digest_size=8).digest(), "little") % FILES
