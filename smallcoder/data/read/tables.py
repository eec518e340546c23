"""Tables of documents: parquet, jsonl and csv files, the latter two plain, gzipped or in zstd, wherever they lie.

What the columns mean is in `columns.py`. A line of jsonl or a record of csv that is too long to hold a document is
passed over in pieces and dropped as `too_large`; a file that cannot be parsed is an error. csv is RFC 4180: the first
record names the columns, and a field that holds a quotation mark, a comma or a line break is quoted.

Bounded memory: one line, or a batch of parquet rows of about BATCH_BYTES. A row of parquet is read whole, whatever its
size.
"""

import codecs
import csv
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from smallcoder.core.errors import InputError
from smallcoder.core.stage import Size
from smallcoder.data.read import columns
from smallcoder.data.read.columns import Record
from smallcoder.data.read.config import Config, Row
from smallcoder.data.read.places import Place, brief, decompressed, fingerprint, places, stored

ENDINGS = (".parquet", *(kind + packed for kind in (".jsonl", ".csv") for packed in ("", ".gz", ".zst")))
PIECE = 1 << 16
BATCH_ROWS, BATCH_BYTES = 256, 32 << 20
BUFFER = 4 << 20  # of a column chunk, which else is read whole
CUT_SHORT = (OSError, EOFError, zlib.error, pa.ArrowException)


def parts(source: str) -> list[Place]:
    """The files of a source. Raises InputError where there is none."""
    return places(source, ENDINGS)


def batches(source: str, parts: Iterable[Place], config: Config) -> Iterator[list[Row]]:
    """Rows of some of a source's files. Raises InputError where one is damaged."""
    # JSON spells a character in up to six bytes for one, and a row has more columns than the text.
    limit = 6 * config.max_bytes + (1 << 20)
    yield from columns.batches((record for place in parts for record in records(place, limit)), source, config)


def expect(source: str, config: Config) -> Size:
    """The size of the files as they are stored; their rows are not counted."""
    return stored(source, ENDINGS)


def outside(source: str) -> dict[str, str]:
    """A fingerprint of the files."""
    return {source: fingerprint(source, ENDINGS)}


Wanted = Callable[[Iterable[str]], list[str]]  # those of a table's columns to read; none where it is of no use


def records(place: Place, limit: int, wanted: Wanted = columns.wanted) -> Iterator[tuple[str, Record]]:
    """Where each record stands and its fields; None for a line of more than `limit` bytes."""
    kind = place.name.removesuffix(".gz").removesuffix(".zst").rpartition(".")[2]
    with place.open() as file:
        if kind == "parquet":
            yield from _parquet(file, place.name, wanted)
        elif kind == "jsonl":
            yield from _jsonl(decompressed(file, place.name), place.name, limit)
        else:
            yield from _csv(decompressed(file, place.name), place.name, limit)


def lines(file: IO[bytes], name: str, limit: int, quoted: bool = False) -> Iterator[tuple[str, bytes | None]]:
    """The lines of a stream and where they stand, None for one longer than `limit`, of which no more is ever held.

    With `quoted` a line goes on while a quotation mark is open.
    """
    parts: list[bytes] = []
    number, size, marks = 1, 0, 0
    while piece := _piece(file, name, number):
        size += len(piece)
        if size <= limit:
            parts.append(piece)
        else:
            parts.clear()
        marks += piece.count(b'"') if quoted else 0
        if piece.endswith(b"\n") and marks % 2 == 0:
            yield f"{name} line {number}", b"".join(parts) if size <= limit else None
            parts.clear()
            number, size, marks = number + 1, 0, 0
    if marks % 2:
        raise InputError(f"{name} breaks off in quotes that open in line {number}", "quote it as RFC 4180 says")
    if size:
        yield f"{name} line {number}", b"".join(parts) if size <= limit else None


def _piece(file: IO[bytes], name: str, number: int) -> bytes:
    try:
        return file.readline(PIECE)
    except CUT_SHORT as error:
        raise InputError(f"{name} breaks off after line {number - 1} ({brief(error)})", "copy the file again") from None


def _jsonl(file: IO[bytes], name: str, limit: int) -> Iterator[tuple[str, Record]]:
    for place, line in lines(file, name, limit):
        if line is None:
            yield place, None
        elif line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:  # ValueError: also a number of too many digits
                raise InputError(f"{place} is not JSON ({brief(error)})", "mend it or copy the file again") from None
            if not isinstance(record, dict):
                raise InputError(f"{place} is no JSON object", "write one object a line")
            yield place, record


def _csv(file: IO[bytes], name: str, limit: int) -> Iterator[tuple[str, Record]]:
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    header: list[str] | None = None
    for place, line in lines(file, name, limit, quoted=True):
        start = codecs.BOM_UTF8 if header is None else b""  # it would make a quotation mark behind it a letter
        fields = _fields(line.removeprefix(start), place) if line is not None else None
        if header is None:
            header = fields or []
        elif fields is None:
            yield place, None
        elif fields and len(fields) != len(header):
            raise InputError(
                f"{place} has {len(fields)} fields and the first line {len(header)}", "quote it as RFC 4180 says"
            )
        elif fields:
            # A field that is no UTF-8 goes on as bytes, for the text's own judgement.
            yield place, {key: _utf8_or_bytes(field) for key, field in zip(header, fields, strict=True)}


def _fields(line: bytes, place: str) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8", "surrogateescape")], strict=True), [])
    except csv.Error as error:
        raise InputError(f"{place} is not csv ({brief(error)})", "quote it as RFC 4180 says") from None


def _utf8_or_bytes(field: str) -> str | bytes:
    try:
        field.encode()
    except UnicodeEncodeError:
        return field.encode("utf-8", "surrogateescape")
    return field


def _parquet(file: IO[bytes], name: str, wanted: Wanted) -> Iterator[tuple[str, Record]]:
    for found in _parquet_batches(file, name, wanted):
        yield from ((name, record) for record in found)


def _parquet_batches(file: IO[bytes], name: str, wanted: Wanted) -> Iterator[list[dict[str, Any]]]:
    try:
        with pq.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False) as table:
            chosen = wanted(table.schema_arrow.names)
            if not chosen:
                fields = ", ".join(table.schema_arrow.names) or "none"
                raise InputError(f"{name} has no text (its fields are {fields})", "name the field `text` or `content`")
            for group in range(table.num_row_groups):
                about = table.metadata.row_group(group)
                rows = max(1, min(BATCH_ROWS, BATCH_BYTES * about.num_rows // max(about.total_byte_size, 1)))
                for batch in table.iter_batches(rows, row_groups=[group], columns=chosen):
                    yield batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} is not a readable parquet file ({brief(error)})", "copy or make it again") from error
