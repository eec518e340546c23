"""How curation runs: an ordered parallel map, `spread`, and `sift`, which runs filters over a table.

The only place where curation meets threads and processes; those of a cluster are in `cluster`. Threads suit kernels and
file reads, which let go of the interpreter lock; processes suit pure Python. Results come back in the order of the
items, at most `2 * workers` are in flight, and one worker means a plain `map`, so the output is the same whatever the
number.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from smallcoder.core.digest import hexadecimal
from smallcoder.core.progress import track
from smallcoder.core.stage import Facts, Inputs, StageConfig
from smallcoder.core.tables import read_batches, require_kept
from smallcoder.data import cluster
from smallcoder.data.filters import BATCH, Link, Outputs, for_workers, pass_through

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Sifted:
    """What a link of a chain did: its stage's facts, the digest of the documents it kept where none are stored, and the
    seconds that went into its filter.
    """

    facts: Facts
    digest: str | None
    seconds: float


def run_filter(stage: Any, config: StageConfig, inputs: Inputs, out: Path) -> Facts:
    """Run the module of a stage that is a filter by itself: into out/documents and out/dropped; the stage's facts."""
    link = Link(stage.as_filter(config, inputs, out), out)
    return sift([link], inputs["documents"], stage.__name__, getattr(config, "workers", 1))[0].facts


def sift(chain: Sequence[Link], source: Path, title: str, workers: int = 1) -> list[Sifted]:
    """Run filters over a table of documents in one pass: what the first keeps of a batch goes to the second.

    They work by processes where that suits all of them, else by threads. Raises EmptyError where one keeps nothing.
    """
    assert not any(link.filter.numbered for link in chain[1:])
    if cluster.connected():
        results = cluster.sift(chain, source, title)
    else:
        through = partial(pass_through, for_workers(chain))
        processes = all(link.filter.processes for link in chain)
        passing = parallel_map(through, _numbered(source), workers, processes)
        with ExitStack() as stack:
            outputs = [stack.enter_context(Outputs(link)) for link in chain]
            for _, passed in track(passing, title, unit="batches"):
                for output, one in zip(outputs, passed, strict=False):
                    output.put(one)
        results = [output.result() for output in outputs]
    found = []
    for link, result in zip(chain, results, strict=True):
        require_kept(result.retention)
        facts = link.filter.facts(result.retention, result.counts)
        found.append(Sifted(facts, None if link.store else hexadecimal(result.digest), result.seconds))
    return found


def _numbered(source: Path) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The batches of a table, each after the number of its first row."""
    row = 0
    for batch in read_batches(source, batch_rows=BATCH):
        yield row, batch
        row += batch.num_rows


def spread(function: Callable[[T], R], items: Sequence[T], workers: int = 1) -> Iterator[tuple[T, R]]:
    """(item, function(item)) in any order: on the cluster, or by threads where none is connected.

    The function must pickle small, and items and results too.
    """
    return cluster.spread(function, items) if cluster.connected() else parallel_map(function, items, workers)


def parallel_map(
    function: Callable[[T], R], items: Iterable[T], workers: int, processes: bool = False
) -> Iterator[tuple[T, R]]:
    """Yield (item, function(item)) in order. With `processes`, function, items and results must pickle; the function
    goes to each process once.

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
    if processes:
        pool, call = ProcessPoolExecutor(workers, context, _take, (function,)), _call
    else:
        pool, call = ThreadPoolExecutor(workers), function
    with pool:
        waiting: deque[tuple[T, Future[R]]] = deque()
        for item in islice(source, 2 * workers):
            waiting.append((item, pool.submit(call, item)))
        while waiting:
            item, future = waiting.popleft()
            result = future.result()
            waiting.extend((item, pool.submit(call, item)) for item in islice(source, 1))
            yield item, result


_taken: list[Callable[[Any], Any]] = []  # in a process of a pool: the function that it is there for


def _take(function: Callable[[Any], Any]) -> None:
    _taken.append(function)


def _call(item: Any) -> Any:
    return _taken[0](item)
