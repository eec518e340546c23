"""Curation on a Ray cluster, through Daft: what `engine` does in one process, over many machines.

`connect` once, and every filter that runs through `engine.sift` is spread: the worker reads a task (`tasks`), judges it
and writes its own shards of the kept and the dropped table. Only counts come back, so the driver holds a few hundred
bytes a task. A task that dies is started again by Ray and writes the same names. `read` and `dedup` spread their own
tasks (`spread`). Dedup's bands are joined by a sort a worker, over files: Daft's own shuffle (`groupby` of 3.4 million
keys) took 25 times as long as that sort.

All machines must see the run folder, and what `read` reads, under the same paths (a shared file system), and have
smallcoder installed. Tables come out with other shard boundaries than on one machine and with the same digests
(`core/tables.table_digest`). Needs the extra `ray`. Not spread: reading what is installed in the driver's Python, web
pages and histories; training and embedding; everything after curation.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from smallcoder.core.errors import InputError, SmallcoderError
from smallcoder.core.progress import track
from smallcoder.data.filters import Link, Outputs, Result, for_workers, pass_through
from smallcoder.data.tasks import Task, tasks

T = TypeVar("T")
R = TypeVar("R")

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


def sift(chain: Sequence[Link], source: Path, title: str) -> list[Result]:
    """`engine.sift` over the cluster. The first shards, `part-00000`, are empty: there may be no task at all."""
    links = for_workers(chain)

    def one(task: Task) -> list[Result]:
        with ExitStack() as stack:
            outputs = [stack.enter_context(Outputs(link, part(task.number))) for link in links]
            for numbered in task.batches():
                for output, passed in zip(outputs, pass_through(links, numbered), strict=False):
                    output.put(passed)
        return [output.result() for output in outputs]

    totals = []
    for link in links:
        with Outputs(link) as empty:
            totals.append(empty.result())
    processes = all(link.filter.processes for link in chain)
    for _, results in track(spread(one, tasks(source), processes), title, unit="tasks"):
        totals = [_sum(total, result) for total, result in zip(totals, results, strict=True)]
    for total in totals:
        total.retention["dropped"] = dict(sorted(total.retention["dropped"].items()))
    return totals


def _sum(total: Result, more: Result) -> Result:
    add(total.retention, more.retention)
    total.counts.update(more.counts)
    return total._replace(digest=total.digest + more.digest, seconds=total.seconds + more.seconds)


def part(number: int) -> str:
    """How the shards of a task are named."""
    return f"part-{number:05d}"


def add(total: dict[str, Any], more: dict[str, Any]) -> None:
    """Add the retention facts of a `Sieve` to others."""
    for name, value in more.items():
        if isinstance(value, dict):
            add(total.setdefault(name, {}), value)
        else:
            total[name] = total.get(name, 0) + value


def spread(function: Callable[[T], R], items: Sequence[T], processes: bool = False) -> Iterator[tuple[T, R]]:
    """(item, function(item)) on the cluster, as they come. Function, items and results must pickle.

    Each machine works with threads, as many as it has cores; with `processes` each core has a process of its own, which
    takes two seconds to start and lives until all is done: for plain Python, of which threads keep one core busy. A
    task costs some 10 ms besides. All work in the driver's folder. A SmallcoderError of the function is raised here.
    """
    import cloudpickle
    import daft
    import ray

    if not items:
        return
    folder = Path.cwd()

    def work(packed: daft.Series) -> list[bytes]:
        results = []
        for one in packed.to_pylist():
            number, item = cloudpickle.loads(one)
            try:
                _enter(folder)
                result = function(item)
            except SmallcoderError as error:
                result = error
            results.append(cloudpickle.dumps((number, result)))
        return results

    kind: Any = {"return_dtype": daft.DataType.binary(), "batch_size": 1}
    run: Any = daft.func.batch(**kind)(work)
    if processes:

        @daft.cls(max_concurrency=max(1, min(len(items), int(ray.cluster_resources().get("CPU", 1)))))
        class Worker:
            @daft.method.batch(**kind)
            def run(self, packed: daft.Series) -> list[bytes]:
                return work(packed)

        run = Worker().run
    frame = daft.from_pydict({"item": [cloudpickle.dumps(numbered) for numbered in enumerate(items)]})
    frame = frame.into_partitions(len(items))
    for row in frame.select(run(frame["item"]).alias("result")).iter_rows():
        number, result = cloudpickle.loads(row["result"])
        if isinstance(result, SmallcoderError):
            raise result
        yield items[number], result


def _enter(folder: Path) -> None:
    try:
        os.chdir(folder)
    except OSError:
        raise InputError(f"a worker does not see {folder}", "let all machines share it under the same path") from None
