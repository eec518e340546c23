"""Launching on this machine: results, errors, signals, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from smallcoder.core.errors import InputError, StorageError, TrainingError
from smallcoder.train.launch import local
from smallcoder.train.launch.failures import CAUSE, ECHO, explain, explain_exit
from smallcoder.train.launch.job import Job, Work
from smallcoder.train.launch.start import launch
from smallcoder.train.launch.stopping import PreemptedError, listening, stop_requested
from tests.train.launched import HERE, ROOT, sent_when, wait_for


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(local, "LAST_WORDS_SECONDS", 0.3)


def start(function, out, processes=2, **arguments):
    return launch(f"{HERE}:{function}", arguments, out, processes=processes, threads=1)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids(folder):
    found = [path.read_text().split() for path in folder.glob("*.pids")]
    return [int(pid) for pair in found for pid in pair] if len(found) == 2 else []


def test_two_processes_add_up_and_rank_0_answers(tmp_path):
    facts = start("add_up", tmp_path, scale=10)
    said = explain(RuntimeError(facts.pop("said")), "rank 0", tmp_path / "rank-0.log")
    assert said.weight == ECHO
    assert str(said.error).startswith("rank 0 waited for another rank in vain (500ms) -> look in the ranks' logs")
    assert facts == {"sum": 10, "threads": 1, "place": ["0", "0", "2", "2"]}
    assert "rank 1 added up" in (tmp_path / "state/launch/rank-1.log").read_text()


def test_torchrun_itself_can_start_the_ranks(tmp_path):
    job = Job(tmp_path)
    job.prepare(Work(f"{HERE}:place", {}, 2, 1))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "smallcoder.train.launch.worker", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert job.judge({}) == ["0", "0", "2", "2"]


def test_the_rank_that_failed_is_named_not_those_that_miss_it(tmp_path):
    words = r"^rank 1 failed: ZeroDivisionError: division by zero \(launched.py:\d+\) -> .*rank-1.log"
    with pytest.raises(TrainingError, match=words):
        start("lose_a_rank", tmp_path)
    assert "in _divide" in (tmp_path / "state/launch/rank-1.log").read_text()


def test_an_echo_is_told_where_nothing_else_is_known(tmp_path):
    job = Job(tmp_path)
    job.prepare(Work("a:b", {}, 2, 1))
    job.put_failure(0, RuntimeError("Connection closed by peer"))
    with pytest.raises(TrainingError, match=r"^rank 0 lost another rank"):
        job.judge({0: 1, 1: 0})
    with pytest.raises(TrainingError, match=r"^rank 1 was killed \(SIGKILL\)"):
        job.judge({0: 1, 1: -9})
    job.put_failure(1, InputError("row 7 is damaged", "make it again"))
    with pytest.raises(InputError, match="row 7"):
        job.judge({0: 1, 1: 1})


@pytest.mark.parametrize(
    ("how", "detail", "kind", "words"),
    [
        ("user error", 0, InputError, r"^shard 7 is damaged -> make it again$"),
        ("error", 0, TrainingError, r"^rank 1 failed: RuntimeError: first line \(launched.py:\d+\) -> its log"),
        ("signal", signal.SIGKILL, TrainingError, r"^rank 1 was killed \(SIGKILL\), as happens where memory runs out"),
        ("signal", signal.SIGSEGV, TrainingError, r"^rank 1 crashed \(SIGSEGV\) -> its log"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nobody_waiting(tmp_path, how, detail, kind, words):
    with pytest.raises(kind, match=words):
        start("fail", tmp_path, how=how, detail=detail)


def test_errors_known_by_their_text(tmp_path):
    log = tmp_path / "rank-3.log"
    texts = (
        (
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139.80 GiB of which 1 GiB",
            ("rank 3 ran out of GPU memory (it asked for 2.00 GiB)", CAUSE),
        ),
        (
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
            "allocate 4000 bytes. Error code 12 (Cannot allocate memory)",
            ("rank 3 ran out of memory (it asked for 4000 bytes)", CAUSE),
        ),
        (
            "[PG ID 0 PG GUID 0 Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1, OpType="
            "ALLREDUCE, NumelIn=1, Timeout(ms)=600000) ran for 600012 milliseconds before timing out.",
            ("rank 3 waited for another rank in vain (ALLREDUCE)", ECHO),
        ),
        (
            "[gloo/transport/tcp/pair.cc:538] Connection closed by peer [127.0.0.1]:4711",
            ("rank 3 lost another rank (Connection closed by peer)", ECHO),
        ),
        (
            "NCCL error in: ProcessGroupNCCL.cpp:2251, unhandled system error (run with NCCL_DEBUG=INFO), NCCL 2.27",
            ("rank 3 met an error of NCCL (unhandled system error)", ECHO),
        ),
    )
    for text, expected in texts:
        failure = explain(RuntimeError(text), "rank 3", log)
        assert (failure.error.message, failure.weight) == expected
        assert "{" not in failure.error.remedy
    assert explain(MemoryError(), "rank 3", log).error.message == "rank 3 ran out of memory"
    assert isinstance(explain_exit(-signal.SIGUSR1, "rank 3", log).error, PreemptedError)  # before it could listen
    assert isinstance(explain_exit(28, "rank 3", log).error, StorageError)  # it could not even say so
    full = explain(OSError(28, "No space left on device"), "rank 3", log)
    assert isinstance(full.error, StorageError)


def test_nothing_outlives_a_launcher_that_is_killed(tmp_path):
    launcher = os.fork()
    if not launcher:
        try:
            start("sleep", tmp_path / "out", folder=str(tmp_path))
        finally:
            os._exit(1)
    started = wait_for(lambda: pids(tmp_path))
    assert all(map(running, started))
    os.kill(launcher, signal.SIGKILL)
    os.waitpid(launcher, 0)
    wait_for(lambda: not any(map(running, started)), 10)  # ranks, and what they had started


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_ranks_save_what_they_have_and_the_next_run_goes_on(tmp_path, capfd, number):
    """That ranks stop at one step is up to what they do: `test_processes` has it of training."""
    out, arguments = tmp_path / "out", {"folder": str(tmp_path), "until": 400, "together": False}
    with (
        sent_when(lambda: "counted to 3" in _said(out, 1) and (tmp_path / "starts-0").exists(), number),
        pytest.raises(PreemptedError, match=r"^training was stopped, at a checkpoint -> run the same command again"),
    ):
        start("count", out, pause=0.05, **arguments)
    assert ("Ctrl-C once more ends at once" in capfd.readouterr().err) == (number == signal.SIGINT)
    stopped_at = int((tmp_path / "count").read_text())
    assert 1 <= stopped_at < 400
    assert start("count", out, pause=0, **arguments) == 400
    assert (tmp_path / "starts-0").read_text() == f"0\n{stopped_at}\n"


@pytest.mark.usefixtures("interruptible")
def test_a_second_ctrl_c_ends_all_at_once(tmp_path):
    with sent_when(lambda: pids(tmp_path), signal.SIGINT, signal.SIGINT), pytest.raises(KeyboardInterrupt):
        start("sleep", tmp_path / "out", folder=str(tmp_path))
    wait_for(lambda: not any(map(running, pids(tmp_path))), 10)


def test_ranks_that_do_not_stop_in_time_are_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.5)
    with (
        sent_when(lambda: pids(tmp_path), signal.SIGTERM),
        pytest.raises(PreemptedError, match="in the middle of a step"),
    ):
        start("sleep", tmp_path / "out", folder=str(tmp_path))
    wait_for(lambda: not any(map(running, pids(tmp_path))), 10)


def _said(out, rank):
    path = out / f"state/launch/rank-{rank}.log"
    return path.read_text() if path.exists() else ""


def test_signals_are_remembered_while_listening_and_only_in_the_main_thread():
    before = signal.getsignal(signal.SIGTERM)
    with listening() as received:
        assert not stop_requested()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop_requested()
        assert received == {signal.SIGUSR1}
    assert not stop_requested()
    assert signal.getsignal(signal.SIGTERM) == before
    seen = []

    def elsewhere():
        with listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]


def test_an_ignored_ctrl_c_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with listening(at_terminal=True) as received:
        os.kill(os.getpid(), signal.SIGINT)
        assert not received
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, before)


def test_a_job_of_other_work_has_no_outcome(tmp_path):
    job, work, other = Job(tmp_path), Work("a:b", {"x": 1}, 2, 1), Work("a:b", {"x": 2}, 2, 1)
    job.prepare(work)
    job.put_outcome(PreemptedError("stopped", "again"))
    error, _ = job.outcome(work) or (None, None)
    assert isinstance(error, PreemptedError)
    assert (error.message, error.remedy) == ("stopped", "again")
    job.put_outcome(None, {"loss": 1.5})
    assert job.outcome(work) == (None, {"loss": 1.5})
    assert job.outcome(other) is None
    assert job.work() == work
