"""Ruby: `require_relative`, `require`, `autoload` and `load` with constant paths.

    require_relative "x"    x.rb beside the file
    require "x"             the nearest file whose path ends with lib/x.rb, in this gem or another one here; then
    autoload :X, "x"        x.rb in test/ or spec/ of a folder above the file
    load "x.rb"             at the repository's root, then beside the file, then as required
    require "./x"           the same

Paths put together of __dir__, __FILE__, File.dirname, File.join, File.expand_path, + and strings are constant, and
beside the file. Such a path, or one in a folder that some lib/ has, is missing where no file is found. Computed paths
and `autoload` without one are dynamic. Not found: constants that Rails or Zeitwerk load by their names, which are
implicit; Bundler.require; a changed $LOAD_PATH; libraries written in C.
"""

import posixpath
import re
from collections.abc import Collection, Mapping
from functools import cache
from posixpath import dirname
from typing import Any

from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import nearest, upwards
from smallcoder.repos.query import mentions

LANGS = ("ruby",)
MENTIONS = re.compile(rb"\b(?:require|require_relative|autoload|load)\b")
WORDS = {b"require", b"require_relative", b"autoload", b"load"}
HERE = {b"__dir__": ".", b"__FILE__": "./FILE"}  # one folder below, whatever the file's name
DEEPEST = 20  # operations that a constant path is put together of


def grammar(path: str, lang: str) -> str:
    return "ruby"


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    dynamic = 0
    for name, call, _ in mentions(root, text, MENTIONS, {"identifier"}):
        word = text[name.start_byte : name.end_byte]
        arguments = call.child_by_field_name("arguments") if call.type == "call" else None
        if arguments is None or call.child_by_field_name("receiver") is not None or word not in WORDS:
            continue
        given = arguments.named_children
        node = given[1] if word == b"autoload" and len(given) > 1 else given[0] if given else None
        path = _constant(node, text) if node is not None else None
        if path:
            kind = word.decode() if _literal(node) and word != b"require_relative" else "relative"
            imports.append(Import(path, kind=kind, at=name.start_byte))
        else:
            dynamic += 1
    return Parsed(tuple(imports), dynamic=dynamic)


def _literal(node: Any) -> bool:
    return node.type == "string" and all(child.type == "string_content" for child in node.named_children)


def _constant(node: Any, text: bytes, depth: int = DEEPEST) -> str | None:
    """A constant path, from the file's folder where it is put together; None for a computed one."""
    said = text[node.start_byte : node.end_byte]
    if said in HERE:
        return HERE[said]
    if node.type == "string_content":
        return said.decode("utf-8", "replace")
    if depth and node.type in {"string", "interpolation"}:
        parts = [_constant(part, text, depth - 1) for part in node.named_children]
        return None if None in parts else "".join(map(str, parts))
    if depth and node.type == "binary" and len(node.children) == 3 and node.children[1].type == "+":
        parts = [_constant(node.children[at], text, depth - 1) for at in (0, 2)]
        return None if None in parts else "".join(map(str, parts))
    if depth and node.type == "call":
        return _of_file(node, text, depth)
    return None


def _of_file(node: Any, text: bytes, depth: int) -> str | None:
    """What one of File's functions on paths makes of constants."""
    receiver, arguments = node.child_by_field_name("receiver"), node.child_by_field_name("arguments")
    method = node.child_by_field_name("method")
    if receiver is None or arguments is None or text[receiver.start_byte : receiver.end_byte].lstrip(b":") != b"File":
        return None
    values = [_constant(argument, text, depth - 1) for argument in arguments.named_children[:DEEPEST]]
    parts = [value for value in values if value is not None]
    if not parts or len(parts) < len(values):
        return None
    match text[method.start_byte : method.end_byte]:
        case b"dirname":
            return posixpath.normpath(parts[0] + "/..") if parts[0].startswith(".") else posixpath.dirname(parts[0])
        case b"join":
            return "/".join(parts)
        case b"expand_path" | b"absolute_path":
            return posixpath.normpath("/".join(reversed(parts)))
        case b"realpath":
            return parts[0]
        case _:
            return None


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    @cache
    def required(folder: str, name: str) -> str | None:
        file = name if name.endswith(".rb") else name + ".rb"
        if found := nearest(folder, files.ending("lib/" + file)):
            return found
        return files.first(*(join(above, root, file) for above in upwards(folder) for root in ("test", "spec")))

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        folder, name = dirname(path), wanted.name
        if wanted.kind == "relative":
            found, missing = _source(files, join(folder, name)), True
        elif wanted.kind == "load" or name.startswith("."):
            found = _source(files, join("", name)) or _source(files, join(folder, name)) or required(folder, name)
            missing = name.startswith(".")
        else:
            found = required(folder, name)
            first, slash, _ = name.partition("/")
            missing = bool(slash and first and files.folders_ending("lib/" + first))
        return (found,) if found and found != path else None if missing and not found else ()

    return resolve


def _source(files: Files, place: str | None) -> str | None:
    return files.first(place + ".rb", place) if place else None
