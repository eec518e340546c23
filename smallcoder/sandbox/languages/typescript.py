"""TypeScript by tsc, then Node. Types are checked: a program that does not type-check does not run."""

import os
import shutil

from smallcoder.sandbox.languages import Language, Plan
from smallcoder.sandbox.languages.javascript import NODE

_COMPILE = (
    "tsc", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom", "--strict", "false", "--skipLibCheck",
    "--noEmitOnError", "--pretty", "false", "main.ts",
)  # fmt: skip


def _locate(tool: str) -> str | None:
    """The script behind `tsc`, so that its folder, the whole of TypeScript, comes along."""
    found = shutil.which(tool)
    return os.path.realpath(found) if found else None


LANGUAGE = Language(
    "typescript",
    (".ts",),
    {"tsc": "node-typescript", "node": "nodejs"},
    lambda code: Plan("main.ts", (*NODE, "main.js"), _COMPILE),
    memory_bytes=1 << 30,
    locate=_locate,
)
