"""Which of several files an import means, where only a build that is not read could tell: the nearest one."""

from collections.abc import Iterable, Iterator
from posixpath import dirname, join


def upwards(folder: str) -> Iterator[str]:
    """A folder, the one that holds it, and so on to the root, ""."""
    while folder:
        yield folder
        folder = dirname(folder)
    yield ""


def nearest(folder: str, paths: Iterable[str]) -> str | None:
    """The path with the most leading folders in common with `folder`; None where two are equally near, or of none."""
    ranked = sorted((-_shared(folder, path), path) for path in paths)
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None
    return ranked[0][1]


def in_nearest_folder(path: str, candidates: Iterable[str]) -> list[str]:
    """Of these files, those in the folder nearest to a file, sorted.

    That is the folder with the most leading folders in common, of several the one with the fewest, then the first.
    """
    folders: dict[str, list[str]] = {}
    for candidate in candidates:
        folders.setdefault(dirname(candidate), []).append(candidate)
    if not folders:
        return []
    here = dirname(path)
    chosen = min(folders, key=lambda folder: (-_shared(here, join(folder, "_")), folder.count("/"), folder))
    return sorted(folders[chosen])


def _shared(folder: str, path: str) -> int:
    count = 0
    for first, second in zip(folder.split("/"), path.split("/")[:-1], strict=False):
        if first != second:
            break
        count += 1
    return count
