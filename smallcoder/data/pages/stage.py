"""Stage `read_pages`: pages of the web as documents: their content as Markdown, with code and mathematics whole.

`paths` lists files, patterns and URLs as `read` takes them: WARC and WET archives (`archives.py`), and tables with a
column `html`, and `url` if they have it. A page becomes a document whose `path` is its URL, so that stage `text` knows
its site and kind; `repo` is its host, so that `split` and classifiers keep a site on one side; `revision` is the time
it was crawled, `license` the Creative Commons licence that it states for itself, `lang` is "markdown".

Reasons to drop: those of `archives`, and `empty`. Cost: HTML to text at 75 MB a CPU-second or more (perf/pages.py), by
`workers` processes; one process unpacks. Neither language nor quality is judged, and no page is fetched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from smallcoder.core.progress import Progress
from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import Sieve
from smallcoder.data.engine import parallel_map
from smallcoder.data.kinds import address
from smallcoder.data.pages.archives import ENDINGS, Raw, pages
from smallcoder.data.pages.html import page_license, page_text
from smallcoder.data.read.config import Row
from smallcoder.data.read.files import batched
from smallcoder.data.read.places import fingerprint, stored


class Config(StageConfig):
    """What to read. A page of more than `max_bytes` of HTML is dropped: common crawls cut at 1 or 5 MiB."""

    paths: list[str] = Field(min_length=1)
    max_bytes: int = Field(default=2 << 20, gt=0)
    workers: int = run_only(1, ge=1)


@dataclass(frozen=True)
class Item:
    """A page and the entry of the recipe that it was read from."""

    source: str
    raw: Raw


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents and out/dropped. Raises InputError for a source that is missing or of another kind.

    Facts besides the retention: `html_bytes` of the pages that were converted, and the number of `hosts`.
    """
    html_bytes, hosts = 0, set()
    found = parallel_map(_rows, batched(_items(config), lambda item: len(item.raw.data)), config.workers, True)
    with Sieve(out, DOCUMENT) as sieve, Progress("read pages", unit="pages") as progress:
        for items, rows in found:
            html_bytes += sum(len(item.raw.data) for item in items)
            hosts |= {row["repo"] for row, reason in rows if reason is None}
            sieve.put(
                pa.RecordBatch.from_pylist([row for row, _ in rows], schema=DOCUMENT), [reason for _, reason in rows]
            )
            progress.advance(len(items))
        return {**sieve.close(), "html_bytes": html_bytes, "hosts": len(hosts - {None})}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """The size of the files as they are stored."""
    return Size(None, sum(stored(source, ENDINGS).bytes or 0 for source in config.paths), "compressed size of archives")


def outside(config: Config) -> dict[str, str]:
    """A fingerprint of the files of every source."""
    return {source: fingerprint(source, ENDINGS) for source in config.paths}


def _items(config: Config) -> Iterator[Item]:
    for source in dict.fromkeys(config.paths):
        for raw in pages(source, config.max_bytes):
            yield Item(source, raw)


def _rows(items: list[Item]) -> list[Row]:
    return [row(item.source, item.raw) for item in items]


def row(source: str, raw: Raw) -> Row:
    """The DOCUMENT row of a page and the reason to drop it, None for one to keep."""
    text, reason = None, raw.reason
    if reason is None:
        text = raw.data.decode("utf-8", "replace").replace("\0", "") if raw.plain else page_text(raw.data, raw.charset)
        reason = None if text.strip() else "empty"
    url = address(raw.url)
    found: dict[str, Any] = {
        "id": record_id(source, raw.url, raw.date, raw.data),
        "text": text,
        "lang": "markdown",
        "repo": url.host if url else None,
        "revision": raw.date,
        "path": raw.url,
        "license": None if raw.plain else page_license(raw.data),
        "source": source,
        "lineage": [],
    }
    return found, reason
