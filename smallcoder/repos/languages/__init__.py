"""One file a language, or a pair of languages with the same imports; `language` finds it for a `DOCUMENT.lang`."""

from functools import cache
from importlib import import_module

from smallcoder.repos.imports import Language

MODULES = (
    "c", "csharp", "dart", "go", "java", "javascript", "kotlin", "lua", "php", "python", "ruby", "rust", "scala",
    "swift",
)  # fmt: skip


@cache
def _speakers() -> dict[str, Language]:
    modules = [import_module(f"{__name__}.{name}") for name in MODULES]
    return {lang: module for module in modules for lang in module.LANGS}  # pyright: ignore[reportReturnType]


def language(lang: str | None) -> Language | None:
    """What reads the imports of a programming language; None for one whose imports are not known."""
    return _speakers().get(lang or "")
