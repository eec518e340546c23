"""Documents run once: what fails is dropped with its reason, what cannot be tried here is kept and counted."""

import pytest

from smallcoder.core.errors import InputError, ToolError
from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.tables import TableWriter, read_table
from smallcoder.evaluate.execution import Config, run
from smallcoder.sandbox import Sandbox
from smallcoder.sandbox.languages import toolchain

CODE = {
    "ok": ("python", "import math\nprint(math.pi)\n"),
    "syntax": ("python", "def f(:\n"),
    "raises": ("python", "raise ValueError\n"),
    "exits": ("python", "import sys\nsys.exit(3)\n"),
    "sleeps": ("python", "while True:\n    pass\n"),
    "library": ("python", "import no_such_library_at_all\n"),
    "empty": ("python", ""),
    "prose": ("markdown", "# Not code\n"),
    "host": ("python", "open('/etc/passwd').read()\n"),
}


def tried(folder, rows: dict[str, tuple[str, str]], **settings) -> tuple[dict, dict[str, str]]:
    with TableWriter(folder / "in", DOCUMENT) as writer:
        writer.write_rows([{"id": record_id(n), "path": n, "lang": lang, "text": t} for n, (lang, t) in rows.items()])
    (folder / "out").mkdir()
    facts = run(Config(**settings), {"documents": folder / "in"}, folder / "out")
    kept = {row["path"] for row in read_table(folder / "out" / "documents").to_pylist()}
    dropped = {row["path"]: row["reason"] for row in read_table(folder / "out" / "dropped").to_pylist()}
    assert kept | set(dropped) == set(rows)
    return facts, dropped


@pytest.fixture(scope="module")
def tier() -> str:
    with Sandbox(1) as sandbox:
        return sandbox.tier


def test_code_that_does_not_run_is_dropped(tier, tmp_path):
    if tier != "A":
        pytest.skip(f"tier {tier} runs no programs")
    facts, dropped = tried(tmp_path, CODE, cpu_seconds=1.0)
    assert dropped == {"syntax": "fails", "raises": "fails", "exits": "fails", "sleeps": "timeout", "host": "fails"}
    assert facts["outcomes"] == {"fails": 4, "missing_module": 1, "not_asked_for": 1, "ran": 2, "timeout": 1}
    assert facts["tier"] == "A"


def test_what_must_be_compiled_is(tier, tmp_path):
    if tier != "A" or isinstance(toolchain("cpp"), str):
        pytest.skip("no C++ here")
    rows = {"good": ("cpp", "int main() { return 0; }\n"), "bad": ("cpp", "int main() { return x; }\n")}
    _, dropped = tried(tmp_path, rows, languages=("cpp",))
    assert dropped == {"bad": "does_not_compile"}


def test_nothing_to_try_with_is_an_error(tier, tmp_path, monkeypatch):
    monkeypatch.setattr("smallcoder.sandbox.sandbox.toolchain", lambda name: "python3 is gone")
    with pytest.raises(ToolError, match="is gone"):
        tried(tmp_path, CODE)


def test_an_unknown_language_is_an_error(tmp_path):
    with pytest.raises(InputError, match="brainfuck"):
        tried(tmp_path, CODE, languages=("brainfuck",))
