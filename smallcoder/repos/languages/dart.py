"""Dart: `import`, `export`, `part` and `part of`.

Lines that begin with one of these words are looked for, and the tree tells which stand in a comment or a string:
the grammar itself does not know deferred imports.

    'x.dart', 'package:own/..'   relative to the file; lib/ of the package of that name in a pubspec.yaml of the
                                 repository, the nearest if there are several; else missing
    import 'a' if (c) 'b'        both
    part 'x.dart'                the part is what the library imports
    part of 'x.dart', part of l  the library (named so by `library l;`), unless it names the part itself
    'dart:io', 'package:other/'  outside

No URI can be computed, so nothing is dynamic. Not found: what a generator has not written yet counts as missing.
"""

import re
from collections.abc import Collection, Mapping
from posixpath import dirname
from typing import Any

from smallcoder.repos.directives import directives
from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import nearest

LANGS = ("dart",)
URI = rb"""(?:'[^'\n]*'|"[^"\n]*")"""
DIRECTIVE = re.compile(
    rb"^[ \t]*(?P<word>import|export|part\s+of|part|library)\s*"
    rb"(?:(?P<uri>" + URI + rb")(?P<others>(?:\s*if\s*\([^()]*\)\s*" + URI + rb")*)|(?P<name>[\w.]+)\s*;)",
    re.M,
)
OTHER = re.compile(URI)
MENTIONS = re.compile(rb"^[ \t]*(?:import|export|part|library)\b", re.M)
NO_CODE = {"comment", "documentation_comment", "string_literal", "template_substitution"}
NAME = re.compile(rb"""^name:[ \t]*["']?([\w.]+)""", re.M)


def grammar(path: str, lang: str) -> str:
    return "dart"


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    package = ""
    for found in directives(root, text, DIRECTIVE, NO_CODE):
        start = found.start("word")
        word = b" ".join(found["word"].split()).decode()
        if word == "library":
            package = (found["name"] or b"").decode("utf-8", "replace")
        elif found["uri"]:
            uris = (found["uri"], *OTHER.findall(found["others"]))
            imports += [Import(uri[1:-1].decode("utf-8", "replace"), kind=word, at=start) for uri in uris]
        elif word == "part of":
            imports.append(Import(found["name"].decode("utf-8", "replace"), kind="part of name", at=start))
    return Parsed(tuple(imports), package)


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    spoken = {path: said for path, said in parsed.items() if files[path].lang in LANGS}
    packages = _packages(files)
    libraries: dict[str, list[str]] = {}
    for path, said in spoken.items():
        if said.package:
            libraries.setdefault(said.package, []).append(path)

    def find(path: str, wanted: Import) -> str | None:
        if wanted.kind == "part of name":
            return nearest(dirname(path), libraries.get(wanted.name, ()))
        if wanted.name.startswith("package:"):
            name, _, rest = wanted.name.removeprefix("package:").partition("/")
            places = (join(folder, "lib", rest) for folder in packages.get(name, ()))
            return nearest(dirname(path), (place for place in places if place and place in files))
        return files.first(join(dirname(path), wanted.name))

    parts = {(path, find(path, said)) for path in spoken for said in spoken[path].imports if said.kind == "part"}

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        found = find(path, wanted)
        if found:
            return () if found == path or ("of" in wanted.kind and (found, path) in parts) else (found,)
        scheme, colon, rest = wanted.name.partition(":")
        own = scheme == "package" and rest.partition("/")[0] in packages
        return None if own or not colon else ()

    return resolve


def _packages(files: Files) -> dict[str, list[str]]:
    """Name of a package -> the folders whose pubspec.yaml says it."""
    found: dict[str, list[str]] = {}
    for path in files.named("pubspec.yaml"):
        if name := NAME.search(files[path].text):
            found.setdefault(name[1].decode("ascii", "replace"), []).append(dirname(path))
    return found
