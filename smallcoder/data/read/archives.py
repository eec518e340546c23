"""Archives: zip, tar (plain, .gz, .bz2, .xz, .zst), wheels and sdists, each one a repository, wherever they lie.

Nothing is unpacked to disk: names are labels only, links are passed over, and a name that leads outside its archive is
dropped as `unsafe_path`. A wheel's name, version and licence are those of its METADATA, an sdist's those of PKG-INFO;
any other archive is named as its file, its revision is the commit that `git archive` notes, its licence what the
LICENSE files at its top say. A single folder that holds everything is left out of paths.

An archive is read twice, as what tells its licence may come last. Memory is bounded by one member of `max_bytes` and
zip's directory. Members are counted by what they really hold, not by what is said of them. The rest of an archive that
unpacks to more than RATIO times its size (and SLACK) is one drop, `too_large`; a damaged or locked member is
`unreadable`; an archive that is cut short is an error. Archives inside archives are not opened.
"""

import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email import message_from_string
from functools import partial
from typing import IO

import pyarrow as pa

from smallcoder.core.errors import InputError, SmallcoderError
from smallcoder.core.stage import Size
from smallcoder.data.licenses import license_of_files
from smallcoder.data.read.config import Config, Row
from smallcoder.data.read.distributions import license_of_metadata
from smallcoder.data.read.files import SourceFile, is_license, loaded, unwanted, visible
from smallcoder.data.read.places import Place, brief, decompressed, fingerprint, places, stored

