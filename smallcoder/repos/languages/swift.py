"""Swift: an import names a module; it leads to the module's files that declare what the importing file mentions.

    modules         the targets of every Package.swift: their `path:`, else Sources/NAME, Source/NAME, src/NAME,
                    srcs/NAME, Tests/NAME or Plugins/NAME beside it, as Swift's package manager looks for them; of
                    several modules of one name the nearest
    import M, import M.Sub  the files of M, and of modules that M's files import as `@_exported`, which declare a public
                    name that the importing file mentions; with @testable, one that is not private
    import struct M.S       the files of M that declare S; missing where there are none

Imports are read from the tree. Of files in modules of the repository, names are read from the text: declared are those
whose declaration begins a line, mentioned the words with a capital letter outside of comments and strings; names that
the importing file declares itself do not count. Not found: files of which extensions, operators or functions alone are
used; modules of Xcode projects. Files of one module see each other without imports: implicit. Nothing is dynamic.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache
from posixpath import dirname
from typing import Any

from smallcoder.data.syntax import bounded, parser, unreadable
from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import nearest, upwards
from smallcoder.repos.query import captures, matches

LANGS = ("swift",)
MENTIONS = re.compile(rb"\bimport\b")
IMPORTS = "(import_declaration) @import"
SYMBOLS = {"typealias", "struct", "class", "enum", "protocol", "let", "var", "func"}
TARGETS = """(call_expression (prefix_expression target: (simple_identifier) @kind)
  (call_suffix (value_arguments) @arguments))"""
KINDS = {b"target", b"executableTarget", b"testTarget", b"macro", b"plugin"}
FOLDERS = ("Sources", "Source", "src", "srcs", "Tests", "Plugins")
DECLARATION = re.compile(
    rb"^(?:@[\w.]+(?:\([^()\n]*\))?[ \t]++)*+(?P<words>(?:(?:public|open|package|internal|private|fileprivate|final|"
    rb"indirect|nonisolated|distributed)[ \t]++)*+)(?:class|struct|enum|protocol|actor|typealias|func|let|var)[ \t]++"
    rb"`?(?P<name>\w+)",
    re.M,
)
WORD = re.compile(rb'//[^\n]*+|/\*(?:[^*]|\*(?!/))*+|"(?:\\.|[^"\\\n])*+"?|\b([A-Z]\w*+)', re.S)


def grammar(path: str, lang: str) -> str:
    return "swift"


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    for node in captures(root, "swift", IMPORTS).get("import", ()):
        named = next((child for child in node.children if child.type == "identifier"), None)
        if named is None:
            continue
        before = text[node.start_byte : named.start_byte].split()
        kind = "testable" if b"@testable" in before else "exported" if b"@_exported" in before else ""
        name = b"".join(text[named.start_byte : named.end_byte].split()).decode("utf-8", "replace")
        symbol = before and before[-1].decode("utf-8", "replace") in SYMBOLS
        module, _, last = name.rpartition(".") if symbol else (name, "", "")
        imports.append(Import(module or name, (last,) if module and last else (), kind, node.start_byte))
    return Parsed(tuple(imports))


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    modules = _modules(files)
    folders = {folder for places in modules.values() for folder in places}
    owner: dict[str, str | None] = {}
    inside: dict[str, list[str]] = {folder: [] for folder in folders}
    for path in parsed:
        if files[path].lang in LANGS:
            owner[path] = next((folder for folder in upwards(dirname(path)) if folder in folders), None)
            if (folder := owner[path]) is not None:
                inside[folder].append(path)

    def place(path: str, name: str) -> str | None:
        found = nearest(dirname(path), [folder + "/." for folder in modules.get(name.partition(".")[0], ())])
        return found and found.removesuffix("/.")

    @cache
    def declared(folder: str) -> Mapping[str, list[tuple[str, bool]]]:
        found: dict[str, list[tuple[str, bool]]] = {}
        for path in inside[folder]:
            for name, public in _declared(files[path].text):
                found.setdefault(name, []).append((path, public))
        return found

    @cache
    def seen_from(folder: str) -> list[str]:
        """The module itself and those that its files export with it."""
        found = [folder]
        for module in found:
            for path in inside[module]:
                names = (wanted.name for wanted in parsed[path].imports if wanted.kind == "exported")
                found.extend({other for name in names if (other := place(path, name)) is not None}.difference(found))
        return found

    @lru_cache(maxsize=16)
    def mentioned(path: str) -> frozenset[str]:
        text = files[path].text
        words = {word.decode() for word in set(WORD.findall(text))}
        return frozenset(words.difference(name for name, _ in _declared(text)))

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        folder = place(path, wanted.name)
        if folder is None or folder == owner[path]:
            return ()
        names = frozenset(wanted.names) or mentioned(path)
        found = {
            target
            for module in seen_from(folder)
            for name in declared(module).keys() & names
            for target, public in declared(module)[name]
            if (public or wanted.kind == "testable") and target != path
        }
        return sorted(found) or (None if wanted.names else ())

    return resolve


def _declared(text: bytes) -> Iterator[tuple[str, bool]]:
    """The names a file declares at top level for other files, and whether for other modules."""
    for found in DECLARATION.finditer(text):
        words = found["words"].split()
        if b"private" not in words and b"fileprivate" not in words:
            public = b"public" in words or b"open" in words or b"package" in words
            yield found["name"].decode("utf-8", "replace"), public


def _modules(files: Files) -> dict[str, list[str]]:
    """Name of a module -> its folders, of all packages of the repository."""
    found: dict[str, set[str]] = {}
    for path in files.named("Package.swift"):
        text = files[path].text
        targets: dict[str, str | None] = {}
        for name, own in () if unreadable(text) else _targets(text):
            targets[name] = targets.get(name) or own
        for name, own in targets.items():
            for place in (own,) if own else (f"{folder}/{name}" for folder in FOLDERS):
                inside = join(dirname(path), "./" + place, "Package.swift")
                folder = dirname(inside) if inside else None
                if folder is not None and (own or folder in files.folders_ending(folder)):
                    found.setdefault(re.sub(r"\W", "_", name), set()).add(folder)
                    break
    return {name: sorted(folders) for name, folders in found.items()}


def _targets(text: bytes) -> Iterator[tuple[str, str | None]]:
    """Name and path of each target, those that are only named as dependencies among them."""
    root = bounded(parser("swift"), text)
    for _, found in matches(root, "swift", TARGETS) if root is not None else ():
        (kind,), (arguments,) = found["kind"], found["arguments"]
        if text[kind.start_byte : kind.end_byte] in KINDS:
            given: dict[bytes, str] = {}
            for argument in arguments.named_children:
                label, value = argument.child_by_field_name("name"), argument.child_by_field_name("value")
                if label is not None and value is not None and value.type == "line_string_literal":
                    said = text[value.start_byte : value.end_byte].strip(b'"').decode("utf-8", "replace")
                    given[text[label.start_byte : label.end_byte]] = said
            if b"name" in given:
                yield given[b"name"], given.get(b"path")
