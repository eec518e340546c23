"""Cargo packages of a repository: each Cargo.toml's library, its name, and the roots of its crates.

Targets are the listed ones and the usual places (https://doc.rust-lang.org/cargo/reference/cargo-targets.html). A
Cargo.toml that is no TOML, or has no [package], gives none; features and versions are not looked at.
"""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from posixpath import basename, dirname
from typing import Any

from smallcoder.data.syntax import LARGEST
from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed
from smallcoder.repos.nearness import in_nearest_folder, upwards

FOLDERS = {"bin": "src/bin", "example": "examples", "test": "tests", "bench": "benches"}
# Re-exports may go round for ever: steps for one `use`, of them in a row, and parts of a path.
MOST, DEEPEST, LONGEST = 128, 12, 24
DOTS = 100  # in a line of TOML: tomllib takes quadratic time and room for the parts of a key
DEPENDENCIES = ("dependencies", "dev-dependencies", "build-dependencies")

Path = tuple[str, ...]
Place = tuple[str, Path]  # a file and a module in it, () its own


@dataclass
class Package:
    """A package: its folder, its name, how code names its library, that library's root, the roots of all its crates."""

    folder: str
    name: str  # "-" as "_"
    crate: str
    library: str | None
    roots: list[str]
    renamed: Mapping[str, str] = field(default_factory=dict)  # a dependency's name in code -> its package's
    old: bool = False  # edition 2015, whose paths begin at the root of the crate


def packages(files: Files) -> list[Package]:
    """The packages of a repository, by path."""
    tables = {path: _table(files[path].text) for path in files.named("Cargo.toml")}
    shared: dict[str, str] = {}
    for table in tables.values():
        shared |= _renamed(_dict(table, "workspace"))
    mains: dict[str, list[str]] = {}  # two folders above a main.rs -> those
    for path in files.named("main.rs"):
        mains.setdefault(dirname(dirname(path)), []).append(path)
    known = {dirname(path): table for path, table in tables.items() if _dict(table, "package")}
    return [_package(files, mains, folder, table, shared) for folder, table in known.items()]


def _package(
    files: Files, mains: Mapping[str, list[str]], folder: str, table: Mapping[str, Any], shared: Mapping[str, str]
) -> Package:
    about, lib = _dict(table, "package"), _dict(table, "lib")
    library = files.first(_join(folder, lib.get("path")), _join(folder, "src/lib.rs"))
    listed = [_join(folder, one.get("path")) for kind in FOLDERS for one in _list(table, kind) if isinstance(one, dict)]
    build = about.get("build")
    usual = [_join(folder, "src/main.rs"), _join(folder, build if isinstance(build, str) else "build.rs")]
    for place in FOLDERS.values():
        above = f"{folder}/{place}".lstrip("/")
        usual += [path for path in files.folders.get(above, ()) if path.endswith(".rs")] + mains.get(above, [])
    roots = [library, *listed, *usual]
    name = str(about.get("name") or "").replace("-", "_")
    return Package(
        folder,
        name,
        str(lib.get("name") or name).replace("-", "_"),
        library,
        list(dict.fromkeys(root for root in roots if root in files)),  # pyright: ignore[reportArgumentType]
        {**shared, **_renamed(table)},
        about.get("edition", "2015") == "2015",
    )


def _renamed(table: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    targets = [one for one in _dict(table, "target").values() if isinstance(one, dict)]
    for place in (table, *targets):
        for kind in DEPENDENCIES:
            for name, one in _dict(place, kind).items():
                if isinstance(one, dict) and isinstance(one.get("package"), str):
                    found[name.replace("-", "_")] = one["package"].replace("-", "_")
    return found


def _table(text: bytes) -> dict[str, Any]:
    if len(text) > LARGEST or any(line.count(b".") > DOTS for line in text.splitlines()):
        return {}
    try:
        return tomllib.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}


