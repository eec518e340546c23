"""Checkpoints of one process: whole or none, as things were when they were begun. Of several: test_parallel."""

import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.filesystem import FileSystemWriter

from smallcoder.core.errors import InputError, StorageError
from smallcoder.train.checkpoint import Checkpoints
from smallcoder.train.parallel.fleet import Layout, join
from tests.train.processes import DENSE, MIXED, Run

ALONE = join(Layout(), "cpu")


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def numbers(value: float) -> dict:
    return {"a": {"b": torch.full((50, 3), value), "c": torch.full((), value)}, "d": torch.full((2000,), value)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save_for_ever(folder: Path) -> None:
    """Until killed: every checkpoint holds one number everywhere, which goes on changing while it is written."""
    checkpoints, state = Checkpoints(folder, ALONE), numbers(0)
    before = (checkpoints.load(state) or {"step": 0})["step"]
    print("ready", flush=True)
    for step in count(before + 1):
        for tensor in (state["a"]["b"], state["a"]["c"], state["d"]):
            tensor.fill_(step)
        checkpoints.save(state, {"step": step})


def test_a_checkpoint_holds_what_was_there_when_it_was_begun(tmp_path):
    checkpoints, state = Checkpoints(tmp_path / "state", ALONE), numbers(1)
    assert checkpoints.load(state) is None
    checkpoints.save(state, {"step": 1, "best": float("inf"), "rows": [3, 0.1]})
    state["a"]["b"].fill_(7)
    state["a"]["c"].fill_(7)
    checkpoints.save(state, {"step": 2})
    state["d"].fill_(8)
    checkpoints.wait()
    assert names(tmp_path / "state") == ["checkpoint-1"]
    found = numbers(0)
    assert Checkpoints(tmp_path / "state", ALONE).load(found) == {"step": 2}
    assert (found["a"]["b"] == 7).all()
    assert (found["d"] == 1).all()
    checkpoints.save(found, {"best": float("inf"), "rows": [3, 0.1]})
    checkpoints.wait()
    assert checkpoints.load(found) == {"best": float("inf"), "rows": [3, 0.1]}


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    code = "import sys, pathlib, tests.train.test_checkpoint as test; test.save_for_ever(pathlib.Path(sys.argv[1]))"
    step = 0
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.2 + time.monotonic() % 0.2)
            process.kill()
        state = numbers(0)
        values = Checkpoints(tmp_path, ALONE).load(state)
        assert values is not None
        assert values["step"] > step
        step = values["step"]
        for tensor in (state["a"]["b"], state["a"]["c"], state["d"]):
            assert (tensor == step).all()
        assert not [name for name in names(tmp_path) if name.endswith("partial")]


@pytest.mark.parametrize("config", [DENSE, MIXED])
def test_a_run_goes_on_bit_by_bit(tmp_path, config):
    whole = Run(config, ALONE)
    for _ in range(2):
        whole.update()
    checkpoints = whole.save(tmp_path)
    losses = [whole.update() for _ in range(2)]
    checkpoints.wait()
    again = Run(config, ALONE)
    again.load(tmp_path)
    assert [again.update() for _ in range(2)] == losses
    assert all(map(torch.equal, whole.decoder.parameters(), again.decoder.parameters()))


def test_what_does_not_fit_or_is_damaged_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path, ALONE)
    checkpoints.save(numbers(1), {})
    checkpoints.wait()
    for other in ({"d": torch.zeros(1999)}, {"e": torch.zeros(1)}):
        with pytest.raises(InputError, match="--rebuild"):
            checkpoints.load(other)
    (file,) = tmp_path.rglob("*.distcp")
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(InputError, match="--rebuild"):
        checkpoints.load(numbers(0))


def test_a_failed_write_is_told_and_the_checkpoint_before_stays(tmp_path, monkeypatch):
    def full(writer, plan, planner):
        raise OSError(28, "No space left on device")

    checkpoints, state = Checkpoints(tmp_path, ALONE), numbers(1)
    checkpoints.save(state, {"step": 1})
    checkpoints.wait()
    with monkeypatch.context() as context:
        context.setattr(FileSystemWriter, "write_data", full)
        checkpoints.save(numbers(2), {"step": 2})
        with pytest.raises(StorageError, match="No space left"):
            checkpoints.wait()
    found = numbers(0)
    assert Checkpoints(tmp_path, ALONE).load(found) == {"step": 1}
    assert (found["d"] == 1).all()
