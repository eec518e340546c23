"""Checkpoints of one process: whole or none, as things were when they were begun. Of several: test_parallel."""

import os
import signal
import time
from collections.abc import Callable
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


def in_a_child(task: Callable[[], None]) -> int:
    """The number of a process that does it; a fork, which has torch at hand."""
    child = os.fork()
    if not child:
        try:
            task()
        finally:
            os._exit(1)
    return child


def whole(folder: Path) -> int:
    """The step whose checkpoint a killed process has left, which is all of that step and all there is."""
    state = numbers(0)
    values = Checkpoints(folder, ALONE).load(state)
    assert values is not None
    for tensor in (state["a"]["b"], state["a"]["c"], state["d"]):
        assert (tensor == values["step"]).all()
    (_,) = names(folder)
    return values["step"]


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    step = 0
    for _ in range(8):
        child = in_a_child(lambda: save_for_ever(tmp_path))
        time.sleep(0.1 + time.monotonic() % 0.1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        before, step = step, whole(tmp_path)
        assert step > before


@pytest.mark.parametrize(
    ("place", "name", "left"),
    [
        (FileSystemWriter, "write_data", 1),  # before the data
        (FileSystemWriter, "finish", 1),  # before the index
        (os, "fsync", 1),
        (Path, "rename", 1),  # before it gets its name
        (Checkpoints, "_clear", 2),  # before the former one is removed
    ],
)
def test_a_kill_in_the_middle_of_writing_leaves_the_former_checkpoint(tmp_path, monkeypatch, place, name, left):
    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    def save_and_die():
        checkpoints = Checkpoints(tmp_path, ALONE)
        checkpoints.save(numbers(1), {"step": 1})
        checkpoints.wait()
        monkeypatch.setattr(place, name, die)
        checkpoints.save(numbers(2), {"step": 2})
        checkpoints.wait()

    child = in_a_child(save_and_die)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert whole(tmp_path) == left


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
        checkpoints.save(numbers(3), {"step": 3})
        with pytest.raises(StorageError, match="No space left"):  # told once, by whoever asks first
            checkpoints.load(numbers(0))
    for again in (checkpoints, Checkpoints(tmp_path, ALONE)):
        found = numbers(0)
        assert again.load(found) == {"step": 1}
        assert (found["d"] == 1).all()
    checkpoints.save(numbers(4), {"step": 4})
    assert checkpoints.load(found) == {"step": 4}
    assert (found["d"] == 4).all()