ENDINGS = (".zip", ".whl", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
RATIO, SLACK = 100, 64 << 20  # source code packs 3 to 10 times, with many repetitions 50; bombs 1,000 and more
LARGEST = 16 << 20  # of a header of tar or the directory of a zip (100,000 entries)
PIECE = 4096  # what zip's bz2 and xz give for so many bytes is held at once: 80 MB at worst
TEXT_BYTES, TEXTS = 1 << 18, 64  # read of metadata and licence files, and how many of them
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# What damaged and hostile archives make these libraries raise.
DAMAGE = (
    OSError, EOFError, ValueError, RuntimeError, OverflowError, struct.error, zlib.error, lzma.LZMAError,
    tarfile.TarError, zipfile.BadZipFile, pa.ArrowException,
)  # fmt: skip


class _TooMuch(Exception):  # noqa: N818
    """An archive unpacks to more than it may."""


@dataclass
class _Budget:
    """How many bytes an archive may still unpack to."""

    left: int

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise _TooMuch


@dataclass(frozen=True)
class Member:
    """A regular file of an archive. `read(n)` gives its first n bytes, None where it is damaged."""

    path: str
    size: int  # as the archive says
    comment: str  # of the archive
    read: Callable[[int], bytes | None]


@dataclass(frozen=True)
class About:
    """What an archive says of itself. `top` is the folder that holds everything, with its "/", or ""."""

    repo: str
    revision: str | None
    license: str | None
    top: str


def parts(source: str) -> list[Place]:
    """The archives of a source. Raises InputError where there is none."""
    return places(source, ENDINGS)


def batches(source: str, parts: Iterable[Place], config: Config) -> Iterator[list[Row]]:
    """Rows of all members of some archives in their order. Raises InputError where one is damaged."""
    return loaded(_files(source, parts, config), config)


def expect(source: str, config: Config) -> Size:
    """The size of the archives as they are stored; their members are not counted."""
    return stored(source, ENDINGS)


def outside(source: str) -> dict[str, str]:
    """A fingerprint of the archives."""
    return {source: fingerprint(source, ENDINGS)}


def _files(source: str, parts: Iterable[Place], config: Config) -> Iterator[SourceFile]:
    for place in parts:
        about = _about(place)
        for path, reason, data in _judged(place, about.top, config):
            yield SourceFile(place.name, about.repo, about.revision, path, about.license, source, reason, data)


def _judged(place: Place, top: str, config: Config) -> Iterator[tuple[str, str | None, bytes | None]]:
    """Path, reason to drop and bytes of the members with a wanted ending."""
    skip, limit = frozenset(config.skip), config.max_bytes
    try:
        for member in members(place):
            path = member.path.removeprefix(top)
            folders = path.split("/")[:-1]
            leads_out = ".." in folders or path.startswith("/")
            if not path.endswith(config.extensions) or not (leads_out or all(map(visible, folders))):
                continue
            reason = "unsafe_path" if leads_out else unwanted(path, skip)
            reason = reason or ("too_large" if member.size > limit else None)
            data = member.read(limit + 1) if reason is None else None
            if reason is None and (data is None or len(data) > limit):
                reason, data = "unreadable" if data is None else "too_large", None
            yield path, reason, data
    except _TooMuch:
        yield place.name.rpartition("/")[2], "too_large", None


def _about(place: Place) -> About:
    tops: set[str] = set()
    licenses: dict[str, str] = {}
    metadata: dict[str, str] = {}
    comment = ""
    with suppress(_TooMuch):
        for member in members(place):
            first, slash, rest = member.path.partition("/")
            if len(tops) < 2:
                tops.add(first + slash if slash else "")
            comment = member.comment
            of_wheel = first.endswith(".dist-info")
            name = member.path.rpartition("/")[2]
            if name in {"METADATA", "PKG-INFO"} and "/" not in rest:
                kind = metadata
            elif is_license(name) and ("/" not in rest or of_wheel):
                kind = licenses
            else:
                continue
            if len(kind) < TEXTS:
                kind[member.path] = (member.read(TEXT_BYTES) or b"").decode("utf-8", "replace")
    top = next(iter(tops)) if len(tops) == 1 else ""
    stem = place.name.rpartition("/")[2]
    stem = stem.removesuffix(next(ending for ending in reversed(ENDINGS) if stem.endswith(ending)))
    stated = next((text for path, text in sorted(metadata.items()) if _describes(path, top, place.name)), None)
    texts = [
        text
        for path, text in sorted(licenses.items())
        if "/" not in path.removeprefix(top) or path.partition("/")[0].endswith(".dist-info")
    ]
    if stated is None:
        revision = comment if COMMIT.fullmatch(comment) else None
        return About(stem, revision, license_of_files(texts), top)
    message = message_from_string(stated)
    name, version = message["Name"] or stem, message["Version"]
    return About(str(name), str(version) if version else None, license_of_metadata(message, texts), top)


def _describes(path: str, top: str, name: str) -> bool:
    """Whether a metadata file is that of the archive, not of something in it."""
    if name.endswith(".whl"):
        return path.endswith(".dist-info/METADATA")
    return path == f"{top}PKG-INFO"


def members(place: Place) -> Iterator[Member]:
    """The regular files of an archive in its order. Raises InputError where it is damaged, _TooMuch for a bomb."""
    budget = _Budget(RATIO * place.size + SLACK)
    with place.open() as file, _damage(place.name):
        if place.name.endswith((".zip", ".whl")):
            yield from _zip(file, budget)
        else:
            yield from _tar(_Forward(decompressed(file, place.name), budget), place.name)


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except SmallcoderError:
        raise
    except DAMAGE as error:
        raise InputError(f"{name} is not a whole archive ({brief(error)})", "copy it again or leave it out") from error


def _plain(path: str) -> str:
    """A member's name without what means nothing in it; ".." and a leading "/" stay, for they mean something."""
    path = path.replace("\\", "/")
    return "/" * path.startswith("/") + "/".join(part for part in path.split("/") if part not in {"", "."})


class _Directory:
    """A file whose single reads are bounded: a zip's directory is read at once, of whatever size it claims to be."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek, self.tell, self._file = file.seek, file.tell, file

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size if 0 <= size <= LARGEST else LARGEST + 1)
        if len(data) > LARGEST:
            raise zipfile.BadZipFile(f"a directory of more than {LARGEST} bytes")
        return data

    def seekable(self) -> bool:
        return True


def _zip(file: IO[bytes], budget: _Budget) -> Iterator[Member]:
    with zipfile.ZipFile(_Directory(file)) as archive:  # type: ignore[arg-type]
        comment = archive.comment.decode("ascii", "replace")
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.filename and not info.is_dir() and stat.S_IFMT(mode) in {0, stat.S_IFREG}:
                yield Member(_plain(info.filename), info.file_size, comment, partial(_unzipped, archive, info, budget))


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget, limit: int) -> bytes | None:
    data = bytearray()
    try:
        with archive.open(info) as file:
            while len(data) < limit and (piece := file.read(PIECE)):
                budget.spend(len(piece))
                data += piece
    except SmallcoderError:
        raise
    except DAMAGE:
        return None
    return bytes(data[:limit])


class _Forward:
    """A stream that `tarfile` can seek forward in, which counts against the budget what it gives."""

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
        self._file, self._budget, self._position = file, budget, 0
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._file.read(size)
        self._position += len(self.last)
        self._budget.spend(len(self.last))
        return self.last

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise tarfile.ReadError("a member that lies before its header")
        while self._position < position and self.read(min(position - self._position, 1 << 16)):
            pass


class _TarFile(tarfile.TarFile):
    members: list[tarfile.TarInfo]  # as its documentation has it: all that were read


def _tar(stream: _Forward, name: str) -> Iterator[Member]:
    with closing(_TarFile(fileobj=stream, errors="surrogateescape")) as archive:  # type: ignore[arg-type]
        while (info := archive.next()) is not None:
            if info.isreg():
                comment = archive.pax_headers.get("comment", "")
                yield Member(_plain(info.name), info.size, comment, partial(_untarred, archive, info, name))
            archive.members.clear()  # else it keeps them all
    # `tarfile` takes any block that is no header for the end; the real one is a block of zeros.
    if len(stream.last) != tarfile.BLOCKSIZE or any(stream.last):
        raise tarfile.ReadError("it breaks off before its end")
    while stream.read(1 << 16):  # the compressed stream's own end, with its checksum, comes after some padding
        pass


def _untarred(archive: tarfile.TarFile, info: tarfile.TarInfo, name: str, limit: int) -> bytes:
    data = bytearray()
    with _damage(name):
        file = archive.extractfile(info)
        assert file
        while len(data) < limit and (piece := file.read(min(limit - len(data), 1 << 16))):
            data += piece
    return bytes(data)
