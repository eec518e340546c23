"""Launching on a real Slurm cluster of one node, which the tests start themselves (`tests.slurm`)."""

import json
import signal
import subprocess
import sys
import time

import pytest

from smallcoder.core.errors import InputError, RecipeError, ToolError, TrainingError
from smallcoder.train.launch.job import Job, Work
from smallcoder.train.launch.slurm import Slurm
from smallcoder.train.launch.start import launch
from tests import slurm
from tests.train.launched import HERE, ROOT, launcher, wait_for
from tests.train.tiny import RUN, TINY, digest, train

LOW = {"partition": "low"}
needs_slurm = pytest.mark.skipif(bool(slurm.missing()), reason=f"no Slurm cluster can be started: {slurm.missing()}")


@pytest.fixture(scope="module")
def cluster():
    with slurm.cluster() as folder:
        yield folder


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def runner(cluster):
    """Starts the launcher in a process of its own, as `smallcoder run` is; leaves none behind, and no job."""
    started = []

    def start_runner(function, out, asked=LOW, **arguments):
        started.append(launcher(function, out, arguments, asked))
        return started[-1]

    yield start_runner
    for process in started:
        process.kill()
        process.communicate()
    slurm.clear()


def start(function, out, asked=LOW, **arguments):
    return launch(f"{HERE}:{function}", arguments, out, processes=2, threads=1, slurm=Slurm(**asked))


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def jobs():
    """Number and state of all that Slurm has in its queue."""
    return [line.split("|") for line in ask("squeue", "--noheader", "--format", "%A|%T").splitlines()]


def counted(out, number):
    """Whether rank 0 has counted that far in any attempt."""
    path = out / "state/launch/rank-0.log"
    return path.exists() and f"counted to {number}\n" in path.read_text()


def hasten(number):
    """Start a requeued job now, not in two minutes."""
    wait_for(lambda: [number, "PENDING"] in jobs(), 90)
    time.sleep(3)  # for the attempt before it to be wound up
    ask("scontrol", "update", f"jobid={number}", "StartTime=now")


def finish(process, seconds=120):
    output, errors = process.communicate(timeout=seconds)
    print(errors, file=sys.stderr)
    return output.strip(), errors.strip().splitlines()


def test_without_slurm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"no sbatch on this machine -> run on a login node"):
        start("place", tmp_path)


def test_options_that_would_break_the_watch_are_refused():
    assert Slurm(options={"mem": "0", "exclusive": ""}).nodes == 1
    with pytest.raises(ValueError, match="output is set by smallcoder itself"):
        Slurm(options={"output": "x.log"})


@pytest.mark.slow
@needs_slurm
def test_two_tasks_add_up(cluster, tmp_path, capsys):
    facts = start("add_up", tmp_path, {**LOW, "minutes": 5, "options": {"exclusive": ""}}, scale=10)
    del facts["said"]
    assert facts == {"sum": 10, "threads": 1, "place": ["0", "0", "2", "2"]}
    assert "rank 1 added up" in (tmp_path / "state/launch/rank-1.log").read_text()
    assert "running (localhost)" in capsys.readouterr().err


@pytest.mark.slow
@needs_slurm
def test_failures_come_back(cluster, tmp_path):
    with pytest.raises(InputError, match=r"^shard 7 is damaged -> make it again$"):
        start("fail", tmp_path, how="user error")
    with pytest.raises(TrainingError, match=r"^rank 1 failed: ZeroDivisionError: division by zero .* -> .*rank-1.log"):
        start("lose_a_rank", tmp_path)
    with pytest.raises(TrainingError, match=r"^a rank was killed \(SIGKILL\)"):
        start("fail", tmp_path, how="signal", detail=9)
    with pytest.raises(RecipeError, match=r"^Slurm refused the job: .*invalid partition.* -> change"):
        start("place", tmp_path, {"partition": "nowhere"})


@pytest.mark.slow
@needs_slurm
def test_told_of_its_time_limit_a_job_checkpoints_requeues_itself_and_goes_on(runner, tmp_path):
    out = tmp_path / "out"
    process = runner("count", out, {**LOW, "minutes": 5}, folder=str(tmp_path), until=100, pause=0.1)
    wait_for(lambda: counted(out, 5))
    number = jobs()[0][0]
    ask("scancel", "--batch", "--signal=USR1", number)  # what `sbatch --signal` sends ahead of the limit
    hasten(number)
    output, said = finish(process)
    assert output == "100"
    assert goes_on(tmp_path, 5, 100)
    assert any("running (localhost): counted to" in line for line in said)


def goes_on(folder, least, until):
    """Whether all ranks began at nothing, and then at one number past `least`."""
    starts = [(folder / f"starts-{rank}").read_text().split() for rank in (0, 1)]
    print(starts, file=sys.stderr)
    return starts[0] == starts[1] and starts[0][0] == "0" and least <= int(starts[0][1]) < until


