"""A job on a Slurm cluster: submitted with `sbatch`, watched, found again, cancelled.

Slurm starts `agent` on the job's first node; the agent starts the ranks with `srun`, one task each. The job is found
again by its name, which follows from its folder and the mark of its submission there: a runner that was killed and
started again waits on for the job that it had submitted, and takes the result of one that ended meanwhile. Any other
job of the same folder is cancelled, and must be gone before the next is submitted. Ctrl-C cancels the job; any other
end of the runner leaves it running.

Patience: a job counts as over when it has been in an ended state for `SETTLE_SECONDS` (a cancelled one at once), as
Slurm may take it up again after a preemption or the death of a node. Where Slurm does not answer, it is asked for
`SILENCE_SECONDS` when a job begins, for `OUTAGE_SECONDS` while one is watched, which needs no controller to run on.

The folder must be on a disk that all nodes share, and so must this program's environment. No accounting database is
needed: states come from `squeue`, ends from the folder. submitit is not used: it checkpoints and requeues from a signal
handler of rank 0, in the middle of whatever that rank does, where sharded weights need all ranks between two steps; it
asks `sacct` for states, and hands over pickles.
"""

import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from smallcoder.core.errors import RecipeError, SmallcoderError, ToolError, TrainingError
from smallcoder.core.progress import LOG_SECONDS
from smallcoder.train.launch.job import Job, Work

AGENT = "smallcoder.train.launch.agent"
WARNING_SECONDS = 180  # ahead of the time limit; Slurm may be up to 60 s early
SLOWEST_POLL_SECONDS = 15.0
SETTLE_SECONDS = 60.0  # for an ended job to be taken up again, and for its last files to be seen on a network's disk
SILENCE_SECONDS = 120.0
OUTAGE_SECONDS = 24 * 3600.0
CANCEL_SECONDS = 600.0  # for a cancelled job to end: Slurm's KillWait and what a site does after a job
ASKING_SECONDS = 60.0  # that one call of squeue may take
ENDED = {  # states in which a job may stay
    "BOOT_FAIL": "its node did not come up",
    "CANCELLED": "it was cancelled",
    "COMPLETED": "it ended without a word",
    "DEADLINE": "it missed its deadline",
    "FAILED": "it failed without a word",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "it ran out of the memory that it was given",
    "PREEMPTED": "another job took its nodes",
    "TIMEOUT": "it ran into its time limit",
    "": "Slurm does not know it any more",
}
FINAL = "CANCELLED"  # which Slurm never takes up again by itself
OURS = {
    "chdir", "error", "export", "job-name", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output",
    "parsable", "requeue", "no-requeue", "signal", "wait", "wrap",
}  # fmt: skip


class Slurm(BaseModel):
    """What to ask Slurm for. `options` are more of sbatch's long options, without dashes: {mem = "0", qos = "long"}; an
    empty value makes a flag of one: {exclusive = ""}.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: int = Field(default=1, ge=1)
    gpus: int = Field(default=0, ge=0)  # a node
    partition: str | None = None
    account: str | None = None
    minutes: int | None = Field(default=None, ge=1)  # of one attempt; when they are over, it goes on in another
    options: dict[str, str] = {}

    @field_validator("options")
    @classmethod
    def _not_ours(cls, options: dict[str, str]) -> dict[str, str]:
        taken = sorted(OURS & set(options))
        if taken:
            raise ValueError(f"{taken[0]} is set by smallcoder itself")
        return options


def run_on_slurm(job: Job, work: Work, slurm: Slurm) -> Any:
    """What rank 0 returned, after however long the queue and the attempts take.

    Raises the error of the rank that failed; ToolError without Slurm, RecipeError where it refuses the job, and
    TrainingError where it ended the job.
    """
    if shutil.which("sbatch") is None:
        raise ToolError(
            "there is no sbatch on this machine",
            "run on a login node of the cluster, or leave `slurm` out of the stage",
        )
    outcome = job.outcome(work)
    if outcome and outcome[0] is None:  # it ended well while nobody was waiting
        return outcome[1]
    if outcome:
        job.retire()
    try:
        number = _find(job, job.submission(work)) or _submit(job, work, slurm)
        error, result = _wait(job, work, number)
    except KeyboardInterrupt:
        submission = job.submission(work)
        if submission:
            _run("scancel", f"--user={os.getuid()}", f"--name={_name(job, submission)}")
        job.retire()
        raise
    if error:
        raise error
    return result


def end_job(job: Job) -> None:
    """End the job of Slurm that may be at work in a folder, before something else works there.

    Raises ToolError where Slurm cannot be asked.
    """
    if not job.holder.exists():
        return
    if shutil.which("squeue") is None:
        raise ToolError(
            f"a job of Slurm may still be at work in {job.folder}, and there is no squeue on this machine",
            f"end the job on the cluster with scancel, then delete {job.holder}",
        )
    _find(job, None)
    job.retire()


def _submit(job: Job, work: Work, slurm: Slurm) -> str:
    submission = job.offer(work)
    options = {
        "job-name": _name(job, submission),
        "nodes": slurm.nodes,
        "ntasks-per-node": work.processes,
        "cpus-per-task": work.threads,
        "partition": slurm.partition,
        "account": slurm.account,
        "time": slurm.minutes,
        "gpus-per-node": slurm.gpus or None,
        "signal": f"B:USR1@{min(WARNING_SECONDS, 15 * (slurm.minutes or WARNING_SECONDS))}",
        "output": job.folder / "job.log",
        "open-mode": "append",
        **slurm.options,
    }
    command = ["sbatch", "--parsable", "--requeue"]
    command += [
        f"--{name}={value}" if value != "" else f"--{name}" for name, value in options.items() if value is not None
    ]
    agent = shlex.join([sys.executable, "-P", "-m", AGENT, str(job.folder), submission])
    done = subprocess.run([*command, "--wrap", f"exec {agent}"], capture_output=True, text=True, check=False)
    if done.returncode:
        why = " ".join(done.stderr.replace("sbatch: error:", "").split())
        raise RecipeError(
            f"Slurm refused the job: {why}", "change the stage's slurm settings; `sinfo` shows what there is"
        )
    return done.stdout.strip().split(";")[0]


def _name(job: Job, submission: str = "") -> str:
    """The name of a submission's job; what the names of a folder's jobs begin with."""
    return f"smallcoder-{blake2b(str(job.folder).encode(), digest_size=6).hexdigest()}-{submission}"


def _find(job: Job, submission: str | None) -> str | None:
    """The number of a submission's job, ended or not, if Slurm knows it. Other jobs of the folder are ended first."""
    number = None
    for row in _ask(f"--user={os.getuid()}"):
        if submission and row.name == _name(job, submission):
            number = row.number
        elif row.name.startswith(_name(job)) and row.state not in ENDED:
            _end(row.number)
    return number


