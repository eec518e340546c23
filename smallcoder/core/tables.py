"""Tables on disk: folders of lz4 parquet shards, written and read with bounded memory.

A stage's table is written once and read a few times: with lz4 that takes a third less time than with zstd, on half as
much disk again (perf/tables.py). A shard is closed at `SHARD_BYTES` of Arrow data, so neither a writer nor a reader
ever holds more than one. `table_digest` names the contents alone: row order, shard boundaries and compression do not
count. Every shard's footer holds that of its rows, so the digest of a folder costs no reading.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgpack
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.records import with_reason

SHARD_BYTES = 256 << 20
BATCH_ROWS = 1024
DIGEST = b"smallcoder.digest"  # in the footer of a shard


class TableWriter:
    """Writes record batches to `folder/part-00000.parquet`, ... An empty table still has one shard.

    Several writers may fill one folder under different names for `part`.
    """

    def __init__(self, folder: Path, schema: pa.Schema, shard_bytes: int = SHARD_BYTES, part: str = "part") -> None:
        self.folder = folder
        self._part = part
        self.schema = schema
        self.rows = 0
        self.bytes = 0
        self._shard_bytes = shard_bytes
        self._shard = 0
        self._in_shard = 0
        self._digest = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self._open()

    def _open(self) -> pq.ParquetWriter:
        # Dictionaries and least and greatest values of whole texts cost time and help nobody.
        small: Any = [field.name for field in self.schema if field.type != pa.large_string()]
        path = self.folder / f"{self._part}-{self._shard:05d}.parquet"
        return pq.ParquetWriter(path, self.schema, compression="lz4", use_dictionary=small, write_statistics=small)

    def write(self, data: pa.RecordBatch | pa.Table) -> None:
        """Append rows; columns are put in the schema's order, and a missing or odd one is a programming error."""
        if data.num_rows == 0:
            return
        table = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
        table = table.select(self.schema.names).cast(self.schema)
        if self._in_shard and self._in_shard + table.nbytes > self._shard_bytes:
            self.close()
            self._shard += 1
            self._in_shard = self._digest = 0
            self._file = self._open()
        self._file.write_table(table)
        self._digest += sum(_digest(batch) for batch in table.to_batches())
        self._in_shard += table.nbytes
        self.bytes += table.nbytes
        self.rows += table.num_rows

    def write_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows given as dicts with the schema's keys."""
        self.write(pa.RecordBatch.from_pylist(list(rows), schema=self.schema))

    def close(self) -> None:
        """Finish the last shard. Closing twice does no harm."""
        if self._file.is_open:
            self._file.add_key_value_metadata({DIGEST: _hexadecimal(self._digest)})
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Sieve:
    """Splits records into a kept table and `dropped/`, and counts the retention table of the facts.

    Every dropped row carries one reason word. Sizes are UTF-8 bytes of `measure`, the column that holds the text.
    """

    def __init__(
        self, out: Path, schema: pa.Schema, kept: str = "documents", measure: str = "text", part: str = "part"
    ) -> None:
        self._kept = TableWriter(out / kept, schema, part=part)
        self._dropped = TableWriter(out / "dropped", with_reason(schema), part=part)
        self._measure = measure
        self._records: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def put(self, batch: pa.RecordBatch, reasons: Sequence[str | None]) -> None:
        """Keep the rows whose reason is None and drop the others. len(reasons) == batch.num_rows."""
        assert len(reasons) == batch.num_rows
        column = pa.array(reasons, pa.string())
        sizes = pc.call_function("binary_length", [batch.column(self._measure)]).to_pylist()
        for reason, size in zip(reasons, sizes, strict=True):
            self._records[reason or "kept"] += 1
            self._bytes[reason or "kept"] += size or 0
        self._kept.write(batch.filter(column.is_null()))
        marked = batch.append_column("reason", column)
        self._dropped.write(marked.filter(column.is_valid()))

    def close(self) -> dict[str, Any]:
        """Finish both tables and return the retention facts. Raises EmptyError if nothing was kept."""
        self._kept.close()
        self._dropped.close()
        facts = self.facts()
        require_kept(facts)
        return facts

    def facts(self) -> dict[str, Any]:
        """`records_in, bytes_in, records, bytes` and `dropped: {reason: {records, bytes}}`."""
        reasons = sorted(set(self._records) - {"kept"})
        return {
            "records_in": self._records.total(),
            "bytes_in": self._bytes.total(),
            "records": self._records["kept"],
            "bytes": self._bytes["kept"],
            "dropped": {name: {"records": self._records[name], "bytes": self._bytes[name]} for name in reasons},
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._kept.close()
        self._dropped.close()


def require_kept(facts: dict[str, Any]) -> None:
    """Raises EmptyError where the retention facts of a `Sieve` say that nothing was kept."""
    if not facts["records"]:
        raise EmptyError(
            f"nothing was kept of {facts['records_in']} records ({facts['dropped'] or 'the input is empty'})",
            "check the paths of the reading stage and the thresholds of this one",
        )


def shards(folder: Path) -> list[Path]:
    """The parquet files of a table in order. Raises InputError where there is none."""
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise InputError(
            f"{folder} holds no parquet file", "name a folder that a finished stage wrote, or a table of yours"
        )
    return found


def read_batches(
    folder: Path, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Stream a table in order. Raises InputError on a missing, truncated or foreign file."""
    for path in shards(folder):
        yield from read_shard(path, columns, batch_rows)


def read_shard(
    path: Path, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Stream one shard, or some of its row groups, with the errors of `read_batches`."""
    try:
        with pq.ParquetFile(path) as file:
            missing = sorted(set(columns or ()) - set(file.schema_arrow.names))
            if missing:
                raise InputError(f"{path} has no column {missing[0]!r}", "name a table of the kind this stage reads")
            names = list(columns) if columns else None
            yield from file.iter_batches(batch_rows, columns=names, row_groups=list(groups) if groups else None)
    except (pa.ArrowException, OSError) as error:
        detail = str(error).splitlines()[0][:120]
        raise InputError(f"{path} is not a readable parquet file ({detail})", "copy or make it again") from error


def read_table(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole table in memory: for what is small by nature (problems, verdicts), never for documents."""
    batches = list(read_batches(folder, columns))
    if batches:
        return pa.Table.from_batches(batches)
    schema = pq.read_schema(shards(folder)[0])
    return (pa.schema([schema.field(name) for name in columns]) if columns else schema).empty_table()


def count_rows(folder: Path) -> int:
    """Number of rows, from the shards' footers alone."""
    return sum(pq.read_metadata(path).num_rows for path in shards(folder))


def table_digest(batches: Iterable[pa.RecordBatch]) -> str:
    """A 128-bit digest of a multiset of rows: the sum of the first half of each one's SHA-256."""
    return _hexadecimal(sum(_digest(batch) for batch in batches))


def folder_digest(folder: Path) -> str:
    """`table_digest` of a folder, from the footers of shards that TableWriter wrote; others are read."""
    total = 0
    for path in shards(folder):
        known = (pq.read_metadata(path).metadata or {}).get(DIGEST)
        total += int(known or table_digest(read_shard(path)), 16)
    return _hexadecimal(total)


def _hexadecimal(digest: int) -> str:
    return f"{digest % (1 << 128):032x}"


def _digest(batch: pa.RecordBatch) -> int:
    """The sum of the rows' hashes: of their names and small values in msgpack, then of the bytes of long texts.

    SHA-256, because processors have instructions for it: twice as fast as BLAKE2b.
    """
    long = [field.name for field in batch.schema if field.type == pa.large_string()]
    names = [name for name in batch.schema.names if name not in long]
    lengths = [pc.call_function("binary_length", [batch.column(name)]).to_pylist() for name in long]
    texts = [_bytes(batch.column(name)) for name in long]
    total = 0
    for row, values in enumerate(zip(*(batch.column(name).to_pylist() for name in names), *lengths, strict=True)):
        hashed = sha256(msgpack.packb(dict(zip(names + long, values, strict=True))) or b"")
        for offsets, data in texts:
            hashed.update(data[offsets[row] : offsets[row + 1]])
        total += int.from_bytes(hashed.digest()[:16], "little")
    return total


def _bytes(column: pa.Array) -> tuple[list[int], memoryview]:
    """The offsets and the bytes of a large_string column, without a copy."""
    _, offsets, data = column.buffers()
    bounds = memoryview(offsets).cast("q")[column.offset : column.offset + len(column) + 1].tolist() if offsets else []
    return bounds or [0] * (len(column) + 1), memoryview(data or b"")
