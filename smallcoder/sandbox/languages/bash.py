"""Bash."""

from smallcoder.sandbox.languages import Language, Plan

LANGUAGE = Language("bash", (".sh", ".bash"), {"bash": "bash"}, lambda code: Plan("main.sh", ("bash", "main.sh")))