def _end(number: str) -> None:
    """Cancel a job, and stay until it is gone with all its processes. Raises ToolError if that takes too long."""
    until = time.monotonic() + CANCEL_SECONDS
    _run("scancel", number)
    while any(row.number == number and row.state not in ENDED for row in _ask(f"--jobs={number}")):
        if time.monotonic() >= until:
            raise ToolError(
                f"Slurm's job {number} was cancelled and has not ended in {CANCEL_SECONDS / 60:.0f} minutes",
                f"`scontrol show job {number}` tells where it hangs; run again when it is gone",
            )
        time.sleep(1)


def _wait(job: Job, work: Work, number: str) -> tuple[SmallcoderError | None, Any]:
    """The outcome of a job, when it has one. Raises TrainingError for a job that ended without."""
    pause, look_at, ended_at, heard_at = 1.0, 0.0, math.inf, time.monotonic()
    with _Ticker(job.log(0), f"job {number}") as ticker:
        while (outcome := job.outcome(work)) is None:
            now = time.monotonic()
            if now >= look_at:
                pause = min(SLOWEST_POLL_SECONDS, pause * 1.3)
                look_at = now + pause
                rows = _rows(f"--jobs={number}")
                state, where = "?", "Slurm does not answer"
                if rows is not None:
                    heard_at = now
                    state, where = next(((row.state, row.where) for row in rows if row.number == number), ("", ""))
                ended_at = min(ended_at, now) if state in ENDED else math.inf
                if state == FINAL or now - ended_at >= SETTLE_SECONDS:
                    job.retire()
                    remedy = f"see {job.folder / 'job.log'}; the same command goes on from the last checkpoint"
                    raise TrainingError(f"Slurm's job {number} is over: {ENDED[state]}", remedy)
                ticker.state = f"{state.lower()} ({where})" if where else state.lower()
            if now - heard_at >= OUTAGE_SECONDS:
                raise ToolError(
                    f"Slurm has not answered for {OUTAGE_SECONDS / 3600:.0f} hours; job {number} may still run",
                    "when `squeue` answers again, the same command goes on waiting for it",
                )
            ticker.tick()
            time.sleep(1)
    return outcome


class _Row(NamedTuple):
    """A job as squeue shows it. `where`: why it waits, or its nodes."""

    number: str
    state: str
    name: str
    where: str


def _ask(*which: str) -> list[_Row]:
    """`_rows`, with patience. Raises ToolError when that is at an end."""
    until = time.monotonic() + SILENCE_SECONDS
    while (rows := _rows(*which)) is None:
        if time.monotonic() >= until:
            raise ToolError(
                f"Slurm has not answered for {SILENCE_SECONDS / 60:.0f} minutes",
                "see that `squeue` answers on this machine, then run the same command again",
            )
        time.sleep(5)
    return rows


def _rows(*which: str) -> list[_Row] | None:
    """What squeue says of some jobs, ended ones too, as long as Slurm remembers them. None where it does not answer."""
    done = _run("squeue", "--noheader", "--states=all", "--format=%A|%T|%j|%R", *which)
    if done is None or (done.returncode and "Invalid job id" not in done.stderr):
        return None
    rows = [_Row(*line.split("|", 3)) for line in done.stdout.splitlines()]
    return [row._replace(where="" if row.where == "(None)" else row.where.strip("()")) for row in rows]


def _run(*command: str) -> "subprocess.CompletedProcess[str] | None":
    """A call of one of Slurm's programs. None where it hangs."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASKING_SECONDS)
    except subprocess.TimeoutExpired:
        return None


class _Ticker:
    """Shows a job's state and the last line of rank 0's log: in place in a terminal, elsewhere a line now and then."""

    def __init__(self, log: Path, label: str) -> None:
        self.state = ""
        self._log = log
        self._label = label
        self._said, self._said_at = "", -math.inf
        from rich.console import Console
        from rich.status import Status

        console = Console(stderr=True)
        self._status = Status("", console=console) if console.is_terminal else None

    def tick(self) -> None:
        line = self._last_line() if self.state.startswith("running") else ""
        text = ": ".join(part for part in (f"  {self._label} {self.state}", line) if part)
        if self._status:
            self._status.update(text.replace("[", r"\["))  # a bracket in a log is no style
        elif text != self._said and (self.state not in self._said or time.monotonic() - self._said_at >= LOG_SECONDS):
            self._said, self._said_at = text, time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def _last_line(self) -> str:
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - 2000))
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._status:
            self._status.stop()
