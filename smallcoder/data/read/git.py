"""A git repository at a revision, bare or with a work tree, read from its objects: nothing is checked out.

    git:PATH[@REVISION]        git:mirrors/project.git@v1.2        the revision is HEAD where none is named

`git ls-tree` lists the files and one `git cat-file --batch` hands them over. The documents are those that a clean
checkout in a folder would give, but for the filters and line endings that a checkout applies. Links, submodules and
objects that are not there (partial clones) are not followed or fetched. Needs the `git` command.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from smallcoder.core.errors import InputError, ToolError
from smallcoder.core.stage import Size
from smallcoder.data.licenses import license_of_files
from smallcoder.data.read.config import Config, Row
from smallcoder.data.read.files import SourceFile, is_license, loaded, unwanted, visible

PREFIX = "git:"
Part = tuple[Path, str]  # a folder and a revision
MAX_FILES = 5_000_000  # ten times the largest known; a few trees that hold one another can list billions
LICENSE_BYTES = 1 << 18
PIECE = 1 << 16


@dataclass(frozen=True)
class Entry:
    """A file of a tree: its path, object id and size in bytes."""

    path: str
    object: str
    size: int


def parts(source: str) -> list[Part]:
    """The folder and the revision, one. Raises InputError where there is no such folder."""
    return [located(source)]


def batches(source: str, parts: Iterable[Part], config: Config) -> Iterator[list[Row]]:
    """Rows of the files in git's order of paths. Raises InputError where there is no such repository or revision."""
    return loaded((file for part in parts for file in _files(source, *part, config)), config)


def expect(source: str, config: Config) -> Size:
    """Number and bytes of the files to be opened, from the tree."""
    folder, revision = located(source)
    chosen = (entry for entry in _listed(folder, commit_of(folder, revision), config) if entry.size <= config.max_bytes)
    skip = frozenset(config.skip)
    sizes = [entry.size for entry in chosen if unwanted(entry.path, skip) is None]
    return Size(len(sizes), sum(sizes))


def outside(source: str) -> dict[str, str]:
    """The commit that the revision names."""
    return {source: commit_of(*located(source))}


def _files(source: str, folder: Path, revision: str, config: Config) -> Iterator[SourceFile]:
    """The source files of the revision with what they hold."""
    commit = commit_of(folder, revision)
    whole = folder.resolve()
    name = (whole.parent if whole.name == ".git" else whole).name.removesuffix(".git")
    skip = frozenset(config.skip)
    with objects(folder) as read:
        license = license_at(folder, commit, read)
        for entry in _listed(folder, commit, config):
            reason = unwanted(entry.path, skip) or ("too_large" if entry.size > config.max_bytes else None)
            data = read(entry.object) if reason is None else None
            if reason is None and data is None:
                reason = "unreadable"
            yield SourceFile(str(folder), name, commit, entry.path, license, source, reason, data)


def located(source: str) -> Part:
    """The folder and the revision. A folder may have "@" in its name: the first one after a folder divides them."""
    text = source.removeprefix(PREFIX)
    ends = [at for at, letter in enumerate(text) if letter == "@"]
    for end in (len(text), *ends):
        folder = Path(text[:end]).expanduser()
        if end and folder.is_dir():
            return folder, text[end + 1 :] or "HEAD"
    raise InputError(f"there is no repository {text}", f"write {PREFIX}FOLDER or {PREFIX}FOLDER@REVISION")


def commit_of(folder: Path, revision: str) -> str:
    """The commit that a revision names, in full."""
    # A revision that starts with "-" would be taken for an option.
    with output(folder, "rev-parse", "--verify", "--quiet", f"{revision.lstrip('-')}^{{commit}}") as out:
        commit = out.read(PIECE).decode("ascii", "replace").strip()
    if not commit:
        raise InputError(f"{folder} has no revision {revision}", "name a branch, a tag or a commit")
    return commit


def license_at(folder: Path, commit: str, read: "Reader") -> str | None:
    top = [entry for entry in _tree(folder, commit) if is_license(entry.path) and entry.size <= LICENSE_BYTES]
    texts = (read(entry.object) or b"" for entry in top)
    return license_of_files(text.decode("utf-8", "replace") for text in texts)


def _listed(folder: Path, commit: str, config: Config) -> Iterator[Entry]:
    for entry in _tree(folder, commit, "-r"):
        if entry.path.endswith(config.extensions) and all(map(visible, entry.path.split("/")[:-1])):
            yield entry


def _tree(folder: Path, commit: str, *options: str) -> Iterator[Entry]:
    """The regular files of a commit, streamed."""
    with output(folder, "ls-tree", "-z", "--long", "--full-tree", *options, commit) as out:
        rest = b""
        count = 0
        while piece := out.read(PIECE):
            *records, rest = (rest + piece).split(b"\0")
            count += len(records)
            if count > MAX_FILES:
                raise InputError(f"{folder} lists more than {MAX_FILES:,} files", "leave this repository out")
            for record in records:
                about, _, path = record.partition(b"\t")
                mode, _, name, size = about.split()
                if mode.startswith(b"100"):  # links are 120000, submodules 160000
                    number = int(size) if size.isdigit() else 0  # "-" or "BAD": not here
                    yield Entry(path.decode("utf-8", "surrogateescape"), name.decode(), number)


class Reader:
    """Reads objects through one `git cat-file --batch`."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin
        assert process.stdout
        self._folder, self._ask, self._answer = folder, process.stdin, process.stdout

    def __call__(self, name: str) -> bytes | None:
        """What a blob holds, None where it is not there. Raises InputError where git gives up."""
        with suppress(BrokenPipeError):
            self._ask.write(name.encode() + b"\n")
            self._ask.flush()
        answer = self._answer.readline().split()
        if answer[1:] == [b"missing"]:
            return None
        size = int(answer[2]) if len(answer) == 3 else -1
        data = self._answer.read(size + 1)[:-1] if size >= 0 else b""
        if len(data) != size:
            raise InputError(f"git cannot read object {name} of {self._folder}", "run `git fsck` there")
        return data


@contextmanager
def objects(folder: Path) -> Iterator[Reader]:
    with started(folder, "cat-file", "--batch") as (process, _):
        yield Reader(folder, process)


@contextmanager
def output(folder: Path, *arguments: str) -> Iterator[IO[bytes]]:
    """The output of a git command. Raises InputError with git's own words where it fails."""
    with started(folder, *arguments) as (process, complaints):
        assert process.stdout
        yield process.stdout
        process.stdout.close()  # git that still writes to a reader that has stopped would never end
        failed = process.wait() != 0
        complaints.seek(0)
        words = complaints.read(PIECE).decode("utf-8", "replace").strip()
        if failed and words:
            raise InputError(f"git cannot read {folder} ({words.splitlines()[0][:120]})", "name a repository")


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """A git command and the file of its complaints, which cannot fill up as a pipe would."""
    folder = folder.resolve()
    # Only this folder, whatever repository lies around it or is set for the caller, and no fetch of missing objects.
    kept = {name: value for name, value in os.environ.items() if name[:4] != "GIT_" or name[:10] == "GIT_CONFIG"}
    own = {"GIT_CEILING_DIRECTORIES": str(folder.parent), "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    with TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                ["git", "-C", str(folder), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=kept | own | {"LC_ALL": "C"},
            )
        except FileNotFoundError:
            raise ToolError(f"{PREFIX} sources need the git command", "install git") from None
        with process:
            try:
                yield process, complaints
            finally:
                process.kill()  # a reader that stops early leaves it writing; one that has ended does not mind
