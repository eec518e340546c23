"""A table in runs of row groups: the units in which threads and machines share the work on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from smallcoder.core.errors import InputError
from smallcoder.core.tables import read_shard, shards
from smallcoder.data.filters import BATCH

BYTES, ROWS = 64 << 20, 1 << 16  # of Arrow data and of records: a task ends at either


@dataclass(frozen=True)
class Task:
    """Row groups `first` to `last - 1` of a shard: `rows` rows of the table, from its row number `row` on."""

    shard: Path
    first: int
    last: int
    row: int
    rows: int
    number: int  # of the task

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The task's rows in order, BATCH at a time, and the number in the table of each batch's first."""
        row = self.row
        for batch in read_shard(self.shard, columns, BATCH, range(self.first, self.last)):
            yield row, batch
            row += batch.num_rows


def tasks(source: Path) -> list[Task]:
    """All rows of a table, in its order. Costs a look into the footers; a row group is never cut."""
    found: list[Task] = []
    start = 0  # row
    for shard in shards(source):
        about = _footer(shard)
        first = size = rows = 0
        for group in range(about.num_row_groups):
            size += about.row_group(group).total_byte_size
            rows += about.row_group(group).num_rows
            if size >= BYTES or rows >= ROWS or group == about.num_row_groups - 1:
                if rows:
                    found.append(Task(shard, first, group + 1, start, rows, len(found)))
                start += rows
                first, size, rows = group + 1, 0, 0
    return found


def _footer(shard: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(shard)
    except (pa.ArrowException, OSError) as error:
        detail = str(error).splitlines()[0][:120]
        raise InputError(f"{shard} is not a readable parquet file ({detail})", "copy or make it again") from error
