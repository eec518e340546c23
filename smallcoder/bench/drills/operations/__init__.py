"""The operations the drills are made of: tables of data (`*.toml` here), read into `Operation`s.

    [keep_above]
    of = "ints -> ints"                       # kinds of the arguments -> kind of the result
    code = "[x for x in $a if x > $k]"        # an expression, or the lines of a body that ends in `return`
    most = 29                                 # the largest number $k may be; 99 unless said
    most_argument = 20                        # the largest integer that tests give it, in a pair too
    distinct = true                           # tests hold no ties: the wording does not say which of two wins
    seen = '''...'''                          # phrasings that train, one a line, each starting with a verb
    unseen = '''...'''                        # phrasings that never do

Placeholders: $a, $b arguments; $k < $m numbers; $c a letter and $w a word, in double quotes.
Kinds: int, ints, text, words (a list of strings), table (a dict from strings to integers), flag (a bool).
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from string import Template
from typing import Any

TABLES = ("numbers", "lists", "text", "tables")
UNTRAINED = "families"
_PLACE = re.compile(r"\$([abkmcw])")


@dataclass(frozen=True)
class Operation:
    """One family of programs. `name` is "table.key", such as "lists.keep_above"."""

    name: str
    takes: tuple[str, ...]
    gives: str
    code: str
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    most: int = 99
    most_argument: int = 10**12
    distinct: bool = False

    @property
    def is_expression(self) -> bool:
        return "return " not in self.code

    @property
    def constants(self) -> tuple[str, ...]:
        """Which of k, m, c, w the code has, in that order."""
        used = set(_PLACE.findall(self.code))
        return tuple(name for name in "kmcw" if name in used)

    def expression(self, argument: str, constants: Mapping[str, str]) -> str:
        """The code as an expression of a one-argument operation."""
        assert self.is_expression
        return Template(self.code).substitute(constants, a=argument)

    def lines(self, arguments: tuple[str, ...], constants: Mapping[str, str]) -> list[str]:
        """The body of a function: lines of code, the last one a return."""
        code = f"return {self.code}" if self.is_expression else self.code
        return Template(code).substitute(constants, **dict(zip("ab", arguments, strict=False))).splitlines()

    @cached_property
    def call(self) -> Callable[..., Any]:
        """The operation as a function `(a[, b], k=, m=, c=, w=)` of values: our own reference implementation."""
        arguments = [f"_{name}" for name, _ in zip("ab", self.takes, strict=False)]
        lines = self.lines(tuple(arguments), {name: name.upper() for name in "kmcw"})
        source = f"def call({', '.join(arguments)}, *, K=0, M=0, C='', W=''):\n    " + "\n    ".join(lines)
        scope: dict[str, Any] = {}
        exec(source, scope)
        return scope["call"]


@cache
def operations(table: str) -> tuple[Operation, ...]:
    """The operations of one table, in its order."""
    path = Path(__file__).parent / f"{table}.toml"
    return tuple(
        _operation(f"{table}.{key}", entry) for key, entry in tomllib.loads(path.read_text(encoding="utf-8")).items()
    )


def _operation(name: str, entry: dict[str, Any]) -> Operation:
    takes, _, gives = entry.pop("of").partition(" -> ")
    seen, unseen = (tuple(entry.pop(key, "").splitlines()) for key in ("seen", "unseen"))
    return Operation(name, tuple(takes.split()), gives, entry.pop("code").strip(), seen, unseen, **entry)


@cache
def trained() -> tuple[Operation, ...]:
    """All operations that training shows."""
    return tuple(operation for table in TABLES for operation in operations(table))


@cache
def untrained() -> tuple[Operation, ...]:
    """The operations of the split `families`."""
    return operations(UNTRAINED)
