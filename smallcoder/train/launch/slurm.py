"""A job on a Slurm cluster: submitted with `sbatch`, watched, found again, cancelled.

Slurm starts `agent` on the job's first node; the agent starts the ranks with `srun`, one task each. The job is found
again by its name, which follows from its folder and its work: a runner that was killed and started again waits on for
the job that it had submitted, and takes the result of one that ended meanwhile. A job of other work in the same folder
is cancelled. Ctrl-C cancels the job; any other end of the runner leaves it running.

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
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from smallcoder.core.errors import RecipeError, SmallcoderError, ToolError, TrainingError
from smallcoder.core.progress import LOG_SECONDS
from smallcoder.train.launch.job import Job, Work

AGENT = "smallcoder.train.launch.agent"
WARNING_SECONDS = 180  # ahead of the time limit; Slurm may be up to 60 s early
SLOWEST_POLL_SECONDS = 15.0
SETTLE_SECONDS = 60.0  # for an ended job's last files to be seen across a network's disk
ENDED = {  # states in which a job stays
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
UNEXPLAINED = ("COMPLETED", "FAILED", "")
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
    number = _find(job, work)
    if outcome and outcome[0] is None:  # it ended well while nobody was waiting
        return outcome[1]
    try:
        if number is None or outcome:
            job.prepare(work)
            number = _submit(job, work, slurm)
        error, result = _wait(job, work, number)
    except KeyboardInterrupt:
        if number:
            _cancel(number)
        raise
    if error:
        raise error
    return result


def _submit(job: Job, work: Work, slurm: Slurm) -> str:
    options = {
        "job-name": f"{_name(job)}-{work.digest}",
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
    agent = shlex.join([sys.executable, "-P", "-m", AGENT, str(job.folder)])
    done = subprocess.run([*command, "--wrap", f"exec {agent}"], capture_output=True, text=True, check=False)
    if done.returncode:
        why = " ".join(done.stderr.replace("sbatch: error:", "").split())
        raise RecipeError(
            f"Slurm refused the job: {why}", "change the stage's slurm settings; `sinfo` shows what there is"
        )
    return done.stdout.strip().split(";")[0]


def _name(job: Job) -> str:
    """What the names of a folder's jobs begin with."""
    return f"smallcoder-{blake2b(str(job.folder).encode(), digest_size=6).hexdigest()}"


def _find(job: Job, work: Work) -> str | None:
    """The queued or running job of this work. Jobs of other work in the same folder are cancelled first."""
    rows = _squeue("--user", str(os.getuid()), "--format", "%A|%T|%j")
    if rows is None:
        raise ToolError("Slurm does not answer", "try again when its controller is back")
    found = None
    for number, state, name in (row.split("|", 2) for row in rows.splitlines()):
        if state in ENDED or not name.startswith(_name(job)):
            continue
        if name.endswith(work.digest):
            found = number
        else:
            _cancel(number)
            while _state(number)[0] not in ENDED:
                time.sleep(1)
    return found


def _wait(job: Job, work: Work, number: str) -> tuple[SmallcoderError | None, Any]:
    """The outcome of a job, when it has one. Raises TrainingError for a job that ended without."""
    state, pause, look_at, gone_at = "?", 1.0, 0.0, math.inf
    with _Ticker(job.log(0), f"job {number}") as ticker:
        while (outcome := job.outcome(work)) is None:
            now = time.monotonic()
            if now >= look_at:
                state, where = _state(number)
                gone_at = min(gone_at, now) if state in ENDED else math.inf
                pause = min(SLOWEST_POLL_SECONDS, pause * 1.3)
                look_at = now + pause
                ticker.state = f"{state.lower()} ({where})" if where else state.lower()
            if now - gone_at > (SETTLE_SECONDS if state in UNEXPLAINED else 0):
                remedy = f"see {job.folder / 'job.log'}; the same command goes on from the last checkpoint"
                raise TrainingError(f"Slurm's job {number} is over: {ENDED[state]}", remedy)
            ticker.tick()
            time.sleep(1)
    return outcome


def _cancel(number: str) -> None:
    subprocess.run(["scancel", number], check=False, capture_output=True)


def _state(number: str) -> tuple[str, str]:
    """State, and reason or nodes, of a job: two empty strings where Slurm has forgotten it, "?" where it is silent."""
    rows = _squeue("--states", "all", "--jobs", number, "--format", "%T|%R")
    if rows is None:
        return "?", "Slurm does not answer"
    state, _, where = rows.strip().partition("|")
    return state, "" if where == "(None)" else where.strip("()")


def _squeue(*arguments: str) -> str | None:
    """What squeue prints, nothing for a job it does not know, None where it cannot reach its controller."""
    done = subprocess.run(["squeue", "--noheader", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ("" if "Invalid job id" in done.stderr else None)


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
