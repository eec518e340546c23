"""Compiled kernels: the decorator that makes them, and where their machine code is kept from one process to the next.

numba keeps a function's code under a digest of its own file. But the code holds more than that file says: the functions
that it calls and the tables of other modules, as they were. So here the code of a module is kept in a folder named by
a digest over the sources of the module and of all of its own package that it imports, and a new folder replaces the
old one. The folder lies in `__pycache__` beside the module; where that cannot be written, in the user's cache; where
neither can, every process compiles for itself. `NUMBA_CACHE_DIR` goes before both. Versions of numba and of Python and
kinds of processors are told apart by numba itself.

Cost: a few milliseconds an import. Not seen: imports within functions, and values that are made of other files than
sources; a kernel must not take constants from either.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Any

import numba as nb
from numba.core import config

IMPORT = re.compile(r"^(?:from +([\w.]+) +import +(\([^)]*\)|.*)|import +([\w.]+))", re.MULTILINE)
_CONFIG: Any = config  # made of the environment when numba is loaded
_SETTING = Lock()


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """`numba.njit` without the interpreter lock, its code kept. For `@compiled` and `@compiled(inline="always")`."""
    if function is None:
        return partial(compiled, **options)
    folder = _folder(function.__module__)
    with _SETTING:  # numba asks for the place once, when it decorates
        before = _CONFIG.CACHE_DIR
        _CONFIG.CACHE_DIR = str(folder or "")
        try:
            return nb.njit(nogil=True, cache=folder is not None, **options)(function)
        finally:
            _CONFIG.CACHE_DIR = before


@cache
def _folder(module: str) -> Path | None:
    """The folder for the code of a module, made where it was not there; None where nothing can be written."""
    digest = blake2b(digest_size=8)
    for name, source in sorted(_sources(module).items()):
        digest.update(f"{name}\0{source}\0".encode())
    for place in _places(module):
        folder = place / f"{module}-{digest.hexdigest()}"
        try:
            if not folder.is_dir():
                for old in place.glob(f"{module}-*"):
                    shutil.rmtree(old, ignore_errors=True)
                folder.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _places(module: str) -> Iterator[Path]:
    here = Path(sys.modules[module].__file__ or "").parent.resolve()
    copy = blake2b(str(here).encode(), digest_size=8).hexdigest()  # copies of the package share the places below
    if _CONFIG.CACHE_DIR:
        yield Path(_CONFIG.CACHE_DIR) / copy
    yield here / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "smallcoder" / copy


def _sources(module: str) -> dict[str, str]:
    """The sources of a module and of what it imports from its own package, by name."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found and (source := _source(name)):
            found[name] = source
            for base, names, whole in IMPORT.findall(source):
                waiting += [whole or base, *(f"{base}.{word}" for word in re.findall(r"\w+", names))]
    return found


@cache
def _source(name: str) -> str:
    """The source of a module that is loaded, "" for what is none, or is another package's."""
    loader = getattr(sys.modules.get(name), "__loader__", None)
    ours = name.partition(".")[0] == __name__.partition(".")[0]
    return (ours and loader is not None and loader.get_source(name)) or ""
