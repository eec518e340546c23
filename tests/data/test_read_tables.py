"""Tables: one meaning whatever the format, the compression, the place and the names of the columns."""

import csv
import gzip
import io
import json
import tracemalloc
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError, SmallcoderError
from smallcoder.data.read import stage as read
from smallcoder.data.read import tables
from tests.data.reading import CODE, rows_of

RECORDS = [
    {"text": f"{CODE}# {at}, 'é' \"quoted\"\n", "repo": "a/b", "path": f"f{at}.py", "stars": at, "quality": 50.5}
    for at in range(30)
]


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(data)
    return sink.getvalue().to_pybytes()


def as_csv(records: list[dict]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue().encode()


def as_parquet(records: list[dict]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), file, row_group_size=7)
    return file.getvalue()


def every_format(records: list[dict]) -> dict[str, bytes]:
    plain = {"jsonl": "\n".join(map(json.dumps, records)).encode(), "csv": as_csv(records)}
    packed = {f"{kind}.gz": gzip.compress(data) for kind, data in plain.items()}
    packed |= {f"{kind}.zst": zstd(data[:99]) + zstd(data[99:]) for kind, data in plain.items()}
    return plain | packed | {"parquet": as_parquet(records)}


def test_every_format_place_and_pattern_gives_the_same_rows(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for kind, data in every_format(RECORDS).items():
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"a.{kind}").write_bytes(data)
        (tmp_path / kind / "README").write_bytes(b"\xff")
        memory.pipe_file(f"/tables/{kind}/a.{kind}", data)
        where = [f"{tmp_path}/{kind}/a.{kind}", f"{tmp_path}/{kind}", f"{tmp_path}/{kind}/*.{kind}"]
        where += [f"memory://tables/{kind}/a.{kind}", f"memory://tables/{kind}", f"memory://tables/**/*.{kind}"]
        for source in where:
            found = rows_of(source)
            kept = [{name: row[name] for name in RECORDS[0]} for row, reason in found if reason is None]
            assert kept == RECORDS, source
            assert {row["source"] for row, _ in found} == {source}
            assert {(row["lang"], row["forks"]) for row, _ in found} == {("python", None)}


