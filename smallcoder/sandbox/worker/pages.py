"""Moves a process into huge pages, so that its forks are cheap.

What a fork costs beside the pages that are written to is the page table: an entry for each page and a record for each
mapping, made at the fork and taken down at the end, and a fault for every few pages of the interpreter's code. So
every window of 2 MiB of addresses that holds something is replaced by one huge page with the same content: a fork then
copies one entry for it or, once it has been written to, its 512 in one go. That is 0.9 ms of CPU less for every run.

While memory is copied and exchanged nothing may change it, so it happens without Python: a chain of makecontext(3)
contexts makes one system call after another. What was code alone can be written to afterwards, which is nothing new in
a process that may map such memory itself. Windows with the stack or the kernel's own pages stay as they are.
"""

import ctypes
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

_WINDOW = 2 << 20
_FAR, _ROOM = 1 << 40, 1 << 30  # addresses for what is needed meanwhile, away from everything else
_ALL_RIGHTS, _UNRESERVED, _FIXED_MOVE, _COLLAPSE = 7, 0x4022, 3, 25  # from <sys/mman.h>
_CONTEXT = _STACK = 1 << 13  # bytes of a context and of its stack
_TRIES = 8
_Span = tuple[int, int, int]  # an address, the one that it gets in the room, and a size

_libc = ctypes.CDLL(None, use_errno=True)


def enlarge(proc: int) -> bool:
    """Move this process, which has one thread, as far as possible. `proc` is an open /proc.

    False where the kernel (MADV_COLLAPSE: Linux 6.1) or the C library does not offer what is needed, or no huge pages
    are left: all is as it was then, and only slower.
    """
    try:
        _declare()
    except AttributeError:
        return False
    return any(_attempt(proc) for _ in range(_TRIES))


def _attempt(proc: int) -> bool:
    """Fails, too, where memory is mapped in the meantime, such as for this function's own objects."""
    room = _libc.mmap(_FAR, _ROOM, _ALL_RIGHTS, _UNRESERVED, -1, 0)
    if room == ctypes.c_void_p(-1).value:
        return False
    try:
        maps = _maps(proc)
        moves, spans = _plan(maps, room + _WINDOW)
        for _, there, size in moves:
            for window in range(there, there + size, _WINDOW):
                ctypes.memset(window, 0, 1)
                if _libc.madvise(window, _WINDOW, _COLLAPSE):
                    return False
        copy = _copy(spans, room)
        if _libc.process_vm_readv(*copy) != sum(size for _, _, size in spans):
            return False
        exchange = [("mremap", (there, size, size, _FIXED_MOVE, here)) for here, there, size in moves]
        go = _chain([("process_vm_readv", copy), *exchange], room + _WINDOW // 2)
        if _maps(proc) != maps:
            return False
        go()
        return True
    finally:
        _libc.munmap(room, _ROOM)


def _declare() -> None:
    pointer, size, number, word = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_long
    for name, result, arguments in (
        ("mmap", pointer, [pointer, size, number, number, number, word]),
        ("munmap", number, [pointer, size]),
        ("madvise", number, [pointer, size, number]),
        ("mremap", pointer, [pointer, size, size, number, pointer]),
        ("process_vm_readv", word, [number, pointer, word, pointer, word, word]),
        ("getcontext", number, [pointer]),
        ("swapcontext", number, [pointer, pointer]),
        ("makecontext", None, None),
    ):
        function = getattr(_libc, name)
        function.restype, function.argtypes = result, arguments


def _maps(proc: int) -> str:
    with open(os.open("self/maps", os.O_RDONLY, dir_fd=proc)) as file:
        return file.read()


def _plan(maps: str, room: int) -> tuple[list[_Span], list[_Span]]:
    """Runs of windows that move, and what is mapped in them."""
    mappings: list[tuple[int, int]] = []
    windows: set[int] = set()
    fixed: set[int] = set()
    for line in maps.splitlines():
        place, rights, _, _, _, *name = line.split(maxsplit=5)
        first, last = (int(part, 16) for part in place.split("-"))
        special = name and name[0].startswith("[") and name[0] != "[heap]"
        stays = special or not rights.startswith("r") or _FAR <= first < _FAR + _ROOM
        (fixed if stays else windows).update(range(first // _WINDOW, (last - 1) // _WINDOW + 1))
        mappings.append((first, last))
    moves: list[_Span] = []
    for window in sorted(windows - fixed):
        here, there, size = moves.pop() if moves else (0, room, 0)
        if here + size == window * _WINDOW:
            moves.append((here, there, size + _WINDOW))
        else:
            moves += [(here, there, size)] if size else []
            moves.append((window * _WINDOW, there + size, _WINDOW))
    spans: list[_Span] = []
    for here, there, size in moves:
        for first, last in mappings:
            start, end = max(first, here), min(last, here + size)
            if start < end:
                spans.append((start, there + start - here, end - start))
    return moves, spans


def _copy(spans: Sequence[_Span], table: int) -> tuple[int, ...]:
    """The arguments of the process_vm_readv(2) that copies them; `table` is where its own are written down."""
    vectors = [(there, size) for _, there, size in spans] + [(here, size) for here, _, size in spans]
    data = b"".join(struct.pack("QQ", *vector) for vector in vectors)
    ctypes.memmove(table, data, len(data))
    return os.getpid(), table, len(spans), table + len(data) // 2, len(spans), 0


def _chain(calls: Sequence[tuple[str, tuple[int, ...]]], place: int) -> Callable[[], Any]:
    """What makes the calls, one after the other, by contexts that lie at `place`, and comes back."""
    step = _CONTEXT + _STACK
    back = place + step * len(calls)
    for at, (name, arguments) in zip(range(place, back, step), calls, strict=True):
        _libc.getcontext(at)
        link_and_stack = struct.pack("QQQQ", at + step, at + _CONTEXT, 0, _STACK)  # a ucontext_t has them behind flags
        ctypes.memmove(at + 8, link_and_stack, len(link_and_stack))
        function = ctypes.cast(getattr(_libc, name), ctypes.c_void_p)
        words = map(ctypes.c_long, arguments)
        _libc.makecontext(ctypes.c_void_p(at), function, ctypes.c_int(len(arguments)), *words)
    return lambda: _libc.swapcontext(back, place)
