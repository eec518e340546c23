"""Scala 2 and 3: `import a.b.{C, D => E, F as G, _}`, `import a.*`, `import a.given`, wherever in a file they stand.

What counts is the package that a file declares (`package a` and below it `package b`, `package a { ... }`, `package
object a`), not its folder; rules for several files of one name are in `repos/packages.py`. Types of Java and Kotlin are
found as well. The first name of an import is looked for in this order; the first that finds a file holds:

1. what an earlier import of the file binds: `import a.b`, then `import b.C`
2. the packages of the clauses around the import, innermost first: in `package a.b`, `package c` these are a.b.c and a.b
3. the root, at once for `_root_`

From there a name leads to the file that declares the part after the longest package: an object's file for its members.
A package's `_`, `*` means its files whose declared names the text mentions, those in lower case also after a dot, but
for the D of `D => _`; `given` those that declare givens. Missing is a name in a package of the repository that no file
declares. The same package and qualified names need no import: they are no edges. Implicit values and extension methods
that `_` brings in without being named, `export`, and members inherited by a package object are not found.

`Import.kind` holds the packages of the clauses around, outermost first; a name after "-" in `names` is left out by `_`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from smallcoder.repos.files import Files
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.packages import JVM, Packages, salvaged, with_members
from smallcoder.repos.query import captures

LANGS = ("scala",)
IMPORTS = "(import_declaration) @import"
DECLARATIONS = {
    "class_definition", "object_definition", "trait_definition", "enum_definition", "type_definition",
    "function_definition", "val_definition", "var_definition", "val_declaration", "function_declaration",
}  # fmt: skip
COMMENT = re.compile(r"//[^\n]*|/\*(?:.*?\*/|.*)", re.S)
PART = r"(?:`[^`\n]+`|[^\s.,{}`]+)"
CLAUSE = re.compile(rf"({PART}(?:\s*\.\s*{PART})*)(?:\s*\.\s*\{{([^{{}}]*)\}}|\s+as\s+({PART}))?")
RENAMED = re.compile(r"\s+as\s+|\s*=>\s*")
WORD = re.compile(r"[^\W\d]\w*")
HIDDEN = "-"  # before a name that `_` leaves out
MANY = {"_", "*", "given"}
LONGEST = 1000  # characters of a name; longer ones are no names
MOST = 256  # clauses of packages in a file


def grammar(path: str, lang: str) -> str:
    return "scala"


def parse(root: Any, text: bytes) -> Parsed:
    package, declares, clauses = _declarations(root, len(text))
    if root.has_error:
        declares |= salvaged(text)
    imports: list[Import] = []
    bound: dict[str, str] = {}
    for node in captures(root, "scala", IMPORTS).get("import", ()):
        around = " ".join(name for start, end, name in clauses if start <= node.start_byte < end)
        for name, names in _clauses(_text(node)):
            head, dot, rest = name.partition(".")
            path = f"{bound[head]}{dot}{rest}" if head in bound else name
            if len(path) < LONGEST:
                imports.append(Import(path, tuple(old for old, _ in names), around, at=node.start_byte))
                bound |= {alias: f"{path}.{old}" for old, alias in names if old not in MANY and alias != "_"}
    return Parsed(tuple(imports), package, frozenset(declares))


def _declarations(root: Any, size: int) -> tuple[str, set[str], list[tuple[int, int, str]]]:
    """The package of a file, what it declares, and where which clause of a package holds: start, end, full name."""
    package = ""
    declares: set[str] = set()
    clauses: list[tuple[int, int, str]] = []
    stack = [(root, "")]
    while stack:
        block, inside = stack.pop()
        for node in block.children:
            if node.type in DECLARATIONS or node.type == "given_definition":
                declares |= {inside + name for name in _names(node)}
            elif node.type in {"package_clause", "package_object"} and len(clauses) < MOST:
                if (name := node.child_by_field_name("name")) is None:
                    continue
                name, body = _plain(_text(name)), node.child_by_field_name("body")
                if node.type == "package_object":
                    declares.add(inside + name)
                if body is not None:
                    stack.append((body, f"{inside}{name}."))
                elif node.type == "package_clause":
                    package = f"{package}.{name}".lstrip(".")
                full = f"{package}.{inside}{name}".lstrip(".") if body is not None else package
                clauses.append((node.start_byte, size if body is None else node.end_byte, full))
            elif node.type == "extension_definition":
                stack.append((node, inside))
    return package, declares, clauses


def _names(node: Any) -> Iterator[str]:
    if node.type == "given_definition":
        yield "given"
    if name := node.child_by_field_name("name"):
        yield _plain(_text(name))
    elif pattern := node.child_by_field_name("pattern"):
        yield from WORD.findall(_text(pattern))


def _clauses(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What an import takes names from, and of each its name there and its name here."""
    code = COMMENT.sub(" ", text) if "/" in text else text
    for path, group, alias in CLAUSE.findall(code.strip().removeprefix("import")):
        name = _plain(path)
        if group:
            pairs = [RENAMED.split(one.strip(), maxsplit=1) for one in group.split(",")]
            names = [(old.split()[0].strip("`"), (new or [old])[0].strip("`")) for old, *new in pairs if old]
        else:
            name, _, last = name.rpartition(".")
            names = [(last, alias or last)]
        if name:
            yield name, [(HIDDEN + old if new == "_" != old else old, new) for old, new in names]


def _text(node: Any) -> str:
    return node.text.decode("utf-8", "replace")


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("`") for part in name.split("."))


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    packages = Packages(files, parsed, JVM, with_members)
    taken = {
        path: {name.removeprefix(HIDDEN) for wanted in said.imports for name in wanted.names} - MANY
        for path, said in parsed.items()
        if files[path].lang in LANGS
    }

    def found(path: str, full: str, name: str) -> Collection[str]:
        if name not in MANY:
            return packages.find(path, f"{full}.{name}")
        if full not in packages.declared:
            return packages.find(path, full)
        if name == "given":
            return packages.declared[full].get("given", ())
        return packages.mentioned(path, full, taken[path])

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        absolute = wanted.name.removeprefix("_root_.")
        around = [f"{base}." for base in reversed(wanted.kind.split())] if absolute == wanted.name else []
        for base in [*around, ""]:
            names = (name for name in wanted.names if not name.startswith(HIDDEN))
            targets = {target for name in names for target in found(path, base + absolute, name)}
            if targets:
                return targets - {path}
        wild = MANY.intersection(wanted.names)
        return None if absolute in packages.declared and not wild else ()

    return resolve
