"""What the processes of a run have used so far, as the kernel counts it: CPU time, memory, and waiting for a processor.

A closed run is one process (two with tests in a second jail), an open one the tree below its init, which nothing in it
can leave: orphans become children of that init. Read through a descriptor of /proc, which need not be mounted in the
jail. CPU time of an open run has a grain of 10 ms; children whose parent ignores their end are lost to it, for which
there is the wall limit.
"""

import os
import time
from contextlib import suppress

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Measures `pids`; with `tree`, all processes below them too."""

    def __init__(self, proc: int, pids: list[int], tree: bool) -> None:
        self._proc, self._pids, self.tree = proc, pids, tree
        self._cpu = dict.fromkeys(pids, 0.0)

    def cpu(self) -> float:
        """Seconds of CPU time, never less than at an earlier call."""
        for pid in self._pids:
            with suppress(OSError):  # it has ended: what it had used stays
                used = self._tree_cpu(pid) if self.tree else time.clock_gettime((~pid << 3) | 2)
                self._cpu[pid] = max(self._cpu[pid], used)
        return sum(self._cpu.values())

    def _tree_cpu(self, pid: int) -> float:
        ticks = 0
        for one in self._below(pid):
            with suppress(OSError, ValueError):
                ticks += sum(map(int, self._read(f"{one}/stat").rpartition(b")")[2].split()[11:15]))
        return ticks / _TICK

    def memory(self) -> int:
        """Resident bytes of all the processes; pages that they share count once for each."""
        pages = 0
        for pid in self._pids:
            for one in self._below(pid):
                with suppress(OSError, ValueError, IndexError):
                    pages += int(self._read(f"{one}/statm").split()[1])
        return pages * _PAGE

    def waited(self) -> float:
        """Seconds that the process which waited longest was ready to run and had no processor; 0 if unknown."""
        longest = 0
        for pid in self._pids:
            for one in self._below(pid) if self.tree else [pid]:
                with suppress(OSError, ValueError, IndexError):
                    longest = max(longest, int(self._read(f"{one}/schedstat").split()[1]))
        return longest / 1e9

    def _below(self, pid: int) -> list[int]:
        found = [pid]
        for one in found:  # grows meanwhile
            with suppress(OSError, ValueError):
                for thread in self._threads(one):
                    found += map(int, self._read(f"{one}/task/{thread}/children").split())
        return found

    def _threads(self, pid: int) -> list[str]:
        folder = os.open(f"{pid}/task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)

    def _read(self, path: str) -> bytes:
        handle = os.open(path, os.O_RDONLY, dir_fd=self._proc)
        try:
            return os.read(handle, 1 << 16)
        finally:
            os.close(handle)
