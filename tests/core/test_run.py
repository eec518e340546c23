import json
import multiprocessing
from pathlib import Path

import pytest

from smallcoder.core.errors import EmptyError, InputError, LockedError, StaleError, StorageError
from smallcoder.core.manifest import lock, read_manifest
from smallcoder.core.recipe import load_recipe
from smallcoder.core.stage import Stage
from smallcoder.plan import plan
from smallcoder.run import inspect, run_recipe
from tests.core.test_recipe import GOOD, write

DOUBLE = {"double": Stage("tests.core.stage_double", optional=("numbers",), resumable=True)}


def load(tmp_path: Path, *overrides: str):
    return load_recipe(write(tmp_path, GOOD), DOUBLE, overrides)


def run(tmp_path: Path, *overrides: str, **options):
    return run_recipe(load(tmp_path, *overrides), tmp_path / "runs", **options)


def statuses(tmp_path: Path, *overrides: str):
    return [state.status for state in inspect(load(tmp_path, *overrides), tmp_path / "runs" / "tiny")]


def test_fresh_stages_are_kept_and_stale_ones_refused_field_by_field(tmp_path):
    assert statuses(tmp_path) == ["missing", "missing"]
    folder = run(tmp_path)
    assert (folder / "two" / "numbers" / "n.txt").read_text() == "4\n8\n"
    stamp = (folder / "one" / "manifest.json").stat().st_mtime_ns
    run(tmp_path, "one.workers=2")
    assert (folder / "one" / "manifest.json").stat().st_mtime_ns == stamp
    assert statuses(tmp_path, "one.factor=3") == ["stale", "stale"]
    with pytest.raises(StaleError, match=r"config\.factor: 2 -> 3"):
        run(tmp_path, "one.factor=3")
    run(tmp_path, "one.factor=3", rebuild=["one"])
    assert (folder / "two" / "numbers" / "n.txt").read_text() == "6\n12\n"
    assert statuses(tmp_path, "one.factor=3") == ["fresh", "fresh"]
    assert [row.status for row in plan(load(tmp_path), tmp_path / "runs")] == ["stale", "stale"]


def test_a_failed_stage_never_looks_finished(tmp_path):
    for kind, error in (("disk", StorageError), ("empty", EmptyError)):
        with pytest.raises(error):
            run(tmp_path, f"two.fail={kind}")
        assert statuses(tmp_path) == ["fresh", "missing"]
    with pytest.raises(InputError, match="needs one"):
        run_recipe(load(tmp_path), tmp_path / "elsewhere", only="two")


def test_a_killed_stage_goes_on_and_ends_like_an_undisturbed_one(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=run, args=(tmp_path, "one.fail=kill"))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert statuses(tmp_path) == ["missing", "missing"]
    folder = run(tmp_path)
    manifest = read_manifest(folder / "one")
    assert manifest is not None
    assert manifest.facts["resumed_at"] == 2
    clean = run_recipe(load(tmp_path), tmp_path / "clean")
    for name in ("one", "two"):
        ours, theirs = read_manifest(folder / name), read_manifest(clean / name)
        assert ours is not None
        assert theirs is not None
        assert (ours.outputs, ours.identity) == (theirs.outputs, theirs.identity)
    assert not list(folder.glob("*.partial"))
    assert not (folder / "one" / "state").exists()


def test_a_stage_killed_after_its_manifest_is_only_renamed(tmp_path):
    folder = run(tmp_path)
    (folder / "two").rename(folder / "two.partial")
    facts = folder / "two.partial" / "manifest.json"
    facts.write_text(facts.read_text().replace('"records": 2', '"records": 99'))
    run(tmp_path)
    manifest = read_manifest(folder / "two")
    assert manifest is not None
    assert manifest.facts["records"] == 99


def test_a_damaged_manifest_and_a_second_process_are_refused(tmp_path):
    folder = run(tmp_path)
    (folder / "one" / "manifest.json").write_text(json.dumps({"stage": "one"}))
    with pytest.raises(InputError, match="damaged"):
        run(tmp_path)
    with lock(folder), pytest.raises(LockedError, match="in use by process"):
        run(tmp_path)
