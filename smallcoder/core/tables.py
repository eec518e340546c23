"""Tables on disk: folders of lz4 parquet shards, written and read with bounded memory.

A stage's table is written once and read a few times: with lz4 that takes a third less time than with zstd, on half as
much disk again; without compression, a third of the time that lz4 takes, on three times the disk (perf/tables.py). A
shard is closed at `SHARD_BYTES` of Arrow data, so neither a writer nor a reader ever holds more than one.
`table_digest` names the contents alone: row order, shard boundaries and compression do not count (`digest`). Every
shard's footer holds that of its rows, so the digest of a folder costs no reading.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from smallcoder.core.digest import digest, hexadecimal
from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.records import with_reason

COMPRESSION = "lz4"
SHARD_BYTES = 256 << 20
BATCH_ROWS = 1024
GROUP_ROWS, GROUP_BYTES = 1024, 8 << 20  # a row group of a shard is closed at either
DIGEST = b"smallcoder.rows"  # in the footer of a shard


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
        self._group: list[pa.Table] = []  # what waits to be written as one row group
        self._group_rows = self._group_bytes = 0
        self._digest = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self._open()

    def _open(self) -> pq.ParquetWriter:
        # Dictionaries and least and greatest values of whole texts cost time and help nobody.
        small: Any = [field.name for field in self.schema if field.type != pa.large_string()]
        path = self.folder / f"{self._part}-{self._shard:05d}.parquet"
        return pq.ParquetWriter(
            path, self.schema, compression=COMPRESSION, use_dictionary=small, write_statistics=small
        )

    def write(self, data: pa.RecordBatch | pa.Table) -> None:
        """Append rows; columns are put in the schema's order, and a missing or odd one is a programming error."""
        if data.num_rows == 0:
            return
        table = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
        table = table.select(self.schema.names).cast(self.schema)
        size = table.nbytes
        if self._in_shard and self._in_shard + size > self._shard_bytes:
            self.close()
            self._shard += 1
            self._in_shard = self._digest = 0
            self._file = self._open()
        self._group.append(table)
        self._group_rows += table.num_rows
        self._group_bytes += size
        self._in_shard += size
        self.bytes += size
        self.rows += table.num_rows
        if self._group_rows >= GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._group:
            table = pa.concat_tables(self._group)
            self._file.write_table(table)
            self._digest += sum(map(digest, table.to_batches()))
            self._group = []
            self._group_rows = self._group_bytes = 0

    def write_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows given as dicts with the schema's keys."""
        self.write(pa.RecordBatch.from_pylist(list(rows), schema=self.schema))

    def close(self) -> None:
        """Finish the last shard. Closing twice does no harm."""
        if self._file.is_open:
            self._flush()
            self._file.add_key_value_metadata({DIGEST: hexadecimal(self._digest)})
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True)
class Split:
    """The rows that a batch keeps, those it drops with the reason of each, and counts by reason ("kept" is one).

    `bytes` are UTF-8 bytes of the column `text`.
    """

    kept: pa.RecordBatch
    dropped: pa.RecordBatch | None
    records: Counter[str]
    bytes: Counter[str]


def split(batch: pa.RecordBatch, reasons: Sequence[str | None]) -> Split:
    """Keep the rows whose reason is None, drop the others. len(reasons) == batch.num_rows."""
    assert len(reasons) == batch.num_rows
    records: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    lengths = pc.call_function("binary_length", [batch.column("text")]).to_pylist()
    for reason, length in zip(reasons, lengths, strict=True):
        records[reason or "kept"] += 1
        sizes[reason or "kept"] += length or 0
    column = pa.array(reasons, pa.string())
    if column.null_count == len(column):  # nothing need be copied
        return Split(batch, None, records, sizes)
    dropped = batch.append_column("reason", column).filter(column.is_valid())
    return Split(batch.filter(column.is_null()), dropped, records, sizes)


class Sieve:
    """Writes what is kept to `documents/` and what is not to `dropped/`; counts the retention table of the facts.

    Every dropped row carries one reason word. Without `store` what is kept is only counted.
    """

    def __init__(self, out: Path, schema: pa.Schema, part: str = "part", store: bool = True) -> None:
        self._kept = TableWriter(out / "documents", schema, part=part) if store else None
        self._dropped = TableWriter(out / "dropped", with_reason(schema), part=part)
        self._records: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def put(self, batch: pa.RecordBatch, reasons: Sequence[str | None]) -> pa.RecordBatch:
        """Keep and return the rows whose reason is None, drop the others."""
        found = split(batch, reasons)
        self.take(found)
        return found.kept

    def take(self, found: Split) -> None:
        """Write and count what was split before."""
        self._records.update(found.records)
        self._bytes.update(found.bytes)
        if found.dropped is not None:
            self._dropped.write(found.dropped)
        if self._kept:
            self._kept.write(found.kept)

    def close(self) -> dict[str, Any]:
        """Finish the tables and return the retention facts. Raises EmptyError if nothing was kept."""
        self._close()
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
        self._close()

    def _close(self) -> None:
        if self._kept:
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
    """The digest of a multiset of rows, in hexadecimal."""
    return hexadecimal(sum(map(digest, batches)))


def folder_digest(folder: Path) -> str:
    """`table_digest` of a folder, from the footers of shards that TableWriter wrote; others are read."""
    total = 0
    for path in shards(folder):
        known = (pq.read_metadata(path).metadata or {}).get(DIGEST)
        total += int(known or table_digest(read_shard(path)), 16)
    return hexadecimal(total)
