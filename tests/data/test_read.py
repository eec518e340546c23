"""Reading: what is text becomes documents, what is not becomes a counted drop, what is broken a one-line error."""

import gzip
import json
import os
import platform
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smallcoder.core.errors import InputError, SmallcoderError
from smallcoder.core.stage import Size
from smallcoder.core.tables import table_digest
from smallcoder.data.read import stage as read

CODE = "def f(x):\n    return x\n"
COMMIT = "0123abcd" * 5


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    """Two repositories, one under git with a licence, and every kind of file that is no text."""
    root = tmp_path / "code"
    files = {
        "one/a.py": CODE.encode(),
        "one/tests/t.py": CODE.encode(),
        "one/_vendor/v.py": CODE.encode(),
        "one/.hidden/h.py": CODE.encode(),
        "one/random.py": random.Random(0).randbytes(5000),
        "one/controls.py": bytes(range(1, 32)) * 9,
        "one/wide.py": CODE.encode("utf-16"),
        "one/latin.py": "# -*- coding: latin-1 -*-\ns = 'é'\n".encode("latin-1"),
        "one/cookie.py": b"# coding: no-such-codec\n\xff\n",
        "one/undeclared.py": "s = 'é'\n".encode("latin-1"),
        "one/empty.py": b"",
        "one/blank.py": b" \n\n",
        "one/large.py": b"x = 1\n" * 1000,
        "one/README": b"no source",
        "one/LICENSE": b"MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n",
        "one/.git/HEAD": b"ref: refs/heads/main\n",
        "one/.git/refs/heads/main": COMMIT.encode() + b"\n",
        "two/deep/b.py": b"\xef\xbb\xbf" + CODE.encode(),
        "loose.py": b"y = 2\n",
    }
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    os.mkfifo(root / "one/pipe.py")
    (root / "one/link.py").symlink_to(root / "one/a.py")
    (root / "one/again").symlink_to(root / "one")  # links to folders are not followed: there is no end to this one
    return root


def test_folder_of_hostile_files(repositories: Path, run) -> None:
    config = {"paths": [str(repositories)], "skip": ["tests"], "max_bytes": 5500}
    kept, dropped, facts = run(read, config)
    assert {(row["repo"], row["path"]) for row in kept} == {
        ("one", "a.py"),
        ("one", "latin.py"),
        ("two", "deep/b.py"),
        ("code", "loose.py"),
    }
    by_path = {row["path"]: row for row in kept}
    assert by_path["latin.py"]["text"].endswith("s = 'é'\n")
    assert by_path["deep/b.py"]["text"] == CODE
    assert (by_path["a.py"]["license"], by_path["a.py"]["revision"]) == ("MIT", COMMIT)
    assert (by_path["deep/b.py"]["license"], by_path["deep/b.py"]["lang"]) == (None, "python")
    assert {row["path"]: row["reason"] for row in dropped} == {
        "tests/t.py": "skipped",
        "_vendor/v.py": "vendored",
        "random.py": "not_text",
        "controls.py": "not_text",
        "wide.py": "not_text",
        "cookie.py": "not_text",
        "undeclared.py": "not_text",
        "empty.py": "empty",
        "blank.py": "empty",
        "large.py": "too_large",
        "pipe.py": "unreadable",
    }
    assert facts["contents"]["licenses"]["MIT"]["records"] == 2
    assert facts["contents"]["repositories"] == 3
    assert len({row["id"] for row in kept + dropped}) == len(kept) + len(dropped)


def test_one_repository_and_workers(repositories: Path, run) -> None:
    (repositories / "pyproject.toml").write_text("")
    digests = set()
    for workers in (1, 3):
        kept, dropped, _ = run(read, {"paths": [str(repositories)], "workers": workers})
        assert {row["repo"] for row in kept} == {"code"}
        digests.add(table_digest([pa.RecordBatch.from_pylist(kept), pa.RecordBatch.from_pylist(dropped)]))
    assert len(digests) == 1


