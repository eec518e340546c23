"""What a slot loads before its own code, and where what it makes from then on lies in memory.

A fork copies every page that it writes to, and Python writes to whatever it looks at. A new object goes wherever an
earlier one has left a hole, so what one run looks at and makes is spread over many pages. The holes are filled, with
objects that stay: in Python's pools, of which every size of object has its own (Objects/obmalloc.c), and in the C
library's heap. What comes then lies together. A slot does so before it loads its own code, and its template once more
before the first run: with the rehearsal of `template.py`, a run of HumanEval has 165 page faults instead of 257.

Costs 40 ms at the start of a slot and 4 MB. Where memory is managed in another way, all goes on, and only slower.
"""

import ctypes
import gc
import importlib
import os

_MODULES = """
    abc bisect collections collections.abc contextlib copy dataclasses datetime enum functools heapq inspect io
    itertools json math operator platform random re resource select signal string struct textwrap time types typing
""".split()  # noqa: SIM905
_POOL, _HEADER = 1 << 14, 48  # bytes of a pool, and what comes before its first object
_STEP, _SMALL = 16, 512  # pools are for objects of 16, 32, ... 512 bytes
_EMPTY = 33  # bytes of an empty bytes object
_ROW = 3  # objects side by side from a pool's first place on show that it is new
_ENOUGH = 1 << 20  # bytes for one size, where pools are not as said
_CHUNKS = [*(1 << power for power in range(16, 10, -1)), *range(1032, 8, -16)]
_FEW = 1 << 13  # bytes that may be left of the heap after it was cut back

_kept: list[object] = []


def load() -> None:
    """Load what a slot and many programs need, and fill the holes that this leaves."""
    register, os.register_at_fork = os.register_at_fork, lambda **hooks: None  # or every fork seeds `random` anew
    for name in _MODULES:
        importlib.import_module(name)
    os.register_at_fork = register
    fill_heap()
    fill_pools()


def fill_pools() -> None:
    """Let every size of small object begin a new pool, and Python's lists of freed objects be empty."""
    gc.collect()
    for size in range(_STEP, _SMALL + 1, _STEP):
        in_a_row = 0  # objects from the first place of a pool on: a single one may have filled a hole there
        for number in range(_ENOUGH // size):
            _kept.append(bytes(size - _EMPTY) if size > _EMPTY else float(number) if size > _STEP else object())
            place = id(_kept[-1]) % _POOL - _HEADER
            in_a_row = in_a_row + 1 if place == in_a_row * size else int(place == 0)
            if in_a_row == _ROW:
                break


def fill_heap() -> None:
    """Take all free chunks of the heap but the one at its end, largest first."""
    libc = ctypes.CDLL(None)
    try:
        trim, end, take = libc.malloc_trim, libc.sbrk, libc.malloc
    except AttributeError:  # not the GNU C library
        return
    end.restype, end.argtypes = ctypes.c_void_p, [ctypes.c_long]
    take.restype, take.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    trim(0)
    last = end(0) - _FEW
    for size in _CHUNKS:
        for _ in range(_ENOUGH // size):
            if take(size) > last:
                break
