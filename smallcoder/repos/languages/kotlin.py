"""Kotlin: `import a.b.name`, with `as` or `*`, where a name is a type, function or property of a package, or a member.

What counts is the package that a file declares, not its folder (rules for several files of one name:
`repos/packages.py`). Types of Java and Scala are found as well.

    a.b.C, a.b.f, a.b.C.Companion.x    the file that declares the part after the longest package; all files of the
                                       nearest folder that declare it, for functions of one name
    a.b.f as g                         the same
    a.b.*                              the files of the package whose types the text mentions, or whose functions and
                                       properties, also after a dot; of a type, its file

Missing is a name in a package of the repository that no file declares. The same package and fully qualified names need
no import: they are no edges. Operators and delegates that `*` brings in are used without their names and not found.
"""

import re
from collections.abc import Mapping
from typing import Any

from smallcoder.repos.files import Files
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.packages import by_name, salvaged, with_members

LANGS = ("kotlin",)
# Declarations at top level -> the kind of the child that is their name.
DECLARATIONS = {
    "class_declaration": "type_identifier",
    "object_declaration": "type_identifier",
    "type_alias": "type_identifier",
    "function_declaration": "simple_identifier",
    "property_declaration": "variable_declaration",
}
NAME = r"(?:\w+|`[^`\n]+`)(?:\s*\.\s*(?:\w+|`[^`\n]+`))*"
IMPORT = re.compile(rf"import\s+({NAME})(?:\s*\.\s*(\*))?(?:\s+as\s+(\w+|`[^`\n]+`))?")
PACKAGE = re.compile(rf"\bpackage\s+({NAME})")
FACADE = re.compile(r'@file\s*:\s*(?:\[[^\]]*?)?JvmName\s*\(\s*(?:name\s*=\s*)?"(\w+)"')


def grammar(path: str, lang: str) -> str:
    return "kotlin"


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    declares: set[str] = set()
    package = ""
    for node in root.children:
        if node.type in DECLARATIONS:
            kind = DECLARATIONS[node.type]
            name = next((child for child in node.children if child.type == kind), None)
            if name is not None:
                declares.add(_text(name).partition(":")[0].strip(" `"))
        elif node.type == "import_list":
            imports += filter(None, map(_import, node.children))
        elif node.type == "import_header":
            imports += filter(None, [_import(node)])
        elif node.type == "package_header" and (found := PACKAGE.search(_text(node))):
            package = _plain(found[1])
        elif node.type == "file_annotation" and (found := FACADE.search(_text(node))):
            declares.add(found[1])
    if root.has_error:
        declares |= salvaged(text)
    return Parsed(tuple(imports), package, frozenset(declares))


def _import(node: Any) -> Import | None:
    found = IMPORT.match(_text(node))
    return Import(_plain(found[1]), (found[2],) if found[2] else (), at=node.start_byte) if found else None


def _text(node: Any) -> str:
    return node.text.decode("utf-8", "replace")


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("`") for part in name.split("."))


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    return by_name(files, parsed, LANGS, with_members)
