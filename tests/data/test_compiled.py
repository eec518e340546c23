"""Compiled code is kept between processes, and not kept when anything that went into it has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smallcoder.data import compiled

BASE = """
from pack.compiled import compiled
STEP = {step}

@compiled(inline="always")
def more(x):
    return x + STEP
"""
KERNEL = """
from pack.compiled import compiled
from pack.part import (
    base as b,
)
import json

@compiled
def twice(x):
    return b.more(x) + b.STEP
"""
RUN = "from pack.kernel import twice as t; print(t(1), len(t.stats.cache_hits), len(t.stats.cache_misses))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "pack/part").mkdir(parents=True)
    shutil.copy(str(compiled.__file__), tmp_path / "pack/compiled.py")
    (tmp_path / "pack/part/base.py").write_text(BASE.format(step=1))
    (tmp_path / "pack/kernel.py").write_text(KERNEL)
    return tmp_path


def call(package: Path, **environment: str) -> list[int]:
    """The result of the kernel in a process of its own, and how often its code was found and made."""
    values = {"PYTHONPATH": str(package), "XDG_CACHE_HOME": str(package / "cache")} | environment
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, env={**os.environ, **values}, check=True
    )
    return [int(word) for word in done.stdout.split()]


def kept(package: Path) -> list[str]:
    return sorted(path.name for path in package.rglob("pack.kernel-*"))


def test_an_edit_of_an_imported_file_is_noticed_and_the_old_code_goes(package: Path) -> None:
    assert call(package) == [3, 0, 1]
    before = kept(package)
    assert call(package) == [3, 1, 0]
    (package / "pack/part/base.py").write_text(BASE.format(step=5))
    assert call(package) == [11, 0, 1]
    assert len(kept(package)) == len(before) == 1
    assert kept(package) != before
    assert not (package / "cache").exists()


def test_a_package_that_cannot_be_written(package: Path) -> None:
    (package / "pack/__pycache__").write_text("no folder")  # an administrator may write anywhere
    assert call(package) == [3, 0, 1]
    assert call(package) == [3, 1, 0]
    assert list((package / "cache/smallcoder").iterdir())
    nowhere = str(package / "pack/__pycache__")
    assert call(package, XDG_CACHE_HOME=nowhere) == call(package, XDG_CACHE_HOME=nowhere) == [3, 0, 1]
    assert call(package, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR=str(package / "own")) == [3, 0, 1]
    assert call(package, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR=str(package / "own")) == [3, 1, 0]


def test_what_the_kernels_of_the_scan_depend_on() -> None:
    from smallcoder.data import scan

    found = set(compiled._sources(scan.__name__))
    assert {f"smallcoder.data.{name}" for name in ("scan", "kernels", "counting", "lexicon")} <= found
    assert "smallcoder.data.assess" not in found
