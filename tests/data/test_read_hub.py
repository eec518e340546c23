"""Data sets through the `datasets` library: here of a folder, as no hub can be reached from a test."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smallcoder.core.errors import InputError, SmallcoderError, ToolError
from smallcoder.data.read import hub
from smallcoder.data.read import stage as read
from tests.data.reading import CODE, rows_of

CARD = """---
configs:
- config_name: python
  default: true
  data_files:
  - {split: train, path: python/*.parquet}
  - {split: test, path: python-test.parquet}
- config_name: go
  data_files: go.parquet
dataset_info:
- config_name: python
  splits:
  - {name: train, num_examples: 300, num_bytes: 9000}
---
"""


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as it would lie on a hub: two configurations, splits, and a column that is not for us."""
    pytest.importorskip("datasets", reason="the datasets library is not installed")
    monkeypatch.setattr("datasets.config.HF_CACHE_HOME", tmp_path / "cache")
    folder = tmp_path / "data"
    (folder / "python").mkdir(parents=True)
    for part in range(2):
        rows = [{"content": f"{CODE}# {part} {at}\n", "path": "a.py", "image": b"\x89PNG"} for at in range(150)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"python/{part}.parquet", row_group_size=40)
    pq.write_table(pa.table({"content": [CODE], "path": ["test.py"], "image": [b""]}), folder / "python-test.parquet")
    pq.write_table(pa.table({"text": ["package a\n"], "lang": ["Go"], "stars": [5]}), folder / "go.parquet")
    (folder / "README.md").write_text(CARD)
    return folder


def test_configurations_and_splits(dataset: Path) -> None:
    train = rows_of(f"hf-dataset:{dataset}")
    assert [row["text"] for row, _ in train] == [f"{CODE}# {part} {at}\n" for part in range(2) for at in range(150)]
    assert {(row["lang"], row["source"], reason) for row, reason in train} == {
        ("python", f"hf-dataset:{dataset}", None)
    }
    assert [row["path"] for row, _ in rows_of(f"hf-dataset:{dataset}#python@test")] == ["test.py"]
    ((row, _),) = rows_of(f"hf-dataset:{dataset}#go")
    assert (row["lang"], row["stars"]) == ("go", 5)


def test_plan(dataset: Path) -> None:
    size = read.expect(read.Config(paths=[f"hf-dataset:{dataset}"]), {})
    assert (size.records, size.bytes) == (300, 9000)
    assert read.expect(read.Config(paths=[f"hf-dataset:{dataset}#go"]), {}).records is None
    config = read.Config(paths=[f"hf-dataset:{dataset}"])
    before = read.outside(config)
    assert before == read.outside(config)
    (dataset / "go.parquet").write_bytes(b"")
    assert before != read.outside(config)


@pytest.mark.parametrize("end", ["#none", "@none", "/none", "@"])
def test_what_is_not_there_is_one_line(end: str, dataset: Path) -> None:
    with pytest.raises(SmallcoderError) as caught:
        rows_of(f"hf-dataset:{dataset}{end}")
    assert "\n" not in str(caught.value)


def test_damaged_files_are_one_line(dataset: Path) -> None:
    (dataset / "go.parquet").write_bytes((dataset / "go.parquet").read_bytes()[:-20])
    with pytest.raises(InputError) as caught:
        rows_of(f"hf-dataset:{dataset}#go")
    assert "\n" not in str(caught.value)


def test_the_library_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ToolError, match="pip install"):
        rows_of("hf-dataset:owner/name")


def test_names() -> None:
    assert hub.parsed("hf-dataset:o/n#data/python@test") == hub.Dataset("o/n", "data/python", "test")
    assert hub.parsed("hf-dataset:o/n") == hub.Dataset("o/n", None, "train")
