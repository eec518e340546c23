"""The whole loop in several real processes on CPU: like one process, and like one left alone when killed."""

import json
import subprocess
import sys
import time

import pytest

from smallcoder.core.errors import InputError
from smallcoder.train.stage import Config, run
from tests.train.tiny import RUN, TINY, digest, inputs, kill_and_resume, lines_of, train

SETTINGS = {"batch": 5, "micro_batch": 2, "precision": "fp32", "steps": 24, "eval_every": 8, "checkpoint_every": 5}


def same(one, other):
    for a, b in zip(lines_of(one), lines_of(other), strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():
            assert value == pytest.approx(b[name], rel=2e-3, abs=1e-5), (a["step"], name)


@pytest.fixture(scope="module")
def alone(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "out"
    return out, train(folder, out, **SETTINGS)


def test_two_processes_train_as_one_does(folder, alone, tmp_path):
    facts = train(folder, tmp_path / "two", **SETTINGS, processes=2)
    same(alone[0], tmp_path / "two")
    assert facts["processes"] == 2
    assert {name: facts[name] for name in ("parameters", "tokens", "epochs", "heldout_bytes")} == {
        name: alone[1][name] for name in ("parameters", "tokens", "epochs", "heldout_bytes")
    }


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_a_killed_run_goes_on_with_another_number_of_processes(folder, alone, tmp_path, first, then):
    out = tmp_path / "out"
    out.mkdir()
    start = [sys.executable, "-c", RUN, folder, out]
    process = subprocess.Popen([*start, json.dumps({"compile": "off", **TINY, **SETTINGS, "processes": first})])
    while process.poll() is None and not (out / "state" / "checkpoint-1").exists():
        time.sleep(0.005)
    process.kill()
    process.wait()
    subprocess.run([*start, json.dumps({"compile": "off", **TINY, **SETTINGS, "processes": then})], check=True)
    same(alone[0], out)


def test_two_killed_processes_end_like_two_left_alone(folder, tmp_path):
    settings = {"compile": "off", **TINY, **SETTINGS, "steps": 30, "processes": 2}
    train(folder, tmp_path / "whole", **settings)
    assert kill_and_resume(folder, tmp_path / "killed", settings, kills=1, seed=time.time_ns()) > 0
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")


def test_a_layout_that_does_not_fit_is_refused_by_name(folder, tmp_path):
    (tmp_path / "out").mkdir()
    config = Config(steps=2, compile="off", **TINY, processes=2, parallel={"tensor": 2})  # pyright: ignore
    with pytest.raises(InputError, match="kv_heads"):
        run(config, inputs(folder), tmp_path / "out")
