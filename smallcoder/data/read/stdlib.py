"""The standard library of the running interpreter, as one repository "python" under PSF-2.0.

CPython's own tests are left out as `skipped`: a third of the bytes, and much of it malformed on purpose (bad syntax,
odd encodings) or tables of expected values.
"""

import os
import platform
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from smallcoder.core.stage import Size
from smallcoder.data.read.config import Config, Row
from smallcoder.data.read.files import SourceFile, loaded, measured, unwanted

NAME = "python:stdlib"
TESTS = frozenset({"test", "tests", "idle_test"})
FOREIGN = {"site-packages", "dist-packages", "__pycache__"}


def parts(source: str) -> list[str]:
    """One."""
    return [source]


def batches(source: str, parts: Iterable[str], config: Config) -> Iterator[list[Row]]:
    """Rows of its source files in the order of their paths."""
    return loaded(files(config.extensions, frozenset(config.skip)), config)


def expect(source: str, config: Config) -> Size:
    """Number and bytes of the files to be opened."""
    return measured(files(config.extensions, frozenset(config.skip)))


def outside(source: str) -> dict[str, str]:
    """What decides the contents: the version of the interpreter."""
    return {"python": platform.python_version()}


def files(extensions: tuple[str, ...], skip: frozenset[str]) -> Iterator[SourceFile]:
    """Its source files in the order of their paths."""
    root = Path(sysconfig.get_path("stdlib"))
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in FOREIGN)
        for name in sorted(names):
            if name.endswith(extensions):
                location = Path(folder, name)
                path = location.relative_to(root).as_posix()
                reason = unwanted(path, skip | TESTS)
                yield SourceFile(str(location), "python", platform.python_version(), path, "PSF-2.0", NAME, reason)
