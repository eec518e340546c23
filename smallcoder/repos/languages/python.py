"""Python: `import a.b`, `from a import b`, `from . import c`, `import_module("d")`, wherever in a file they stand.

A name is looked for on a path, as the import system does (https://docs.python.org/3/reference/import.html), not among
all files that end like it. The path of a file begins with the folder above its outermost package, for a file in no
package its own folder; where the repository does not say more, these are tried after it, and never for a name of the
standard library:

    every folder above, and its `src`         tests and scripts beside the package
    the projects of the repository            folders with pyproject.toml, setup.py or setup.cfg, and their `src`;
                                              the closest first
    the one folder with a package so named    if there is just one

`import a.b.c` depends on a/b/c.py alone, as in grimp: `a/__init__.py` and `a/b/__init__.py` run too, but what they hold
is not used, and they often import all the rest, which would make a cycle of every package. `from a import b` is the
module a/b.py if there is one, else the package `a`. Of a module and its stub, code takes the module, stubs the stub.

Not found: what a program adds to `sys.path` or `__path__`, implicit relative imports of Python 2, compiled modules.
"""

import posixpath
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

from smallcoder.repos.files import Files
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import upwards
from smallcoder.repos.query import mentions
from smallcoder.repos.stretches import LINE, TOP

LANGS = ("python",)
MENTIONS = re.compile(rb"import(?:_module|__)?\b")
# Functions and classes too, at whatever depth: the grammar does not mind how far a first line is indented.
STARTS = re.compile(LINE + rb"(?:" + TOP + rb"|(?=[ \t]+(?:def |class |async |@)))")
QUOTES = (b'"""', b"'''")
PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")
CODE, STUB = ("/__init__.py", ".py", "/__init__.pyi", ".pyi"), ("/__init__.pyi", ".pyi", "/__init__.py", ".py")
INIT = ("/__init__.py", "/__init__.pyi")
CALLS = {b"import_module", b"__import__"}
SPACE = re.compile(r"[\s\\]+")
STRING = re.compile(rb"""[uUrR]?("{3}|'{3}|"|')(\.*[\w.]+)\1""")


def grammar(path: str, lang: str) -> str:
    return "python"


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    dynamic = 0
    for leaf, parent, above in mentions(root, text, MENTIONS, {"import", "identifier"}):
        if parent.type == "import_statement":
            imports += [Import(_dotted(name), at=leaf.start_byte) for name in parent.children_by_field_name("name")]
        elif parent.type == "import_from_statement":
            imports.append(_from(parent))
        elif leaf.text in CALLS:
            call = above if parent.type == "attribute" else parent
            if call is not None and call.type == "call" and _covers(call.child_by_field_name("function"), leaf):
                wanted = _called(call)
                imports += [wanted] if wanted else []
                dynamic += not wanted
    return Parsed(tuple(imports), dynamic=dynamic)


def _from(node: Any) -> Import:
    module = node.child_by_field_name("module_name")
    name = module.text.decode("utf-8", "replace") if module else ""
    names = tuple(_dotted(child) for child in node.children_by_field_name("name"))
    if not names:
        names = ("*",)
    return Import(SPACE.sub("", name), names, at=node.start_byte)


def _dotted(node: Any) -> str:
    if node.type == "aliased_import":
        node = node.child_by_field_name("name") or node
    return SPACE.sub("", node.text.decode("utf-8", "replace"))


def _covers(function: Any, leaf: Any) -> bool:
    return function is not None and function.end_byte == leaf.end_byte


def _called(call: Any) -> Import | None:
    """`import_module(".b", "a")` or `__import__("b", level=1)`, if what is imported is written out."""
    arguments = call.child_by_field_name("arguments")
    given: list[Any] = []
    named: dict[bytes, Any] = {}
    for node in arguments.named_children if arguments else ():
        if node.type == "keyword_argument":
            if (key := node.child_by_field_name("name")) is not None:
                named[key.text] = node.child_by_field_name("value")
        elif node.type != "comment":
            given.append(node)
    name = _string(given[0] if given else named.get(b"name"))
    if not name:
        return None
    package = _string(given[1] if len(given) > 1 else named.get(b"package")) or ""
    level = given[4] if len(given) > 4 else named.get(b"level")
    if level is not None and level.type == "integer" and level.text in {b"1", b"2", b"3"}:
        name = "." * int(level.text) + name
    return Import(package + name if package and name.startswith(".") else name, kind="call", at=call.start_byte)


