"""What happens in the forked child: load the program, call it once per input, write one frame per call.

Frames on the result pipe: `R` ready (written before any candidate code is loaded), then per call `V` + an encoded
value or `E` + an error text, `X` + text where the program did not load, `D` done. A frame is its letter, a 4-byte
little-endian length and that many bytes. The candidate shares this interpreter and can forge any frame after `R`;
that is as good as printing an answer, since nothing here knows which answer is right.
"""

import gc
import os
import random
import struct
import sys
import types
from typing import Any, NoReturn

from .codec import EncodeError, decode, encode
from .tiers import Jail

ERROR_BYTES = 300


def run(jail: Jail, job: dict[str, Any], result: int, null: int) -> NoReturn:
    """Become the candidate's process. Never returns; anything unforeseen ends it before `D` is written."""
    leave = os._exit
    try:
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        try:
            jail.confine(job["cpu_seconds"], job["memory_bytes"])
        except OSError as error:
            os.write(result, str(error).encode("utf-8", "replace")[:200])
            leave(1)
        os.closerange(3, result)
        os.closerange(result + 1, 1 << 16)
        _frame(result, b"R", b"")
        _work(job["code"], job["entry_point"], job["inputs"], job["output_bytes"], result)
    finally:
        leave(0)


def _work(code: str, entry_point: str, inputs: list[bytes], output_bytes: int, result: int) -> None:
    random.seed(0)  # runs repeat exactly
    gc.enable()
    try:
        module = types.ModuleType("candidate")
        sys.modules["candidate"] = module
        exec(compile(code, "<candidate>", "exec"), module.__dict__)
        if entry_point not in module.__dict__:
            raise NameError(f"the program defines no {entry_point}")
        function = module.__dict__[entry_point]
    except BaseException as error:
        _frame(result, b"X", _say(error))
        return
    left = output_bytes
    for item in inputs:
        arguments = decode(item)
        try:
            data = encode(function(*arguments), left)
        except EncodeError as error:
            _frame(result, b"E", str(error).encode("utf-8", "replace")[:ERROR_BYTES])
        except BaseException as error:
            _frame(result, b"E", _say(error))
        else:
            left -= len(data)
            _frame(result, b"V", data)
    _frame(result, b"D", b"")


def _say(error: BaseException) -> bytes:
    try:
        return f"{type(error).__name__}: {error}"[:ERROR_BYTES].encode("utf-8", "replace")[:ERROR_BYTES]
    except BaseException:
        return b"an exception that cannot be shown"


def _frame(result: int, kind: bytes, data: bytes) -> None:
    data = struct.pack("<cI", kind, len(data)) + data
    while data:
        data = data[os.write(result, data) :]
