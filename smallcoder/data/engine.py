"""An ordered parallel map: the only place where curation meets threads and processes.

Threads suit kernels and file reads, which let go of the interpreter lock; processes suit pure Python. Results come
back in the order of the items, at most `2 * workers` are in flight, and one worker means a plain `map`, so the output
is the same whatever the number. It does not spread over machines and does not survive a worker that is killed.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(
    function: Callable[[T], R], items: Iterable[T], workers: int, processes: bool = False
) -> Iterator[tuple[T, R]]:
    """Yield (item, function(item)) in order. With `processes`, function, items and results must pickle.

    An exception of the function is raised here, at its item's turn.
    """
    if workers == 1:
        for item in items:
            yield item, function(item)
        return
    # Forking a process that already runs Arrow's threads can deadlock: start from a clean one.
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(workers, context) if processes else ThreadPoolExecutor(workers)
    with pool:
        source = iter(items)
        waiting: deque[tuple[T, Future[R]]] = deque()
        for item in islice(source, 2 * workers):
            waiting.append((item, pool.submit(function, item)))
        while waiting:
            item, future = waiting.popleft()
            result = future.result()
            waiting.extend((item, pool.submit(function, item)) for item in islice(source, 1))
            yield item, result
