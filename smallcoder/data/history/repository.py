"""A git repository's commits, changes and blobs, streamed from its objects; nothing is checked out.

Built on what reads `git:` sources. Options are such that no setting of the caller changes an answer. Renames are found
by equal contents alone, which reads no blob. Needs the `git` command.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from smallcoder.core.errors import InputError
from smallcoder.data.read.git import PIECE, Reader, license_at, objects, output, started

NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # of an object: SHA-1 or SHA-256
RAW = ("--raw", "-z", "--no-abbrev", "--find-renames=100%", "--no-color", "--no-ext-diff", "-O/dev/null")
LOG = ("--diff-merges=off", "--root", "--no-show-signature", "--no-notes", "--encoding=UTF-8", "--no-mailmap")
FORMAT = "--format=tformat:%H%x00%P%x00%an%x00%ae%x00%B"
FIELDS = 5


@dataclass(frozen=True)
class Change:
    """A file that differs: `status` as git says it ("A", "D", "M", "R100", "T"), the blobs before and after."""

    status: str
    path: str
    old_path: str  # another one only of what was moved
    before: str | None  # the object's name; None where there is no file
    after: str | None

    @property
    def text(self) -> bool:
        """Whether a regular file stands on every side that is there."""
        return self.status[0] in "AMDR"


@dataclass
class Commit:
    """A commit and the first two of its changes; `files` is the number of all. A merge has none."""

    name: str
    parents: int
    author: str
    email: str
    message: str
    changes: list[Change] = field(default_factory=list)
    files: int = 0


class Repository:
    """Answers from one repository, through two processes that stay open; `opened` makes it."""

    def __init__(self, folder: Path, read: Reader, check: "subprocess.Popen[bytes]") -> None:
        assert check.stdin
        assert check.stdout
        self.folder = folder
        whole = folder.resolve()
        self.name = (whole.parent if whole.name == ".git" else whole).name.removesuffix(".git")
        self._read, self._ask, self._answer = read, check.stdin, check.stdout

    def about(self, name: str) -> tuple[str, int] | None:
        """The kind and the size in bytes of an object; None where it is not there or the name is none."""
        if not NAME.fullmatch(name):
            return None
        with suppress(BrokenPipeError):
            self._ask.write(name.encode() + b"\n")
            self._ask.flush()
        answer = self._answer.readline().split()
        if len(answer) == 3 and answer[2].isdigit():
            return answer[1].decode(), int(answer[2])
        if answer[1:] == [b"missing"]:
            return None
        raise InputError(f"git cannot read object {name} of {self.folder}", "run `git fsck` there")

    def blob(self, name: str) -> bytes | None:
        """What a blob holds; None where it is not there."""
        return self._read(name)

    def license(self, commit: str) -> str | None:
        """The licence that the top folder of a commit states, as `read` takes it."""
        return license_at(self.folder, commit, self._read)

    def log(self, commit: str) -> Iterator[Commit]:
        """The commits that can be reached from one, newest first, as git orders them."""
        with output(self.folder, "log", *LOG, *RAW, FORMAT, commit) as out:
            yield from _commits(_pieces(out))

    def changes(self, base: str, head: str, most: int) -> list[Change]:
        """The first `most` files that differ between two commits, by path."""
        with output(self.folder, "diff-tree", "-r", *RAW, base, head) as out:
            found: list[Change] = []
            pieces = _pieces(out)
            for piece in pieces:
                found.append(_change(piece, pieces))
                if len(found) == most:
                    break
            return found

    def merge_base(self, base: str, head: str) -> str | None:
        """The commit where two histories part; None where they have nothing in common."""
        with output(self.folder, "merge-base", base, head) as out:
            return out.read(PIECE).decode("ascii", "replace").partition("\n")[0] or None

    def diff(self, base: str, head: str, changes: Sequence[Change], most: int) -> str | None:
        """The unified diff of some files, with three lines of context; None where it has more than `most` bytes."""
        paths = dict.fromkeys(path for change in changes for path in (change.old_path, change.path))
        options = ("-r", "-p", "--find-renames=100%", "--no-color", "--no-ext-diff", "--no-textconv", "-O/dev/null")
        with output(self.folder, "--literal-pathspecs", "diff-tree", *options, base, head, "--", *paths) as out:
            data = out.read(most + 1)
            return data.decode("utf-8", "replace") if len(data) <= most else None


def generated(path: str) -> bool:
    """Whether a file's name says that a program wrote it."""
    from smallcoder.data.rules import GENERATED_PATHS

    return re.search(GENERATED_PATHS, path) is not None


@contextmanager
def opened(folder: Path) -> Iterator[Repository]:
    """A repository, bare or with a work tree. Raises InputError at the first question where it is none."""
    with objects(folder) as read, started(folder, "cat-file", "--batch-check") as (check, _):
        yield Repository(folder, read, check)


def _pieces(out: IO[bytes]) -> Iterator[bytes]:
    """What stands between NULs."""
    rest = b""
    while piece := out.read(PIECE):
        *pieces, rest = (rest + piece).split(b"\0")
        yield from pieces


def _commits(pieces: Iterator[bytes]) -> Iterator[Commit]:
    commit: Commit | None = None
    for piece in pieces:
        raw = piece.lstrip(b"\n")
        if raw.startswith(b":"):  # a commit's name never does
            assert commit
            commit.files += 1
            change = _change(raw, pieces)
            if len(commit.changes) < 2:
                commit.changes.append(change)
            continue
        if commit:
            yield commit
        fields = [raw, *(next(pieces, b"") for _ in range(FIELDS - 1))]
        name, parents, author, email, message = (text.decode("utf-8", "replace") for text in fields)
        commit = Commit(name, len(parents.split()), author, email, message)
    if commit:
        yield commit


def _change(raw: bytes, pieces: Iterator[bytes]) -> Change:
    old_mode, mode, before, after, status = raw.lstrip(b":").decode("ascii").split()
    paths = [next(pieces, b"").decode("utf-8", "surrogateescape") for _ in range(2 if status[0] in "RC" else 1)]
    # Links are 120000, submodules 160000; 000000 is no file.
    odd = any(not kind.startswith("100") for kind in (old_mode, mode) if kind != "000000")
    old, new = (None if set(side) == {"0"} else side for side in (before, after))
    return Change("T" if odd else status, paths[-1], paths[0], old, new)
