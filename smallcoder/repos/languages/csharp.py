"""C#: `using N;`, `using static N.T;`, `using A = N.T;`, each with `global`, at the top or inside a namespace.

What counts is the namespace that a file declares, not its folder (rules for several files of one name:
`repos/packages.py`).

    using N            the files that declare a type of N which the text mentions (X as [X] too for XAttribute), or an
                       extension method which it calls after a dot
    using static N.T   the files that declare T
    using A = N.T      the files of T and of its type arguments; of a namespace N those whose type the text names as
                       A.T
    global using       the same in every file of the project: those below the nearest folder with a .csproj, or all;
                       `<Using Include="N" />` of that .csproj too; not with `static`, which would lead everywhere

A `using` inside a namespace is looked for in it and in those around it first. A type of the file's own namespace, or of
one around it, is the one that is meant where N has one of the same name. Missing is a type that its namespace lacks; a
namespace that nobody declares may always come from outside. Types of the same and of outer namespaces, and qualified
names, need no `using`: they are no edges. Not found: arities of generics, what conditions of the preprocessor leave
out, usings that the SDK implies, Directory.Build.props.
"""

import re
from collections.abc import Collection, Mapping
from posixpath import dirname
from typing import Any

from smallcoder.repos.files import Files
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import upwards
from smallcoder.repos.packages import Packages

LANGS = ("csharp",)
TYPES = {
    "class_declaration", "struct_declaration", "interface_declaration", "enum_declaration", "record_declaration",
    "record_struct_declaration", "delegate_declaration",
}  # fmt: skip
BLOCKS = {"declaration_list", "preproc_if", "preproc_else", "preproc_elif"}
NAMESPACES = {"namespace_declaration", "file_scoped_namespace_declaration"}
COMMENT = re.compile(r"//[^\n]*|/\*(?:.*?\*/|.*)", re.S)
USING = re.compile(r"(?:(global)\s+)?using\s+(?:(static)\s+)?(?:unsafe\s+)?(?:@?(\w+)\s*=\s*)?([^;]*)", re.S)
NAME = re.compile(r"(?:\w+\s*::\s*)?(@?\w+(?:\s*\.\s*@?\w+)*)")
EXTENSION = re.compile(rb"\bstatic\b[^;{}()=]{0,200}?\b(\w+)\s{0,8}(?:<[^<>()]{0,80}>\s{0,8})?\(\s{0,80}this\s")
PROJECT_USING = re.compile(rb'<Using\s[^<>]*?\bInclude\s*=\s*"([\w.]+)"')
PROJECT = "project"  # the kind of an import that no file writes, one a file: what its project's global usings bring
LONGEST = 1000  # characters of a name; longer ones are no names
MOST = 256  # namespaces in a file


def grammar(path: str, lang: str) -> str:
    return "csharp"


def parse(root: Any, text: bytes) -> Parsed:
    imports = [Import("", kind=PROJECT)]
    declares: set[str] = set()
    namespaces: list[str] = []
    stack = [(root, "")]
    while stack:
        block, inside = stack.pop()
        for node in block.children:
            if node.type in TYPES:
                if (name := node.child_by_field_name("name")) is not None:
                    declares.add(f"{inside}{_text(name)}")
            elif node.type == "using_directive":
                imports += _usings(node, inside)
            elif node.type in BLOCKS:
                stack.append((node, inside))
            elif node.type in NAMESPACES and len(namespaces) < MOST:
                if (name := node.child_by_field_name("name")) is None:
                    continue
                full = inside + _plain(_text(name))
                namespaces.append(full)
                if node.type == "namespace_declaration":
                    stack.append((node, full + "."))
                else:
                    inside = full + "."
    package = min(namespaces, key=len, default="")
    if any(not f"{name}.".startswith(f"{package}.") for name in [*namespaces, *declares]):
        package = ""
    if b"this" in text and namespaces:
        declares |= {f"{namespaces[0]}.{name.decode('utf-8', 'replace')}()" for name in EXTENSION.findall(text)}
    below = len(package) + 1 if package else 0
    return Parsed(tuple(imports), package, frozenset(name[below:] for name in declares))


def _usings(node: Any, inside: str) -> list[Import]:
    """One import, or several for the type arguments of an alias. `names` has the alias."""
    found = USING.match(COMMENT.sub(" ", _text(node)))
    if found is None or len(found[4]) > LONGEST:
        return []
    names = [_plain(name) for name in NAME.findall(found[4])]
    if not found[3]:
        names = names[:1]
    kind = " ".join(filter(None, [found[1], found[2], inside and "inside"]))
    return [
        Import(name, (found[3],) if found[3] else (), kind, at=node.start_byte) for name in names if not name.islower()
    ]


def _text(node: Any) -> str:
    return node.text.decode("utf-8", "replace")


def _plain(name: str) -> str:
    return "".join(name.split()).replace("@", "")


def _mentions(alone: set[str], after: set[str]) -> set[str]:
    return alone | {f"{word}Attribute" for word in alone} | {f"{word}()" for word in after}


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    packages = Packages(files, parsed, LANGS, _mentions)
    shared = _shared(files, parsed)
    projects = {dirname(path) for path in files if path.endswith(".csproj")}

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        if wanted.kind == PROJECT:
            usings = shared.get(_project(path, projects), ())
            words = packages.words(path) if usings else ()
            meant = [one for one in usings if not one.names or one.names[0] in words]
            return {target for one in meant for target in resolve(path, one) or ()}
        around = [*_around(parsed[path].package), ""] if "inside" in wanted.kind else [""]
        for base in around:
            name = f"{base}.{wanted.name}".lstrip(".")
            if name in packages.declared and "static" not in wanted.kind:
                found = (
                    _aliased(packages, files, path, name, wanted)
                    if wanted.names
                    else packages.mentioned(path, name, around=_around(parsed[path].package))
                )
                return found - {path}
            if ("static" in wanted.kind or wanted.names) and (found := packages.find(path, name)):
                return set(found) - {path}
        return None if wanted.name.rpartition(".")[0] in packages.declared else ()

    return resolve


def _aliased(packages: Packages, files: Files, path: str, name: str, wanted: Import) -> set[str]:
    """The files of the types that a text names with the alias of their namespace."""
    pattern = rf"\b{wanted.names[0]}\s*(?:\.|::)\s*(\w+)".encode()
    words = {word.decode("utf-8", "replace") for word in re.findall(pattern, files[path].text)}
    return packages.all_of(path, name, words)


def _around(namespace: str) -> list[str]:
    """A namespace and those around it, innermost first."""
    parts = namespace.split(".") if namespace else []
    return [".".join(parts[:size]) for size in range(len(parts), 0, -1)]


def _project(path: str, projects: Collection[str]) -> str:
    """The folder of the project that a file belongs to."""
    return next((folder for folder in upwards(dirname(path)) if folder in projects), "")


def _shared(files: Files, parsed: Mapping[str, Parsed]) -> dict[str, list[Import]]:
    """The global usings of each project."""
    projects = {dirname(path) for path in files if path.endswith(".csproj")}
    found: dict[str, list[Import]] = {}
    for path, said in parsed.items():
        if files[path].lang in LANGS:
            for wanted in said.imports:
                if "global" in wanted.kind and "static" not in wanted.kind:
                    found.setdefault(_project(path, projects), []).append(wanted)
    for path in files:
        if path.endswith(".csproj"):
            for name in PROJECT_USING.findall(files[path].text):
                found.setdefault(dirname(path), []).append(Import(name.decode()))
    return found
