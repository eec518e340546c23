"""What the launcher makes of Slurm's answers: a Slurm that is a table and a clock that nobody waits for.

The real one is in `test_launch_slurm`.
"""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from smallcoder.core.errors import ToolError, TrainingError
from smallcoder.train.launch import slurm
from smallcoder.train.launch.job import Job, Work
from smallcoder.train.launch.slurm import Slurm, end_job, run_on_slurm
from smallcoder.train.launch.stopping import PreemptedError

WORK, OTHER = Work("a:b", {"x": 1}, 2, 1), Work("a:b", {"x": 2}, 2, 1)
SILENT = "silent"


@dataclass
class Entry:
    """A job: its name, and the states that it has from some second of its life on."""

    name: str
    born: float
    states: list[tuple[float, str]]
    cancelled: float | None = None


@dataclass
class Pretended:
    """sbatch, squeue and scancel, and the clock. `plan` says what becomes of the next jobs; `silent`, from when until
    when squeue reaches nobody; `act` is called at each tick."""

    plan: list[list[tuple[float, str]]] = field(default_factory=list)
    silent: tuple[float, float] = (0, 0)
    ends_slowly: float = 3.0
    now: float = 0.0
    jobs: dict[str, Entry] = field(default_factory=dict)
    submitted: list[list[str]] = field(default_factory=list)
    act: object = None

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        assert self.now < 1e6, "it waits for ever"
        if callable(self.act):
            self.act(self)

    def state(self, number):
        entry = self.jobs[number]
        if entry.cancelled is not None:
            return "COMPLETING" if self.now < entry.cancelled + self.ends_slowly else "CANCELLED"
        return [state for since, state in entry.states if self.now >= entry.born + since][-1]

    def run(self, command, **_):
        done = lambda output="", status=0, said="": subprocess.CompletedProcess(command, status, output, said)  # noqa: E731
        if command[0] == "sbatch":
            name = next(word.partition("=")[2] for word in command if word.startswith("--job-name="))
            number = str(100 + len(self.jobs))
            self.jobs[number] = Entry(name, self.now, self.plan.pop(0) if self.plan else [(0, "PENDING")])
            self.submitted.append(command)
            return done(f"{number}\n")
        if self.silent[0] <= self.now < self.silent[1]:
            return done(status=1, said="slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
        if command[0] == "squeue":
            rows = [(number, self.state(number), entry.name, "") for number, entry in self.jobs.items()]
            return done("".join("|".join(row) + "\n" for row in rows if row[1] != "gone"))
        assert command[0] == "scancel"
        for number, entry in self.jobs.items():
            if (number in command or f"--name={entry.name}" in command) and entry.cancelled is None:
                entry.cancelled = self.now
        return done()

    def agent(self, number):
        """What the agent of a job was told: its folder and its submission."""
        words = self.submitted[int(number) - 100][-1].split()
        return Job(Path(words[-2])), words[-1]


@pytest.fixture
def cluster(monkeypatch):
    made = Pretended()
    monkeypatch.setattr(slurm, "time", made)
    monkeypatch.setattr(slurm, "OUTAGE_SECONDS", 7200.0)
    monkeypatch.setattr(slurm.shutil, "which", lambda name: name)
    monkeypatch.setattr(slurm.subprocess, "run", made.run)
    return made


def ask(job, work=WORK):
    return run_on_slurm(job, work, Slurm())


def finishing(number, at, result=None, error=None):
    """At that second the job's agent says what came of it."""

    def act(cluster):
        if cluster.now >= at and number in cluster.jobs:
            job, submission = cluster.agent(number)
            if job.take(submission):
                job.put_outcome(error, result)
                cluster.act = None

    return act


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "COMPLETED", "FAILED", "gone"])
def test_a_job_that_slurm_takes_up_again_is_not_over(cluster, tmp_path, state):
    cluster.plan = [
        [(0, "PENDING"), (5, "RUNNING"), (200, state), (240, "REQUEUED"), (300, "PENDING"), (900, "RUNNING")]
    ]
    cluster.act = finishing("100", 1000, result=3)
    assert ask(Job(tmp_path)) == 3
    assert len(cluster.submitted) == 1


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("PREEMPTED", "another job took its nodes"),
        ("NODE_FAIL", "its node failed"),
        ("TIMEOUT", "it ran into its time limit"),
        ("FAILED", "it failed without a word"),
        ("gone", "Slurm does not know it any more"),
    ],
)
def test_a_job_that_stays_ended_is_over_and_the_next_run_begins_another(cluster, tmp_path, state, words):
    cluster.plan = [[(0, "RUNNING"), (50, state)]]
    with pytest.raises(TrainingError, match=f"^Slurm's job 100 is over: {words} -> see .*job.log; the same command"):
        ask(Job(tmp_path))
    assert 50 + slurm.SETTLE_SECONDS <= cluster.now < 300
    cluster.act = finishing("101", cluster.now + 20, result=7)
    assert ask(Job(tmp_path)) == 7
    job, submission = cluster.agent("100")
    assert not job.take(submission)  # were Slurm to start it again after all, it would find that it may not


