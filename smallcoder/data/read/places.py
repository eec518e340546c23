"""Files by name, pattern or URL: on this machine or wherever an fsspec file system reaches (s3://, hf://, ...).

A source names one file, a pattern (`data/*.parquet`, `s3://bucket/**/*.jsonl.zst`) or a folder, of which the files
with the wanted endings count. Files are opened as streams; nothing is copied to disk. Reading a URL needs the library
of its file system (fsspec says which) and that library's own credentials.
"""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import IO, Any

import pyarrow as pa

from smallcoder.core.errors import InputError, SmallcoderError, ToolError
from smallcoder.core.stage import Size

MAGIC = frozenset("*?[")
XZ_MEMORY = 256 << 20  # xz -9 needs 65 MiB to unpack; its format allows 4 GiB


@dataclass(frozen=True)
class Place:
    """One file: where it is, its size in bytes (0 if a server does not say), and a mark of its contents' version."""

    name: str
    path: str
    size: int
    mark: str
    system: Any

    def open(self) -> IO[bytes]:
        """A stream of its bytes, whose every failure is an OSError. It can seek where the server can give parts."""
        with storage(self.name):
            return io.BufferedReader(_Stored(self.system.open(self.path, "rb")), 1 << 16)


@contextmanager
def storage(name: str) -> Iterator[None]:
    """Turns what a storage library raises into one line about `name`. Wrap calls of such a library alone."""
    try:
        yield
    except SmallcoderError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no {name} to read", "mend `paths`; relative ones start where you are") from None
    except ImportError as error:
        raise ToolError(f"{name} needs a library ({brief(error)})", "pip install 'smallcoder[sources]'") from None
    except Exception as error:  # every library has exceptions of its own
        raise InputError(f"{name} cannot be read ({brief(error)})", "check its name and your access to it") from error


def brief(error: BaseException) -> str:
    """The first line of an error's message, cut short, or its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def places(source: str, endings: Sequence[str]) -> list[Place]:
    """The files that a source names, in the order of their paths. Raises InputError where there is none."""
    from fsspec.core import url_to_fs

    with storage(source):
        system, path = url_to_fs(source)
        if not MAGIC.isdisjoint(path) and not system.exists(path):
            found = system.glob(path, detail=True).values()
        elif system.isdir(path):
            found = system.ls(path, detail=True)
        else:
            found = [system.info(path)]
        named = [info for info in found if info["name"].endswith(tuple(endings))]
        # A folder's list tells of a link itself, `info` of what it leads to.
        links = {info["name"] for info in named if info["type"] == "other" and system.isfile(info["name"])}
        named = [system.info(info["name"]) if info["name"] in links else info for info in named]
    chosen = [info for info in named if info["type"] == "file"]
    if not chosen:
        raise InputError(f"{source} names no file to read", f"its files must end in {', '.join(endings)}")
    with storage(source):
        return [_place(system, info) for info in sorted(chosen, key=lambda info: info["name"])]


def _place(system: Any, info: dict[str, Any]) -> Place:
    local = "mtime" in info
    name = info["name"] if local else system.unstrip_protocol(info["name"])
    mark = str(info["mtime"]) if local else system.ukey(info["name"])
    return Place(name, info["name"], info["size"] or 0, mark, system)


def fingerprint(source: str, endings: Sequence[str]) -> str:
    """A digest of the names, sizes and marks of what a source names: changes when the contents do."""
    digest = blake2b(digest_size=8)
    for place in places(source, endings):
        digest.update(f"{place.path}\0{place.size}\0{place.mark}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def stored(source: str, endings: Sequence[str]) -> Size:
    """The size of what a source names as it is stored."""
    return Size(None, sum(place.size for place in places(source, endings)), "compressed size of tables and archives")


def decompressed(file: IO[bytes], name: str) -> IO[bytes]:
    """The stream that a compressed file holds, by the ending of its name; the file itself for any other ending."""
    if name.endswith((".gz", ".tgz")):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if name.endswith(".bz2"):
        return bz2.BZ2File(file)
    if name.endswith(".xz"):
        return io.BufferedReader(_Xz(file), 1 << 16)
    if name.endswith(".zst"):
        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"), 1 << 20)
    return file


class _Stored(io.RawIOBase):
    """A file of an fsspec file system as Python's own streams are: their classes know only some of the methods."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._called(self._file.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._called(self._file.seek, offset, whence)
        return self.tell()

    def tell(self) -> int:
        return self._called(self._file.tell)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _called(self, method: Any, *arguments: int) -> Any:
        try:
            return method(*arguments)
        except Exception as error:  # every library has exceptions of its own
            raise OSError(brief(error)) from error


class _Xz(io.RawIOBase):
    """What an .xz file holds, in at most XZ_MEMORY: `lzma.LZMAFile` takes as much as the file asks for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            if self._decoder.eof:  # another stream may follow, behind zeros
                packed = self._decoder.unused_data.lstrip(b"\0")
                while not packed and (piece := self._file.read(1 << 16)):
                    packed = piece.lstrip(b"\0")
                if not packed:
                    return 0
                self._decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
            else:
                packed = self._file.read(1 << 16) if self._decoder.needs_input else b""
                if not packed and self._decoder.needs_input:
                    raise EOFError("it ends before its end mark")
            data = self._decoder.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)
