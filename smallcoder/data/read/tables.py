"""Tables of documents: parquet and jsonl files (gzip allowed) whose columns are named as in DOCUMENT.

The text is `text` or `content`; every other field may be missing. The file's own words are taken as they are: a list
of licences asks for all of them. Rows that hold no usable text are drops; a file that cannot be parsed is an error.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from smallcoder.core.errors import InputError
from smallcoder.core.records import record_id
from smallcoder.data.read.files import PREVIEW, decode, language

ENDINGS = (".parquet", ".jsonl", ".jsonl.gz")
TEXT_FIELDS = ("text", "content")
FIELDS = ("lang", "repo", "revision", "path", "license")


def tables(path: Path) -> list[Path]:
    """The table files that a path names: itself, or those directly in it. Empty where it is a folder of code."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.name.endswith(ENDINGS) and file.is_file())
    return [path] if path.name.endswith(ENDINGS) else []


def rows(path: Path, source: str, max_bytes: int) -> Iterator[tuple[dict[str, Any], str | None]]:
    """DOCUMENT rows of one file with the reason to drop each, None to keep. Raises InputError where it is damaged."""
    records = _parquet(path) if path.name.endswith(".parquet") else _jsonl(path)
    for place, record in records:
        yield _document(record, place, source, max_bytes)


def _document(record: dict[str, Any], place: str, source: str, max_bytes: int) -> tuple[dict[str, Any], str | None]:
    field = next((name for name in TEXT_FIELDS if name in record), None)
    if field is None:
        raise InputError(
            f"{place} has no text (its fields are {', '.join(record) or 'none'})", "name the field `text` or `content`"
        )
    text, reason = _text(record[field], max_bytes)
    row = {name: _word(record.get(name), name, place) for name in FIELDS}
    row["lang"] = row["lang"].lower() if row["lang"] else language(row["path"] or "")
    raw = text.encode() if text is not None else None
    identity = record_id(source, row["repo"], row["revision"], row["path"], raw)
    return {"id": identity, "text": text, **row, "source": source, "lineage": []}, reason


def _text(value: Any, max_bytes: int) -> tuple[str | None, str | None]:
    if value is None or value in ("", b""):
        return None, "empty"
    try:
        data = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and UTF-8 cannot
        return value[:PREVIEW].encode("utf-8", "replace").decode(), "not_text"
    if not isinstance(data, bytes):
        return None, "not_text"
    if len(data) > max_bytes:
        return None, "too_large"
    text = decode(data)
    if text is None:
        return data[:PREVIEW].decode("utf-8", "replace").replace("\0", "\ufffd"), "not_text"
    return text, None if text.strip() else "empty"


def _word(value: Any, name: str, place: str) -> str | None:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return " AND ".join(value) or None
    if value is None or isinstance(value, str):
        return value or None
    raise InputError(f"{place}: {name} is {type(value).__name__}", "make it a string")


def _jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise InputError(f"{path} line {number} is no JSON object", "write one object a line")
                    yield f"{path} line {number}", record
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = str(error).splitlines()[0][:100]
        raise InputError(f"{path} line {number} is not JSON ({detail})", "mend it or copy the file again") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} breaks off after line {number} ({error})", "copy the file again") from None


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in (*TEXT_FIELDS, *FIELDS)]
            if not any(name in names for name in TEXT_FIELDS):
                yield str(path), dict.fromkeys(file.schema_arrow.names)
            for batch in file.iter_batches(256, columns=names):
                yield from ((str(path), record) for record in batch.to_pylist())
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        detail = (str(error).splitlines() or ["unreadable"])[0][:120]
        raise InputError(f"{path} is not a readable parquet file ({detail})", "copy or make it again") from None
