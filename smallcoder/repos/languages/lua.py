"""Lua: `require`, `pcall(require, ...)`, `dofile` and `loadfile` with constant names.

    require "a.b"       a/b.lua or a/b/init.lua (and .luau) as `package.path` has them: from the requiring file's folder
                        upwards, in each in lua/, src/, lib/ and itself, but below such a folder not itself; else, for a
                        name with a dot, the nearest file whose path ends so
    require(... .. ".b")  below the module itself, whose name `...` is
    dofile "x.lua"      at the repository's root, else beside the file

A dotted name whose first part is a folder of the root, lua/, src/ or lib/ is missing where no file is found. Computed
names are dynamic. Not found: a `package.path` that the program sets, `package.loaders`, modules written in C.
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from posixpath import dirname
from typing import Any

from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import nearest, upwards
from smallcoder.repos.query import mentions

LANGS = ("lua",)
MENTIONS = re.compile(rb"\b(?:require|dofile|loadfile)\b")
READERS = {b"dofile", b"loadfile"}
ROOTS = ("lua", "src", "lib")
ENDINGS = (".lua", "/init.lua", ".luau", "/init.luau")


def grammar(path: str, lang: str) -> str:
    return "lua"


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    dynamic = 0
    for name, parent, _ in mentions(root, text, MENTIONS, {"identifier"}):
        word = text[name.start_byte : name.end_byte]
        if parent.type == "function_call":
            arguments = parent.child_by_field_name("arguments")
            given = arguments.named_children if arguments is not None else []
        else:  # pcall(require, "x"), where `require` is an argument
            given = parent.named_children[1:] if parent.type == "arguments" and word == b"require" else []
        if not given:
            continue
        constant = _constant(given[0], text)
        if constant is None:
            dynamic += 1
        else:
            kind = "file" if word in READERS else "own" if given[0].type != "string" else ""
            imports.append(Import(constant, kind=kind, at=name.start_byte))
    return Parsed(tuple(imports), dynamic=dynamic)


def _constant(node: Any, text: bytes) -> str | None:
    """The value of a string without escapes, or of what follows `...` in a name below the module's own."""
    if node.type == "binary_expression" and len(node.children) == 3:
        left, operator, right = node.children
        own = text[left.start_byte : left.end_byte].strip(b"( )") == b"..." and operator.type == ".."
        return _constant(right, text) if own and right.type == "string" else None
    if node.type != "string":
        return None
    content = node.child_by_field_name("content")
    raw = text[content.start_byte : content.end_byte] if content is not None else b""
    return raw.decode("utf-8", "replace") if raw and b"\\" not in raw else None


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    @cache
    def find(folder: str, name: str) -> str | None:
        place = name.replace(".", "/").strip("/")
        for above in upwards(folder):
            inside = any(part in ROOTS for part in above.split("/"))
            for root in ROOTS if inside and above.rpartition("/")[2] not in ROOTS else (*ROOTS, ""):
                if found := _module(files, join(above, root, place)):
                    return found
        named = (nearest(folder, files.ending(place + ending)) for ending in ENDINGS if "/" in place)
        return next(filter(None, named), None)

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        folder = dirname(path)
        if wanted.kind == "file":
            found, missing = files.first(join("", wanted.name), join(folder, wanted.name)), True
        elif wanted.kind == "own":
            module = folder if path.endswith(ENDINGS[1::2]) else path.rpartition(".")[0]
            found, missing = _module(files, join(module, wanted.name.replace(".", "/").strip("/"))), True
        else:
            first, dot, _ = wanted.name.partition(".")
            found = find(folder, wanted.name)
            missing = bool(dot and first) and any(_has(files, join(root, first)) for root in ("", *ROOTS))
        return (found,) if found and found != path else None if missing and not found else ()

    return resolve


def _module(files: Files, place: str | None) -> str | None:
    return files.first(*(place + ending for ending in ENDINGS)) if place else None


def _has(files: Files, folder: str | None) -> bool:
    return folder in files.folders_ending(folder) if folder else False