def _string(node: Any) -> str | None:
    """The text of a plain string; None for anything that is put together, or not a name."""
    if node is None or node.type != "string":
        return None
    found = STRING.fullmatch(node.text)
    return found[2].decode() if found else None


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    found = _Path(files)

    @cache
    def look(folder: str, name: str, names: tuple[str, ...], stub: bool) -> Collection[str] | None:
        module = name.lstrip(".")
        parts = module.split(".") if module else []
        for _ in range(len(name) - len(module) - 1):
            if not folder:
                return None  # above the repository
            folder = posixpath.dirname(folder)
        if len(parts) > 1 and not names:
            *parts, last = parts
            names = (last,)
        if name.startswith("."):
            return found.below(folder, parts, names, stub) or None
        return found.absolute(folder, parts, names, stub) if parts else ()

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        return look(posixpath.dirname(path), wanted.name, wanted.names, path.endswith(".pyi"))

    return resolve


class _Path:
    """Where the modules of a repository are looked for."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._holders: dict[str, set[str]] = {}  # name of a folder or a module -> the folders that hold one
        for path in files:
            stem, ending = posixpath.splitext(path)
            for above in upwards(stem if ending in {".py", ".pyi"} else posixpath.dirname(path)):
                folder, name = posixpath.split(above)
                holders = self._holders.setdefault(name, set())
                if folder in holders:
                    break  # and so all above it
                holders.add(folder)
        projects = {posixpath.dirname(path) for name in PROJECT for path in files.named(name)}
        self._projects = projects | {posixpath.join(folder, "src") for folder in projects}
        self._path = cache(self._path_of)
        self._package = cache(lambda folder: self._module(folder, [], False) is not None)

    def absolute(self, folder: str, parts: list[str], names: tuple[str, ...], stub: bool) -> list[str] | None:
        """The files that an absolute import means for a file in `folder`."""
        holders = self._holders.get(parts[0])
        missing = False
        for root in self._roots(folder, holders, parts[0]) if holders else ():
            if found := self.below(root, parts, names, stub):
                return found
            missing = missing or self._module(root, parts[:1], stub) is not None
        return None if missing else []

    def below(self, folder: str, parts: list[str], names: tuple[str, ...], stub: bool) -> list[str]:
        """The files that `from parts import names` means where `parts` are looked for in one folder."""
        module = self._module(folder, parts, stub)
        found = {self._module(folder, [*parts, name], stub) or module for name in names if name != "*"}
        return sorted(path for path in found | ({module} if "*" in names or not names else set()) if path)

    def _module(self, folder: str, parts: list[str], stub: bool) -> str | None:
        """The package, or else the module, of this name; the folder's own package without one."""
        base = "/".join([folder, *parts]) if folder else "/".join(parts)
        for ending in (STUB if stub else CODE) if parts else INIT:
            if (path := base + ending if base else ending[1:]) in self._files:
                return path
        return None

    def _roots(self, folder: str, holders: set[str], name: str) -> Iterator[str]:
        """Where a name is looked for that these folders hold."""
        own, guesses = self._path(folder)
        if own in holders:
            yield own
        if name in sys.stdlib_module_names:
            return
        yield from (root for root in guesses if root in holders)
        yield from sorted(self._projects & holders, key=lambda root: (-_common(own, root), root))
        packages = [root for root in holders if not self._package(root) and self._package(posixpath.join(root, name))]
        if len(packages) == 1:
            yield packages[0]

    def _path_of(self, folder: str) -> tuple[str, list[str]]:
        """The folder above the outermost package, and the folders above that one with their `src`."""
        own = next((above for above in upwards(folder) if not self._package(above)), "")
        above = [folder for folder in upwards(own) if not folder or not self._package(folder)]
        return own, [root for folder in above for root in (folder, posixpath.join(folder, "src"))]


def _common(folder: str, other: str) -> int:
    return len(posixpath.commonprefix([folder.split("/"), other.split("/")]))
