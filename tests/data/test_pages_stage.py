"""Archives and tables of pages: what is read, what is dropped and why, whatever the files are made of."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.tables import folder_digest
from smallcoder.data import text
from smallcoder.data.pages import stage

pytest.importorskip("fastwarc", reason="the extra `pages` is not installed")

HTML = b"<html><body><nav>Menu</nav><p>Use it so:</p><pre>for x in y:\n    print(x)</pre></body></html>"
TEXT = "Use it so:\n\n```\nfor x in y:\n    print(x)\n```"


def record(url, body=HTML, *, http=b"", status=b"200 OK", mime="text/html", kind="response", warc="", size=None):
    """One WARC record; `http` and `warc` are further header lines, `size` what the record says of its size."""
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: " + mime.encode() + b"\r\n" + http + b"\r\n"
    block = head + body if kind in ("response", "request") else body
    mark = "application/http; msgtype=response" if kind == "response" else mime
    about = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-01T10:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{url}>\r\nContent-Type: {mark}\r\n{warc}"
        f"Content-Length: {size or len(block)}\r\n\r\n"
    )
    return about.encode() + block + b"\r\n\r\n"


CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HTML), HTML)
CASES = {  # name -> the record and the reason to drop it
    "plain": (record("https://www.example.org/plain"), None),
    "licensed": (record("https://example.org/licensed", HTML + b'<a rel="license" href="https://creativecommons.org/'
                        b'licenses/by/4.0/">CC</a>'), None),
    "gzip": (record("https://example.org/gzip", gzip.compress(HTML), http=b"Content-Encoding: gzip\r\n"), None),
    "not gzip": (record("https://example.org/x", HTML, http=b"Content-Encoding: gzip\r\n"), None),
    "chunked": (record("https://example.org/c", CHUNKED, http=b"Transfer-Encoding: chunked\r\n"), None),
    "latin": (record("https://b.org/l", HTML.replace(b"Use", b"\xdcse"), mime="text/html;charset=latin1"), None),
    "text": (record("https://example.org/t", b"Said.\n  so", kind="conversion", mime="text/plain"), None),
    "xhtml": (record("https://example.org/xhtml", mime="application/xhtml+xml"), None),
    "no chunks": (record("https://example.org/nc", HTML, http=b"Transfer-Encoding: chunked\r\n"), None),
    "moved": (record("https://example.org/m", status=b"301 Moved"), "http_status"),
    "pdf": (record("https://example.org/p.pdf", b"%PDF", mime="application/pdf"), "not_html"),
    "picture": (record("https://example.org/p.png", b"\x89PNG", mime="image/png", kind="resource"), "not_html"),
    "large": (record("https://example.org/large", HTML * 400), "too_large"),
    "bomb": (record("https://example.org/b", gzip.compress(b"<p>" * 10**6), http=b"Content-Encoding: gzip\r\n"),
             "too_large"),
    "cut": (record("https://example.org/cut", warc="WARC-Truncated: length\r\n"), "truncated"),
    "empty": (record("https://example.org/e", b"<html><nav>Menu</nav>"), "empty"),
    "request": (record("https://example.org/plain", kind="request"), "passed over"),
    "metadata": (record("https://example.org/plain", b"a: b", kind="metadata"), "passed over"),
}  # fmt: skip
EXPECTED = {name: reason for name, (_, reason) in CASES.items() if reason != "passed over"}
WHOLE = b"".join(data for data, _ in CASES.values())
PACKED = b"".join(gzip.compress(data) for data, _ in CASES.values())


FILES = {
    "plain": ("a.warc", WHOLE),
    "a member a record": ("a.warc.gz", PACKED),
    "one member": ("a.warc.gz", gzip.compress(WHOLE)),
}


@pytest.mark.parametrize("form", FILES)
def test_archives(form, tmp_path, run) -> None:
    name, data = FILES[form]
    (tmp_path / name).write_bytes(data)
    kept, dropped, facts = run(stage, {"paths": [str(tmp_path / name)], "max_bytes": 20_000})
    reasons = sorted(reason for reason in EXPECTED.values() if reason)
    assert sorted(row["reason"] for row in dropped) == reasons
    assert len(kept) == len(EXPECTED) - len(reasons)
    assert facts["hosts"] == 2
    first = kept[0]
    assert first["text"] == TEXT
    assert (first["path"], first["repo"]) == ("https://www.example.org/plain", "example.org")
    assert (first["lang"], first["revision"]) == ("markdown", "2024-05-01T10:00:00Z")
    licences = {row["path"]: row["license"] for row in kept}
    assert licences.pop("https://example.org/licensed") == "CC-BY-4.0"
    assert set(licences.values()) == {None}
    assert {row["text"] for row in kept if row["path"].endswith(("gzip", "/x", "/c", "/nc", "xhtml"))} == {TEXT}
    assert next(row["text"] for row in kept if row["path"].endswith("/l")).startswith("Üse")
    assert next(row["text"] for row in kept if row["path"].endswith("/t")) == "Said.\n  so"
    assert next(row["text"] for row in dropped if row["reason"] == "too_large") is None


def test_workers_and_order_of_sources_do_not_matter(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.warc").write_bytes(b"".join(record(f"https://{name}.org/{at}") for at in range(300)))
    digests = set()
    for workers, names in ((1, "ab"), (2, "ba")):
        out = tmp_path / f"out{workers}"
        out.mkdir()
        paths = [str(tmp_path / f"{name}.warc") for name in names]
        stage.run(stage.Config(paths=paths, workers=workers), {}, out)
        digests.add((folder_digest(out / "documents"), folder_digest(out / "dropped")))
    assert len(digests) == 1


def test_tables(tmp_path, run) -> None:
    rows = [
        {"url": "https://example.org/a", "html": HTML.decode(), "other": 1},
        {"url": "https://example.org/b", "html": None, "other": 1},
        {"url": None, "html": HTML.decode(), "other": 2},
        {"url": "https://example.org/c", "html": HTML.decode() * 400, "other": 3},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("a.parquet", "a.jsonl"):
        kept, dropped, _ = run(stage, {"paths": [str(tmp_path / name)], "max_bytes": 20_000})
        assert [(row["path"], row["text"]) for row in kept] == [("https://example.org/a", TEXT), (None, TEXT)]
        assert sorted(row["reason"] for row in dropped) == ["not_html", "too_large"]
    pq.write_table(pa.table({"html": [HTML]}), tmp_path / "bytes.parquet")
    assert run(stage, {"paths": [str(tmp_path / "bytes.parquet")]})[0][0]["text"] == TEXT
    for name, row in (("none.jsonl", '{"a": 1}\n'), ("text.csv", "a,b\n1,2\n")):
        (tmp_path / name).write_text(row)
        with pytest.raises(InputError, match="html"):
            run(stage, {"paths": [str(tmp_path / name)]})


def test_what_breaks_off_is_counted_and_what_is_no_archive_is_an_error(tmp_path, run) -> None:
    def reasons(name: str, data: bytes) -> list[str]:
        (tmp_path / name).write_bytes(data)
        kept, dropped, _ = run(stage, {"paths": [str(tmp_path / name)]})
        assert kept
        return [row["reason"] for row in dropped]

    whole = [record(f"https://example.org/{at}", HTML * 3) for at in range(4)]
    assert reasons("cut.warc", b"".join(whole)[:-100]) == ["truncated"]
    assert reasons("cut.warc.gz", b"".join(map(gzip.compress, whole))[:-100]) in (["truncated"], ["damaged"])
    assert reasons("junk.warc", whole[0] + b"no record at all\r\n\r\n" * 9 + whole[1]) == ["damaged"]
    broken = gzip.compress(whole[1])
    assert reasons("flip.warc.gz", gzip.compress(whole[0]) + broken[:40] + b"\0\0\0\0" + broken[44:]) == ["damaged"]
    assert reasons("lies.warc", whole[0] + record("https://example.org/", size=1 << 40)) == ["truncated"]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    junk = {"no.warc": b"junk " * 100, "none.warc": b"", "a.warc.gz": b"junk", "t.warc": packed.getvalue()}
    for name, data in junk.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError):
            run(stage, {"paths": [str(tmp_path / name)]})
    for name in ("missing.warc", "*.warc.zst"):
        with pytest.raises(InputError):
            run(stage, {"paths": [str(tmp_path / name)]})
    with pytest.raises(EmptyError):
        reasons("empty.warc", record("https://example.org/", b"<p>"))


def test_stage_text_knows_the_pages(tmp_path, run) -> None:
    pages = {"https://mathoverflow.net/q/1": "math_source", "https://docs.python.org/3/tutorial/": None}
    (tmp_path / "a.warc").write_bytes(b"".join(record(url) for url in pages))
    out = tmp_path / "read"
    out.mkdir()
    stage.run(stage.Config(paths=[str(tmp_path / "a.warc")]), {}, out)
    kept, dropped, facts = run(text, {}, documents=Path(out / "documents"))
    assert {row["path"]: row.get("reason") for row in kept + dropped} == pages
    assert kept[0]["text"] == TEXT
    assert facts["kinds"].keys() >= {"tutorial"}