def test_plan_sees_sizes_and_changes(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    data = every_format(RECORDS)["jsonl.gz"]
    for source in (f"{tmp_path}/*.jsonl.gz", "memory://plan/*.jsonl.gz"):
        for at in range(2):
            (tmp_path / f"{at}.jsonl.gz").write_bytes(data)
            memory.pipe_file(f"/plan/{at}.jsonl.gz", data)
        config = read.Config(paths=[source])
        size = read.expect(config, {})
        assert (size.records, size.bytes) == (None, 2 * len(data))
        before = read.outside(config)
        assert before == read.outside(config)
        (tmp_path / "0.jsonl.gz").write_bytes(data + data)
        memory.pipe_file("/plan/0.jsonl.gz", data + data)
        assert before != read.outside(config)


@pytest.mark.parametrize(
    "record",
    [
        {
            "content": CODE, "max_stars_repo_name": "o/r", "max_stars_repo_path": "a.py", "lang": "Python",
            "max_stars_repo_licenses": ["MIT", "ISC OR BSD-3-Clause"], "max_stars_repo_head_hexsha": "0a",
            "max_stars_count": 3.0, "max_forks_count": float("nan"), "quality": None,
        },  # The Stack
        {
            "text": CODE, "repo_name": "o/r", "path": "a.py", "language": "Python", "revision_id": "0a",
            "detected_licenses": ["MIT", "ISC OR BSD-3-Clause"], "star_events_count": 3, "fork_events_count": None,
        },  # The Stack v2
        {
            "content": None, "code": CODE, "repo": "", "repo_name": "o/r", "file_path": "a.py", "commit": "0a",
            "license": "MIT AND (ISC OR BSD-3-Clause)", "stars": "3", "forks": "",
        },  # as csv gives them
    ],
)  # fmt: skip
def test_names_that_data_sets_give_to_columns(record: dict, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    pq.write_table(pa.Table.from_pylist([record]), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        ((row, reason),) = rows_of(str(tmp_path / name))
        assert reason is None
        expected = {
            "text": CODE, "repo": "o/r", "path": "a.py", "lang": "python", "revision": "0a", "stars": 3,
            "forks": None, "license": "MIT AND (ISC OR BSD-3-Clause)", "quality": None,
        }  # fmt: skip
        assert {name: row[name] for name in expected} == expected


ODD = [
    ({"text": CODE, "repo": "\ud800"}, {"repo": "?"}),
    ({"text": CODE, "stars": 10**30}, {"stars": None}),
    ({"text": CODE, "lang": "Objective-C++"}, {"lang": "objectivecpp"}),
    ({"text": CODE, "lang": "Made Up"}, {"lang": "made up"}),
    ({"text": CODE, "path": "a\0\ud800.py"}, {"path": "a\0?.py"}),
    ({"text": CODE, "license": []}, {"license": None}),
]


@pytest.mark.parametrize(("record", "expected"), ODD)
def test_odd_values(record: dict, expected: dict, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    ((row, reason),) = rows_of(str(tmp_path / "a.jsonl"))
    assert reason is None
    assert {name: row[name] for name in expected} == expected


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries({"text": st.text(), "path": st.text()}), min_size=1, max_size=5))
def test_any_text_comes_through_csv_and_jsonl(records: list[dict]) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/any/a.csv", as_csv(records))
    memory.pipe_file("/any/a.jsonl", "\n".join(map(json.dumps, records)).encode())
    found = [
        [(row["text"], row["path"], why) for row, why in rows_of(f"memory://any/a.{kind}")] for kind in ("csv", "jsonl")
    ]
    assert found[0] == found[1]
    for (text, path, reason), record in zip(found[0], records, strict=True):
        assert path == (record["path"].lstrip("/") or None)
        assert reason is not None or text == record["text"].removeprefix("\ufeff")


def test_csv_that_is_not_quite_text(tmp_path: Path) -> None:
    body = 'text,path\n"a\n""b""\n",1\n\n"\xff",2\n"' + "x" * 3_000_000 + '\n",3\n"' + "y" * 2000 + '",4\nz = 1,5\n'
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + body.encode("latin-1"))
    found = [(row["path"], reason) for row, reason in rows_of(str(tmp_path / "a.csv"), max_bytes=1000)]
    assert found == [("1", None), ("2", "not_text"), (None, "too_large"), ("4", "too_large"), ("5", None)]


def test_a_byte_order_mark_before_a_quoted_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbf"path","text"\r\n"a.py","x = 1\n"\r\n')
    ((row, reason),) = rows_of(str(tmp_path / "a.csv"))
    assert (row["path"], row["text"], reason) == ("a.py", "x = 1\n", None)


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("open.csv", b'text,path\na,1\n"b,2\nc,3\n', "breaks off in quotes that open in line 3"),
        ("fields.csv", b"text,path\na,1,2\n", "line 2 has 3 fields and the first line 2"),
        ("stray.csv", b'text,path\n"a"b"",1\n', "line 2 is not csv"),
        ("none.csv", b"body\na\n", "its fields are body"),
        ("cut.csv.gz", gzip.compress(b"text\n" + bytes(range(65, 90)) * 999)[:-9], "breaks off after line"),
        ("cut.jsonl.zst", zstd(b'{"text": "a"}\n' * 999)[:-9], "breaks off after line"),
        ("fake.jsonl.zst", b'{"text": "a"}\n', "breaks off after line 0"),
        ("digits.jsonl", b'{"text": ' + b"9" * 5000 + b"}", "line 1 is not JSON"),
        ("stars.jsonl", b'{"text": "a", "stars": "many"}', "stars is str"),
        ("stars.jsonl", b'{"text": "a", "stars": true}', "stars is bool"),
        ("license.jsonl", b'{"text": "a", "license": {"key": "mit"}}', "license is dict"),
        ("blob.jsonl", b'{"blob_id": "aa"}', "say where they lie"),
    ],
)
def test_damage_is_one_line(name: str, data: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=complaint) as caught:
        rows_of(str(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source", ["nothing/*.parquet", "memory://no/such.parquet", "no-such-protocol://a.parquet", "memory://no/folder"]
)
def test_places_that_are_not_there_are_one_line(source: str) -> None:
    for action in (rows_of, lambda name: read.expect(read.Config(paths=[name]), {})):
        with pytest.raises(SmallcoderError) as caught:
            action(source)
        assert "\n" not in str(caught.value)


class OneLine(io.RawIOBase):
    """A stream of one line that is never in memory."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        count = min(len(buffer), self._left)
        buffer[:count] = b"x" * count
        self._left -= count
        return count


@pytest.mark.parametrize("quoted", [False, True])
def test_a_long_line_is_never_held(quoted: bool) -> None:
    tracemalloc.start()
    try:
        found = list(tables.lines(io.BufferedReader(OneLine(16 << 20)), "a", 1 << 18, quoted))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert found == [("a line 1", None)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv"])
def test_a_line_of_200_megabytes(name: str, tmp_path: Path, run) -> None:
    with gzip.open(tmp_path / name, "wb", 1) if name.endswith("gz") else (tmp_path / name).open("wb") as file:
        file.write(b'text\n"' if name.endswith("csv") else b'{"text": "a"}\n{"text": "')
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b'"\nb\n' if name.endswith("csv") else b'"}\n{"text": "b"}\n')
    tracemalloc.start()
    try:
        kept, dropped, _ = run(read, {"paths": [str(tmp_path / name)]})
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert [row["reason"] for row in dropped] == ["too_large"]
    assert kept[-1]["text"] == "b"
