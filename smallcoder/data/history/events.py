"""Stage `events`: the issues and pull requests of GH Archive's hourly files as documents, one a thread.

`paths` name files of events, one JSON object a line, as GH Archive gives them out (`2020-01-01-0.json.gz`): files,
patterns or URLs. Events of the five kinds that belong to a thread are sorted to disk by repository and number; then
each thread is put together (`threads.py`), freed of bots, e-mail, templates and names (`discussion.py`) and written as
StarCoder2 writes it: issues in `threads.py`, pull requests in `pulls.py`, which says where their code comes from.

`repositories` maps "owner/name" to a folder with its git repository, for base files and diffs. The licence is that of
the repository at the base, else what the event says, else null: GH Archive tells few. An issue's own text stands under
GitHub's terms. A line that cannot be read counts in `lines` of the facts (`broken`, `too_long`, `odd`, `old_format`)
and stops nothing; neither does a file that breaks off (`broken_files`); a server that does not answer stops the run,
since what it holds would be missing. The text of a dropped record is its title.

The same threads come out whatever the order of the files. Two passes, about 100 MB of unpacked events a CPU-second
(perf/history.py); disk for the texts of all events kept; memory for a 256th of them, or for about 64 MB where there is
less. It downloads nothing by itself, subsamples no repository as StarCoder2 does, and does not know of opt-outs.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgpack
import pyarrow as pa
from pydantic import Field

from smallcoder.core.errors import InputError
from smallcoder.core.progress import track
from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import Sieve
from smallcoder.data.engine import parallel_map
from smallcoder.data.history import pulls
from smallcoder.data.history.repository import Repository, opened
from smallcoder.data.history.threads import KINDS, Record, Thread, issue, recorded, thread
from smallcoder.data.licenses import normal_form
from smallcoder.data.read.files import batched
from smallcoder.data.read.places import Place, UnreachableError, decompressed, fingerprint, places, stored
from smallcoder.data.read.tables import lines

ENDINGS = tuple(kind + packed for kind in (".json", ".jsonl") for packed in ("", ".gz", ".zst"))
RELEVANT = re.compile(rb'"type"\s*:\s*"(?:' + "|".join(sorted(KINDS)).encode() + rb')"')
LINE = 16 << 20  # bytes; a pull request's event has some 20 kB
PARTITION, PARTITIONS = 8 << 20, 256  # bytes of compressed events, and how many at most
ROWS = 256

Row = dict[str, Any]
Judged = list[tuple[Row, str | None]]


class Config(StageConfig):
    """What to read. `repositories`: "owner/name" -> folder of its git repository, where there is one."""

    paths: list[str] = Field(min_length=1)
    threads: tuple[Literal["issues", "pulls"], ...] = ("issues", "pulls")
    repositories: dict[str, str] = {}
    max_base_files: int = Field(default=3, ge=0)  # Ling-Coder-Lite's
    max_chars: int = Field(default=100_000, gt=0)  # of a thread; StarCoder2's
    workers: int = run_only(1, ge=1)


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents and out/dropped. Raises InputError for a file that is missing, EmptyError where none is kept.

    Facts besides the retention: `lines` by what they were, `issues` and `pulls` kept, `with_code` among these.
    """
    for folder in config.repositories.values():
        if not Path(folder).expanduser().is_dir():
            raise InputError(f"there is no repository {folder}", "mend `repositories`")
    found = [place for source in dict.fromkeys(config.paths) for place in places(source, ENDINGS)]
    number = min(PARTITIONS, 1 + sum(place.size for place in found) // PARTITION)
    with TemporaryDirectory(dir=out, prefix="scratch-") as scratch:
        parts = [Path(scratch) / f"{at:03d}" for at in range(number)]
        counts = _partition(found, parts, config.workers)
        kept: Counter[str] = Counter()
        with Sieve(out, DOCUMENT) as sieve:
            judged = parallel_map(partial(_judged, config), parts, config.workers, processes=True)
            for _, rows in track(judged, "threads", len(parts), "parts"):
                for at in range(0, len(rows), ROWS):
                    chunk = rows[at : at + ROWS]
                    batch = pa.RecordBatch.from_pylist([row for row, _ in chunk], schema=DOCUMENT)
                    sieve.put(batch, [reason for _, reason in chunk])
                kept.update(row["path"].partition("/")[0] for row, reason in rows if reason is None)
                kept["with_code"] += sum(row.get("revision") is not None for row, reason in rows if reason is None)
            facts = sieve.close()
    threads = {name: kept[key] for name, key in (("issues", "issues"), ("pulls", "pull"), ("with_code", "with_code"))}
    return {**facts, "lines": dict(sorted(counts.items())), **threads}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """The size of the files as they are stored."""
    sizes = [stored(source, ENDINGS).bytes or 0 for source in config.paths]
    return Size(None, sum(sizes), "compressed size of the events")


def outside(config: Config) -> dict[str, str]:
    """Fingerprints of the files. What the repositories hold is named by the events themselves."""
    return {source: fingerprint(source, ENDINGS) for source in config.paths}


def _partition(found: list[Place], parts: list[Path], workers: int) -> Counter[str]:
    """Write every event's record to the file of its thread; how many lines there were of each kind."""
    counts: Counter[str] = Counter()
    chunks = batched(_lines(found, counts), len)
    with ExitStack() as stack:
        files = [stack.enter_context(part.open("wb")) for part in parts]
        extracting = parallel_map(partial(_extracted, len(parts)), chunks, workers, processes=True)
        for _, (kinds, packed) in track(extracting, "events", unit="batches"):
            counts.update(kinds)
            for at, data in packed.items():
                files[at].write(data)
    return counts


def _lines(found: list[Place], counts: Counter[str]) -> Iterator[bytes]:
    """The lines that may matter; the others are counted here."""
    for place in found:
        with place.open() as file:
            try:
                for _, line in lines(decompressed(file, place.name), place.name, LINE):
                    if line is None:
                        counts["too_long"] += 1
                    elif RELEVANT.search(line) or not line.rstrip().endswith(b"}"):
                        yield line
                    elif line.strip():
                        counts["other"] += 1
            except UnreachableError:
                raise
            except InputError:  # cut short or damaged: what came before is good
                counts["broken_files"] += 1


def _extracted(number: int, found: list[bytes]) -> tuple[Counter[str], dict[int, bytes]]:
    """How many lines there are of each kind, and the records of the good ones by partition, packed."""
    kinds: Counter[str] = Counter()
    packed: dict[int, list[bytes]] = {}
    for line in found:
        if not line.strip():
            continue
        try:
            record = recorded(json.loads(line))
        except (ValueError, RecursionError):
            record = "broken"
        if isinstance(record, str):
            kinds[record] += 1
            continue
        kinds["kept"] += 1
        at = zlib.crc32(f"{record['repo']} {record['number']}".encode()) % number
        packed.setdefault(at, []).append(msgpack.packb(record) or b"")
    return kinds, {at: b"".join(parts) for at, parts in packed.items()}


def _judged(config: Config, part: Path) -> Judged:
    """The rows of the threads of a partition, sorted by repository and number."""
    with part.open("rb") as file:
        # By time, and where that is the same in a way that does not depend on the order of the files.
        packed = {msgpack.packb(record): record for record in msgpack.Unpacker(file, max_buffer_size=LINE)}
    records = sorted(packed.items(), key=lambda item: (_key(item[1]), item[1].get("at", ""), _id(item[1]), item[0]))
    rows: Judged = []
    for repo, all_of_it in groupby((record for _, record in records), lambda record: record["repo"]):
        with ExitStack() as stack:
            repositories: dict[str, Repository] = {}
            for _, some in groupby(all_of_it, _key):
                events = list({record.get("id") or at: record for at, record in enumerate(some)}.values())
                found = thread(events)
                if ("pulls" if found.pull else "issues") not in config.threads:
                    continue
                folder = config.repositories.get(found.repo)
                if folder and found.pull and folder not in repositories:
                    repositories[folder] = stack.enter_context(opened(Path(folder).expanduser()))
                rows.append(_row(config, repo, found, repositories.get(folder or "")))
    return rows


def _key(record: Record) -> tuple[str, int]:
    return record["repo"], record["number"]


def _id(record: Record) -> tuple[int, str]:
    """Ids grow with time, but are strings."""
    return len(record.get("id", "")), record.get("id", "")


def _row(config: Config, repo: str, found: Thread, repository: Repository | None) -> tuple[Row, str | None]:
    code: pulls.Code | None = None
    if found.pull:
        text, reason, code = _pull(config, found, repository)
    else:
        text, reason = issue(found)
    if reason is None and len(text) > config.max_chars:
        reason = "long"
    text = found.title if reason else text
    license = code.license if code else None
    row: Row = {
        "id": record_id("events", repo, str(found.number), text),
        "text": text,
        "lang": "markdown",
        "repo": found.repo,
        "revision": code.base if code else None,
        "path": f"{'pull' if found.pull else 'issues'}/{found.number}",
        "license": license or normal_form(found.license or ""),
        "source": "gharchive",
        "lineage": [],
    }
    return row, reason


def _pull(config: Config, found: Thread, repository: Repository | None) -> tuple[str, str | None, pulls.Code | None]:
    if reason := pulls.flaw(found):
        return "", reason, None
    found.posts = pulls.without_small_talk(found.posts)
    code = pulls.code(found, repository, config.max_base_files, config.max_chars) if repository else None
    if isinstance(code, str):
        return "", code, None
    if code is None and not any(post.text for post in found.posts):
        return "", "no_discussion", None
    return pulls.text(found, code), None, code
