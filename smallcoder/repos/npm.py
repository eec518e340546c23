"""What the JSON files of a JavaScript repository say of names: `tsconfig.json` its paths, `package.json` its entries.

https://www.typescriptlang.org/tsconfig (extends, baseUrl, paths) and https://nodejs.org/api/packages.html (exports,
imports). Both answer with places to look at, best first; whether a file is there is not theirs to say. Conditions of
`exports` are not weighed: all targets of an entry are tried in the order they are written.
"""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from smallcoder.data.syntax import LARGEST
from smallcoder.repos.files import Files

# Strings stay, what else matches goes: comments; then commas before a closing bracket.
COMMENTS = re.compile(r'("(?:\\.|[^"\\])*+")|//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/)?')
COMMAS = re.compile(r'("(?:\\.|[^"\\])*+")|,(?=\s*[}\]])')
CONFIG = re.compile(r"[tj]sconfig(?:\.[\w.-]+)?\.json")
ENTRIES = ("source", "module", "main", "types", "typings")  # of package.json, beside `exports`


class Patterns:
    """Names to places, with at most one "*" in each: `paths` of tsconfig, `exports` and `imports` of package.json."""

    def __init__(self, table: Mapping[str, list[str]]) -> None:
        self._exact = {name: places for name, places in table.items() if "*" not in name}
        self._starred: dict[str, list[tuple[str, list[str]]]] = {}
        for name, places in table.items():
            if name.count("*") == 1:
                prefix, suffix = name.split("*")
                self._starred.setdefault(prefix, []).append((suffix, places))

    def places(self, name: str) -> list[str]:
        """Where a name may be: an exact entry, else the one with the longest prefix."""
        if name in self._exact:
            return self._exact[name]
        for size in range(len(name) if self._starred else -1, -1, -1):
            for suffix, places in self._starred.get(name[:size], ()):
                if name.endswith(suffix) and len(name) >= size + len(suffix):
                    star = name[size : len(name) - len(suffix)]
                    return [place.replace("*", star, 1) for place in places]
        return []


@dataclass(frozen=True)
class Config:
    """Of a tsconfig or jsconfig: `paths`, their places seen from the repository's root, and the folder `baseUrl`."""

    paths: Patterns
    base: str | None = None


@dataclass(frozen=True)
class Package:
    """Of a package.json: where it stands, and the places of its entries, relative to its folder."""

    folder: str
    name: str = ""
    entries: list[str] = field(default_factory=list)
    exports: Patterns = field(default_factory=lambda: Patterns({}))
    imports: Patterns = field(default_factory=lambda: Patterns({}))


def read(files: Files, path: str) -> dict[str, Any]:
    """A JSON object with comments and trailing commas; {} for whatever else a file holds."""
    text = files[path].text if path in files else b""
    if len(text) > LARGEST:
        return {}
    plain = COMMENTS.sub(lambda found: found[1] or "", text.decode("utf-8-sig", "replace"))
    try:
        data = json.loads(COMMAS.sub(lambda found: found[1] or "", plain), strict=False)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def package(files: Files, path: str) -> Package:
    """What a package.json says."""
    data = read(files, path)
    exports, name = data.get("exports"), data.get("name")
    if not isinstance(exports, dict) or not any(key.startswith(".") for key in exports):
        exports = {".": exports}
    imports = data.get("imports")
    return Package(
        posixpath.dirname(path),
        name if isinstance(name, str) else "",
        [place for key in ENTRIES if isinstance(place := data.get(key), str)],
        Patterns({key: _targets(value) for key, value in exports.items()}),
        Patterns({key: _targets(value) for key, value in imports.items()} if isinstance(imports, dict) else {}),
    )


def _targets(value: Any) -> list[str]:
    """All places in an entry of `exports`, as they are written, whatever the conditions."""
    found, waiting = [], [value]
    while waiting:
        match waiting.pop():
            case str(place):
                found.append(place)
            case dict(conditions):
                waiting += reversed(conditions.values())
            case list(alternatives):
                waiting += reversed(alternatives)
    return found


def configs(files: Files, folder: str) -> list[Config]:
    """The tsconfig and jsconfig files of one folder, `tsconfig.json` first, with what they extend."""
    found = [path for path in files.folders.get(folder, ()) if CONFIG.fullmatch(posixpath.basename(path))]
    found.sort(key=lambda path: (posixpath.basename(path) != "tsconfig.json", path))
    return [config for path in found if (config := _config(files, path)) is not None]


def _config(files: Files, path: str) -> Config | None:
    """`baseUrl` and `paths` are each the nearest in the chain of what is extended, of several the last.

    Paths are relative to `baseUrl`, or to their own file if there is none.
    """
    own = posixpath.dirname(path)
    base: str | None = None
    mapped: tuple[str, dict[str, Any]] | None = None
    for folder, options in _chain(files, path):
        if base is None and isinstance(place := options.get("baseUrl"), str):
            base = _from(own, folder, place)
        if mapped is None and isinstance(paths := options.get("paths"), dict):
            mapped = folder, paths
    if mapped is None:
        return None if base is None else Config(Patterns({}), base)
    anchor = mapped[0] if base is None else base
    places = {
        name: [at for place in _targets(value) if (at := _from(own, anchor, place)) is not None]
        for name, value in mapped[1].items()
    }
    return Config(Patterns(places), base)


def _chain(files: Files, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Folder and compiler options of a configuration and of all that it extends, what counts most first."""
    seen: set[str] = set()
    waiting = [path]
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        data, folder = read(files, at), posixpath.dirname(at)
        options, extended = data.get("compilerOptions"), data.get("extends")
        yield folder, options if isinstance(options, dict) else {}
        for name in extended if isinstance(extended, list) else [extended]:
            if isinstance(name, str) and (target := seen_from(folder, name)):
                waiting += [place for place in (target, target + ".json") if place in files]


def seen_from(folder: str, place: str) -> str | None:
    """A place written in a file of `folder`, seen from the root, "" for the root itself; None outside of it."""
    found = posixpath.normpath(posixpath.join(folder, place))
    return None if found == ".." or found.startswith(("../", "/")) else "" if found == "." else found


def _from(config: str, folder: str, place: str) -> str | None:
    inside = place.removeprefix("${configDir}")
    return seen_from(folder, place) if inside == place else seen_from(config, inside.lstrip("/"))
