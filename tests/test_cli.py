"""The command as a person meets it: mistakes are one line with a remedy, never a traceback, and nothing half-made."""

import subprocess
import sys
from pathlib import Path

import pytest

from smallcoder.core.recipe import load_recipe
from smallcoder.plan import plan
from smallcoder.stages import STAGES

RECIPES = Path(__file__).parents[1] / "recipes"


def smallcoder(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smallcoder", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


READ = '[[stage]]\nname = "docs"\nuse = "read"\npaths = ["{path}"]\n'


def mistakes(root: Path) -> dict[str, tuple[str, str]]:
    """Kind of mistake -> (recipe, what the error must say)."""
    (root / "empty").mkdir()
    (root / "noise").mkdir()
    (root / "noise" / "noise.py").write_bytes(bytes(range(256)) * 9)
    (root / "cut.parquet").write_bytes(b"PAR1" + b"\0" * 100)
    (root / "bad.jsonl").write_text('{"text": "x = 1"}\n{"text": ')
    return {
        "typo": (READ.replace("paths", "pahts").format(path=root), "did you mean 'paths'"),
        "missing input": (READ.format(path=root / "nowhere"), "nowhere"),
        "truncated parquet": (READ.format(path=root / "cut.parquet"), "not a readable parquet"),
        "broken jsonl": (READ.format(path=root / "bad.jsonl"), "line 2"),
        "empty corpus": (READ.format(path=root / "empty"), "->"),
        "nothing but noise": (READ.format(path=root / "noise"), "not_text"),
        "not toml": ("name = ", "not TOML"),
    }


KINDS = ("typo", "missing input", "truncated parquet", "broken jsonl", "empty corpus", "nothing but noise", "not toml")


@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_is_one_line_with_a_remedy(kind, tmp_path):
    recipe, message = mistakes(tmp_path)[kind]
    (tmp_path / "r.toml").write_text(recipe)
    done = smallcoder("run", str(tmp_path / "r.toml"), "--runs", str(tmp_path / "runs"))
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert " -> " in done.stderr
    assert not (tmp_path / "runs" / "r" / "docs").exists()


def test_a_full_disk_is_one_line_and_the_stage_is_not_finished(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "r.toml").write_text('[[stage]]\nname = "docs"\nuse = "read"\npaths = ["python:stdlib"]\n')
    # A disk of one megabyte, mounted in a namespace of its own.
    script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -m smallcoder run "$3" --runs "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    probe = 'mount -t tmpfs -o size=1m tmpfs "$1"'
    if subprocess.run([*command[:-2], probe, "sh", str(disk)], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk (unshare --user --mount)")
    done = subprocess.run(
        [*command, str(disk), sys.executable, str(tmp_path / "r.toml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the disk is full while making stage docs -> free some space")
    assert "Traceback" not in done.stderr


def test_unknown_runs_are_named(tmp_path):
    for command in ("show", "report", "serve"):
        done = smallcoder(command, "nothing", "--runs", str(tmp_path))
        assert done.returncode == 1
        assert "there is no 'nothing'" in done.stderr


def test_plan_says_what_would_run_and_runs_nothing(tmp_path):
    recipe = RECIPES / "quickstart.toml"
    done = smallcoder("plan", str(recipe), "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("missing") >= 15
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_planned(path, tmp_path):
    recipe = load_recipe(path, STAGES)
    assert [row.status for row in plan(recipe, tmp_path)] == ["missing"] * len(recipe.steps)
