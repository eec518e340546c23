"""Labelled texts to learn from: (text, group, good) from rows, from scores, from the `quality` column, or by table.

Rows are a .jsonl, .jsonl.gz or .parquet file, or a folder of these, with the fields `text` and `label` (any
others are left alone; a `repo` is used). Scores and the column are numbers: at or above `high` is good, at or below
`low` is not, and what lies between is not learned from. The group is the repository, None without one.
"""

import gzip
import json
import math
import zlib
from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from smallcoder.core.errors import InputError
from smallcoder.core.tables import read_batches
from smallcoder.data.quality.scores import read_scores

Labelled = tuple[str, str | None, bool]
ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")


def from_judge(path: Path, positive: str) -> Iterator[Labelled]:
    """Rows of a file or folder. Raises InputError for what cannot be read and where `text` or `label` is missing."""
    for file in judge_files(path):
        for place, row in _parquet(file) if file.name.endswith(".parquet") else _jsonl(file):
            text, label = row.get("text"), row.get("label")
            if not isinstance(text, str) or label is None:
                raise InputError(f"{place} has no text or no label", "give every row the fields `text` and `label`")
            repo = row.get("repo")  # JSON can hold half a character
            repo = repo.encode("utf-8", "replace").decode() if isinstance(repo, str) else None
            yield text, repo, str(label) == positive


def judge_files(path: Path) -> list[Path]:
    """The files of labelled rows that a path names. Raises InputError for none."""
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    found = [file for file in files if file.name.endswith(ENDINGS)]
    if not found:
        raise InputError(f"there are no labelled rows in {path}", f"name a file or a folder of {', '.join(ENDINGS)}")
    return found


def from_documents(
    documents: Path, scores: Path | None, low: float, high: float, sample: int | None
) -> Iterator[Labelled]:
    """Documents by their one score in the table `scores`, or without it by their `quality`.

    Of good ones and of others those `sample` of the smallest hashes of their ids, all without it.
    """
    least: dict[bool, int] = {}
    if sample:
        marks = {True: array("Q"), False: array("Q")}
        for id, _, _, value in valued(documents, scores):
            if not low < value < high:
                marks[value >= high].append(_mark(id))
        least = {good: _smallest(found, sample) for good, found in marks.items()}
    for id, text, repo, value in valued(documents, scores):
        if not low < value < high and (not least or _mark(id) <= least[value >= high]):
            yield text, repo, value >= high


def valued(documents: Path, scores: Path | None) -> Iterator[tuple[str, str, str | None, float]]:
    """Ids, texts, repositories and values of documents that have one: the one score of `scores`, or `quality`."""
    known = read_scores(scores) if scores else {}
    if len(known) > 1:
        raise InputError(f"{scores} holds the scores {', '.join(known)}", "learn from a table with one score")
    columns = ["id", "text", "repo"] + ([] if scores else ["quality"])
    for batch in read_batches(documents, columns):
        row = batch.to_pydict()
        values = (next(iter(known.values())).of(row["id"]).tolist() if known else []) if scores else row["quality"]
        rows = zip(row["id"], row["text"], row["repo"], values or [None] * batch.num_rows, strict=True)
        for id, text, repo, value in rows:
            if text and value is not None and not math.isnan(value):
                yield id, text, repo, value


def from_tables(good: Path | None, other: Path | None, sample: int | None) -> Iterator[Labelled]:
    """Documents of two tables, of each those `sample` of the smallest hashes of their ids, all without it."""
    for table, label in ((good, True), (other, False)):
        if table:
            least = _smallest(_marks(table), sample) if sample else None
            for batch in read_batches(table, ["id", "text", "repo"]):
                for row in batch.to_pylist():
                    if row["text"] and (least is None or _mark(row["id"]) <= least):
                        yield row["text"], row["repo"], label


def _marks(table: Path) -> Sequence[int]:
    marks = array("Q")
    for batch in read_batches(table, ["id"]):
        marks.extend(map(_mark, batch.column("id").to_pylist()))
    return marks


def _smallest(marks: Sequence[int], count: int) -> int:
    """The mark of the last document of a sample."""
    return sorted(marks)[:count][-1] if marks else 0


def _mark(id: str) -> int:
    return int.from_bytes(blake2b(id.encode(), digest_size=8).digest())


def _jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line)
                    yield f"{path} line {number}", row if isinstance(row, dict) else {}
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} line {number} is not JSON ({str(error)[:100]})", "write one object a line") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} breaks off after line {number} ({error})", "copy the file again") from None


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in ("text", "label", "repo") if name in file.schema_arrow.names]
            for batch in file.iter_batches(256, columns=names):
                yield from ((str(path), row) for row in batch.to_pylist())
    except (pa.ArrowException, OSError) as error:
        detail = str(error).splitlines()[0][:120]
        raise InputError(f"{path} is not a readable parquet file ({detail})", "copy or make it again") from None
