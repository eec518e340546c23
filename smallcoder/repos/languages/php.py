r"""PHP: `use` of classes, functions and constants, single, in lists and in groups; `require` and `include`.

    use A\B\C           by PSR-4 and PSR-0 of every composer.json (autoload and autoload-dev), the longest prefix first;
                        else the one file that declares A\B\C in its namespaces
    use function A\f    the one file that declares it; constants alike
    require __DIR__ . "/x.php"      __DIR__, __FILE__, dirname, "." and strings are constant
    require "x.php"     beside the file, then at the repository's root
    require X . "/y/z.php"          after a constant of the program: the only file whose path ends with y/z.php

Missing: a class below a PSR-4 prefix of this repository, and a path that begins with the file's folder, where there is
no file. Computed paths are dynamic. Not found: names that are written out where they are used (`new \A\B`) or that
stand in the same namespace, which are implicit; class maps; `use` of a namespace; autoloaders of the program's own.
"""

import json
import posixpath
from bisect import bisect
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from posixpath import dirname
from typing import Any

from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.query import captures

LANGS = ("php",)
QUERY = """
(namespace_definition) @namespace
(namespace_use_declaration) @use
[(require_expression) (require_once_expression) (include_expression) (include_once_expression)] @require
[(class_declaration name: (name) @class) (interface_declaration name: (name) @class)
 (trait_declaration name: (name) @class) (enum_declaration name: (name) @class)]
(function_definition name: (name) @function)
(program (const_declaration (const_element (name) @const)))
(namespace_definition body: (compound_statement (const_declaration (const_element (name) @const))))
"""
HERE = {b"__DIR__": ".", b"__FILE__": "./FILE"}  # one folder below, whatever the file's name
DEEPEST = 20  # operations that a constant path is put together of
Prefixes = list[tuple[str, str, str]]  # of a namespace, the folder it maps to, and the standard


def grammar(path: str, lang: str) -> str:
    return "php"


def parse(root: Any, text: bytes) -> Parsed:
    found = captures(root, "php", QUERY)
    imports = [wanted for node in found.get("use", ()) for wanted in _uses(node, text)]
    dynamic = 0
    for node in found.get("require", ()):
        wanted = _path(node.named_children[0], text) if node.named_children else None
        if wanted is None:
            dynamic += 1
        else:
            imports.append(Import(wanted[1], kind=wanted[0], at=node.start_byte))
    spaces = [(node.start_byte, _said(node.child_by_field_name("name"), text)) for node in found.get("namespace", ())]
    declares: set[str] = set()
    for kind in ("class", "function", "const"):
        for node in found.get(kind, ()):
            at = bisect(spaces, node.start_byte, key=lambda space: space[0])
            space = spaces[at - 1][1] if at else ""
            declares.add(_name(kind, f"{space}\\{_said(node, text)}".lstrip("\\")))
    return Parsed(tuple(imports), spaces[0][1] if spaces else "", frozenset(declares), dynamic)


