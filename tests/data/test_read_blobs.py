"""The Stack v2 style tables: contents that are only named, and nested repositories."""

import gzip
import json
from hashlib import sha1
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smallcoder.core.errors import InputError
from smallcoder.data.read import blobs
from smallcoder.data.read import stage as read
from tests.data.reading import CODE, rows_of

WIDE = "s = '漢字 — é'\n" * 5


def named(content: bytes) -> str:
    return sha1(content).hexdigest()


@pytest.fixture
def stack(tmp_path: Path) -> tuple[str, str]:
    """A table and a folder of blobs, with one of every kind of trouble."""
    store = tmp_path / "blobs"
    store.mkdir()
    contents = {
        "a.py": (CODE.encode(), "UTF-8"),
        "gb.py": (WIDE.encode("gb18030"), "GB18030"),
        "wide.py": (WIDE.encode("utf-16"), "UTF-16"),
        "wrong.py": (WIDE.encode(), "no-such-codec"),
        "undecodable.py": (b"\xff\xfe\xfd", "UTF-8"),
        "missing.py": (b"missing", "UTF-8"),
        "damaged.py": (b"damaged", "UTF-8"),
        "plain.py": (b"plain", "UTF-8"),
        "large.py": (b"x = 1\n" * 1000, "UTF-8"),
        "bomb.py": (bytes(8 << 20), "UTF-8"),
        "vendored.py": (b"vendored", "UTF-8"),
    }
    rows = []
    for path, (content, encoding) in contents.items():
        packed = gzip.compress(content)
        if path != "missing.py":
            name = named(content) + (".gz" if path == "gb.py" else "")
            packed = {"damaged.py": packed[:-9], "plain.py": content}.get(path, packed)
            (store / name).write_bytes(packed)
        rows.append(
            {
                "blob_id": named(content), "path": f"/{path}", "src_encoding": encoding, "repo_name": "o/r",
                "revision_id": "0a", "detected_licenses": ["MIT"], "star_events_count": 7, "fork_events_count": 2,
                "language": "Python", "is_vendor": path == "vendored.py", "is_generated": False,
                "length_bytes": len(content) if path == "large.py" else 1,
            }
        )  # fmt: skip
    rows.append(rows[0] | {"path": "/outside.py", "blob_id": "../../etc/passwd"})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "stack.parquet")
    return str(tmp_path / "stack.parquet"), str(store)


def test_blobs_are_resolved_and_what_is_not_there_is_counted(stack: tuple[str, str]) -> None:
    table, store = stack
    found = rows_of(table, blobs=store, max_bytes=2000)
    assert [row["path"] for row, _ in found][:2] == ["a.py", "gb.py"]
    assert {row["path"]: row["text"] for row, reason in found if reason is None} == {
        "a.py": CODE,
        "gb.py": WIDE,
        "wide.py": WIDE,
        "wrong.py": WIDE,
    }
    assert {row["path"]: reason for row, reason in found if reason} == {
        "undecodable.py": "not_text",
        "missing.py": "blob_missing",
        "damaged.py": "blob_damaged",
        "plain.py": "blob_damaged",
        "large.py": "too_large",
        "bomb.py": "too_large",
        "vendored.py": "vendored",
        "outside.py": "blob_missing",
    }
    about = {(row["repo"], row["license"], row["stars"], row["forks"], row["revision"]) for row, _ in found}
    assert about == {("o/r", "MIT", 7, 2, "0a")}
    assert len({row["id"] for row, _ in found}) == len(found)


def test_a_url_and_the_number_in_flight_change_nothing(stack: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    table, store = stack
    memory = fsspec.filesystem("memory")
    for path in Path(store).iterdir():
        memory.pipe_file(f"/content/{path.name}", path.read_bytes())
    expected = rows_of(table, blobs=store)
    monkeypatch.setattr("smallcoder.data.read.columns.IN_FLIGHT", 1)
    assert rows_of(table, blobs="memory://content/") == expected


def test_a_row_that_is_a_repository(stack: tuple[str, str], tmp_path: Path) -> None:
    table, store = stack
    rows = pq.read_table(table).to_pylist()
    shared = ("repo_name", "revision_id", "star_events_count", "fork_events_count")
    nested = {name: rows[0][name] for name in shared}
    nested["files"] = [{name: value for name, value in row.items() if name not in shared} for row in rows]
    pq.write_table(pa.Table.from_pylist([nested]), tmp_path / "nested.parquet")
    (tmp_path / "nested.jsonl").write_text(json.dumps(nested))

    def without_source(name: str) -> list:
        found = rows_of(name, blobs=store)
        return [({k: v for k, v in row.items() if k not in {"source", "id"}}, reason) for row, reason in found]

    assert without_source(str(tmp_path / "nested.parquet")) == without_source(table)
    assert without_source(str(tmp_path / "nested.jsonl")) == without_source(table)


def test_a_base_that_is_not_there_is_an_error(stack: tuple[str, str], tmp_path: Path) -> None:
    for base, complaint in ((str(tmp_path / "none"), "no folder"), ("no-such-protocol://x", "cannot be read")):
        with pytest.raises(InputError, match=complaint):
            rows_of(stack[0], blobs=base)


def test_a_failure_of_the_storage_is_no_drop(stack: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError("Access Denied\nrequest 12")

    store = blobs.Blobs.at(stack[1])
    monkeypatch.setattr(type(store.system), "cat_file", refuse)
    with pytest.raises(InputError, match="Access Denied") as caught:
        rows_of(stack[0], blobs=stack[1])
    assert "\n" not in str(caught.value)


def test_blobs_belong_to_the_identity_of_the_stage() -> None:
    assert read.Config(paths=["a"]).identity() != read.Config(paths=["a"], blobs="b").identity()
