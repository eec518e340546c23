"""The whole road in miniature: it runs, repeats whatever the workers, and survives being killed at any moment."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smallcoder.core.manifest import Manifest, read_manifest
from smallcoder.core.recipe import load_recipe
from smallcoder.core.tables import read_table
from smallcoder.report.page import write_report
from smallcoder.run import run_recipe
from smallcoder.stages import STAGES

DATA = ("docs", "licensed", "clean", "redacted", "assessed", "drills", "unique", "decontaminated", "split")


def manifests(folder: Path) -> dict[str, Manifest]:
    found = {path.name: read_manifest(path) for path in folder.iterdir() if path.is_dir()}
    return {name: manifest for name, manifest in found.items() if manifest}


def digests(folder: Path) -> dict[str, dict[str, str]]:
    return {name: manifest.outputs for name, manifest in manifests(folder).items()}


@pytest.fixture(scope="module")
def finished(micro_recipe: Path) -> Path:
    return run_recipe(load_recipe(micro_recipe, STAGES), micro_recipe.parent / "runs")


def test_every_stage_finishes_and_the_report_is_one_page(finished, micro_recipe):
    recipe = load_recipe(micro_recipe, STAGES)
    made = manifests(finished)
    assert set(made) == {step.name for step in recipe.steps}
    assert {"model.safetensors", "config.json", "tokenizer.json", "fim.json"} <= {
        path.name for path in (finished / "sft" / "model").iterdir()
    }
    assert not list(finished.rglob("state"))
    assert not list(finished.glob("*.partial"))
    page = write_report(finished, "micro").read_text()
    assert "<html" in page
    assert 'src="http' not in page


def test_random_bytes_named_py_are_a_counted_drop(finished):
    dropped = read_table(finished / "docs" / "dropped").to_pylist()
    assert [row["reason"] for row in dropped if row["path"] == "noise.py"] == ["not_text"]


def test_show_counts_what_was_kept_and_shows_the_drops_of_a_reason(finished):
    def show(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "smallcoder", "show", *arguments, "--runs", str(finished.parent)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    facts = manifests(finished)["docs"].facts
    table = show("micro").stdout.split("what was kept")[1]
    for reason, counts in facts["dropped"].items():
        assert [reason, str(counts["records"])] in [line.split()[1:3] for line in table.splitlines()]
    assert "handed on and not stored" in show("micro/clean").stdout
    assert "noise.py" in show("micro/docs", "--drops", "--reason", "not_text").stdout
    assert "its reasons: " in show("micro/docs", "--drops", "--reason", "nope").stderr


def test_no_repository_is_both_trained_on_and_held_out(finished):
    train, heldout = (
        set(read_table(finished / "split" / side, ["repo"])["repo"].to_pylist()) for side in ("train", "heldout")
    )
    assert train
    assert heldout
    assert not train & heldout


def test_the_number_of_workers_changes_nothing(finished, micro_recipe, tmp_path):
    steps = load_recipe(micro_recipe, STAGES).steps
    with_workers = [step.name for step in steps if "workers" in type(step.config).model_fields]
    assert len(with_workers) >= 4
    for workers in (1, 2):
        recipe = load_recipe(micro_recipe, STAGES, [f"{name}.workers={workers}" for name in with_workers])
        for name in DATA:
            run_recipe(recipe, tmp_path / str(workers), only=name)
        made = digests(tmp_path / str(workers) / "micro")
        assert made == {name: digests(finished)[name] for name in made}


def killed_and_restarted(recipe: Path, runs: Path, kills: int, like: Path) -> int:
    """Run to the end, killing the process `kills` times after a random while. Returns how many kills hit.

    `like` is an undisturbed run: the waits together are shorter than its stages took, so every kill should hit.
    """
    rng = random.Random(1)
    seconds = sum(manifest.seconds for manifest in manifests(like).values()) / kills
    command = [sys.executable, "-m", "smallcoder", "run", str(recipe), "--runs", str(runs)]
    hits = 0
    while True:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=Path.cwd()
        )
        try:
            code = process.wait(rng.uniform(0.3, 1.0) * seconds if hits < kills else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            hits += 1
            continue
        assert code == 0
        return hits


def test_kills_at_random_moments_leave_no_trace(finished, micro_recipe, tmp_path):
    assert killed_and_restarted(micro_recipe, tmp_path, 3, finished) == 3
    assert digests(tmp_path / "micro") == digests(finished)


@pytest.mark.slow
def test_ten_kills_of_the_quickstart_end_like_an_undisturbed_run(tmp_path):
    recipe = Path(__file__).parents[1] / "recipes" / "quickstart.toml"
    undisturbed = run_recipe(load_recipe(recipe, STAGES), tmp_path / "a")
    assert killed_and_restarted(recipe, tmp_path / "b", 10, undisturbed) == 10
    assert digests(tmp_path / "b" / "quickstart") == digests(undisturbed)
