"""What a run computes on: device, number format, threads, compiled or not. Decided once, at the start."""

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from smallcoder.core.errors import ToolError, TrainingError
from smallcoder.train.config import Config

MEMORY: Any = torch.utils.deterministic  # a module with a property, which type checkers do not see
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")  # as torch's allocators say it


@dataclass(frozen=True)
class Machine:
    """The choices of a Config with every "auto" resolved for this machine."""

    device: str
    precision: str  # "bf16": weights in fp32, matrix products in bf16; or "fp32"
    compile: bool
    threads: int


def choose_machine(config: Config) -> Machine:
    """Resolve "auto": a GPU if there is one, bf16 where the hardware has it, compilation where a compiler is.

    Raises ToolError if compilation is asked for and there is no C++ compiler.
    """
    gpu = torch.cuda.is_available()
    device = ("cuda" if gpu else "cpu") if config.device == "auto" else config.device
    fast_bf16 = torch.cuda.is_bf16_supported() if device == "cuda" else _cpu_has_bf16()
    precision = ("bf16" if fast_bf16 else "fp32") if config.precision == "auto" else config.precision
    compiler = device == "cuda" or any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))
    if config.compile == "on" and not compiler:
        raise ToolError("torch.compile needs a C++ compiler and there is none", 'install g++, or set compile = "auto"')
    return Machine(device, precision, compiler and config.compile != "off", config.threads)


def _cpu_has_bf16() -> bool:
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@contextmanager
def repeatable(machine: Machine) -> Iterator[None]:
    """Fix what sums depend on: the number of threads and the choice of algorithms; put both back afterwards.

    With deterministic algorithms torch also writes NaN into all memory that it takes, so that whatever reads it before
    it is written to is seen: 460 of the 597 fills of an uncompiled step of a small model. Nothing here reads it.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filled = MEMORY.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what deterministic products need on CUDA
    torch.set_num_threads(machine.threads)
    torch.use_deterministic_algorithms(True)
    MEMORY.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        MEMORY.fill_uninitialized_memory = filled


def _keep_memory() -> None:
    """Have glibc keep what freed tensors leave, for as long as this process lives; without glibc do nothing.

    By itself it maps large ones anew in every step: 3,000 to 18,000 page faults, a tenth to a fifth of a small model's
    step. mallopt(3): nothing is mapped apart, and the end of the heap is not given back.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        trim_threshold, mmap_threshold = -1, -3
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn torch's ways of saying that memory has run out into one clear TrainingError."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; on a CPU the allocator raises a plain one
        if isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY):
            first = str(error).splitlines()[0]
            raise TrainingError(
                f"memory ran out ({first})", "set a smaller micro_batch, recompute = true, or pack shorter rows"
            ) from None
        raise
