"""How much memory a piece of work takes: the peak resident size of this process and all it started."""

import os
import resource
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL_SECONDS = 0.25


class PeakMemory:
    """Samples the process tree in a thread while the context lasts; `bytes` is the largest sum seen.

    Pages shared between processes count once for each, so the figure errs upwards; a peak shorter than the sampling
    interval can be missed. Where there is no /proc, `bytes` is this process's own high-water mark.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            self.bytes = max(self.bytes, tree_memory(os.getpid()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self.bytes = max(self.bytes, tree_memory(os.getpid())) or _high_water()


def tree_memory(pid: int) -> int:
    """Resident bytes of a process and its descendants, 0 where /proc does not say."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except (OSError, IndexError):
        return 0
    return resident + sum(tree_memory(int(child)) for child in children.split())


def _high_water() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
