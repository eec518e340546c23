"""How curation runs: an ordered parallel map, `spread`, and `sift`, which runs a filter over a table.

The only place where curation meets threads and processes; those of a cluster are in `cluster`. Threads suit kernels and
file reads, which let go of the interpreter lock; processes suit pure Python. Results come back in the order of the
items, at most `2 * workers` are in flight, and one worker means a plain `map`, so the output is the same whatever the
number.
"""

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from smallcoder.core.progress import track
from smallcoder.core.tables import read_batches, require_kept
from smallcoder.data import cluster
from smallcoder.data.judged import BATCH, Judged, Outputs, Side
from smallcoder.data.tasks import tasks

T = TypeVar("T")
R = TypeVar("R")


def sift(
    judge: Callable[[pa.RecordBatch], Judged],
    source: Path,
    out: Path,
    title: str,
    *,
    workers: int = 1,
    processes: bool = False,
    side: Side | None = None,
) -> tuple[dict[str, Any], Counter[str]]:
    """Run a filter over a table of documents into out/documents and out/dropped; the retention facts and the counts.

    `judge` must depend on nothing but the batch's rows, each row alone. With `processes` it must pickle: a module-level
    function or a `partial` of one. `side` is the table of its own that it writes. Raises EmptyError where nothing is
    kept.
    """
    if cluster.connected():
        return cluster.sift(lambda _, batch: judge(batch), source, out, title, side=side, processes=processes)
    judged = parallel_map(judge, read_batches(source, batch_rows=BATCH), workers, processes)
    with Outputs(out, side) as outputs:
        for _, found in track(judged, title, unit="batches"):
            outputs.put(found)
    facts = outputs.facts()
    require_kept(facts)
    return facts, outputs.counts


def sift_rows(judge: Callable[[int, pa.RecordBatch], Judged], source: Path, out: Path, title: str) -> dict[str, Any]:
    """`sift` for what is decided row by row beforehand: `judge` also gets the number in the table of a batch's first
    row, and must pickle small. The retention facts.
    """
    if cluster.connected():
        return cluster.sift(judge, source, out, title)[0]
    batches = (numbered for task in tasks(source) for numbered in task.batches())
    with Outputs(out, None) as outputs:
        for row, batch in track(batches, title, unit="batches"):
            outputs.put(judge(row, batch))
    facts = outputs.facts()
    require_kept(facts)
    return facts


def spread(function: Callable[[T], R], items: Sequence[T], workers: int = 1) -> Iterator[tuple[T, R]]:
    """(item, function(item)) in any order: on the cluster, or by threads where none is connected.

    The function must pickle small, and items and results too.
    """
    return cluster.spread(function, items) if cluster.connected() else parallel_map(function, items, workers)


def parallel_map(
    function: Callable[[T], R], items: Iterable[T], workers: int, processes: bool = False
) -> Iterator[tuple[T, R]]:
    """Yield (item, function(item)) in order. With `processes`, function, items and results must pickle.

    The first item is done here before any process starts, so that they load what it compiled instead of compiling it
    all at once. An exception of the function is raised here, at its item's turn.
    """
    source = iter(items)
    for item in source if workers == 1 else islice(source, int(processes)):
        yield item, function(item)
    if workers == 1:
        return
    # Forking a process that already runs Arrow's threads can deadlock: start from a clean one.
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(workers, context) if processes else ThreadPoolExecutor(workers)
    with pool:
        waiting: deque[tuple[T, Future[R]]] = deque()
        for item in islice(source, 2 * workers):
            waiting.append((item, pool.submit(function, item)))
        while waiting:
            item, future = waiting.popleft()
            result = future.result()
            waiting.extend((item, pool.submit(function, item)) for item in islice(source, 1))
            yield item, result
