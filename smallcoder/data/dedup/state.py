"""Columns of plain arrays in files, so that what a corpus makes need not be in memory.

A column is written piece by piece, then read whole or mapped. The folder goes when it is removed. Mapped pages
count as memory of the process until they are released, so who walks over a large column releases it now and then.
"""

import mmap
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray[Any, Any]


class Mapped:
    """A column as an array that is read from disk where it is touched."""

    def __init__(self, pages: mmap.mmap, dtype: DTypeLike) -> None:
        self.array: Array = np.frombuffer(pages, dtype)
        self._pages = pages

    def release(self) -> None:
        """Give the pages read so far back; the array stays valid."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._pages.madvise(mmap.MADV_DONTNEED)


class State:
    """Named columns in `folder`, which it makes. Pickled it is the folder's name: others may read and put too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def put(self, name: str, values: Array, row: int = 0) -> None:
        """Write values where the column has its row of that number; what nobody puts is zeros, as far as files reach.

        Several processes may put into one column. Where they are on several machines, into different pages of it.
        """
        with open(self._folder / name, "wb", opener=_untruncated) as file:
            file.seek(row * values[:1].nbytes)
            file.write(np.ascontiguousarray(values).data)

    def append(self, name: str, values: Array) -> None:
        """Add values at the column's end."""
        with (self._folder / name).open("ab") as file:
            file.write(np.ascontiguousarray(values).data)

    def column(self, name: str, dtype: DTypeLike, start: int = 0, stop: int | None = None) -> Array:
        """A column in memory, or some of its values."""
        count = -1 if stop is None else stop - start
        return np.fromfile(self._folder / name, dtype, count, offset=start * np.dtype(dtype).itemsize)

    def mapped(self, name: str, dtype: DTypeLike) -> Mapped:
        """A column on disk; one value where nobody put any."""
        path = self._folder / name
        if path.exists() and path.stat().st_size:
            with path.open("rb") as file:
                return Mapped(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype)
        return Mapped(mmap.mmap(-1, 8, access=mmap.ACCESS_READ), dtype)

    def remove(self) -> None:
        """Delete the folder and all columns."""
        shutil.rmtree(self._folder)


def _untruncated(path: str, _: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