def _dict(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    found = table.get(key)
    return found if isinstance(found, list) else []


def _join(folder: str, path: Any) -> str | None:
    return join(folder, path) if isinstance(path, str) else None


def package_of(path: str, known: Mapping[str, Package]) -> Package | None:
    """The package in whose folder a file lies, the innermost; `known` by folder."""
    return next((known[folder] for folder in upwards(dirname(path)) if folder in known), None)


class Modules:
    """The tree of modules of a repository's crates, and where paths in it lead."""

    def __init__(self, files: Files, parsed: Mapping[str, Parsed]) -> None:
        self.files = files
        self.said = {path: said for path, said in parsed.items() if files[path].lang == "rust"}
        found = packages(files)
        self.packages = {package.folder: package for package in found}
        self.libraries: dict[str, list[str]] = {}  # by the name of the crate, and of the package, which renaming says
        for package in found:
            for name in {package.crate, package.name} if package.library else ():
                self.libraries.setdefault(name, []).append(package.library or "")
        self.home: dict[str, str] = {}  # file -> the folder of the modules in it
        self.root: dict[str, str] = {}  # file -> the root of its crate
        self.above: dict[str, Place] = {}  # file -> where it is said `mod`
        self.below: dict[str, dict[str, list[str]]] = {}  # file -> module in it -> its files
        self.uses: dict[str, dict[str, dict[Path, None]]] = {}  # file -> name in it -> where `use` says it comes from
        self.public: set[tuple[str, str]] = set()  # file and name in it that `pub use` makes
        self.globs: dict[tuple[str, Path], set[Place]] = {}  # file and path of a glob in it -> the modules it names
        self._depth = 0
        self.macros: dict[str, dict[str, list[str]]] = {}  # root -> exported macro -> files
        self._lay([root for package in found for root in package.roots])
        for path, said in self.said.items():
            names = self.uses.setdefault(path, {})
            for wanted in said.imports:
                if wanted.kind.endswith("use"):
                    others = names.setdefault(wanted.names[0], {})
                    if len(others) < MOST:
                        others[tuple(wanted.name.split("::"))] = None
                    if wanted.kind != "use":
                        self.public.add((path, wanted.names[0]))
            for name in said.declares:
                if name.endswith("!"):
                    self.macros.setdefault(self.root[path], {}).setdefault(name[:-1], []).append(path)

    def _lay(self, roots: list[str]) -> None:
        for name in ("lib.rs", "main.rs"):
            roots += self.files.named(name)
        for root in roots:
            self._tree(root, root, dirname(root))
        for path in sorted(self.said, key=lambda path: (path.count("/"), path)):
            if path not in self.root:
                folder, name = dirname(path), basename(path)
                stem = name.removesuffix(".rs")
                if name == "mod.rs":
                    folder, stem = dirname(folder), basename(folder)
                near = [f"{folder}/{one}".lstrip("/") for one in ("mod.rs", "lib.rs", "main.rs")]
                above = next((one for one in (*near, f"{folder}.rs") if one in self.root and one != path), None)
                if above is not None:
                    self.above[path] = above, ()
                    self.below[above].setdefault(stem, []).append(path)
                home = dirname(path) if name == "mod.rs" or above is None else f"{dirname(path)}/{stem}".lstrip("/")
                self._tree(path, self.root[above] if above else path, home)

    def _tree(self, path: str, root: str, home: str) -> None:
        """Lay a file that is in no tree yet, and the modules below it."""
        stack = [(path, home)]
        while stack:
            path, home = stack.pop()
            if path in self.root or path not in self.said:
                continue
            self.root[path], self.home[path] = root, home
            below = self.below.setdefault(path, {})
            for wanted in self.said[path].imports:
                if wanted.kind == "mod":
                    *scope, _ = wanted.name.split("::")
                    for target, inside in self._files(path, wanted):
                        below.setdefault(wanted.name, []).append(target)
                        if target not in self.root and target != path:
                            self.above.setdefault(target, (path, tuple(scope)))
                            stack.append((target, inside))

    def _files(self, path: str, wanted: Import) -> Iterator[tuple[str, str]]:
        """The files of a `mod x;`, and for each the folder of the modules in it."""
        *scope, name = wanted.name.split("::")
        folder = join(self.home[path], *scope, "_")
        folder = dirname(folder) if folder else ""
        for other in wanted.names:
            if target := self.files.first(join(folder if scope else dirname(path), other)):
                yield target, dirname(target)
        plain, nested = join(folder, f"{name}.rs"), join(folder, name, "mod.rs")
        if target := self.files.first(plain, nested):
            yield target, dirname(target) if target == nested else target.removesuffix(".rs")

    def lead(self, path: str, to: Path) -> set[str] | None:
        """The files where a path leads that stands in a file; none of them outside, None if above the root."""
        found = self._lead(path, to, set(), False)
        return None if found is None else {target for target, _ in found}

    def _lead(self, path: str, to: Path, seen: set[tuple[Place, Path]], public: bool) -> set[Place] | None:
        if self._depth == DEEPEST or len(to) > LONGEST:
            return None
        self._depth += 1
        try:
            return self._begin(path, to, seen, public)
        finally:
            self._depth -= 1

    def _begin(self, path: str, to: Path, seen: set[tuple[Place, Path]], public: bool) -> set[Place] | None:
        head, *rest = to
        if head in {"self", "super"}:
            return self._walk((path, ()), to, seen, public)
        root = self.root[path]
        if head == "crate":
            return self._walk((root, ()), tuple(rest), seen, public)
        extern = head == "extern"
        if (head == "" or extern) and rest:
            head, *rest = rest
        package = package_of(path, self.packages)
        name = package.renamed.get(head, head) if package else head
        if name in self.libraries:
            own = package is not None and name in {package.crate, package.name} and package.library
            library = own or in_nearest_folder(path, self.libraries[name])[0]
            if library in self.root:
                return self._walk((library, ()), tuple(rest), seen, public)
        old = not extern and (package is None or package.old)
        if old and (head in self.below[root] or head in self.said[root].declares or head in self.uses[root]):
            return self._walk((root, ()), (head, *rest), seen, public)
        return set()

    def _walk(self, place: Place, names: Path, seen: set[tuple[Place, Path]], public: bool) -> set[Place] | None:
        """Where names lead, one below the other, from a module on.

        seen: where it has been asked. public: what a glob asks, whether the module has the name for others to see:
        None if not. Else the module itself stands for what is not found in it, which a macro may declare.
        """
        while names and names[0] in {"self", "super"}:
            if names[0] == "super":
                if not place[1] and place[0] not in self.above:
                    return None
                place = (place[0], place[1][:-1]) if place[1] else self.above[place[0]]
            names = names[1:]
        if not names or names[0] == "*":
            return {place}
        (path, scope), name, rest = place, names[0], names[1:]
        if len(seen) == MOST or (place, names) in seen:
            return None
        seen.add((place, names))
        inside = "::".join((*scope, name))
        files = self.below[path].get(inside, ())
        found: list[set[Place] | None] = [self._walk((target, ()), rest, seen, public) for target in files]
        found += [self._lead(path, (*to, *rest), seen, public) for to in self._uses(path, inside, public)]
        if not found and not scope and path not in self.above:
            found = [{(target, ()) for target in self.macros.get(path, {}).get(name, ())} or None]
        if inside in self.said[path].declares and inside not in self.below[path]:
            found.append(self._walk((path, (*scope, name)), rest, seen, False))
        elif all(one is None for one in found):
            found = [self._walk(one, names, seen, inner) for one, inner in self._globs(place, public)]
        known = [one for one in found if one is not None]
        return set().union(*known) if known else None if public else {place}

    def _uses(self, path: str, name: str, public: bool) -> Collection[Path]:
        """What `use` of a file makes a name, or of those that others see."""
        return () if public and (path, name) not in self.public else self.uses[path].get(name, ())

    def _globs(self, place: Place, public: bool) -> list[tuple[Place, bool]]:
        """The modules of which one takes everything, and whether only what others see."""
        path, scope = place
        found: list[tuple[Place, bool]] = []
        for to in self._uses(path, "::".join((*scope, "*")), public):
            if (path, to) not in self.globs:
                self.globs[path, to] = set()  # while it is looked for
                self.globs[path, to] = self._lead(path, to[:-1], set(), False) or set()
            found += [(one, to[0] != "super") for one in sorted(self.globs[path, to])]
        return found
