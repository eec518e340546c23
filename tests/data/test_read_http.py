"""URLs: a real server on this machine, with ranges as object stores have them and without."""

import gzip
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smallcoder.core.errors import InputError
from smallcoder.data.history import events as stage
from smallcoder.data.read import places
from smallcoder.data.read import stage as read
from tests.data.history.archive import Archive
from tests.data.reading import CODE, reasons_of, rows_of
from tests.data.test_read_archives import REASONS, SETTINGS, TREE, as_tar, as_zip
from tests.data.test_read_tables import RECORDS, every_format

pytest.importorskip("aiohttp", reason="URLs need aiohttp, which is not installed")


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, and parts of them for those who ask."""

    ranges = True

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not (asked and self.ranges and path.is_file()):
            return super().do_GET()
        data = path.read_bytes()
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(data[first : last + 1])
        return None

    def end_headers(self) -> None:
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class WithoutRanges(Handler):
    ranges = False


@pytest.fixture(params=[Handler, WithoutRanges])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path, bool]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(request.param, directory=str(tmp_path))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", tmp_path, request.param.ranges
        running.shutdown()


def test_tables_and_archives(server: tuple[str, Path, bool]) -> None:
    url, folder, ranges = server
    made = {f"a.{kind}": data for kind, data in every_format(RECORDS).items()}
    made |= {"a.zip": as_zip(TREE), "a.tar.gz": as_tar(TREE, "w:gz")}
    for name, data in made.items():
        (folder / name).write_bytes(data)
        assert read.expect(read.Config(paths=[f"{url}/{name}"]), {}).bytes == len(data)
        if name == "a.zip" and not ranges:  # its directory lies at its end
            with pytest.raises(InputError, match="not a whole archive"):
                rows_of(f"{url}/{name}")
        elif "tar" in name or "zip" in name:
            assert reasons_of(f"{url}/{name}", **SETTINGS) == REASONS
        else:
            assert [row["text"] for row, _ in rows_of(f"{url}/{name}")] == [record["text"] for record in RECORDS]


def test_blobs(server: tuple[str, Path, bool]) -> None:
    url, folder, _ = server
    blobs = {f"{at:040x}": gzip.compress(f"{CODE}# {at}\n".encode()) for at in range(40)}
    for name, data in blobs.items():
        (folder / name).write_bytes(data)
    pq.write_table(pa.table({"blob_id": [*blobs, "f" * 40]}), folder / "ids.parquet")
    found = rows_of(str(folder / "ids.parquet"), blobs=url)
    assert [row["text"] for row, _ in found] == [*(f"{CODE}# {at}\n" for at in range(40)), None]
    assert found[-1][1] == "blob_missing"


def test_what_a_server_does_not_have_is_one_line(server: tuple[str, Path, bool]) -> None:
    for name in ("none.jsonl", "none.zip", "none"):
        with pytest.raises(InputError) as caught:
            rows_of(f"{server[0]}/{name}")
        assert "\n" not in str(caught.value)


class Halved:
    """A connection over which go the headers and half of what is written next."""

    def __init__(self, file: Any) -> None:
        self.flush, self.close, self.closed = file.flush, file.close, False
        self._file, self._writes = file, 0

    def write(self, data: bytes) -> None:
        self._writes += 1
        with suppress(OSError):
            self._file.write(data if self._writes == 1 else data[: len(data) // 2 if self._writes == 2 else 0])


class Flaky(Handler):
    """Fails `failures` times in a row, then answers once: by a status, or by breaking off in the middle."""

    failures, since, breaks_off = 0, 0, False

    def do_GET(self) -> None:
        kind = type(self)
        if kind.since >= kind.failures:
            kind.since = 0
            return super().do_GET()
        kind.since += 1
        if not kind.breaks_off:
            return self.send_error(503)
        self.wfile = Halved(self.wfile)  # type: ignore[assignment]
        self.close_connection = True
        return super().do_GET()


@pytest.fixture(params=[(Handler, False), (Handler, True), (WithoutRanges, True)])
def flaky(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Path, type[Flaky]]]:
    monkeypatch.setattr(places, "PAUSE", 0.001)
    monkeypatch.setattr("smallcoder.data.read.columns.IN_FLIGHT", 1)
    kind = type("Once", (Flaky,), {"ranges": request.param[0].ranges, "breaks_off": request.param[1]})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=str(tmp_path))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", tmp_path, kind
        running.shutdown()


def test_a_flaky_server_gives_all_and_a_dead_one_gives_its_name(flaky: tuple[str, Path, type[Flaky]]) -> None:
    url, folder, kind = flaky
    lines = [json.dumps({"text": f"{CODE}# {at} {random.Random(at).random()}\n"}) for at in range(6_000)]
    (folder / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (folder / "a.tar.gz").write_bytes(as_tar(TREE, "w:gz"))
    kind.failures = places.RETRIES - 2 if not kind.breaks_off else 1
    assert [row["text"] for row, _ in rows_of(f"{url}/a.jsonl.gz")] == [json.loads(line)["text"] for line in lines]
    assert reasons_of(f"{url}/a.tar.gz", **SETTINGS) == REASONS
    pq.write_table(pa.table({"text": [json.loads(line)["text"] for line in lines]}), folder / "a.parquet")
    if kind.ranges:
        assert len(rows_of(f"{url}/a.parquet")) == len(lines)
    blobs = {f"{at:040x}": gzip.compress(f"{CODE}# {at}\n".encode()) for at in range(3)}
    for name, data in blobs.items():
        (folder / name).write_bytes(data)
    pq.write_table(pa.table({"blob_id": list(blobs)}), folder / "ids.parquet")
    assert len(rows_of(str(folder / "ids.parquet"), blobs=url)) == 3

    events = Archive()
    events.issue(1, "ann", "Broken", "It does not work at all. " * 20)
    events.comment(events.issue(1, "ann", "Broken", None, "edited"), "bert", "Have you tried it twice? " * 9)
    noise = [json.dumps({"type": "PushEvent", "a": random.Random(at).random()}).encode() for at in range(3000)]
    (folder / "a.json.gz").write_bytes(gzip.compress(b"\n".join([*noise, *events.lines])))
    (folder / "out").mkdir()
    facts = stage.run(stage.Config(paths=[f"{url}/a.json.gz"]), {}, folder / "out")
    assert facts["lines"] == {"kept": 3, "other": 3000}

    kind.failures = 1 << 30
    (folder / "dead").mkdir()
    for name, call in (
        ("a.jsonl.gz", lambda: rows_of(f"{url}/a.jsonl.gz")),
        ("a.parquet", lambda: rows_of(f"{url}/a.parquet")),
        ("a.tar.gz", lambda: rows_of(f"{url}/a.tar.gz", **SETTINGS)),
        (next(iter(blobs)), lambda: rows_of(str(folder / "ids.parquet"), blobs=url)),
        ("a.json.gz", lambda: stage.run(stage.Config(paths=[f"{url}/a.json.gz"]), {}, folder / "dead")),
    ):
        if name == "a.parquet" and not kind.ranges:  # its footer lies at its end
            continue
        with pytest.raises(places.UnreachableError, match=re.escape(f"{url}/{name} does not answer")):
            call()