def _said(node: Any, text: bytes) -> str:
    return "" if node is None else text[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _name(kind: str, name: str) -> str:
    """A declared name; functions and constants have name spaces of their own."""
    return name if kind in {"class", ""} else f"{kind} {name}"


def _uses(node: Any, text: bytes) -> Iterator[Import]:
    prefix, kind, clauses = "", "", []
    for child in node.children:
        if child.type in {"function", "const"}:
            kind = child.type
        elif child.type == "namespace_name":
            prefix = _said(child, text) + "\\"
        elif child.type == "namespace_use_group":
            clauses += child.named_children
        elif child.type == "namespace_use_clause":
            clauses.append(child)
    for clause in clauses:
        names = [child for child in clause.children if child.type in {"qualified_name", "name"}]
        own = next((child.type for child in clause.children if child.type in {"function", "const"}), kind)
        if names:
            yield Import((prefix + _said(names[0], text)).lstrip("\\"), kind=own, at=clause.start_byte)


def _path(node: Any, text: bytes) -> tuple[str, str] | None:
    """The kind and the path of what is included: "here" from the file's folder, "below" some folder, or "path"."""
    while node.type == "parenthesized_expression" and node.named_children:
        node = node.named_children[0]
    if (path := _constant(node, text)) is not None:
        return ("path" if node.type in {"string", "encapsed_string"} else "here"), path
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if node.type == "binary_expression" and left is not None and right is not None and left.type == "name":
        path = _constant(right, text)
        return ("below", path.lstrip("/")) if path else None
    return None


def _constant(node: Any, text: bytes, depth: int = DEEPEST) -> str | None:
    """A constant path, from the file's folder where it is put together; None for a computed one."""
    if node.type in {"string", "encapsed_string"}:
        literal = all(child.type == "string_content" for child in node.named_children)
        return "".join(_said(child, text) for child in node.named_children) if literal else None
    if node.type == "name":
        return HERE.get(text[node.start_byte : node.end_byte])
    if not depth:
        return None
    if node.type == "parenthesized_expression" and node.named_children:
        return _constant(node.named_children[0], text, depth - 1)
    if node.type == "binary_expression" and len(node.children) == 3 and node.children[1].type == ".":
        parts = [_constant(node.children[at], text, depth - 1) for at in (0, 2)]
        return None if None in parts else "".join(map(str, parts))
    if node.type == "function_call_expression" and len(node.named_children) == 2:
        function, arguments = node.named_children
        given = [argument.named_children[0] for argument in arguments.named_children if argument.named_children]
        path = _constant(given[0], text, depth - 1) if given and _said(function, text) == "dirname" else None
        levels = _said(given[1], text) if len(given) > 1 else "1"
        if path and levels.isascii() and levels.isdecimal() and int(levels) <= DEEPEST:
            return posixpath.normpath(path + "/.." * int(levels))
    return None


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    prefixes = _prefixes(files)
    declared: dict[str, list[str]] = {}
    spaces: set[str] = set()
    for path, said in parsed.items():
        if files[path].lang in LANGS:
            for name in said.declares:
                declared.setdefault(name, []).append(path)
                spaces.add(name.rpartition("\\")[0])

    @cache
    def named(name: str, kind: str) -> str | None:
        for prefix, folder, standard in prefixes if not kind else ():
            if name.startswith(prefix):
                rest = name if standard == "psr-0" else name[len(prefix) :]
                space, slash, last = rest.rpartition("\\")
                last = last.replace("_", "/") if standard == "psr-0" else last
                if found := files.first(join(folder, space.replace("\\", "/") + (slash and "/") + last + ".php")):
                    return found
        paths = declared.get(_name(kind, name), [])
        return paths[0] if len(paths) == 1 else None

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        folder, name = dirname(path), wanted.name
        match wanted.kind:
            case "here":
                found, missing = files.first(join(folder, "./" + name)), True
            case "below":
                ending = files.ending(name)
                found, missing = ending[0] if len(ending) == 1 else None, False
            case "path":
                found = None if name.startswith("/") else files.first(join(folder, name), join("", name))
                missing = name.startswith(".")
            case kind:
                found = named(name, kind)
                ours = any(
                    prefix and name.startswith(prefix) for prefix, _, standard in prefixes if standard == "psr-4"
                )
                missing = ours and not kind and name not in spaces
        return (found,) if found and found != path else None if missing and not found else ()

    return resolve


def _prefixes(files: Files) -> Prefixes:
    """What every composer.json maps, the longest prefix first."""
    found: set[tuple[str, str, str]] = set()
    for path in files.named("composer.json"):
        try:
            said = json.loads(files[path].text)
        except (ValueError, RecursionError):
            continue
        for section in ("autoload", "autoload-dev"):
            loads = said.get(section) if isinstance(said, dict) else None
            for standard in ("psr-4", "psr-0"):
                mapped = loads.get(standard) if isinstance(loads, dict) else None
                for prefix, folders in mapped.items() if isinstance(mapped, dict) else ():
                    for folder in folders if isinstance(folders, list) else [folders]:
                        if isinstance(folder, str) and (inside := join(dirname(path), "./" + folder, "x")):
                            found.add((prefix, dirname(inside), standard))
    return sorted(found, key=lambda item: (-len(item[0]), item))
