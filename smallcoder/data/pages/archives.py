"""Pages out of web archives: WARC and WET files (ISO 28500), plain or compressed, and tables with a column of HTML.

Of an archive the responses, resources and conversions count; requests and metadata are passed over. What is no page is
an ordinary find and becomes a drop: `http_status` (not 200), `not_html`, `too_large`, `truncated` (the crawler cut it,
or the file does), `damaged` (the archive breaks off here: the rest of it is lost).
An archive without any record is an error. Memory: one page of at most `max_bytes`, whatever a record says of itself.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from smallcoder.core.errors import InputError, ToolError
from smallcoder.data.read import tables
from smallcoder.data.read.files import writable
from smallcoder.data.read.places import Place, brief, places

ARCHIVES = tuple(f".{kind}{packed}" for kind in ("warc", "wet") for packed in ("", ".gz", ".zst", ".lz4"))
ENDINGS = (*ARCHIVES, *tables.ENDINGS)
HTML = frozenset(["text/html", "application/xhtml+xml", "application/xhtml", "application/vnd.wap.xhtml+xml"])
PLAIN = "text/plain"
CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})[^\r\n]{0,200}\r\n")
COLUMNS = {"html": ("html", "raw_html", "content"), "url": ("url", "uri", "path"), "date": ("date", "crawl_date")}


@dataclass(frozen=True)
class Raw:
    """A page as it was stored: `plain` is text already; `charset` is what HTTP said; `reason` why it is no use."""

    url: str | None
    date: str | None
    data: bytes = b""
    charset: str | None = None
    plain: bool = False
    reason: str | None = None


def pages(source: str, max_bytes: int) -> Iterator[Raw]:
    """The pages of all files that a source names. Raises InputError for a file that is none of these kinds."""
    for place in places(source, ENDINGS):
        yield from _archive(place, max_bytes) if place.name.endswith(ARCHIVES) else _table(place, max_bytes)


def _archive(place: Place, max_bytes: int) -> Iterator[Raw]:
    archive, kinds = _library()
    count, url = 0, None
    with place.open() as file:
        try:
            wanted = kinds.response | kinds.resource | kinds.conversion
            for record in archive(file, parse_http=True, auto_decode="none", fsspec_args=False):
                count += 1
                url = record.headers.get("WARC-Target-URI")
                if record.record_type & wanted:
                    yield _page(record, kinds, max_bytes)
        except (OSError, EOFError) as error:
            if not count:
                raise InputError(f"{place.name} is no web archive ({brief(error)})", "copy the file again") from None
            yield Raw(writable(url) if url else None, None, reason="damaged")
    if not count:
        raise InputError(f"{place.name} holds no records", "name a WARC or WET file")


def _page(record: Any, kinds: Any, max_bytes: int) -> Raw:
    """One record; nothing of it is read that is not wanted."""
    headers, http = record.headers, record.http_headers
    url = writable((headers.get("WARC-Target-URI") or "").strip("<>"))
    about = {"url": url or None, "date": headers.get("WARC-Date")}
    plain = record.record_type == kinds.conversion
    kind = (record.http_content_type or headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if record.record_type == kinds.response and (http is None or http.status_code is None):
        return Raw(**about, reason="truncated")
    if http is not None and http.status_code not in (200, None):
        return Raw(**about, reason="http_status")
    if kind != PLAIN if plain else kind not in HTML:
        return Raw(**about, reason="not_html")
    if headers.get("WARC-Truncated"):
        return Raw(**about, reason="truncated")
    try:
        data = record.reader.read(max_bytes + 1)
    except (OSError, EOFError):
        return Raw(**about, reason="damaged")
    whole = len(data) >= min(record.content_length, max_bytes + 1)
    if http and "chunked" in (http.get("Transfer-Encoding") or "").lower():
        data = _unchunked(data)
    data = _decoded(data, http.get("Content-Encoding") if http else None, max_bytes + 1)
    if not whole or len(data) > max_bytes:
        return Raw(**about, reason="too_large" if whole else "truncated")
    return Raw(**about, data=data, charset=record.http_charset, plain=plain)


def _unchunked(data: bytes) -> bytes:
    """A page that was sent in chunks (RFC 9112, section 7.1), as far as they are whole; as it is if they are none."""
    parts, at = [], 0
    while found := CHUNK.match(data, at):
        size = int(found[1], 16)
        parts.append(data[found.end() : found.end() + size])
        at = found.end() + size + 2
        if not size:
            break
    return b"".join(parts) if parts else data


def _decoded(data: bytes, encoding: str | None, limit: int) -> bytes:
    """The first `limit` bytes of a page that was sent compressed; many crawlers leave the header and store it plain."""
    encoding = (encoding or "").strip().lower()
    if encoding in {"gzip", "x-gzip", "deflate"}:
        for bits in (47, -15):  # with a header of gzip or zlib, and without one
            try:
                return zlib.decompressobj(bits).decompress(data, limit)
            except zlib.error:
                continue
    if encoding == "br":
        brotli = import_module("brotli")  # fastwarc brings it
        try:
            return brotli.Decompressor().process(data, output_buffer_limit=limit)
        except brotli.error:
            pass
    return data


def _table(place: Place, max_bytes: int) -> Iterator[Raw]:
    for where, record in tables.records(place, 6 * max_bytes + (1 << 20), _wanted):
        if record is None:
            yield Raw(None, None, reason="too_large")
            continue
        html, url, date = (_first(record, names) for names in COLUMNS.values())
        if not any(name in record for name in COLUMNS["html"]):
            raise InputError(f"{where} has no HTML (its fields are {', '.join(record)})", "name the field `html`")
        data = html.encode("utf-8", "replace") if isinstance(html, str) else html
        about: dict[str, Any] = {
            name: writable(str(value)) if value else None for name, value in (("url", url), ("date", date))
        }
        reason = "not_html" if not isinstance(data, bytes) else "too_large" if len(data) > max_bytes else None
        yield Raw(**about, data=data if isinstance(data, bytes) and not reason else b"", reason=reason)


def _wanted(names: Iterable[str]) -> list[str]:
    names = list(names)
    known = {name for synonyms in COLUMNS.values() for name in synonyms}
    return [name for name in names if name in known] if not known.isdisjoint(names) else []


def _first(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _library() -> tuple[Any, Any]:
    try:
        from fastwarc.warc import ArchiveIterator, WarcRecordType
    except ImportError:
        raise ToolError("web archives need fastwarc", "pip install 'smallcoder[pages]'") from None
    return ArchiveIterator, WarcRecordType
