"""JavaScript and TypeScript: `import`, `export from`, `require("...")`, `import("...")`, types included.

A relative name is looked for as bundlers and TypeScript do: the path itself, then with an ending, then as a folder with
a package.json or an index file; "./x.js" is also written for x.ts. Other names mean, in this order, what `imports` of
the nearest package.json maps ("#x"), what `paths` and `baseUrl` of the tsconfig and jsconfig files of the folders above
map, nearest first, and a package of this repository by the name in its package.json: its `exports`, else its `main`,
else its index; what would be built from a source is that source (dist/x.js: src/x.ts). "@/x" and "~/x" can be no
packages; without a mapping they are looked for below every folder above and its `src`, as build tools set them up.

Not found: aliases that a build tool's own program sets up, configurations extended by the name of a package,
node_modules, AMD, files that a framework finds by their place. The scripts inside Vue and Svelte components are not
read; imports of such files are found.
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from smallcoder.repos.files import Files
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import upwards
from smallcoder.repos.npm import Package, configs, package, seen_from
from smallcoder.repos.query import mentions

LANGS = ("javascript", "typescript")
MENTIONS = re.compile(rb"""\b(?:import(?=\s*["'(/])|from(?=\s*["'/])|require\s*\(|reference\s+path)""")
LEAVES = {"import", "from", "require", "identifier", "comment"}
REFERENCE = re.compile(rb"""///\s*<reference\s+path\s*=\s*["']([^"'\n]+)["']""")
TYPED = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".d.mts", ".d.cts")
PLAIN = (".js", ".jsx", ".mjs", ".cjs")
OTHER = (".json", ".vue", ".svelte")
# What an ending in an import may stand for besides itself.
WRITTEN = {
    ".js": (".ts", ".tsx", ".d.ts", ".jsx"),
    ".jsx": (".tsx",),
    ".mjs": (".mts", ".d.mts"),
    ".cjs": (".cts", ".d.cts"),
    ".ts": (".ts", ".d.ts"),
    ".tsx": (".tsx", ".d.ts"),
    ".mts": (".mts", ".d.mts"),
    ".cts": (".cts", ".d.cts"),
}
CODE_ENDING = re.compile(r"(?:\.d)?\.[cm]?[jt]sx?$")
BUILT = re.compile(r"^(?:dist|build|lib|out|es|esm|cjs|types)/(?:(?:es|esm|cjs|types|src)/)?")
LONGEST = 1000  # characters of a name; longer ones name no file
GRAMMARS = {".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx"}


def grammar(path: str, lang: str) -> str:
    return GRAMMARS.get(posixpath.splitext(path)[1].lower(), lang)


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    dynamic = 0
    for leaf, inner, outer in mentions(root, text, MENTIONS, LEAVES):
        parent, name = outer if inner.type == "import" and outer else inner, None
        if leaf.type == "comment":
            if found := REFERENCE.match(leaf.text):
                name = posixpath.join(".", found[1].decode("utf-8", "replace"))
        elif parent.type == "call_expression":
            if leaf.type in {"import", "identifier"} and leaf.text in {b"import", b"require"}:
                name = _string(_argument(parent))
                dynamic += name is None
        elif leaf.type != "identifier":
            name = _string(parent.child_by_field_name("source"))
        if name and len(name) < LONGEST:
            imports.append(Import(name, at=leaf.start_byte))
    return Parsed(tuple(imports), dynamic=dynamic)


def _argument(call: Any) -> Any:
    arguments = call.child_by_field_name("arguments")
    found = arguments.named_children if arguments is not None and arguments.type == "arguments" else ()
    return next((node for node in found if node.type != "comment"), None)


def _string(node: Any) -> str | None:
    """What a string, or a template without anything to put in, says."""
    if node is None or node.type not in {"string", "template_string"} or node.named_child_count > 1:
        return None
    inside = node.text[1:-1]
    return None if b"${" in inside else inside.decode("utf-8", "replace")


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    found = _Places(files)

    @cache
    def look(folder: str, name: str, typed: bool) -> Collection[str] | None:
        bare = name.partition("?")[0]
        for place in found.places(folder, bare):
            if path := found.file(place, typed):
                return (path,)
        return None if bare.startswith((".", "#", "@/", "~/")) or found.owned(bare) else ()

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        return look(posixpath.dirname(path), wanted.name, path.endswith(TYPED))

    return resolve


class _Places:
    """Where in a repository a name may be; all places are seen from its root."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._packages = {posixpath.dirname(path): package(files, path) for path in files.named("package.json")}
        self._named: dict[str, list[Package]] = {}
        for found in self._packages.values():
            if found.name:
                self._named.setdefault(found.name, []).append(found)
        self._mapping = cache(lambda folder: [config for above in upwards(folder) for config in self._configs(above)])
        self._configs = cache(lambda folder: configs(files, folder))

    def owned(self, name: str) -> bool:
        """Whether a name begins with that of a package of this repository."""
        return _split(name)[0] in self._named

    def places(self, folder: str, name: str) -> Iterator[str]:
        """Where a name may be for a file in `folder`, best first."""
        if name.startswith("."):
            yield from _seen(folder, [name])
            return
        if name.startswith("#"):
            for found in self._around(folder):
                for target in found.imports.places(name):
                    if target.startswith("."):
                        yield from _entries(found.folder, [target])
                    else:
                        yield from self._outer(found.folder, target)
        yield from self._outer(folder, name)

    def _around(self, folder: str) -> Iterator[Package]:
        """The package that a folder belongs to."""
        yield from [self._packages[above] for above in upwards(folder) if above in self._packages][:1]

    def _outer(self, folder: str, name: str) -> Iterator[str]:
        for config in self._mapping(folder):
            yield from config.paths.places(name)
            if config.base is not None:
                yield from _seen(config.base, [name])
        if name.startswith(("@/", "~/")):
            for above in upwards(folder):
                yield from _seen(above, ["src/" + name[2:], name[2:]])
        head, rest = _split(name)
        for found in sorted(self._named.get(head, ()), key=lambda found: _distance(folder, found.folder)):
            yield from _entries(found.folder, found.exports.places(f"./{rest}" if rest else "."))
            yield from _entries(found.folder, [] if rest else found.entries)
            yield from _seen(found.folder, [f"{inside}/{rest}" for inside in ("src", ".", "lib")])

    def file(self, place: str, typed: bool) -> str | None:
        """The file that a place means, with its ending or without, or the index of the folder that it means."""
        if found := self._with_ending(place, typed):
            return found
        inner = self._packages.get(place)
        for entry in [*_entries(place, inner.entries if inner else []), posixpath.join(place, "index")]:
            if found := self._with_ending(entry, typed) or self._with_ending(posixpath.join(entry, "index"), typed):
                return found
        return None

    def _with_ending(self, place: str, typed: bool) -> str | None:
        stem, ending = posixpath.splitext(place)
        written = [stem + other for other in WRITTEN.get(ending, ())]
        endings = TYPED + PLAIN + OTHER if typed else PLAIN + TYPED + OTHER
        exact = [*written, place] if typed else [place, *written]
        return self._files.first(*exact, *(place + ending for ending in endings))


def _seen(folder: str, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if (place := seen_from(folder, name)) is not None:
            yield place


def _entries(folder: str, targets: list[str]) -> Iterator[str]:
    """The targets of a package's entry, then the sources that what is not there would be built from."""
    yield from _seen(folder, targets)
    for target in targets:
        inside = posixpath.normpath(target)
        if BUILT.match(inside):
            source = CODE_ENDING.sub("", BUILT.sub("", inside))
            yield from _seen(folder, [f"src/{source}", source])


def _split(name: str) -> tuple[str, str]:
    """The package's name and what of it is meant: "@a/b/c/d" is "@a/b" and "c/d"."""
    parts = name.split("/")
    size = 2 if name.startswith("@") else 1
    return "/".join(parts[:size]), "/".join(parts[size:])


def _distance(folder: str, other: str) -> tuple[int, str]:
    return -len(posixpath.commonprefix([folder.split("/"), other.split("/")])), other
