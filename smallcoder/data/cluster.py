"""Curation on a Ray cluster, through Daft: what `engine` does in one process, over many machines.

`connect` once, and every filter that runs through `engine.sift` is spread: a task is a run of row groups of one shard;
the worker reads it, judges it and writes its own shards of the kept and the dropped table. Only counts come back, so
the driver holds a few hundred bytes a task. A task that dies is started again by Ray and writes the same names.

All machines must see the run folder under the same path (a shared file system), and have smallcoder installed. Tables
come out with other shard boundaries than on one machine and with the same digests (`core/tables.table_digest`).
Needs the extra `ray`. Not spread: reading, dedup's joins, and everything after curation.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from smallcoder.core.errors import InputError, SmallcoderError
from smallcoder.core.progress import track
from smallcoder.core.tables import read_shard, require_kept, shards
from smallcoder.data.judged import BATCH, Judged, Outputs, Side

TASK_BYTES = 64 << 20  # of Arrow data

_connected = False


def connect(address: str) -> None:
    """Use the Ray cluster at this address from now on; "local" starts one on this machine.

    Raises InputError without the packages, or where no cluster answers.
    """
    global _connected  # noqa: PLW0603 - Daft's runner is one a process as well
    try:
        import daft
        import ray
    except ImportError:
        raise InputError(
            "a Ray cluster needs packages that are not installed", "pip install 'smallcoder[ray]'"
        ) from None
    try:
        ray.init(address=None if address == "local" else address, log_to_driver=False, ignore_reinit_error=True)
    except ConnectionError as error:
        detail = str(error).splitlines()[0][:100]
        raise InputError(f"no Ray cluster at {address} ({detail})", "start one, or say local") from None
    daft.set_runner_ray(noop_if_initialized=True)
    _connected = True


def connected() -> bool:
    return _connected


@dataclass(frozen=True)
class Task:
    """Row groups `first` to `last - 1` of a shard, and the number that names the task's own shards."""

    shard: Path
    first: int
    last: int
    number: int


def tasks(source: Path) -> list[Task]:
    """The shards of a table in runs of row groups of about TASK_BYTES."""
    found: list[Task] = []
    for shard in shards(source):
        meta = pq.read_metadata(shard)
        first = size = 0
        for group in range(meta.num_row_groups):
            size += meta.row_group(group).total_byte_size
            if size >= TASK_BYTES or group == meta.num_row_groups - 1:
                found.append(Task(shard, first, group + 1, len(found)))
                first, size = group + 1, 0
    return found


def sift(
    judge: Callable[[pa.RecordBatch], Judged], source: Path, out: Path, title: str, side: Side | None = None
) -> tuple[dict[str, Any], Counter[str]]:
    """`engine.sift` over the cluster. The first shards, `part-00000`, are empty where there is no task at all."""

    def one(task: Task) -> tuple[dict[str, Any], Counter[str]]:
        with Outputs(out, side, part=f"part-{task.number:05d}") as outputs:
            for batch in read_shard(task.shard, None, BATCH, range(task.first, task.last)):
                outputs.put(judge(batch))
            return outputs.facts(), outputs.counts

    with Outputs(out, side) as empty:
        total, counts = empty.facts(), empty.counts
    for facts, counted in track(spread(one, tasks(source)), title, unit="tasks"):
        counts.update(counted)
        _add(total, facts)
    total["dropped"] = dict(sorted(total["dropped"].items()))
    require_kept(total)
    return total, counts


def _add(total: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            _add(total.setdefault(name, {}), value)
        else:
            total[name] = total.get(name, 0) + value


def spread(function: Callable[[Any], Any], items: list[Any]) -> Iterator[Any]:
    """The function's results on the cluster, as they come. Function, items and results must pickle.

    A SmallcoderError of the function is raised here.
    """
    import cloudpickle
    import daft

    @daft.func.batch(return_dtype=daft.DataType.binary(), batch_size=1)
    def run(packed: daft.Series) -> list[bytes]:
        results = []
        for item in packed.to_pylist():
            try:
                results.append(cloudpickle.dumps(function(cloudpickle.loads(item))))
            except SmallcoderError as error:
                results.append(cloudpickle.dumps(error))
        return results

    if not items:
        return
    frame = daft.from_pydict({"item": [cloudpickle.dumps(item) for item in items]}).into_partitions(len(items))
    for row in frame.select(run(frame["item"]).alias("result")).iter_rows():
        result = cloudpickle.loads(row["result"])
        if isinstance(result, SmallcoderError):
            raise result
        yield result
