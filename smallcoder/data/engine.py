"""How curation runs: an ordered parallel map, and `sift`, which runs a filter over a table.

The only place where curation meets threads and processes. Threads suit kernels and file reads, which let go of the
interpreter lock; processes suit pure Python. Results come back in the order of the items, at most `2 * workers` are in
flight, and one worker means a plain `map`, so the output is the same whatever the number.
"""

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from smallcoder.core.progress import track
from smallcoder.core.tables import read_batches, require_kept
from smallcoder.data import cluster
from smallcoder.data.judged import BATCH, Judged, Outputs, Side

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
        return cluster.sift(judge, source, out, title, side)
    judged = parallel_map(judge, read_batches(source, batch_rows=BATCH), workers, processes)
    with Outputs(out, side) as outputs:
        for _, found in track(judged, title, unit="batches"):
            outputs.put(found)
    facts = outputs.facts()
    require_kept(facts)
    return facts, outputs.counts


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