@pytest.mark.slow
@needs_slurm
@pytest.mark.parametrize(
    "disturb",
    [
        ("sbatch", "--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap", "sleep 5"),
        ("scontrol", "requeue", "{number}"),
    ],
    ids=["preempted by a job of a better partition", "requeued by an administrator"],
)
def test_ended_by_slurm_it_goes_on_afterwards(runner, tmp_path, disturb):
    """Its ranks are told to end first, with SIGTERM."""
    out = tmp_path / "out"
    process = runner("count", out, folder=str(tmp_path), until=100, pause=0.1)
    wait_for(lambda: counted(out, 5))
    number = jobs()[0][0]
    ask(*(word.format(number=number) for word in disturb))
    hasten(number)
    assert finish(process)[0] == "100"
    assert goes_on(tmp_path, 5, 100)


@pytest.mark.slow
@needs_slurm
def test_a_runner_that_was_killed_finds_its_job_again_running_or_done(runner, tmp_path):
    out, arguments = tmp_path / "out", {"folder": str(tmp_path), "until": 100, "pause": 0.1}
    process = runner("count", out, **arguments)
    wait_for(lambda: counted(out, 5))
    process.kill()
    process.wait()
    number = jobs()[0][0]
    assert start("count", out, **arguments) == 100
    assert (tmp_path / "starts-0").read_text() == "0\n"  # one attempt
    assert start("count", out, **arguments) == 100  # taken from the folder
    wait_for(lambda: not jobs())
    assert ask("squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%T") == "COMPLETED"
    assert (tmp_path / "starts-0").read_text() == "0\n"


@pytest.mark.slow
@needs_slurm
def test_other_work_in_the_same_folder_takes_the_place_of_the_old(runner, tmp_path):
    process = runner("count", tmp_path / "out", folder=str(tmp_path), until=1000, pause=0.1)
    wait_for(lambda: counted(tmp_path / "out", 2))
    process.kill()
    process.wait()
    assert start("place", tmp_path / "out") == ["0", "0", "2", "2"]
    wait_for(lambda: not jobs(), 30)


@pytest.mark.slow
@needs_slurm
def test_a_job_that_holds_its_folder_no_more_ends_by_itself(runner, tmp_path):
    """As on a node that Slurm took for dead, while the job goes on elsewhere; and one started again after all."""
    out = tmp_path / "out"
    job = Job(out / "state/launch")
    process = runner("count", out, folder=str(tmp_path), until=1000, pause=0.1)
    wait_for(lambda: counted(out, 2))
    process.kill()
    process.wait()
    number = jobs()[0][0]
    job.offer(Work("a:b", {}, 2, 1))
    wait_for(lambda: not jobs())
    assert not (tmp_path / "count").exists()  # its ranks had no time to save anything
    assert not job.log(0).exists()
    ask("scontrol", "requeue", number)
    hasten(number)
    wait_for(lambda: not jobs(), 90)
    assert (tmp_path / "starts-0").read_text() == "0\n"
    assert "another job's now" in (job.folder / "job.log").read_text()


@pytest.mark.slow
@needs_slurm
def test_ctrl_c_cancels_the_job_and_a_cancelled_job_is_not_requeued(runner, tmp_path):
    process = runner("count", tmp_path / "out", folder=str(tmp_path), until=1000, pause=0.1)
    wait_for(lambda: counted(tmp_path / "out", 2))
    process.send_signal(signal.SIGINT)
    process.wait(30)
    wait_for(lambda: not jobs(), 30)
    process = runner("count", tmp_path / "out", folder=str(tmp_path), until=1000, pause=0.1)
    wait_for(lambda: counted(tmp_path / "out", 200) or (jobs() and jobs()[0][1] == "RUNNING"))
    time.sleep(5)
    ask("scancel", jobs()[0][0])
    said = finish(process)[1]
    assert process.returncode == 1
    assert "is over: it was cancelled -> see" in said[-1]


@pytest.mark.slow
@needs_slurm
def test_training_that_was_preempted_ends_like_training_left_alone(cluster, folder, tmp_path):
    settings = {"compile": "off", **TINY, "steps": 300, "eval_every": 100, "checkpoint_every": 1000, "processes": 2}
    train(folder, tmp_path / "alone", **settings)
    out, asked = tmp_path / "preempted", {**settings, "slurm": LOW}
    process = subprocess.Popen([sys.executable, "-c", RUN, folder, out, json.dumps(asked)], cwd=ROOT)
    metrics = out / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_bytes().count(b"\n") > 20)
    number = jobs()[0][0]
    ask("scancel", "--batch", "--signal=USR1", number)
    hasten(number)
    assert 20 < metrics.read_bytes().count(b"\n") < 300  # it had to go on
    assert process.wait(200) == 0
    assert digest(out) == digest(tmp_path / "alone")