def test_a_silent_slurm_is_asked_again_and_then_given_up(cluster, tmp_path):
    cluster.silent = (0, 60)
    cluster.act = finishing("100", 100, result=1)
    assert ask(Job(tmp_path / "one")) == 1
    cluster.silent = (cluster.now, 1e9)
    started = cluster.now
    with pytest.raises(ToolError, match=r"^Slurm has not answered for 2 minutes -> see that `squeue` answers"):
        ask(Job(tmp_path / "two"))
    assert cluster.now - started < 2 * slurm.SILENCE_SECONDS
    assert len(cluster.submitted) == 1


def test_a_job_is_watched_through_an_outage_but_not_for_ever(cluster, tmp_path):
    cluster.plan = [[(0, "RUNNING")]]
    cluster.silent = (50, 7_000)  # the job works on meanwhile
    cluster.act = finishing("100", 6_900, result=5)
    assert ask(Job(tmp_path / "one")) == 5
    cluster.silent = (cluster.now + 50, 1e9)
    with pytest.raises(
        ToolError, match=r"^Slurm has not answered for 2 hours; job 101 may still run -> .* goes on wai"
    ):
        ask(Job(tmp_path / "two"))
    cluster.silent = (0, 0)
    cluster.act = finishing("101", cluster.now + 100, result=6)
    assert ask(Job(tmp_path / "two")) == 6
    assert len(cluster.submitted) == 2


def test_a_cancelled_job_of_other_work_must_be_gone_before_the_next_begins(cluster, tmp_path):
    cluster.plan = [[(0, "RUNNING")], [(0, "RUNNING")]]
    cluster.silent = (50, 1e9)
    with pytest.raises(ToolError, match="2 hours"):
        ask(Job(tmp_path), OTHER)
    cluster.silent, cluster.ends_slowly = (0, 0), 30.0
    cancelled_at = cluster.now
    cluster.act = finishing("101", cluster.now + 100, result=2)
    assert ask(Job(tmp_path)) == 2
    assert cluster.jobs["101"].born >= cancelled_at + 30
    late, submission = cluster.agent("100")
    assert not late.take(submission)


def test_a_cancelled_job_that_never_ends_is_named(cluster, tmp_path):
    cluster.silent = (50, 1e9)
    with pytest.raises(ToolError, match="2 hours"):
        ask(Job(tmp_path), OTHER)
    cluster.silent, cluster.ends_slowly = (0, 0), 1e9
    with pytest.raises(
        ToolError, match=r"^Slurm's job 100 was cancelled and has not ended in 10 minutes -> .*scontrol"
    ):
        ask(Job(tmp_path))
    assert len(cluster.submitted) == 1


def test_a_job_whose_folder_was_made_anew_is_not_taken_for_ours(cluster, tmp_path):
    cluster.silent = (50, 1e9)
    with pytest.raises(ToolError, match="2 hours"):
        ask(Job(tmp_path / "job"))
    for path in (tmp_path / "job").iterdir():
        path.unlink()  # as --rebuild does
    cluster.silent = (0, 0)
    cluster.act = finishing("101", cluster.now + 100, result=2)
    assert ask(Job(tmp_path / "job")) == 2
    assert cluster.jobs["100"].cancelled is not None


def test_what_an_attempt_leaves_behind_late_is_not_the_next_ones(tmp_path):
    job = Job(tmp_path)
    submission = job.offer(WORK)
    old, new = Job(tmp_path), Job(tmp_path)
    assert old.take(submission)
    assert not old.lost()
    assert new.take(submission)  # requeued: its node was thought to be dead
    assert old.lost()
    new.put_returned(1)
    Job(tmp_path, old.attempt).put_returned(2)  # ranks of the old one, some time later
    Job(tmp_path, old.attempt).put_failure(1, RuntimeError("lost"))
    assert new.judge({}) == 1
    new.put_outcome(None, new.judge({}))
    old.put_outcome(PreemptedError())
    assert job.outcome(WORK) == (None, 1)
    assert new.environment("here", 1)["SMALLCODER_ATTEMPT"] == new.attempt
    job.offer(WORK)  # or another submission
    assert new.lost()
    new.put_outcome(None, 1)
    assert job.outcome(WORK) is None


def test_ctrl_c_cancels_the_job_and_the_next_run_begins_another(cluster, tmp_path):
    def interrupt(cluster):
        if cluster.now > 30:
            cluster.act = None
            raise KeyboardInterrupt

    cluster.plan, cluster.act = [[(0, "RUNNING")]], interrupt
    with pytest.raises(KeyboardInterrupt):
        ask(Job(tmp_path))
    assert cluster.state("100") == "COMPLETING"
    cluster.act = finishing("101", cluster.now + 100, result=2)
    assert ask(Job(tmp_path)) == 2


def test_training_without_slurm_in_a_jobs_folder_ends_the_job_first(cluster, tmp_path, monkeypatch):
    end_job(Job(tmp_path))  # nothing there: nothing is asked
    cluster.silent = (50, 1e9)
    with pytest.raises(ToolError, match="2 hours"):
        ask(Job(tmp_path))
    with pytest.raises(ToolError, match="not answered"):
        end_job(Job(tmp_path))
    cluster.silent = (0, 0)
    end_job(Job(tmp_path))
    assert cluster.state("100") == "CANCELLED"
    assert json.loads((tmp_path / "work.json").read_text())
    Job(tmp_path).offer(WORK)
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match=r"may still be at work in .* -> .*scancel.*delete .*holder.json"):
        end_job(Job(tmp_path))
