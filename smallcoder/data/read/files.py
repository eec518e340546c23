"""Source files on disk: what is known of one before it is opened, and how its bytes become text.

A file that is no text is an ordinary find, so it becomes a drop with a reason word and never an exception:
`unreadable`, `empty`, `too_large` (not opened), `not_text`.
"""

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallcoder.core.records import record_id

LANGUAGES = {
    ".c": "c", ".cc": "cpp", ".cpp": "cpp", ".cs": "csharp", ".css": "css", ".go": "go", ".h": "c", ".hpp": "cpp",
    ".html": "html", ".java": "java", ".js": "javascript", ".json": "json", ".jsx": "javascript", ".kt": "kotlin",
    ".lua": "lua", ".md": "markdown", ".php": "php", ".pl": "perl", ".py": "python", ".pyi": "python", ".r": "r",
    ".rb": "ruby", ".rs": "rust", ".rst": "restructuredtext", ".scala": "scala", ".sh": "shell", ".sql": "sql",
    ".swift": "swift", ".toml": "toml", ".ts": "typescript", ".tsx": "typescript", ".txt": "text", ".yaml": "yaml",
    ".yml": "yaml",
}  # fmt: skip
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
CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # PEP 263, first two lines
CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\f\r\x1b")
CONTROL_SHARE = 0.01  # ours: text has none, and binary data that happens to decode has 10% and more
PREVIEW = 400


@dataclass(frozen=True)
class SourceFile:
    """A file and where it comes from. `reason` is set where its place alone says that it is not wanted."""

    location: Path
    repo: str
    revision: str | None
    path: str  # inside the repository
    license: str | None
    source: str
    reason: str | None = None


def language(path: str) -> str | None:
    """The language a file name's ending names, None if it names none."""
    return LANGUAGES.get(Path(path).suffix.lower())


def unwanted(path: str, skip: frozenset[str]) -> str | None:
    """The reason to leave a file out by its folders: `vendored`, or `skipped` for the folder names in `skip`."""
    folders = path.split("/")[:-1]
    if not VENDORED.isdisjoint(folders):
        return "vendored"
    return "skipped" if not skip.isdisjoint(folders) else None


def load(file: SourceFile, max_bytes: int) -> tuple[dict[str, Any], str | None]:
    """The DOCUMENT row of a file and the reason to drop it, None for one to keep.

    The text of a dropped row is null where the file was not opened and a short preview where it is no text.
    """
    data, reason = (b"", file.reason) if file.reason else _bytes(file.location, max_bytes)
    text = decode(data) if reason is None else None
    if reason is None and text is None:
        reason = "not_text"
        text = data[:PREVIEW].decode("utf-8", "replace").replace("\0", "\ufffd")
    elif text is not None and not text.strip():
        reason = "empty"
    row = {
        "id": record_id(file.source, file.repo, file.revision, file.path, data),
        "text": text,
        "lang": language(file.path),
        "repo": file.repo,
        "revision": file.revision,
        "path": file.path,
        "license": file.license,
        "source": file.source,
        "lineage": [],
    }
    return row, reason


def _bytes(path: Path, max_bytes: int) -> tuple[bytes, str | None]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return b"", "unreadable"
        if status.st_size > max_bytes:
            return b"", "too_large"
        return path.read_bytes(), None
    except OSError:
        return b"", "unreadable"


def decode(data: bytes) -> str | None:
    """The text of a file: UTF-8, or the encoding that a PEP 263 comment declares. None if it is no text."""
    if b"\0" in data or len(data) - len(data.translate(None, CONTROLS)) > CONTROL_SHARE * len(data):
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    for line in data.split(b"\n", 2)[:2]:
        if declared := CODING.match(line):
            try:
                return data.decode(declared[1].decode("ascii", "replace"))
            except (UnicodeDecodeError, LookupError):
                return None
    return None
