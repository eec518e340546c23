"""Packages by name: what is declared in which package of a repository, and which names a text mentions.

For languages whose imports name a package and what it declares (Java, Kotlin, Scala, C#), wherever its files lie. A
name that several files declare means those in the nearest folder: the one that shares most leading folders with the
importing file, then the one with the fewest folders, then the first by path.

An import of everything (`a.b.*`, `using A.B`) means the files that declare a name which the text mentions, and which
neither the text itself, its own package nor another import of its gives another meaning. Mentions are found by one
expression over the text, 15 MB a CPU-second: words outside comments and strings, those between braces inside strings
included. A word of the same spelling that means something else is a false edge; what is used without its name (an
implicit value, an operator) is missed.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from posixpath import basename

from smallcoder.repos.files import Files
from smallcoder.repos.imports import Import, Parsed, Resolve
from smallcoder.repos.nearness import in_nearest_folder

JVM = ("java", "kotlin", "scala")  # languages whose files may name each other's packages
WORD = re.compile(
    rb"""//[^\n]*|/\*(?:.*?\*/|.*)"""
    rb"""|\"{3}(.*?)(?:\"{3}|\Z)|"((?:[^"\\\n]|\\.)*+)"?|'(?:[^'\\\n]|\\[^\n]{1,6})'"""
    rb"""|(\.|\b(?:class|interface|enum|record|struct|trait|object)\s{1,9})?([^\W\d]\w*)""",
    re.S,
)
MOST = 256  # files that declare one name; where there are more, as in a compiler's tests, it says nothing
DEEPEST = 64  # parts of a name; longer ones are not looked for
TYPE = re.compile(rb"^(?:@?\w+[ \t]+){0,6}?(?:class|interface|object|trait|enum|typealias)[ \t]+(?!class\b)(\w+)", re.M)
ALONE = re.compile(rb"(?<![.\w])[^\W\d]\w*")
EMBEDDED = re.compile(rb"\{[^{}]*|\$\w+")  # code inside a string


def salvaged(text: bytes) -> set[str]:
    """Names of types that seem to be declared at the start of lines, for texts that the grammar does not follow."""
    return _decoded(TYPE.findall(text))


Mentions = Callable[[set[str], set[str]], set[str]]  # of words standing alone, and of those after a dot


def standing_alone(alone: set[str], after: set[str]) -> set[str]:
    """Mentions of types."""
    return alone


def with_members(alone: set[str], after: set[str]) -> set[str]:
    """Names in lower case count after a dot too, as functions of a receiver do."""
    return alone | {name for name in after if not name[:1].isupper()}


class Packages:
    """What the files of some languages declare; a dotted name in `Parsed.declares` is in a package below the file's."""

    def __init__(
        self, files: Files, parsed: Mapping[str, Parsed], langs: Collection[str], mentions: Mentions = standing_alone
    ) -> None:
        self.declared: dict[str, dict[str, list[str]]] = {}  # package -> name -> files
        self._files, self._parsed = files, parsed
        self._mentions = mentions
        self._last: tuple[str, set[str]] = "", set()
        for path, said in parsed.items():
            if files[path].lang in langs:
                names = self.declared.setdefault(said.package, {})
                if path.endswith(".kt") and said.declares:  # the class of its functions, as Java sees it
                    names.setdefault(basename(path)[:-3] + "Kt", []).append(path)
                for name in said.declares:
                    if "." in name:
                        package, _, last = f"{said.package}.{name}".lstrip(".").rpartition(".")
                        self.declared.setdefault(package, {}).setdefault(last, []).append(path)
                    else:
                        names.setdefault(name, []).append(path)
        for names in self.declared.values():
            for name in [name for name, paths in names.items() if len(paths) > MOST]:
                del names[name]

    def find(self, path: str, name: str) -> list[str]:
        """The files of a dotted name: a declaration in the longest package that has one, or a member of it."""
        head = name if name.count(".") < DEEPEST else ""
        while head:
            head, _, last = head.rpartition(".")
            found = self.declared.get(head, {}).get(last)
            if found and (head or "." not in name):
                return in_nearest_folder(path, found)
        return []

    def mentioned(
        self, path: str, package: str, taken: Collection[str] = (), around: Collection[str] | None = None
    ) -> set[str]:
        """The files of a package that declare a name which a file's text mentions.

        Other than the names `taken` by other imports, and those of the packages `around` the file, by default its own.
        """
        around = [self._parsed[path].package] if around is None else around
        nearer = [self.declared[other] for other in around if other != package and other in self.declared]
        meant = [name for name in self.words(path) & self.declared.get(package, {}).keys() if name not in taken]
        return self.all_of(path, package, (name for name in meant if not any(name in other for other in nearer)))

    def all_of(self, path: str, package: str, names: Iterable[str]) -> set[str]:
        """The files of a package that declare one of these names."""
        declared = self.declared.get(package, {})
        return {found for name in names if name in declared for found in in_nearest_folder(path, declared[name])}

    def words(self, path: str) -> set[str]:
        """What a file's text mentions, less names of types declared in it; that of the last file is kept."""
        if self._last[0] != path:
            alone, after = _words(self._files[path].text)
            self._last = path, self._mentions(_decoded(alone), _decoded(after))
        return self._last[1]


def by_name(files: Files, parsed: Mapping[str, Parsed], langs: Collection[str], mentions: Mentions) -> Resolve:
    """The rules of Java and Kotlin: an import is a dotted name, or everything ("*" in `names`) of one."""
    packages = Packages(files, parsed, JVM, mentions)
    taken = {
        path: {wanted.name.rpartition(".")[2] for wanted in said.imports if not wanted.names}
        for path, said in parsed.items()
        if files[path].lang in langs
    }

    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        if wanted.names and wanted.name in packages.declared:
            found: Collection[str] = packages.mentioned(path, wanted.name, taken[path])
        else:
            found = packages.find(path, wanted.name)
            if not found:
                return None if wanted.name.rpartition(".")[0] in packages.declared else ()
        return [target for target in found if target != path]

    return resolve


def _words(text: bytes) -> tuple[set[bytes], set[bytes]]:
    alone: set[bytes] = set()
    after: set[bytes] = set()
    declared: set[bytes] = set()
    for raw, quoted, before, word in WORD.findall(text):
        if word:
            (alone if not before else after if before == b"." else declared).add(word)
        elif b"{" in (string := raw or quoted) or b"$" in string:
            for code in EMBEDDED.findall(string):
                alone.update(ALONE.findall(code))
    return alone - declared, after


def _decoded(words: Iterable[bytes]) -> set[str]:
    return {word.decode("utf-8", "replace") for word in words}
