"""The languages that the sandbox runs programs of: one file each, with a `Language` called LANGUAGE.

A language says which tools it needs, which package brings each, and how a source text becomes commands. Tools are
looked up on the host and bound read-only into the jail; a missing one is named with its package. To add a language,
write such a file and name it in `NAMES`.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module

NAMES = (
    "bash", "cpp", "csharp", "go", "java", "javascript", "php", "python", "python_libraries", "rust", "sql",
    "typescript",
)  # fmt: skip
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives")  # what any tool may need
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Plan:
    """How one source text runs: the name of its file, a command that compiles it, if any, and the one that runs it."""

    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()


@dataclass(frozen=True)
class Server:
    """A warm compiler in the place of a plan's command (worker/compiler.py), and the files it needs."""

    command: tuple[str, ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Apart:
    """How an answer and its tests become two programs, in jails of their own, that talk through descriptors 3 and 4.

    `files` lie beside both and `command` runs either. Each source stands between the two texts of `answer` or `tests`:
    the answer serves calls at its end; the tests have `remote("name")`, and write the environment's MARK to standard
    output at their end. Values cross as plain data. The protocol trusts nothing that the answer writes.
    """

    command: tuple[str, ...]
    files: Mapping[str, bytes]
    answer: tuple[str, str]
    tests: tuple[str, str]


@dataclass(frozen=True)
class Language:
    """`tools` maps each command to the Debian package that brings it; `locate` finds those that PATH does not tell."""

    name: str
    suffixes: tuple[str, ...]
    tools: Mapping[str, str]
    plan: Callable[[str], Plan]
    environment: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ()  # folders that the tools read, besides SYSTEM and their own
    server: Server | None = None
    memory_bytes: int = 0  # what its runtime needs at least
    locate: Callable[[str], str | None] = shutil.which
    apart: Apart | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # folders of headers, and the package that brings each


@dataclass(frozen=True)
class Toolchain:
    """A language as it is installed here."""

    language: Language
    paths: Mapping[str, str]
    reads: tuple[str, ...]

    def command(self, words: tuple[str, ...]) -> list[str]:
        """A command with its tool's full path."""
        return [self.paths.get(words[0], words[0]), *words[1:]]

    def lacks(self, code: str) -> str:
        """What a source text includes and is not installed, and how to get it; "" where nothing lacks."""
        for folder, package in self.language.headers.items():
            used = re.search(rf"^\s*#\s*include\s*<{folder}/", code, re.MULTILINE)
            if used and not os.path.isdir(f"/usr/include/{folder}"):
                return f"{folder} is not installed (Debian, Ubuntu: apt-get install {package})"
        return ""

    def environment(self) -> dict[str, str]:
        """The whole environment of a run."""
        return {"PATH": _PATH, "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", **self.language.environment}


def language(name: str) -> Language:
    """The language of that name. Raises KeyError where there is none."""
    if name not in NAMES:
        raise KeyError(name)
    return import_module(f"{__name__}.{name}").LANGUAGE


@lru_cache
def toolchain(name: str) -> Toolchain | str:
    """The toolchain of a language, or which tool is missing and how to get it."""
    about = language(name)
    paths, reads = {}, {*SYSTEM, *about.reads}
    for tool, package in about.tools.items():
        path = about.locate(tool)
        if path is None:
            return f"{tool} is not installed (Debian, Ubuntu: apt-get install {package})"
        paths[tool] = path
        real = os.path.realpath(path)
        if not real.startswith("/usr/"):
            reads.add(os.path.dirname(os.path.dirname(real)))
    return Toolchain(about, paths, tuple(sorted(reads)))


def by_suffix(path: str) -> str:
    """The language of a file by its name; "" where no language has its ending."""
    ending = os.path.splitext(path)[1].lower()
    return next((name for name in NAMES if ending in language(name).suffixes), "")
