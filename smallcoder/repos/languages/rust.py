"""Rust: `mod x;`, `use a::b::{self, c as d, e::*};`, `extern crate a;`, `include!("x.rs");`.

Modules are laid out as rustc does it (https://doc.rust-lang.org/reference/items/modules.html), from the roots of crates
down: of each Cargo.toml its [lib], [[bin]], [[example]], [[test]] and [[bench]] paths, and the usual places of these
(src/lib.rs, src/main.rs, src/bin, examples, tests, benches, build.rs); then every lib.rs and main.rs left. A file that
no `mod` reaches is taken for the module that its folders say. `repos/crates.py` does this and walks the paths.

    mod x;          x.rs or x/mod.rs in the folder of the module; with #[path = "f"], in cfg_attr too, each f there is
    use PATH        where `crate`, `self`, `super`, an earlier `use` or module of the same scope, or the name of a
                    package of the repository lead: down to the file of the last module, and through its own `use`
                    lines and globs (re-exports) on to the file that declares the name; outside, if they lead there
    use PATH::*     the file of that module
    extern crate    the root of the library, where it is a package of the repository

Names of packages count with "-" as "_", as do [lib] names and renamed dependencies. In edition 2015, and without a
Cargo.toml, paths begin at the crate's root too. Macros of #[macro_export] are found at the root of their crate. `mod`
and `use` inside macros of items (cfg_if!, tokio's cfg_*!) are read. Missing is a `mod` without its file, and a `super`
above the root. Not found: names given by their whole path in an expression, names that macros make up, #[path] of an
inline module, `include!` of what a build writes (counted as dynamic). Conditions (cfg) are not evaluated.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from posixpath import dirname
from typing import Any

from smallcoder.data.syntax import bounded, parser
from smallcoder.repos.crates import Modules
from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.query import captures

LANGS = ("rust",)
QUERY = """
(use_declaration) @use
(extern_crate_declaration) @use
(mod_item) @mod
(source_file (macro_invocation) @macro)
(source_file (expression_statement (macro_invocation) @macro))
(declaration_list (macro_invocation) @macro)
"""
STATEMENTS = {
    "use_declaration": "use", "extern_crate_declaration": "use", "mod_item": "mod", "macro_invocation": "macro",
}  # fmt: skip
INDENTED = re.compile(rb"(?:^[ \t]+|[{};][ \t]*)(?:pub\b[^;{}\n]*)?(?:use|mod|extern)\b", re.M)
ITEMS = {
    "struct_item", "enum_item", "union_item", "trait_item", "type_item", "function_item", "const_item", "static_item",
    "macro_definition", "trait_alias", "function_signature_item",
}  # fmt: skip
COMMENT = re.compile(r"//[^\n]*|/\*(?:.*?\*/|.*)", re.S)
TOKEN = re.compile(r"\$crate|(?:r#)?\w+|::|[{},*]")
USE = re.compile(r"\buse\b")
EXTERN = re.compile(r"extern\s+crate\s+(\w+)(?:\s+as\s+(\w+))?")
PATH = re.compile(rb'\bpath\s*=\s*"([^"\n]+)"')
INCLUDE = re.compile(rb'^(?:std::|core::)?include\s*!\s*[(\[{]\s*(?:"([^"\n]+)"\s*[)\]}])?')
ITEM = re.compile(rb"(?:^|[{};])[ \t]*(?:pub[ \t]*(?:\([^()]*\)[ \t]*)?)?(?:mod|use)[ \t]", re.M)
DECLARED = re.compile(rb"\b(?:struct|enum|union|trait|type|fn|const|static)\s+([A-Za-z_]\w*)")  # in macros of items
AHEAD = 400  # bytes before an item in which its attributes are looked for
DEEPEST = 64  # parts of a path, groups in groups
CHAIN = 8  # of names that `use` lines of one file make of each other, and of `super`
MACROS = 4  # macros in macros

Path = tuple[str, ...]


def grammar(path: str, lang: str) -> str:
    return "rust"


@dataclass
class Scope:
    """An inline module of a file, or the file's own: where it lies, and its name in the file."""

    end: int
    name: Path


@dataclass
class Seen:
    """What is read of a file so far."""

    mods: list[Import] = field(default_factory=list)
    uses: list[tuple[Path, Path, str, int, str]] = field(default_factory=list)  # scope, path, name, place, kind
    declares: set[str] = field(default_factory=set)
    others: list[Import] = field(default_factory=list)
    dynamic: int = 0
    depth: int = 0  # of macros around


def parse(root: Any, text: bytes) -> Parsed:
    """`names` of a `use` is the name that it makes in its file; names in inline modules are written "inner::Name"."""
    seen = Seen()
    _read(root, text, 0, (), seen)
    here = {(scope, name): path for scope, path, name, _, _ in seen.uses if name != "*"}
    uses = [
        Import("::".join(_absolute(path, scope, seen.declares, here)), ("::".join((*scope, name)),), kind, at)
        for scope, path, name, at, kind in seen.uses
    ]
    return Parsed((*seen.mods, *uses, *seen.others), "", frozenset(seen.declares), seen.dynamic)


