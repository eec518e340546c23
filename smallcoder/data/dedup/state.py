"""Columns of plain arrays in files, so that what a corpus makes need not be in memory.

A column is appended to batch by batch, then read whole or mapped. The folder goes when the context ends. Mapped pages
count as memory of the process until they are released, so who walks over a large column releases it now and then.
"""

import mmap
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray[Any, Any]
BUFFER = 1 << 18  # bytes, of each open column


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
    """Named columns in `folder`, which must not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        folder.mkdir()

    def append(self, name: str, values: Array) -> None:
        """Add values, of one type in all calls, at the column's end."""
        if name not in self._files:
            self._files[name] = (self._folder / name).open("wb", BUFFER)
        self._files[name].write(np.ascontiguousarray(values).data)

    def column(self, name: str, dtype: DTypeLike) -> Array:
        """A column in memory."""
        self._files[name].flush()
        return np.fromfile(self._folder / name, dtype)

    def mapped(self, name: str, dtype: DTypeLike) -> Mapped:
        """A column on disk; empty where nothing was appended."""
        if name in self._files:
            self._files[name].flush()
            if (self._folder / name).stat().st_size:
                with (self._folder / name).open("rb") as file:
                    return Mapped(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype)
        return Mapped(mmap.mmap(-1, 8, access=mmap.ACCESS_READ), dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._folder)
