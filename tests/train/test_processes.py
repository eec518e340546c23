"""The whole loop in several real processes on CPU: like one process, and like one left alone when killed."""

import shutil
import signal
import time

import numpy as np
import pytest

from smallcoder.core.errors import InputError
from smallcoder.train.launch.stopping import PreemptedError
from smallcoder.train.mixture import Places, shares
from tests.train.launched import sent_when
from tests.train.tiny import digest, kill_and_resume, killed_when, lines_of, reached, train

SETTINGS = {"batch": 5, "micro_batch": 2, "precision": "fp32", "steps": 40, "eval_every": 20, "checkpoint_every": 5}


def same(one, other):
    for a, b in zip(lines_of(one), lines_of(other), strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():
            assert value == pytest.approx(b[name], rel=2e-3, abs=1e-5), (a["step"], name)


@pytest.fixture(scope="module")
def alone(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "out"
    return out, train(folder, out, **SETTINGS)


@pytest.fixture(scope="module")
def two(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "out"
    return out, train(folder, out, **SETTINGS, processes=2)


def test_two_processes_train_as_one_does(alone, two):
    facts = two[1]
    same(alone[0], two[0])
    assert facts["processes"] == 2
    assert {name: facts[name] for name in ("parameters", "tokens", "epochs", "heldout_bytes")} == {
        name: alone[1][name] for name in ("parameters", "tokens", "epochs", "heldout_bytes")
    }


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_a_killed_run_goes_on_with_another_number_of_processes(folder, alone, tmp_path, first, then):
    out = tmp_path / "out"
    assert killed_when((out / "state" / "checkpoint-1").exists, folder, out, {**SETTINGS, "processes": first})
    train(folder, out, **SETTINGS, processes=then)
    same(alone[0], out)


@pytest.mark.usefixtures("interruptible")
def test_two_processes_stopped_and_killed_end_like_two_left_alone(folder, two, tmp_path):
    out, settings = tmp_path / "disturbed", {**SETTINGS, "processes": 2}
    with sent_when(lambda: reached(out, 4), signal.SIGINT), pytest.raises(PreemptedError, match="at a checkpoint"):
        train(folder, out, **settings)
    assert not reached(out, SETTINGS["steps"])
    assert kill_and_resume(folder, out, settings, kills=1, seed=time.time_ns()) > 0
    assert digest(out) == digest(two[0])


def test_a_damaged_row_is_the_one_thing_that_a_person_hears_of(folder, tmp_path, capfd):
    """Rank 1 alone finds it; rank 0, whose words reach the terminal, only sees rank 1 go."""
    shutil.copytree(folder, tmp_path / "damaged")
    sizes = {"packed": 50}
    _, row = Places(sizes, shares(None, sizes), 0, {})(0, 8)[7]
    tokens = np.load(tmp_path / "damaged/packed/tokens.npy", mmap_mode="r+")
    tokens[row, 5] = 60_000
    tokens.flush()
    words = rf"^row {row} of 'packed' holds the token 60000, .* damaged -> run again with --rebuild of the stage that"
    with pytest.raises(InputError, match=words):
        train(tmp_path / "damaged", tmp_path / "out", batch=4, processes=2)
    assert capfd.readouterr().err == ""
    assert "Connection closed" in (tmp_path / "out/state/launch/rank-0.log").read_text()
