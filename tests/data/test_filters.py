"""Filters that store nothing pass their documents on, and everything comes out as if they had stored them."""

import re
import shutil
import sysconfig
from pathlib import Path

import pytest

from smallcoder.core.errors import EmptyError, InputError, RecipeError, StaleError
from smallcoder.core.manifest import read_manifest
from smallcoder.core.recipe import load_recipe
from smallcoder.run import inspect, run_recipe
from smallcoder.stages import STAGES

RECIPE = """
name = "chain"
[[stage]]
name = "docs"
use = "read"
paths = ["CORPUS"]
[[stage]]
name = "licensed"
use = "licenses"
from = { documents = "docs" }
policy = "any"
[[stage]]
name = "clean"
use = "clean"
from = { documents = "licensed" }
[[stage]]
name = "redacted"
use = "redact"
from = { documents = "clean" }
[[stage]]
name = "assessed"
use = "assess"
from = { documents = "redacted", repositories = "docs/documents" }
[[stage]]
name = "unique"
use = "dedup"
from = { documents = "assessed" }
[[stage]]
name = "drills"
use = "drills"
train_examples = 20
problems_per_split = 3
[[stage]]
name = "decontaminated"
use = "decontaminate"
from = { documents = "unique", problems = "drills" }
"""
UNSTORED = ("licensed", "clean", "redacted", "unique")
PASSING = tuple(f"{name}.store=false" for name in UNSTORED)
WORKERS = ("clean.workers=2", "decontaminated.workers=2")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    root = tmp_path_factory.mktemp("chain")
    for name in ("json", "email", "html"):
        shutil.copytree(Path(sysconfig.get_path("stdlib")) / name, root / "corpus" / name)
    shutil.copy(root / "corpus" / "json" / "decoder.py", root / "corpus" / "html" / "copy.py")
    for at in range(300):  # more than a batch, and nothing left of all that is in one
        (root / "corpus" / "json" / f"a{at:03}.py").write_text("# Copyright 2024, some\n")
    (root / "corpus" / "email" / "keys.py").write_text("mail = 'jane.doe@bigcorp.com'\n" * 12)
    path = root / "chain.toml"
    path.write_text(RECIPE.replace("CORPUS", str(root / "corpus")))
    return path


def run(recipe, runs, *changes, **options):
    return run_recipe(load_recipe(recipe, STAGES, changes), runs, **options)


def made(folder):
    found = {path.name: read_manifest(path) for path in folder.iterdir() if path.is_dir()}
    return {name: (manifest.identity, manifest.outputs, manifest.facts) for name, manifest in found.items() if manifest}


@pytest.fixture(scope="module")
def stored(recipe, tmp_path_factory):
    return run(recipe, tmp_path_factory.mktemp("stored"))


@pytest.mark.parametrize("workers", [(), WORKERS])
def test_what_comes_out_is_the_same_to_the_last_digest(recipe, stored, tmp_path, workers):
    folder = run(recipe, tmp_path, *PASSING, *workers)
    assert made(folder) == made(stored)
    assert made(stored)["clean"][2]["dropped"]["empty"]["records"] >= 300
    for name in UNSTORED:
        assert not (folder / name / "documents").exists()
        assert (folder / name / "dropped").exists()
        assert (stored / name / "documents").exists()
    assert (folder / "assessed" / "signals").exists()
    assert not list(folder.rglob("state"))


def stamps(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/manifest.json")}


def test_only_what_must_be_is_made_again(recipe, stored, tmp_path):
    folder = run(recipe, tmp_path, *PASSING)
    before = stamps(folder)
    run(recipe, tmp_path, *PASSING)
    assert stamps(folder) == before
    shutil.rmtree(folder / "redacted")
    run(recipe, tmp_path, *PASSING)
    assert {name for name, stamp in stamps(folder).items() if stamp != before[name]} == {"redacted"}
    with pytest.raises(StaleError, match=r"redacted.*max_redactions: null -> 3"):
        run(recipe, tmp_path, *PASSING, "redacted.max_redactions=3")
    run(recipe, tmp_path, *PASSING, rebuild=["assessed"])
    after = stamps(folder)
    assert {name for name, stamp in after.items() if stamp != before[name]} >= {"redacted", "assessed", "unique"}
    assert after["clean"] == before["clean"]
    changes = [change for change in PASSING if not change.startswith("clean")]
    states = {state.step.name: state.status for state in inspect(load_recipe(recipe, STAGES, changes), folder)}
    assert states["licensed"] == "fresh"
    assert states["clean"] == "missing"
    run(recipe, tmp_path, *changes)
    assert {name for name, stamp in stamps(folder).items() if stamp != after[name]} == {"clean"}
    assert (folder / "clean" / "documents").exists()
    assert made(folder) == made(stored)
    assert not list(folder.glob("*.partial"))


def test_one_member_is_made_with_all(recipe, tmp_path):
    run(recipe, tmp_path, *PASSING, only="docs")
    folder = run(recipe, tmp_path, *PASSING, only="clean")
    assert set(made(folder)) == {"docs", "licensed", "clean", "redacted", "assessed"}
    with pytest.raises(InputError, match="decontaminated needs drills"):
        run(recipe, tmp_path, *PASSING, only="unique")


def test_a_filter_that_keeps_nothing_ends_the_pass(recipe, tmp_path):
    with pytest.raises(EmptyError, match="nothing was kept of 3"):
        run(recipe, tmp_path, *PASSING, "assessed.min_lines=100000")
    assert set(made(tmp_path / "chain")) == {"docs"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('from = { documents = "redacted",', 'store = 1\nfrom = { documents = "redacted",'), "it is true or false"),
        (('paths = ["CORPUS"]', 'paths = ["CORPUS"]\nstore = false'), "read is no filter"),
        (('{ documents = "unique", problems', '{ documents = "redacted", problems'), "2 stages read them: assessed, "),
        (('name = "assessed"', 'name = "assessed"\nstore = false'), r"unique \(dedup\) cannot take documents batch by"),
        (('use = "decontaminate"', 'use = "decontaminate"\nstore = false'), "0 stages read them: none"),
        (('repositories = "docs/documents"', 'repositories = "clean/dropped"'), "made together with assessed"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(recipe, tmp_path, change, message):
    assert change[0] in RECIPE
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.replace(*change))
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path, STAGES, PASSING)
    assert caught.value.remedy
    assert not re.search("\n", str(caught.value))


def test_what_such_a_stage_dropped_can_be_read_once_all_are_made(recipe, tmp_path):
    looked = '[[stage]]\nname = "looked"\nuse = "clean"\nfrom = { documents = "clean/dropped" }\n'
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.read_text() + looked)
    chains = [[step.name for step in chain] for chain in load_recipe(path, STAGES, PASSING).chains()]
    assert ["licensed", "clean", "redacted", "assessed"] in chains
    assert ["looked"] in chains
    path.write_text(recipe.read_text().replace('[[stage]]\nname = "redacted"', looked + '[[stage]]\nname = "redacted"'))
    with pytest.raises(RecipeError, match="looked reads clean/dropped, which is made together with assessed"):
        load_recipe(path, STAGES, PASSING)


def test_what_must_be_counted_beforehand_wants_a_table(recipe, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.read_text().replace(', repositories = "docs/documents"', ""))
    with pytest.raises(InputError, match="counts the files of repositories before"):
        run(path, tmp_path, *PASSING)
    assert set(made(tmp_path / "chain")) == {"docs"}
