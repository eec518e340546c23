"""Which files of a repository make a training text, and the text that they make.

A repository that fits `limit` is one text, in the order of its imports (`order`). A longer one is divided between its
connected components, taken by their first path; a component that is longer still is divided between two files. A file
is never divided: one above the limit is a text of its own, which packing cuts at the end of a line.

    <|repo_name|>NAME
    <|file_sep|>PATH
    the file's text
    <|file_sep|>PATH
    ...

These are the marks and the layout of Qwen2.5-Coder (arXiv 2409.12186, section 3.1); StarCoder2's marks are others.
Where a text holds the characters of a mark itself, the spans tell which places are marks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smallcoder.repos.graph import Graph
from smallcoder.repos.order import components


@dataclass(frozen=True)
class Marks:
    """The special tokens before a repository's name and before each path."""

    repository: str = "<|repo_name|>"
    file: str = "<|file_sep|>"


@dataclass(frozen=True)
class Text:
    """UTF-8 of a training text, where its marks stand, and where the text of each file begins; in bytes."""

    data: bytes
    marks: list[tuple[int, int]]
    starts: list[int]


def repository_texts(graph: Graph, ordered: Sequence[str], sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """The files of each text of a repository, in order. `ordered`: all files; `sizes`: bytes with their headings."""
    if sum(sizes.values()) <= limit:
        return [list(ordered)]
    position = {path: at for at, path in enumerate(ordered)}
    found: list[list[str]] = [[]]
    used = 0
    for component in components(graph.imports):
        size = sum(sizes[path] for path in component)
        if used and used + size > limit:
            found.append([])
            used = 0
        for path in sorted(component, key=position.__getitem__):
            if used and used + sizes[path] > limit:
                found.append([])
                used = 0
            found[-1].append(path)
            used += sizes[path]
    return found


def importing_texts(graph: Graph, ordered: Sequence[str], sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """For each file that imports another: what it imports, in order, and the file itself last.

    Imports that no longer fit are left out, the longest first, so that as many as possible are seen. A file with
    nothing to see, or which is itself longer than the limit, gives no text.
    """
    position = {path: at for at, path in enumerate(ordered)}
    found = []
    for path in ordered:
        room = limit - sizes[path]
        seen = []
        for wanted in sorted(graph.imports[path], key=lambda wanted: (sizes[wanted], wanted)):
            if sizes[wanted] <= room:
                seen.append(wanted)
                room -= sizes[wanted]
        if seen:
            found.append([*sorted(seen, key=position.__getitem__), path])
    return found


def heading(path: str, marks: Marks) -> bytes:
    """What stands above a file, in one line."""
    return f"{marks.file}{_line(path)}\n".encode()


def concatenate(repository: str, files: Iterable[tuple[str, bytes]], marks: Marks) -> Text:
    """One training text of (path, text) pairs. A file that another follows ends with a line end."""
    data = bytearray(f"{marks.repository}{_line(repository)}\n".encode())
    places = [(0, len(marks.repository.encode()))]
    starts = []
    for path, text in files:
        if data[-1:] != b"\n":
            data += b"\n"
        places.append((len(data), len(data) + len(marks.file.encode())))
        data += heading(path, marks)
        starts.append(len(data))
        data += text
    return Text(bytes(data), places, starts)


def _line(name: str) -> str:
    """A name that holds no line end: packing takes a mark's line for the heading."""
    return " ".join(name.splitlines())
