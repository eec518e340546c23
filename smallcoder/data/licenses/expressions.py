"""SPDX expressions: one normal form, joining, and evaluation under any judgement of single licences.

Grammar and identifiers are those of SPDX (https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/)
as the library license-expression knows them: names in any case, deprecated ones turned into today's ("GPL-2.0+" is
"GPL-2.0-or-later"), `LicenseRef-...` free. The normal form is simplified and sorted, so equal terms are equal strings.
A `+` behind a licence that has no later-version identifier is left out: the version named can always be chosen.
About 0.1 ms for an expression not seen before. It does not know which licences go together in one program.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from license_expression import Licensing

LONGEST = 1000  # characters; simplifying takes time quadratic in the number of licences
REFERENCE = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
BSD = "LicenseRef-BSD"  # "BSD" without saying which: permissive in all its usual forms, exact in none


@lru_cache(1 << 14)
def normal_form(text: str) -> str | None:
    """An SPDX expression in its normal form; None if it is none, names an unknown licence or is over `LONGEST`."""
    tree = _parse(text)
    return None if tree is None else str(tree.simplify())


def all_of(licenses: Iterable[str | None]) -> str | None:
    """One expression that asks for every licence given: the cautious reading of several statements.

    None is passed over; a text that is no expression leaves the whole unknown (None).
    """
    return _joined(tuple(sorted({license for license in licenses if license})))


@lru_cache(1 << 14)
def _joined(licenses: tuple[str, ...]) -> str | None:
    forms = [form for form in dict.fromkeys(map(normal_form, licenses)) if form]
    if None in map(normal_form, licenses):
        return None
    if len(forms) < 2:
        return forms[0] if forms else None
    # Too long together to be simplified: still exact, only longer than need be.
    joined = " AND ".join(f"({form})" if " OR " in form else form for form in forms)
    return normal_form(joined) or joined


def evaluate(expression: str, judge: Callable[[str], int]) -> int | None:
    """The worst judgement among the parts of AND, the best among those of OR, where lower is better.

    `judge` is given single licences such as "MIT" or "Apache-2.0 WITH LLVM-exception". None for what is no expression.
    """
    tree = _parse(expression, longest=LONGEST * 10)
    return None if tree is None else _evaluate(tree, judge)


def _evaluate(tree: Any, judge: Callable[[str], int]) -> int:
    if tree.isliteral:
        return judge(str(tree))
    parts = (_evaluate(part, judge) for part in tree.args)
    return max(parts) if tree.operator.strip() == "AND" else min(parts)


@cache
def identifiers() -> dict[str, str]:
    """Every name of a licence that SPDX has or had, to the one in use today. Exceptions are not among them."""
    names = {}
    for symbol in _licensing().known_symbols.values():
        if not symbol.is_exception and not symbol.key.startswith("LicenseRef-"):
            names |= dict.fromkeys((symbol.key, *symbol.aliases), symbol.key)
    return {name: key for name, key in sorted(names.items()) if not name.startswith("LicenseRef-")}


@cache
def _licensing() -> "Licensing":
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def _parse(text: str, longest: int = LONGEST) -> Any:
    from license_expression import ExpressionError

    if not text.isascii() or not 0 < len(text) <= longest or text.count("(") > longest // 20:
        return None
    licensing = _licensing()
    words = [_without_plus(word) for word in re.findall(r"[()]|[^\s()]+", text)]
    try:
        tree = licensing.parse(" ".join(words), strict=True)
    except (ExpressionError, IndexError):  # the library's own errors, and what "()" is to it
        return None
    if tree is None or any(not REFERENCE.fullmatch(key) for key in licensing.unknown_license_keys(tree)):
        return None
    return tree


def _without_plus(word: str) -> str:
    return word[:-1] if word.endswith("+") and word[:-1].lower() in _plain() else word


@cache
def _plain() -> frozenset[str]:
    """The lower-case names of licences that have no name with a plus."""
    known = {name.lower() for name in identifiers()}
    return frozenset(name for name in known if f"{name}+" not in known)
