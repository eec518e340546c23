"""What happens in a closed child: load the program, call it once per input, write one frame per call.

Frames on the result pipe: `R` ready (written before any candidate code is loaded), then per call `V` + an encoded
value, `H` + the digest of a value too large for one frame, or `E` + an error text; `X` + text where the program did
not load, `D` done. A frame is its letter, a 4-byte little-endian length and that many bytes. The candidate shares this
interpreter and can forge any frame after `R`; that is as good as printing an answer, since nothing here knows which
answer is right.

Where tests run in a second jail (`witness.py`), the inputs come from there through a pipe instead, one at a time.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from gc import enable
from marshal import loads
from os import write
from sys import modules
from types import ModuleType
from typing import Any

from .codec import EncodeError, decode, digest, encode
from .tiers import Close

ERROR_BYTES = 300
VALUES = 16  # one value may take this part of all output
_READY = b"R" + bytes(4)


# A program as it comes to its process: code, entry point, inputs, bytes of output, CPU-seconds, bytes of memory.
Job = tuple[str, str, list[bytes], int, int, int]


def run(close: Close, job: Job, result: int, calls: int | None = None) -> None:
    """Be the candidate's process. After anything unforeseen, `D` is not written."""
    code, entry_point, inputs, output_bytes, cpu_seconds, memory_bytes = job
    enter(close, (cpu_seconds, memory_bytes), result, (result,) if calls is None else sorted((result, calls)))
    asked = inputs if calls is None else (data for _, data in frames(calls, 1 << 32))
    _work(code, entry_point, asked, output_bytes, result)


def enter(close: Close, limits: tuple[int, int], result: int, kept: Sequence[int], tmp: bool = True) -> None:
    """Shut this process in and say on `result` that it is; keep no other descriptors than `kept`."""
    try:
        close(*limits, kept, tmp)
    except OSError as error:
        write(result, str(error).encode("utf-8", "replace")[:200])
        os._exit(1)
    write(result, _READY)
    enable()


def _work(code: str, entry_point: str, inputs: Iterable[bytes], output_bytes: int, result: int) -> None:
    try:
        module = ModuleType("candidate")
        modules["candidate"] = module
        names = module.__dict__
        exec(compile(code, "<candidate>", "exec"), names)
        if entry_point not in names:
            raise NameError(f"the program defines no {entry_point}")
    except BaseException as error:
        frame(result, b"X", say(error))
        return
    left = output_bytes
    for item in inputs:
        call = loads(item[1:]) if item.startswith(b"m") else decode(item)
        try:
            value = eval(call, names) if type(call) is str else names[call[0]](*call[1], **call[2])
            kind, data = _encoded(value, output_bytes // VALUES, left)
        except EncodeError as error:
            frame(result, b"E", str(error).encode("utf-8", "replace")[:ERROR_BYTES])
        except BaseException as error:
            frame(result, b"E", say(error))
        else:
            left -= len(data)
            frame(result, kind, data)
    frame(result, b"D", b"")


def _encoded(value: Any, most: int, left: int) -> tuple[bytes, bytes]:
    """A value as a frame: itself, or its digest where it is larger than `most`."""
    try:
        data = encode(value, min(most, left))
    except EncodeError as error:
        if most > left or str(error) != "too large":
            raise
        return b"H", digest(value)
    return b"V", data


def say(error: BaseException) -> bytes:
    """An exception in a few words."""
    try:
        return f"{type(error).__name__}: {error}"[:ERROR_BYTES].encode("utf-8", "replace")[:ERROR_BYTES]
    except BaseException:
        return b"an exception that cannot be shown"


def frame(pipe: int, kind: bytes, data: bytes) -> None:
    """Write one frame."""
    data = kind + len(data).to_bytes(4, "little") + data
    while (done := write(pipe, data)) < len(data):
        data = data[done:]


def frames(pipe: int, most: int) -> Iterator[tuple[bytes, bytes]]:
    """The frames that come through a pipe, each of at most `most` bytes, until it is closed or one is too long."""
    while head := _exactly(pipe, 5):
        kind, size = head[:1], int.from_bytes(head[1:], "little")
        if size > most or (data := _exactly(pipe, size)) is None:
            return
        yield kind, data


def _exactly(pipe: int, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        if not (block := os.read(pipe, min(count - len(data), 1 << 20))):
            return None
        data += block
    return bytes(data)
