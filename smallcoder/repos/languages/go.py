"""Go: `import "path"`, where a path names a package, and a package is a folder.

An import leads to every .go file of the folder but tests (`_test.go`) and files of `package main`, which only a test
beside them can import; build constraints are not evaluated, so files of all platforms count. Rules, the first that
finds a folder:

1. a module of the repository (`go.mod`) whose path the import begins with, the longest first, of equal ones that of the
   importing file; before them what that file's own `go.mod` replaces by a local folder
2. `vendor/PATH` or `Godeps/_workspace/src/PATH` in a folder above the importing file
3. PATH in a folder `src` above it, as in a GOPATH
4. no `go.mod` above the file: the repository's own path, guessed: the one beginning under which most imports name a
   folder of it, if at least half of those with this beginning do. It has three parts on the usual code hosts, two or
   three elsewhere, the first with a dot.

Missing is what lies inside a module of the repository, or under the guessed path, or is relative ("./x"), without a
folder. Files of one package see each other without imports: those are no edges. `import "C"`, files named by `go:embed`
or `go:generate`, workspaces and versions of modules are not looked at.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from posixpath import basename, dirname
from typing import Any

from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import in_nearest_folder, upwards

LANGS = ("go",)
MENTIONS = re.compile(rb"(?:^|;)[ \t]*(?:package|import)\b(?:\s*\([^)]*)?", re.M)
PATH = re.compile(rb'//[^\n]*|/\*(?:.*?\*/|.*)|"([^"\n]+)"|`([^`\n]+)`', re.S)
MODULE = re.compile(r'^[ \t]*module[ \t]+["`]?([^\s"`]+)', re.M)
REPLACE = re.compile(
    r'^[ \t]*(?:replace[ \t]+)?"?([^\s"(]+)"?(?:[ \t]+v\S+)?[ \t]*=>[ \t]*"?(\.{1,2}(?:/[^\s"]*)?)', re.M
)
LONGEST = 1000  # bytes of an import path; longer ones are no paths
HOSTS = {"github.com", "gitlab.com", "bitbucket.org"}  # where a repository is host/owner/name
STANDARD = {"std"}  # the module of the standard library, whose packages go without its name


def grammar(path: str, lang: str) -> str:
    return "go"


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    package = ""
    for node in root.children:
        if node.type == "import_declaration":
            imports += _imports(node.text, node.start_byte)
        elif node.type == "package_clause" and node.named_child_count:
            package = node.named_children[-1].text.decode("utf-8", "replace")
    return Parsed(tuple(imports), package)


def _imports(text: bytes, at: int) -> Iterator[Import]:
    for found in PATH.finditer(text):
        if (name := found[1] or found[2]) and len(name) < LONGEST:
            yield Import(name.decode("utf-8", "replace"), at=at + found.start())


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    packages: dict[str, list[str]] = {}
    for path, file in files.items():
        if file.lang == "go" and not path.endswith("_test.go"):
            packages.setdefault(dirname(path), []).append(path)
    modules, replaced = _modules(files)
    roots = {root for found in modules.values() for root in found}
    guessed: str | None = None

    def main(path: str) -> bool:
        return path in parsed and parsed[path].package == "main"

    def folder(path: str, name: str) -> tuple[str | None, bool]:
        """The folder of a package, and whether it should be here."""
        nonlocal guessed
        own = next((above for above in upwards(dirname(path)) if above in roots), None)
        expected = False
        for head, tail in _cuts(name):
            at = [replaced[own, head]] if own is not None and (own, head) in replaced else []
            candidates = [f"{root}/go.mod" if root else "go.mod" for root in modules.get(head, ())]
            at += [own] if own in modules.get(head, ()) else map(dirname, in_nearest_folder(path, candidates))
            expected = expected or (bool(at) and bool(head))
            for root in at:
                if (found := f"{root}/{tail}".strip("/")) in packages:
                    return found, True
        for above in upwards(dirname(path)):
            for place in ("vendor", "Godeps/_workspace/src", *([""] if basename(above) == "src" else [])):
                if (found := "/".join(filter(None, (above, place, name)))) in packages:
                    return found, True
        if own is None and name.partition("/")[0].count("."):
            if guessed is None:
                guessed = _guess(packages, parsed, roots)
            if guessed and (name + "/").startswith(guessed + "/"):
                found = name[len(guessed) + 1 :]
                return (found if found in packages else None), True
        return None, expected

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        if wanted.name == "C":
            return ()
        if wanted.name.startswith(("./", "../")):
            found, expected = _local(dirname(path), wanted.name), True
        else:
            found, expected = folder(path, wanted.name)
        if found is None or found not in packages:
            return None if expected else ()
        own = found == dirname(path)
        return [target for target in packages[found] if target != path and (own or not main(target))]

    return resolve


def _modules(files: Files) -> tuple[dict[str, list[str]], dict[tuple[str, str], str]]:
    """Module path -> its folders, and (folder of a go.mod, module path) -> the local folder that replaces it."""
    modules: dict[str, list[str]] = {}
    replaced: dict[tuple[str, str], str] = {}
    for path in files.named("go.mod"):
        text = re.sub("//[^\n]*", "", files[path].text.decode("utf-8", "replace"))
        root = dirname(path)
        if found := MODULE.search(text):
            modules.setdefault("" if found[1] in STANDARD else found[1], []).append(root)
        for found in REPLACE.finditer(text):
            if (local := _local(root, found[2])) is not None:
                replaced[root, found[1]] = local
    return modules, replaced


def _local(root: str, path: str) -> str | None:
    """A folder seen from another one; "" is the repository's root, None outside."""
    found = join(root, path, "_")
    return None if found is None else dirname(found)


def _cuts(name: str) -> list[tuple[str, str]]:
    """A name cut at every "/", the longest head first; ("", name) at the end."""
    parts = name.split("/")
    return [("/".join(parts[:at]), "/".join(parts[at:])) for at in range(len(parts), -1, -1)]


def _guess(packages: Mapping[str, list[str]], parsed: Mapping[str, Parsed], roots: set[str]) -> str:
    """The path under which a repository without modules is imported; "" if none is likely."""
    names = {
        wanted.name
        for path, said in parsed.items()
        if path.endswith(".go") and "vendor/" not in path and "_workspace/" not in path
        for wanted in said.imports
        if not roots.intersection(upwards(dirname(path)))
    }
    tails: dict[str, set[str]] = {}
    for name in names:
        host, *rest = name.split("/")
        if "." in host:
            for size in (2,) if host in HOSTS else (1, 2):
                if len(rest) >= size:
                    tails.setdefault("/".join([host, *rest[:size]]), set()).add("/".join(rest[size:]))
    found = {head: len((tails[head] & packages.keys()) - {""}) for head in tails}  # any path may end at the root
    likely = [head for head in found if found[head] and found[head] * 2 >= len(tails[head] - {""})]
    return min(likely, key=lambda head: (-found[head], len(head), head), default="")
