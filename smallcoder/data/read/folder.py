"""A folder of repositories, or one repository.

A folder with `.git`, `pyproject.toml` or `setup.py` in it is a repository; of any other folder each direct sub-folder
is one, and loose files belong to a repository named as the folder itself. The licence is what the LICENSE, LICENCE and
COPYING files at a repository's top say; the revision is the commit that is checked out. Hidden folders, byte-code
and virtual environments are passed over, and links are not followed.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from smallcoder.core.stage import Size
from smallcoder.data.licenses import license_of_files
from smallcoder.data.read.config import Config, Row
from smallcoder.data.read.files import SourceFile, is_license, loaded, measured, unwanted, visible

ROOT_MARKS = (".git", "pyproject.toml", "setup.py")
COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1 or SHA-256
Part = tuple[Path, bool]  # a repository, and whether its sub-folders belong to it
HOPS = 5  # from one symbolic ref to the next, as git allows


def parts(source: str) -> list[Part]:
    """The repositories of a folder."""
    return repositories(Path(source).expanduser())


def batches(source: str, parts: Iterable[Part], config: Config) -> Iterator[list[Row]]:
    """Rows of the source files of some repositories in the order of their paths."""
    return loaded(_files(source, parts, config, license_of), config)


def expect(source: str, config: Config) -> Size:
    """Number and bytes of the files to be opened."""
    return measured(_files(source, parts(source), config, lambda _: None))


def outside(source: str) -> dict[str, str]:
    """A fingerprint of the folder, which changes with its files and with the commits that are checked out."""
    folder = Path(source).expanduser()
    commits = (commit_of(repository) or "" for repository, _ in repositories(folder))
    return {source: blake2b("\n".join((fingerprint(folder), *commits)).encode(), digest_size=8).hexdigest()}


def _files(
    source: str, parts: Iterable[Part], config: Config, license_of: Callable[[Path], str | None]
) -> Iterator[SourceFile]:
    skip = frozenset(config.skip)
    for repository, deep in parts:
        license, revision = license_of(repository), commit_of(repository)
        name = repository.resolve().name
        for location, path in walk(repository, deep):
            if path.endswith(config.extensions):
                yield SourceFile(location, name, revision, path, license, source, unwanted(path, skip))


def repositories(folder: Path) -> list[Part]:
    """The repositories of a folder."""
    if any((folder / mark).exists() for mark in ROOT_MARKS):
        return [(folder, True)]
    inner = [
        path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink() and visible(path.name)
    ]
    return [(folder, False), *((path, True) for path in inner)]


def walk(folder: Path, deep: bool = True) -> Iterator[tuple[str, str]]:
    """The files of a repository in the order of their paths: where each is, and its path inside.

    By strings alone: objects for paths cost as much as reading the files.
    """
    waiting = [(str(folder), "")]
    while waiting:
        place, inside = waiting.pop()
        folders = []
        for entry in _entries(place):
            if entry.is_symlink():
                continue
            if not entry.is_dir():
                yield entry.path, inside + entry.name
            elif deep and visible(entry.name):
                folders.append((entry.path, f"{inside}{entry.name}/"))
        waiting += reversed(folders)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in a folder by name; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def license_of(repository: Path) -> str | None:
    """What the licence files at the top say, None if they are none of the usual ones."""
    found = [path for path in sorted(repository.iterdir()) if is_license(path.name) and path.is_file()]
    return license_of_files(found)


def commit_of(repository: Path) -> str | None:
    """The commit that is checked out: also of a linked work tree or a submodule, whose `.git` is a file.

    Read from git's own files (gitrepository-layout(5)), so without the command. None without git, before the first
    commit, and where branches are kept in the `reftable` format.
    """
    git = repository / ".git"
    if link := _line(git):
        git = repository / link.removeprefix("gitdir: ")
    shared = git / _line(git / "commondir")  # a linked work tree has its branches in the main one
    found = _line(git / "HEAD")
    for _ in range(HOPS):
        if not found.startswith("ref: "):
            break
        name = found.removeprefix("ref: ")
        found = _line(git / name) or _line(shared / name) or _packed(shared / "packed-refs", name)
    return found if COMMIT.fullmatch(found) else None


def _line(path: Path) -> str:
    """The first line of a file, cut at the length of a path; "" without such a file."""
    return next((os.fsdecode(line[: 1 << 12]) for line in _lines(path)), "")


def _packed(path: Path, name: str) -> str:
    """The commit of a branch among those that git has packed into one file."""
    wanted = os.fsencode(f" {name}")
    return next((os.fsdecode(line.split(b" ")[0]) for line in _lines(path) if line.endswith(wanted)), "")


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a regular file, none of anything else: opening a pipe would never end."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                yield from (line.rstrip(b"\r\n") for line in file)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return


def fingerprint(path: Path) -> str:
    """A digest of the names, sizes and times of change of what lies under a path: changes when the contents do."""
    digest = blake2b(digest_size=8)
    for location, inside in walk(path) if path.is_dir() else [(path, ".")]:
        status = os.stat(location)
        digest.update(f"{inside}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "replace"))
    return digest.hexdigest()
