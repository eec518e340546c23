"""C, C++, CUDA and Objective-C: `#include`, `#import`, and the modules of C++20.

A directive is a line of its own (ISO C, 6.10), so lines are looked for, and the tree tells which of them stand in a
comment, a string or a macro's body. Thus no include is lost where macros leave the grammar behind. Conditions are not
evaluated: the includes of every branch count. Rules, of which the first that finds a file is taken:

    "x"     beside the including file; then as <x>
    <x>     from the including file's folder upwards: x, include/x, inc/x, src/x there; then among the files whose path
            ends with x, those in an inferred root before others, the one nearest to the including file
    <M/x>   with #import also as <x> in a folder M, like the headers of an Apple framework
    import a.b;   import :p;   module a.b;      the file that declares this module or partition

An inferred root is what remains of a path when an include that names a folder, too, and only one file, is taken off
its end. As <x>, headers of the C library and POSIX are only looked for in include/ and inc/. Two files equally near:
neither. A quoted name that is nowhere is missing. Dynamic: includes of macros, conditions on `__has_include`. Not
found: -I of a build, generated headers, forced includes. A header is no import of the file that implements it.
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from posixpath import basename, dirname
from typing import Any

from smallcoder.repos.directives import directives
from smallcoder.repos.files import Files, join
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import nearest, upwards

LANGS = ("c", "cpp", "cuda", "objectivec", "objectivecpp")
GRAMMARS = {"cuda": "cpp", "objectivec": "objc", "objectivecpp": "objc"}
HASH = rb"^[ \t]*(?:#|%:)[ \t]*"
NAME = rb'(?:"(?P<quoted>[^"\n]+)"|<(?P<angled>[^>\n]+)>'
DIRECTIVE = re.compile(
    HASH + rb"(?:(?P<word>include_next|include|import)[ \t]*" + NAME + rb"|\w+)|(?:el)?if\b[^\n]*\b__has_include\b)",
    re.M,
)
MODULE = re.compile(
    rb"^[ \t]*+(?P<export>export[ \t]++)?(?P<word>import|module)\b[ \t]*+"
    + NAME
    + rb"|(?P<name>\w[\w.]*)?[ \t]*+(?P<part>:[ \t]*+\w[\w.]*)?)[ \t]*+;",
    re.M,
)
MENTIONS = re.compile(
    HASH + rb"(?:include|import|(?:el)?if\b.*__has_include)|^[ \t]*(?:export[ \t]+)?(?:import|module)\b", re.M
)
NO_CODE = {"comment", "string_literal", "string_content", "raw_string_literal", "raw_string_content", "preproc_arg"}
ROOTS = ("", "include", "inc", "src")
MOST = 256  # files of one name, above which a bare name says nothing
STANDARD = re.compile(
    r"(?:sys|net|netinet|arpa)/.*|(?:assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|"
    r"signal|std(?:align|arg|atomic|bit|bool|ckdint|def|int|io|lib|noreturn)|string|tgmath|threads|time|uchar|wchar|"
    r"wctype|aio|cpio|dirent|dlfcn|fcntl|fmtmsg|fnmatch|ftw|glob|grp|iconv|langinfo|libgen|malloc|memory|monetary|"
    r"mqueue|ndbm|netdb|nl_types|poll|pthread|pwd|regex|sched|search|semaphore|spawn|strings|stropts|syslog|tar|"
    r"termios|trace|ulimit|unistd|utime|utmpx|wordexp|windows)\.h"
)  # of ISO C and POSIX


def grammar(path: str, lang: str) -> str:
    return GRAMMARS.get(lang, lang)


def parse(root: Any, text: bytes) -> Parsed:
    imports: list[Import] = []
    package, declares, dynamic = "", "", 0
    for found in directives(root, text, DIRECTIVE, NO_CODE):
        if found["quoted"] or found["angled"]:
            imports.append(_header(found))
        else:
            dynamic += 1
    for found in directives(root, text, MODULE, NO_CODE):
        name, part = _text(found["name"]), _text(found["part"]).replace(": ", ":")
        if found["quoted"] or found["angled"]:
            imports.append(_header(found))
            continue
        module = found["word"] == b"module"
        package = name if module and name else package
        if module and name and (found["export"] or part):
            declares = name + part
        elif name + part:  # an import, or the implementation of a module, which sees its interface
            imports.append(Import(name + part, kind="module", at=found.start()))
    return Parsed(tuple(imports), package, frozenset({declares} - {""}), dynamic)


def _header(found: re.Match[bytes]) -> Import:
    kind = "quoted" if found["quoted"] else "framework" if found["word"] == b"import" else "angled"
    return Import(_text(found["quoted"] or found["angled"]), kind=kind, at=found.start())


def _text(found: bytes | None) -> str:
    return (found or b"").decode("utf-8", "replace").strip()


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    spoken = {path: said for path, said in parsed.items() if files[path].lang in LANGS}
    modules = {name: path for path, said in reversed(spoken.items()) for name in said.declares}
    roots = _roots(files, spoken)

    @cache
    def find(folder: str, name: str, kind: str) -> str | None:
        return (
            (kind == "quoted" and files.first(join(folder, name)))
            or _search(files, roots, folder, name, kind != "quoted" and STANDARD.fullmatch(name) is not None)
            or (kind == "framework" and _framework(files, folder, name))
            or None
        )

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        if wanted.kind == "module":
            own = spoken[path].package
            target = modules.get(own + wanted.name if wanted.name.startswith(":") else wanted.name)
        else:
            target = find(dirname(path), wanted.name, wanted.kind)
        if target == path:
            return ()
        missing = wanted.kind == "quoted" or wanted.name.startswith(":")
        return (target,) if target else None if missing else ()

    return resolve


def _search(files: Files, roots: Collection[str], folder: str, name: str, standard: bool) -> str | None:
    for above in upwards(folder):
        found = files.first(*(join(above, root, name) for root in (ROOTS[1:3] if standard else ROOTS)))
        if found and _is_header(files, found):
            return found
    candidates = [] if standard else [path for path in _ending(files, name) if _is_header(files, path)]
    return nearest(folder, [path for path in candidates if _root(path, name) in roots] or candidates)


def _framework(files: Files, folder: str, name: str) -> str | None:
    module, _, header = name.partition("/")
    inside = [path for path in _ending(files, header) if f"/{module}/" in f"/{path}"] if header else []
    return inside[0] if len(inside) == 1 else None


def _roots(files: Files, spoken: Mapping[str, Parsed]) -> frozenset[str]:
    names = {wanted.name for said in spoken.values() for wanted in said.imports if "/" in wanted.name}
    found = ((name, _ending(files, name)) for name in names)
    return frozenset(_root(paths[0], name) for name, paths in found if len(paths) == 1)


def _ending(files: Files, name: str) -> list[str]:
    return files.ending(name) if len(files.named(basename(name))) <= MOST else []


def _root(path: str, name: str) -> str:
    return path[: len(path) - len(name)].rstrip("/")


def _is_header(files: Files, path: str) -> bool:
    """`<version>` is no file VERSION: a name without an ending must be known as source."""
    return "." in basename(path) or files[path].lang in LANGS