def test_a_repository_with_a_table_in_it_is_no_table(repositories: Path, run) -> None:
    (repositories / "one" / "data.csv").write_text("text\na\n")
    kept, _, _ = run(read, {"paths": [str(repositories / "one")]})
    assert {"a.py", "large.py"} <= {row["path"] for row in kept}


def test_outside_notices_a_change(repositories: Path) -> None:
    config = read.Config(paths=[str(repositories)])
    before = read.outside(config)
    assert before == read.outside(config)
    (repositories / "two/deep/b.py").write_text("z = 3\n")
    assert before != read.outside(config)


def test_installed_python(run) -> None:
    config = read.Config(paths=["python:stdlib", "python:site-packages"])
    size = read.expect(config, {})
    assert isinstance(size, Size)
    assert size.records is not None
    assert size.records > 1000
    versions = read.outside(config)
    assert versions["python"] == platform.python_version()
    assert versions["pytest"] == pytest.__version__
    assert "smallcoder" not in versions
    kept, _, facts = run(read, {"paths": ["python:stdlib"]})
    assert {row["license"] for row in kept} == {"PSF-2.0"}
    assert any(row["path"] == "json/decoder.py" for row in kept)
    assert not any("/test/" in f"/{row['path']}" for row in kept)
    assert facts["dropped"]["skipped"]["records"] > 100


def test_tables_map_the_fields_of_a_document(tmp_path: Path, run) -> None:
    records = [
        {"content": CODE, "repo": "r", "path": "a.py", "license": ["MIT", "Apache-2.0"], "stars": 3},
        {"content": "\ud800", "repo": "r"},
        {"content": "a\0b"},
        {"content": None},
        {"content": "x" * 200},
    ]
    lines = "\n".join(json.dumps(record) for record in records) + "\n\n"
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write(lines)
    pq.write_table(pa.table({"text": [CODE.encode(), b"\xff\xfe\0"], "lang": ["Python", None]}), tmp_path / "b.parquet")
    kept, dropped, _ = run(read, {"paths": [str(tmp_path)], "max_bytes": 100})
    assert [(row["text"], row["lang"], row["license"]) for row in kept] == [
        (CODE, "python", "MIT AND Apache-2.0"),
        (CODE, "python", None),
    ]
    assert sorted(row["reason"] for row in dropped) == ["empty", "not_text", "not_text", "not_text", "too_large"]


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("cut.jsonl", b'{"text": "a"}\n{"te', "line 2 is not JSON"),
        ("bytes.jsonl", b"\xff\xfe\n", "line 1 is not JSON"),
        ("list.jsonl", b"[1]\n", "line 1 is no JSON object"),
        ("nested.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("field.jsonl", b'{"body": "a"}\n', "its fields are body"),
        ("type.jsonl", b'{"text": "a", "repo": 3}\n', "repo is int"),
        ("cut.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 999)[:-9], "breaks off"),
        ("fake.jsonl.gz", b'{"text": "a"}\n', "breaks off after line 0"),
        ("cut.parquet", b"PAR1" + bytes(99), "not a readable parquet"),
    ],
)
def test_damaged_tables_are_one_line_errors(name: str, data: bytes, complaint: str, tmp_path: Path, run) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=complaint) as caught:
        run(read, {"paths": [str(tmp_path / name)]})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["nowhere", "python:stdlb", __file__])
def test_missing_sources_are_one_line_errors(path: str, run) -> None:
    with pytest.raises(SmallcoderError) as caught:
        run(read, {"paths": [path]})
    assert "\n" not in str(caught.value)
    with pytest.raises(SmallcoderError):
        read.expect(read.Config(paths=[path]), {})


def test_a_column_without_text(tmp_path: Path, run) -> None:
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="its fields are body"):
        run(read, {"paths": [str(tmp_path)]})