def _read(root: Any, text: bytes, offset: int, outer: Path, seen: Seen) -> None:
    """Add what a tree has, which stands at `offset` in its file, inside the inline module `outer`."""
    scopes = [Scope(len(text) + 1, outer)]
    _items(root, text, outer, seen)
    for at, kind, node in _statements(root, text):
        while at >= scopes[-1].end:
            scopes.pop()
        scope = scopes[-1].name
        if kind == "use":
            code = _text(node)
            visible = "pub use" if code.startswith("pub") else "use"
            seen.uses += ((scope, path, name, offset + at, visible) for path, name in _paths(code))
        elif kind == "macro":
            _macro(node, offset, scope, seen)
        elif (name := node.child_by_field_name("name")) is not None and len(scope) < DEEPEST:
            inner = (*scope, _text(name).removeprefix("r#"))
            seen.declares.add("::".join(inner))
            if (body := node.child_by_field_name("body")) is not None:
                scopes.append(Scope(node.end_byte, inner))
                _items(body, text, inner, seen)
            else:
                paths = (path.decode("utf-8", "replace") for path in PATH.findall(_attributes(text, at)))
                seen.mods.append(Import("::".join(inner), tuple(paths), "mod", offset + at))


def _statements(root: Any, text: bytes) -> list[tuple[int, str, Any]]:
    """What QUERY catches, by its place. A tree whose text has none but at the start of lines is not gone through."""
    if INDENTED.search(text):
        found = captures(root, "rust", QUERY)
        every = [(node.start_byte, kind, node) for kind in found for node in found[kind]]
        return sorted(every, key=lambda one: one[:2])
    nodes: list[Any] = []
    for node in root.named_children:
        nodes += node.named_children[:1] if node.type == "expression_statement" else [node]
    return [(node.start_byte, STATEMENTS[node.type], node) for node in nodes if node.type in STATEMENTS]


def _items(block: Any, text: bytes, scope: Path, seen: Seen) -> None:
    for node in block.children:
        if node.type in ITEMS and (name := node.child_by_field_name("name")) is not None:
            seen.declares.add("::".join((*scope, _text(name).removeprefix("r#"))))
            if node.type == "macro_definition" and b"macro_export" in _attributes(text, node.start_byte):
                seen.declares.add(_text(name) + "!")


def _attributes(text: bytes, at: int) -> bytes:
    """What stands between the item before and this one."""
    ahead = text[max(0, at - AHEAD) : at]
    return ahead[max(ahead.rfind(b";"), ahead.rfind(b"}"), ahead.rfind(b"{")) + 1 :]


def _macro(node: Any, offset: int, scope: Path, seen: Seen) -> None:
    text = node.text
    if found := INCLUDE.match(text):
        if found[1]:
            name = found[1].decode("utf-8", "replace")
            seen.others.append(Import(name, kind="include", at=offset + node.start_byte))
        else:
            seen.dynamic += 1
        return
    if seen.depth == MACROS or not ITEM.search(text):
        seen.declares.update("::".join((*scope, name.decode())) for name in DECLARED.findall(text))
        return
    start = next((text.find(bracket) for bracket in (b"{", b"(", b"[") if bracket in text), 0) + 1
    root = bounded(parser("rust"), text[start:-1])
    if root is None:
        return
    seen.depth += 1
    _read(root, text[start:-1], offset + node.start_byte + start, scope, seen)
    seen.depth -= 1


def _paths(text: str) -> Iterator[tuple[Path, str]]:
    """The paths of a `use` or `extern crate`, and the name that each makes here: "*" for all, "_" for none."""
    code = COMMENT.sub(" ", text) if "/" in text else text
    if found := EXTERN.search(code):
        yield ("crate",) if found[1] == "self" else ("extern", found[1]), found[2] or found[1]
        return
    outer: list[Path] = []
    prefix: Path = ()
    path: Path = ()
    alias: str | None = None
    begin = USE.search(code)
    for token in TOKEN.findall(code[begin.end() :] + ",") if begin else ():
        if token in {",", "}"}:
            if path and (*prefix, *path) != ("*",) and len(prefix) + len(path) <= DEEPEST:
                whole = (*prefix, *path[:-1]) if path[-1] == "self" and prefix else (*prefix, *path)
                yield whole, whole[-1] if alias is None or alias == "as" else alias
            path, alias = (), None
            if token == "}" and outer:
                prefix = outer.pop()
        elif token == "{":
            if len(outer) == DEEPEST:
                return
            outer.append(prefix)
            prefix, path = (*prefix, *path), ()
        elif alias == "as":
            alias = token
        elif token == "as" and path:
            alias = "as"
        elif token == "::":
            path = path or (() if prefix or outer else ("",))
        elif len(path) <= DEEPEST:
            path = (*path, token.removeprefix("r#"))


def _absolute(path: Path, scope: Path, declares: Collection[str], here: Mapping[tuple[Path, str], Path]) -> Path:
    """A path as seen from an inline module, as it is from its file: it begins with a keyword, "" or a crate's name."""
    for _ in range(CHAIN):
        head, *rest = path
        if head == "self":
            path = (*scope, *rest)
        elif head == "super":
            if not scope:
                return path
            scope, path = scope[:-1], ("self", *rest) if not rest or rest[0] != "super" else tuple(rest)
            continue
        elif head in {"crate", "$crate", "extern", ""}:
            return ("crate", *rest) if head == "$crate" else path
        elif "::".join((*scope, head)) not in declares:
            known = here.get((scope, head))
            if known is None or known == path or known[:1] == (head,):
                return path
            path = (*known, *rest)
            continue
        else:
            path = (*scope, *path)
        return ("self", *path)
    return path


def _text(node: Any) -> str:
    return node.text.decode("utf-8", "replace")


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    modules = Modules(files, parsed)

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        if wanted.kind == "include":
            target = files.first(join(dirname(path), wanted.name))
            return None if target is None else {target} - {path}
        if wanted.kind == "mod":
            return set(modules.below[path].get(wanted.name, ())) - {path} or None
        found = modules.lead(path, tuple(wanted.name.split("::")))
        return None if found is None else found - {path}

    return resolve
