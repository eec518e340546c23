"""Python: `import a.b`, `from a import b`, `from . import c`, wherever in a file they stand."""

from collections.abc import Collection, Mapping
from typing import Any

from smallcoder.repos.files import Files
from smallcoder.repos.imports import Import, Parsed, Resolve

LANGS = ("python",)


def grammar(path: str, lang: str) -> str:
    return "python"


def parse(root: Any, text: bytes) -> Parsed:
    return Parsed()


def resolver(files: Files, parsed: Mapping[str, Parsed]) -> Resolve:
    def resolve(path: str, wanted: Import) -> Collection[str] | None:
        return ()

    return resolve
