"""Stage `read`: documents from installed Python, folders of repositories and tables.

`paths` lists sources, read in that order:
    "python:stdlib", "python:site-packages"    the running interpreter's own code
    "FILE.parquet", "FILE.jsonl", "FILE.jsonl.gz" or a folder that holds such files
    any other folder                           repositories
Costs a pass over the files; bounded memory. It decides nothing about quality: it drops only what is no text, empty,
too large, vendored (another's code, whose licence the repository does not state) or in a folder named in `skip`.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import Field

from smallcoder.core.errors import InputError
from smallcoder.core.progress import Progress
from smallcoder.core.recipe import nearest
from smallcoder.core.records import DOCUMENT
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import Sieve
from smallcoder.data.engine import parallel_map
from smallcoder.data.read import distributions, folder, stdlib
from smallcoder.data.read.files import SourceFile, load
from smallcoder.data.read.tables import rows, tables
from smallcoder.data.tally import Tally

T = TypeVar("T")
BATCH = 128
INSTALLED = {stdlib.NAME: stdlib, distributions.NAME: distributions}
Row = tuple[dict[str, Any], str | None]  # a DOCUMENT row and the reason to drop it


class Config(StageConfig):
    """What to read. Sizes are in bytes."""

    paths: list[str] = Field(min_length=1)
    extensions: tuple[str, ...] = (".py",)
    skip: tuple[str, ...] = ()  # names of folders to leave out, such as "tests"
    max_bytes: int = Field(
        default=1 << 20, gt=0
    )  # larger sources are data or generated: none of the standard library is
    workers: int = run_only(1, ge=1)


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents and out/dropped. Raises InputError for a source that is missing or damaged."""
    tally = Tally()
    sources = [(source, _locate(source)) for source in dict.fromkeys(config.paths)]
    with Sieve(out, DOCUMENT) as sieve, Progress("read", unit="files") as progress:
        for source, path in sources:
            for batch in _batches(source, path, config):
                documents = pa.RecordBatch.from_pylist([row for row, _ in batch], schema=DOCUMENT)
                reasons = [reason for _, reason in batch]
                sieve.put(documents, reasons)
                tally.add(documents.filter(pa.array(reasons, pa.string()).is_null()))
                progress.advance(len(batch))
        return {**sieve.close(), "contents": tally.facts()}


def _locate(source: str) -> Path | None:
    """The path of a source on disk, None for what is installed. Raises InputError where there is nothing to read."""
    if source in INSTALLED:
        return None
    if source.startswith("python:"):
        raise InputError(f"there is no source {source!r}", nearest(source, INSTALLED))
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f"there is no {source} to read", "mend `paths`; relative ones start where you are")
    if not path.is_dir() and not tables(path):
        raise InputError(f"{source} is no folder and no table", "name a folder, a .parquet, a .jsonl or a .jsonl.gz")
    return path


def _files(source: str, path: Path | None, config: Config) -> Iterator[SourceFile]:
    skip = frozenset(config.skip)
    if path is None:
        return INSTALLED[source].files(config.extensions, skip)
    return folder.files(path, source, config.extensions, skip)


def _batches(source: str, path: Path | None, config: Config) -> Iterator[list[Row]]:
    if path and (found := tables(path)):
        for table in found:
            yield from _chunks(rows(table, source, config.max_bytes))
        return
    loaded = parallel_map(partial(_load, config.max_bytes), _chunks(_files(source, path, config)), config.workers)
    yield from (batch for _, batch in loaded)


def _load(max_bytes: int, files: list[SourceFile]) -> list[Row]:
    return [load(file, max_bytes) for file in files]


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    source = iter(items)
    while chunk := list(islice(source, BATCH)):
        yield chunk


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """Number and bytes of the files to be opened, from their sizes on disk; rows of jsonl files are not counted."""
    records, size, exact = 0, 0, True
    for source in dict.fromkeys(config.paths):
        path = _locate(source)
        found = tables(path) if path else []
        exact = exact and not found
        size += sum(table.stat().st_size for table in found)
        if not found:
            for file in _files(source, path, config):
                if file.reason is None and file.location.is_file():
                    records += 1
                    size += file.location.stat().st_size
    return Size(records if exact else None, size, "" if exact else "compressed size of the tables")


def outside(config: Config) -> dict[str, str]:
    """Versions of the interpreter and the distributions that are read, fingerprints of folders and files."""
    found: dict[str, str] = {}
    for source in dict.fromkeys(config.paths):
        path = _locate(source)
        found |= INSTALLED[source].versions() if path is None else {source: folder.fingerprint(path)}
    return found
