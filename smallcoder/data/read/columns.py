"""Records with columns become documents: one table of the names that data sets give to the same thing.

The file's own words are taken as they are: a list of licences asks for all of them. Contents may stand in the record
or be named by `blob_id` (`blobs.py`); a record with a list of `files` is a repository, and each of them a document.
Records that hold no usable text are drops; a column of the wrong kind is an error.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smallcoder.core.errors import InputError
from smallcoder.core.records import record_id
from smallcoder.data.engine import parallel_map
from smallcoder.data.language import named, programming_language
from smallcoder.data.read.blobs import IN_FLIGHT, Blobs
from smallcoder.data.read.config import Config, Row
from smallcoder.data.read.files import PREVIEW, batched, text_of, writable

# DOCUMENT's column -> its names in The Stack 1 and 2, StarCoder data, github-code, CodeSearchNet and our own tables.
# The first that is there and not empty counts.
NAMES = {
    "text": ("text", "content", "contents", "code", "whole_func_string"),
    "lang": ("lang", "language", "programming_language"),
    "repo": ("repo", "repo_name", "max_stars_repo_name", "repository_name", "repository"),
    "revision": ("revision", "revision_id", "max_stars_repo_head_hexsha", "commit"),
    "path": ("path", "file_path", "max_stars_repo_path", "func_path_in_repository"),
    "license": ("license", "licenses", "detected_licenses", "max_stars_repo_licenses", "gha_license_id"),
    "stars": ("stars", "star_events_count", "max_stars_count"),
    "forks": ("forks", "fork_events_count", "max_forks_count"),
    "quality": ("quality",),
}
ABOUT_BLOBS = ("blob_id", "src_encoding", "length_bytes", "is_vendor")
NESTED = "files"
INT64 = 1 << 63
EMPTY: tuple[object, ...] = (None, "", b"", [])

Record = dict[str, Any] | None  # None: it was too large to be read


@dataclass(frozen=True)
class Reader:
    """Makes rows of records: `source` is the entry of the recipe, `blobs` where contents lie that are only named."""

    source: str
    max_bytes: int
    blobs: Blobs | None

    def row(self, item: tuple[str, Record]) -> Row:
        """The row of one record. Raises InputError for one without text and for a column of the wrong kind."""
        place, record = item
        if record is None:
            return {"id": record_id(self.source, place.rpartition(" ")[2]), "source": self.source, "lineage": []}, (
                "too_large"
            )
        text, reason = self._text(place, record)
        row: dict[str, Any] = {name: _word(record, name, place) for name in ("repo", "revision", "path", "license")}
        row["path"] = (row["path"] or "").lstrip("/") or None  # The Stack v2 writes "/" for the top
        lang = _word(record, "lang", place)
        row["lang"] = named(lang) if lang else programming_language(row["path"] or "", text or "")
        row |= {name: _count(record, name, place) for name in ("stars", "forks")}
        quality = _number(record, "quality", place)
        row["quality"] = None if quality is None or abs(quality) > INT64 else float(quality)
        blob = record.get("blob_id")
        raw = text.encode() if text is not None else blob.encode("utf-8", "replace") if isinstance(blob, str) else None
        identity = record_id(self.source, row["repo"], row["revision"], row["path"], raw)
        return {"id": identity, "text": text, **row, "source": self.source, "lineage": []}, reason

    def _text(self, place: str, record: dict[str, Any]) -> tuple[str | None, str | None]:
        encoding = record.get("src_encoding")
        if any(name in record for name in NAMES["text"]):
            return _text(_value(record, "text"), self.max_bytes)
        if "blob_id" not in record:
            fields = ", ".join(record) or "none"
            raise InputError(f"{place} has no text (its fields are {fields})", "name the field `text` or `content`")
        if self.blobs is None:
            raise InputError(f"{place} names its contents by blob_id", "say where they lie: blobs = FOLDER or URL")
        if record.get("is_vendor") is True:
            return None, "vendored"
        if isinstance(size := record.get("length_bytes"), int) and size > self.max_bytes:
            return None, "too_large"
        data, reason = self.blobs.fetch(record["blob_id"], self.max_bytes)
        return (None, reason) if reason else text_of(data, encoding if isinstance(encoding, str) else None)


def batches(records: Iterable[tuple[str, Record]], source: str, config: Config) -> Iterator[list[Row]]:
    """Rows of records in their order, in batches; blobs are fetched IN_FLIGHT at a time."""
    blobs = Blobs.at(config.blobs) if config.blobs else None
    reader = Reader(source, config.max_bytes, blobs)
    rows = parallel_map(reader.row, _flat(records), IN_FLIGHT if blobs else 1)
    return batched((row for _, row in rows), lambda row: len(row[0].get("text") or ""))


def wanted(names: Iterable[str]) -> list[str]:
    """Those of a table's columns that can matter here. Empty where none of them holds text."""
    names = list(names)
    has_text = not set(NAMES["text"]).isdisjoint(names)
    if not has_text and "blob_id" not in names and NESTED not in names:
        return []
    useful = {name for synonyms in NAMES.values() for name in synonyms} | ({*ABOUT_BLOBS} if not has_text else set())
    return [name for name in names if name in useful or (name == NESTED and not has_text)]


def _flat(records: Iterable[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
    for place, record in records:
        files = record.get(NESTED) if record and set(NAMES["text"]).isdisjoint(record) else None
        if record and isinstance(files, list) and all(isinstance(file, dict) for file in files):
            shared = {name: value for name, value in record.items() if name != NESTED}
            yield from ((place, shared | file) for file in files)
        else:
            yield place, record


def _value(record: Mapping[str, Any], name: str) -> Any:
    return next((record[key] for key in NAMES[name] if key in record and record[key] not in EMPTY), None)


def _text(value: Any, max_bytes: int) -> tuple[str | None, str | None]:
    if value is None:
        return None, "empty"
    try:
        data = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and UTF-8 cannot
        return writable(value[:PREVIEW]), "not_text"
    if not isinstance(data, bytes):
        return None, "not_text"
    return (None, "too_large") if len(data) > max_bytes else text_of(data)


def _word(record: Mapping[str, Any], name: str, place: str) -> str | None:
    value = _value(record, name)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        several = len(value) > 1
        value = " AND ".join(f"({part})" if several and " " in part else part for part in value)
    if value is None or isinstance(value, str):
        return writable(value) if value else None
    raise InputError(f"{place}: {name} is {type(value).__name__}", "make it a string")


def _count(record: Mapping[str, Any], name: str, place: str) -> int | None:
    number = _number(record, name, place)
    return None if number is None or not -INT64 <= number < INT64 else int(number)


def _number(record: Mapping[str, Any], name: str, place: str) -> float | int | None:
    value = _value(record, name)
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InputError(f"{place}: {name} is {type(value).__name__}", "make it a number")
    return number if isinstance(number, int) or math.isfinite(number) else None
