"""What a language's file in `languages/` gives: the imports of one text, and which files of a repository they name.

The first half, `parse`, sees one syntax tree and no repository. The second half, `resolver`, sees all paths and all
`Parsed` of a repository, and prepares what it needs once: package roots, module paths, what `tsconfig.json` maps. Its
answer for one import is

    paths   the files of this repository that it names; none of them is the importing file itself
    ()      it comes from outside: a standard library, another package
    None    it should be in this repository (a relative import, the repository's own package) and is not

Two means keep `parse` quick. `query.captures` runs a tree-sitter query, many times as fast as a walk in Python. And a
language may say by `MENTIONS` what stands in every import: then `graph` parses a text only as far as the first line in
column 0 after the last mention, as long as that part is a text without errors of its own, and one without mentions not
at all; `root` and `text` are then this part. With `STARTS` and `QUOTES` what lies between is left out of `root` too:
see `stretches`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from smallcoder.repos.files import Files


@dataclass(frozen=True)
class Import:
    """One import as it is written, without quotes: "pkg.mod", "./util", "stdio.h".

    `names` are what is taken from it by name (`from a import b, c`), "*" among them for everything. `kind` is a word of
    the language's own where it has several forms ("relative", "system", "mod", "static"), and `at` the byte offset in
    the text where it stands.
    """

    name: str
    names: tuple[str, ...] = ()
    kind: str = ""
    at: int = 0


@dataclass(frozen=True)
class Parsed:
    """What one file says of itself: its imports, its package or namespace, the names it declares at top level.

    `dynamic` counts imports whose name is computed when the program runs; they are reported and never resolved.
    """

    imports: tuple[Import, ...] = ()
    package: str = ""
    declares: frozenset[str] = frozenset()
    dynamic: int = 0


Resolve = Callable[[str, Import], Collection[str] | None]  # of the importing file's path and one of its imports


class Language(Protocol):
    """A module of `languages/`. `root` is tree-sitter's root node, maybe with ERROR nodes; nothing raises."""

    LANGS: tuple[str, ...]  # the values of `DOCUMENT.lang` that it speaks for
    # Optional, `MENTIONS: re.Pattern[bytes]`: all that `parse` looks for (imports, package, declarations) has a match.
    # Optional, `STARTS: re.Pattern[bytes]` and `QUOTES: tuple[bytes, ...]`: see `stretches`.

    def grammar(self, path: str, lang: str) -> str:
        """tree-sitter's name of the grammar for a file."""
        ...

    def parse(self, root: Any, text: bytes) -> Parsed:
        """The imports of one file."""
        ...

    def resolver(self, files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
        """How imports of this language are found in a repository; `parsed` holds its files of every language."""
        ...
