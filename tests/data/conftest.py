"""What the curation tests share: a way to write and read small tables."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.tables import TableWriter, read_batches
from tests.data.stages import run_stage

Rows = list[dict[str, Any]]


@pytest.fixture
def documents(tmp_path: Path) -> Callable[..., Path]:
    """Writes texts, or dicts of DOCUMENT fields, as a table and returns its folder."""
    count = 0

    def write(items: Sequence[str | dict[str, Any]]) -> Path:
        nonlocal count
        count += 1
        rows = [item if isinstance(item, dict) else {"text": item} for item in items]
        full = [
            {"lang": "python", "license": "MIT", "lineage": [], "id": record_id(row["text"], row.get("repo"))} | row
            for row in rows
        ]
        folder = tmp_path / f"documents{count}"
        with TableWriter(folder, DOCUMENT) as writer:
            writer.write_rows([{name: row.get(name) for name in DOCUMENT.names} for row in full])
        return folder

    return write


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[Rows, Rows, dict[str, Any]]]:
    """Runs a stage module on input folders and returns the rows kept, the rows dropped and the facts."""
    count = 0

    def call(stage: Any, config: dict[str, Any], **inputs: Path) -> tuple[Rows, Rows, dict[str, Any]]:
        nonlocal count
        count += 1
        out = tmp_path / f"out{count}"
        facts = run_stage(stage, config, inputs, out)
        return rows(out / "documents"), rows(out / "dropped"), facts

    return call


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For tiny models of torch: a second thread costs them more than it does, on a busy machine six times as much."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows(folder: Path) -> Rows:
    return [row for batch in read_batches(folder) for row in batch.to_pylist()]
