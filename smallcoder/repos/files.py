"""A repository as a virtual file system: paths and texts out of table rows, nothing on disk.

Paths are relative, "/"-separated and case-sensitive; two that differ in case alone are two files. There are no links.
Looking up a path, a folder or an ending costs a dictionary access; the tables behind them are made when first asked.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class File:
    """One file: its language (`DOCUMENT.lang`, None if unknown) and its text as UTF-8."""

    lang: str | None
    text: bytes


class Files(Mapping[str, File]):
    """The files of one repository by normalised path, in the order of their paths."""

    def __init__(self, files: Iterable[tuple[str, File]]) -> None:
        """Of files with one path, the one with the smallest text stays, so that the order they come in is no matter."""
        self._files: dict[str, File] = {}
        named = [(name, file) for path, file in files if (name := normalise(path))]
        for name, file in sorted(named, key=lambda item: (item[0], item[1].text, item[1].lang or "")):
            self._files.setdefault(name, file)

    def __getitem__(self, path: str) -> File:
        return self._files[path]

    def __contains__(self, path: object) -> bool:
        return path in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def first(self, *paths: str | None) -> str | None:
        """The first of these paths that is a file."""
        return next((path for path in paths if path in self._files), None)

    @cached_property
    def folders(self) -> Mapping[str, list[str]]:
        """Folder ("" is the root) -> the paths of the files directly in it, sorted."""
        found: dict[str, list[str]] = {}
        for path in self._files:
            found.setdefault(posixpath.dirname(path), []).append(path)
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._files:
            found.setdefault(posixpath.basename(path), []).append(path)
        return found

    @cached_property
    def _folders_by_name(self) -> dict[str, list[str]]:
        every: set[str] = set()
        for folder in self.folders:
            above = folder
            while above and above not in every:
                every.add(above)
                above = posixpath.dirname(above)
        found: dict[str, list[str]] = {}
        for folder in sorted(every):
            found.setdefault(posixpath.basename(folder), []).append(folder)
        return found

    def named(self, name: str) -> list[str]:
        """All files of this base name, sorted by path."""
        return self._by_name.get(name, [])

    def ending(self, path: str) -> list[str]:
        """All files whose path is `path` or ends with "/" + `path`, sorted."""
        return [found for found in self.named(posixpath.basename(path)) if _ends(found, path)]

    def folders_ending(self, path: str) -> list[str]:
        """All folders, those without files of their own too, whose path is `path` or ends with it, sorted."""
        return [found for found in self._folders_by_name.get(posixpath.basename(path), []) if _ends(found, path)]


def _ends(found: str, path: str) -> bool:
    return found == path or found.endswith("/" + path)


def normalise(path: str) -> str | None:
    """A path without ".", "..", doubled or leading "/"; None for one that leads outside, or nowhere."""
    found = posixpath.normpath(path.lstrip("/")) if path else "."
    return None if found in {".", ".."} or found.startswith("../") else found


def join(folder: str, *parts: str) -> str | None:
    """`parts` seen from a folder of the repository, normalised; None where that leads outside it.

    An absolute part begins at the repository's root.
    """
    return normalise(posixpath.join(folder, *parts))
