"""Java: `import a.b.C`, `import static a.b.C.member`, and both with `*`.

A name leads to the file that declares the type, wherever it lies: what counts is the package that a file declares, not
its folder (rules for several files of one name: `repos/packages.py`). Types of Kotlin and Scala are found as well, and
those of a Kotlin file's functions (`UtilKt`, `@file:JvmName`).

    a.b.C, a.b.C.Inner, static a.b.C.m    the file of C: the longest package that declares the next part
    a.b.C.*, static a.b.C.*               the same
    a.b.*                                 the files of the package whose types the text mentions

Missing is a name in a package of the repository that no file declares, often a generated one. Types of the same package
and fully qualified names need no import: they are no edges. A type named only by reflection is not found, nor are
modules (`module-info.java`), or a type at the top level that is indented by more than one blank.
"""

import re
from collections.abc import Mapping
from typing import Any

from smallcoder.repos.files import Files
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.packages import by_name, standing_alone

LANGS = ("java",)
# What begins a line is at the top level, and what begins with a modifier after more than one blank is a member.
MENTIONS = re.compile(rb"^ ?[\w@})]|^[ \t]+(?:package|import)\b", re.M)
STARTS = re.compile(rb"\n(?= ?[\w@})]|[ \t]+(?:package|import|public|private|protected)\b)")
QUOTES = (b'"""',)
TYPES = {
    "class_declaration", "interface_declaration", "enum_declaration", "record_declaration",
    "annotation_type_declaration",
}  # fmt: skip
NAME = r"\w+(?:\s*\.\s*\w+)*"
IMPORT = re.compile(rf"import\s+(static\s+)?({NAME})(\s*\.\s*\*)?")
PACKAGE = re.compile(rf"\bpackage\s+({NAME})")
COMMENT = re.compile(r"//[^\n]*|/\*(?:.*?\*/|.*)", re.S)


def grammar(path: str, lang: str) -> str:
    return "java"


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    declares: set[str] = set()
    package = ""
    for node in root.children:
        if node.type == "import_declaration":
            if found := IMPORT.match(_code(node)):
                name = "".join(found[2].split())
                imports.append(
                    Import(name, ("*",) if found[3] else (), "static" if found[1] else "", at=node.start_byte)
                )
        elif node.type in TYPES:
            if name := node.child_by_field_name("name"):
                declares.add(name.text.decode("utf-8", "replace"))
        elif node.type == "package_declaration" and (found := PACKAGE.search(_code(node))):
            package = "".join(found[1].split())
    return Parsed(tuple(imports), package, frozenset(declares))


def _code(node: Any) -> str:
    code = node.text.decode("utf-8", "replace")
    return COMMENT.sub(" ", code) if "/" in code else code


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    return by_name(files, parsed, LANGS, standing_alone)
