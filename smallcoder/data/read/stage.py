"""Stage `read`: documents from installed Python, folders, git repositories, archives, tables and data sets.

`paths` lists sources, read in that order:
    "python:stdlib", "python:site-packages"     the running interpreter's own code
    "FOLDER"                                    a repository, or repositories, or the tables directly in it
    "git:FOLDER@REVISION"                       a git repository at a revision, bare or not
    "FILE.parquet", ".jsonl", ".csv"            tables, the last two also with .gz or .zst
    "FILE.zip", ".whl", ".tar", ".tar.gz", ...  archives, wheels and sdists
    "hf-dataset:NAME#CONFIG@SPLIT"              a data set of a Hugging Face hub
Tables and archives may be patterns (`data/*.parquet`) and URLs (`s3://`, `hf://`, `https://`; a folder's URL means the
tables in it). Each kind has its module with `parts`, `batches`, `expect` and `outside`; `kind` is the table of them.

Costs a pass over the files; bounded memory. On a cluster a worker reads a part: a repository, a table, an archive, a
data set; what is installed is read where the run was started. It decides nothing about quality: it drops only what is
no text, empty, too large, missing or damaged, vendored (another's code, whose licence the repository does not state)
or in a folder named in `skip`.
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from smallcoder.core.errors import InputError
from smallcoder.core.progress import Progress, track
from smallcoder.core.recipe import nearest
from smallcoder.core.records import DOCUMENT
from smallcoder.core.stage import Facts, Inputs, Size
from smallcoder.core.tables import Sieve, require_kept
from smallcoder.data import cluster
from smallcoder.data.licenses.scan import scanner
from smallcoder.data.read import archives, distributions, folder, git, hub, stdlib, tables
from smallcoder.data.read.config import Config
from smallcoder.data.tally import Tally

MOST = 4096  # tasks of a cluster
Sources = list[tuple[str, list[Any]]]  # and of each some of its parts
INSTALLED = {stdlib.NAME: stdlib, distributions.NAME: distributions}

__all__ = ["Config", "expect", "outside", "run"]


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents and out/dropped. Raises InputError for a source that is missing or damaged."""
    # All are looked for before the first is read.
    sources = [(source, module.parts(source)) for source, module in _sources(config)]
    facts, tally = (_spread if cluster.connected() else fill)(config, out, sources)
    require_kept(facts)
    return {**facts, "contents": tally.facts()}


def fill(config: Config, out: Path, sources: Sources, name: str = "part") -> tuple[Facts, Tally]:
    """Read sources, some parts of each, into shards of that name; the retention facts and what there is."""
    tally = Tally()
    with Sieve(out, DOCUMENT, part=name) as sieve, Progress("read", unit="files") as progress:
        for source, parts in sources:
            for batch in kind(source).batches(source, parts, config):
                documents = pa.RecordBatch.from_pylist([row for row, _ in batch], schema=DOCUMENT)
                tally.add(sieve.put(documents, [reason for _, reason in batch]))
                progress.advance(len(batch))
        return sieve.facts(), tally


def _spread(config: Config, out: Path, sources: Sources) -> tuple[Facts, Tally]:
    """`fill` over the cluster, but for what is installed here."""
    away = [(source, [part]) for source, parts in sources if source not in INSTALLED for part in parts]
    size = 1 + len(away) // MOST
    work = list(enumerate(away[at : at + size] for at in range(0, len(away), size)))

    def apart(item: tuple[int, Sources]) -> tuple[Facts, Tally]:
        return fill(config, out, item[1], cluster.part(item[0]))

    facts, tally = fill(config, out, [found for found in sources if found[0] in INSTALLED])
    for _, (more, counted) in track(cluster.spread(apart, work, processes=True), "read", len(work), "tasks"):
        cluster.add(facts, more)
        tally += counted
    return {**facts, "dropped": dict(sorted(facts["dropped"].items()))}, tally


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """What the sources say of their sizes without being opened; records are None where one of them does not know."""
    sizes = [module.expect(source, config) for source, module in _sources(config)]
    counts = [size.records for size in sizes if size.records is not None]
    notes = dict.fromkeys(size.note for size in sizes if size.note)
    return Size(
        sum(counts) if len(counts) == len(sizes) else None,
        sum(size.bytes or 0 for size in sizes),
        ", ".join(notes),
    )


def outside(config: Config) -> dict[str, str]:
    """Versions of the interpreter and the distributions that are read, commits, fingerprints of folders and files."""
    found: dict[str, str] = {}
    for source, module in _sources(config):
        found |= module.outside(source)
    # It is asked for licence texts that no phrase settles, so its version is part of the answer.
    return found | ({"scancode": version} if (version := scanner()) else {})


def _sources(config: Config) -> Iterator[tuple[str, ModuleType]]:
    return ((source, kind(source)) for source in dict.fromkeys(config.paths))


def kind(source: str) -> ModuleType:
    """The module that reads a source, told by its name alone but for folders. Raises InputError for none."""
    if source.startswith("python:"):
        if source not in INSTALLED:
            raise InputError(f"there is no source {source!r}", nearest(source, INSTALLED))
        return INSTALLED[source]
    for module in (git, hub):
        if source.startswith(module.PREFIX):
            return module
    for module in (tables, archives):
        if source.endswith(module.ENDINGS):
            return module
    if "://" in source:
        return tables
    path = Path(source).expanduser()
    if path.is_dir():
        return tables if _holds_tables(path) else folder
    what = "is no folder, no table and no archive" if path.exists() else "is not there to read"
    endings = ", ".join((*tables.ENDINGS, *archives.ENDINGS))
    raise InputError(f"{source} {what}", f"name a folder, or a file or pattern that ends in one of {endings}")


def _holds_tables(path: Path) -> bool:
    """Whether a folder is one of tables: a repository stays one, whatever data lies in it."""
    if any((path / mark).exists() for mark in folder.ROOT_MARKS):
        return False
    return any(file.name.endswith(tables.ENDINGS) and file.is_file() for file in path.iterdir())
