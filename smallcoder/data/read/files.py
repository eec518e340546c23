"""Source files: what is known of one before it is opened, and how its bytes become text.

A file that is no text is an ordinary find, so it becomes a drop with a reason word and never an exception:
`unreadable`, `empty`, `too_large` (not opened), `not_text`.
"""

import codecs
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from smallcoder.core.records import record_id
from smallcoder.core.stage import Size
from smallcoder.data.engine import parallel_map
from smallcoder.data.language import programming_language
from smallcoder.data.read.config import Config, Row

T = TypeVar("T")
# Folders that hold other people's work under other licences, by GitHub Linguist's habit of calling them vendored.
VENDORED = {
    "_vendor",
    "_vendored",
    "vendor",
    "vendored",
    "third_party",
    "thirdparty",
    "node_modules",
    "_distutils_hack",
}
PASSED = {"__pycache__", "site-packages", "dist-packages", "node_modules"}
CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # PEP 263, first two lines
SLOW_CODECS = {"idna", "punycode"}  # quadratic, and no file of source code is written in them
CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\f\r\x1b")
CONTROL_SHARE = 0.01  # ours: text has none, and binary data that happens to decode has 10% and more
PREVIEW = 400
BATCH, BATCH_BYTES = 128, 16 << 20  # a batch ends at either


@dataclass(frozen=True)
class SourceFile:
    """A file and where it comes from. `reason` is set where its place alone says that it is not wanted."""

    location: str  # of the file, or of the archive or repository that it lies in
    repo: str
    revision: str | None
    path: str  # inside the repository
    license: str | None
    source: str
    reason: str | None = None
    data: bytes | None = None  # what it holds, where listing and reading are one


def unwanted(path: str, skip: frozenset[str]) -> str | None:
    """The reason to leave a file out by its folders: `vendored`, or `skipped` for the folder names in `skip`."""
    folders = path.split("/")[:-1]
    if not VENDORED.isdisjoint(folders):
        return "vendored"
    return "skipped" if not skip.isdisjoint(folders) else None


def visible(folder: str) -> bool:
    """Whether a folder of that name is looked into: hidden folders, byte-code and environments are passed over."""
    return not folder.startswith(".") and folder not in PASSED


def is_license(name: str) -> bool:
    """Whether a file of that name states a licence by the usual habit."""
    return name.lower().startswith(("license", "licence", "copying"))


def loaded(files: Iterable[SourceFile], config: Config) -> Iterator[list[Row]]:
    """Rows of files in their order, in batches, loaded by `workers` threads."""
    chunks = batched(files, lambda file: len(file.data or b""))
    return (rows for _, rows in parallel_map(partial(_load_all, config.max_bytes), chunks, config.workers))


def _load_all(max_bytes: int, files: list[SourceFile]) -> list[Row]:
    return [load(file, max_bytes) for file in files]


def batched(items: Iterable[T], weigh: Callable[[T], int]) -> Iterator[list[T]]:
    """Runs of items that end at BATCH items or at BATCH_BYTES of their weights."""
    batch: list[T] = []
    weight = 0
    for item in items:
        batch.append(item)
        weight += weigh(item)
        if len(batch) == BATCH or weight >= BATCH_BYTES:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def measured(files: Iterable[SourceFile]) -> Size:
    """Number and bytes of the files to be opened, from their sizes on disk."""
    sizes = [os.stat(file.location).st_size for file in files if file.reason is None and os.path.isfile(file.location)]
    return Size(len(sizes), sum(sizes))


def load(file: SourceFile, max_bytes: int) -> Row:
    """The DOCUMENT row of a file and the reason to drop it, None for one to keep.

    The text of a dropped row is null where the file was not opened and a short preview where it is no text.
    """
    data, reason = (b"", file.reason) if file.reason else _bytes(file, max_bytes)
    text = None
    if reason is None:
        text, reason = text_of(data)
    repo, path = (writable(name) for name in (file.repo, file.path))
    row = {
        "id": record_id(file.source, repo, file.revision, path, data),
        "text": text,
        "lang": programming_language(path, text or ""),
        "repo": repo,
        "revision": file.revision,
        "path": path,
        "license": file.license,
        "source": file.source,
        "lineage": [],
    }
    return row, reason


def _bytes(file: SourceFile, max_bytes: int) -> tuple[bytes, str | None]:
    if file.data is not None:
        return file.data, None
    try:
        status = os.stat(file.location)
        if not stat.S_ISREG(status.st_mode):
            return b"", "unreadable"
        if status.st_size > max_bytes:
            return b"", "too_large"
        with open(file.location, "rb", buffering=0) as opened:
            return opened.read(), None
    except OSError:
        return b"", "unreadable"


def writable(name: str) -> str:
    """A file name as it can be stored: what is no Unicode in it (halves of surrogate pairs) becomes "?"."""
    return name.encode("utf-8", "replace").decode()


def text_of(data: bytes, encoding: str | None = None) -> tuple[str | None, str | None]:
    """The text of a file and the reason to drop it: `empty`, or `not_text` with a preview; None for one to keep."""
    text = decode(data, encoding)
    if text is None:
        return data[:PREVIEW].decode("utf-8", "replace").replace("\0", "\ufffd"), "not_text"
    return text, "empty" if not text or text.isspace() else None


def decode(data: bytes, encoding: str | None = None) -> str | None:
    """The text of a file: in `encoding` where it is given, else UTF-8, else as a PEP 263 comment declares.

    None if it is no text: does not decode, or holds NULs or more than CONTROL_SHARE of control characters.
    """
    if encoding and (text := _decoded(data, encoding)) is not None:
        # Bytes of UTF-16 are full of NULs, so it is the characters that count here.
        return None if _is_binary(text.encode()) else text
    if _is_binary(data):
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    for line in data.split(b"\n", 2)[:2]:
        if declared := CODING.match(line):
            text = _decoded(data, declared[1].decode("ascii", "replace"))
            return None if text is None or "\0" in text else text
    return None


def _is_binary(data: bytes) -> bool:
    return b"\0" in data or len(data) - len(data.translate(None, CONTROLS)) > CONTROL_SHARE * len(data)


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        if codecs.lookup(encoding).name in SLOW_CODECS:
            return None
        text = data.decode(encoding)
        text.encode()  # some codecs can spell half a surrogate pair, which no table can hold
    except (ValueError, LookupError):  # ValueError: not decodable, or a name that is none
        return None
    return text.removeprefix("\ufeff")
