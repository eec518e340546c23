"""URLs: a real server on this machine, with ranges as object stores have them and without."""

import gzip
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smallcoder.core.errors import InputError
from smallcoder.data.read import stage as read
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
