"""Files by name, pattern or URL: on this machine or wherever an fsspec file system reaches (s3://, hf://, ...).

A source names one file, a pattern (`data/*.parquet`, `s3://bucket/**/*.jsonl.zst`) or a folder, of which the files
with the wanted endings count. Files are opened as streams; nothing is copied to disk. Reading a URL needs the library
of its file system (fsspec says which) and that library's own credentials.

A server that is busy or breaks off is asked again, RETRIES times with pauses that double (15 seconds in all), and a
file goes on where it stopped. What still fails is `UnreachableError`: never a shorter table.
"""

import bz2
import gzip
import io
import lzma
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import IO, Any, TypeVar

import pyarrow as pa

from smallcoder.core.errors import InputError, SmallcoderError, ToolError
from smallcoder.core.stage import Size

MAGIC = frozenset("*?[")
XZ_MEMORY = 256 << 20  # xz -9 needs 65 MiB to unpack; its format allows 4 GiB
RETRIES, PAUSE = 5, 0.5  # seconds: the first pause
BUSY = frozenset([408, 409, 425, 429])  # and from 500 on
# What connections fail with, by the names of Python, aiohttp, botocore, httpx and requests.
TRANSPORT = {"ConnectionError", "TimeoutError", "HTTPClientError", "TransportError"}
TRANSPORT |= {"ClientConnectionError", "ClientPayloadError"}
T = TypeVar("T")


class UnreachableError(InputError):
    """A server that does not answer, or breaks off, however often it is asked."""


@dataclass(frozen=True)
class Place:
    """One file: where it is, its size in bytes (0 if a server does not say), and a mark of its contents' version."""

    name: str
    path: str
    size: int
    mark: str
    system: Any

    def open(self) -> IO[bytes]:
        """A stream of its bytes. Raises UnreachableError; any other failure is an OSError.

        It can seek where the server can give parts.
        """
        with storage(self.name):
            return io.BufferedReader(_Stored(self), 1 << 16)


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


def patiently(name: str, call: Callable[[], T]) -> T:
    """What the call returns, tried again where a server failed. Raises UnreachableError, and other errors at once."""
    for attempt in range(RETRIES + 1):
        try:
            return call()
        except Exception as error:  # every library has exceptions of its own
            if not passing(error):
                raise
            if attempt == RETRIES:
                raise UnreachableError(
                    f"{name} does not answer, or breaks off ({brief(error)})",
                    "run again when its server can be reached, or take it out of the recipe",
                ) from error
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError


def passing(error: BaseException | None) -> bool:
    """Whether a failure may pass: that of a connection, or a status that says so. Nothing of this machine does."""
    if error is None or isinstance(error, SmallcoderError | ImportError):
        return False
    if isinstance(error, FileNotFoundError):  # what fsspec makes of any failure to look at a URL
        return passing(error.__cause__)
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int) and status:
        return status in BUSY or status >= 500
    return not TRANSPORT.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def brief(error: BaseException) -> str:
    """The first line of an error's message, cut short, or its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def places(source: str, endings: Sequence[str]) -> list[Place]:
    """The files that a source names, in the order of their paths. Raises InputError where there is none."""
    from fsspec.core import url_to_fs

    def listed() -> tuple[Any, list[dict[str, Any]]]:
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
        return system, [system.info(info["name"]) if info["name"] in links else info for info in named]

    with storage(source):
        system, named = patiently(source, listed)
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

    def __init__(self, place: Place) -> None:
        self._place = place
        self._file = patiently(place.name, self._opened)
        self._at = 0  # where it stands; after a failure the file itself may not know

    def _opened(self) -> Any:
        return self._place.system.open(self._place.path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._called(lambda: self._file.read(len(buffer)))
        self._at += len(data)
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._called(lambda: self._file.seek(offset, whence))
        self._at = self._called(self._file.tell)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()
        super().close()

    def _called(self, method: Callable[[], T]) -> T:
        def again() -> T:
            self._return()
            return method()

        try:
            return method()
        except Exception as error:  # every library has exceptions of its own
            if passing(error):
                time.sleep(PAUSE)
                return patiently(self._place.name, again)
            raise OSError(brief(error)) from error

    def _return(self) -> None:
        """Open the file anew, at the same place."""
        self._file.close()
        self._file = self._opened()
        size = getattr(self._file, "size", None)
        if size and self._place.size and size != self._place.size:
            raise OSError("it has changed while it was read")
        try:
            self._file.seek(self._at)
        except ValueError:  # a server that gives no parts
            left = self._at
            while left and (data := self._file.read(min(left, 1 << 20))):
                left -= len(data)


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
