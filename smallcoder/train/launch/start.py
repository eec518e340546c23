"""Hand a function to many processes, here or on a cluster, and wait for what comes of it."""

from pathlib import Path
from typing import Any

from smallcoder.core.manifest import STATE
from smallcoder.train.launch.job import Job, Work
from smallcoder.train.launch.local import run_here
from smallcoder.train.launch.slurm import Slurm, end_job, run_on_slurm


def launch(
    function: str, arguments: dict[str, Any], out: Path, *, processes: int, threads: int, slurm: Slurm | None = None
) -> Any:
    """Run a function in `processes` processes of this machine, or of every node that Slurm gives.

    `function` is "module:name" of a top-level function; every process calls it with `arguments` (JSON data) as keywords
    and torchrun's variables set, and it opens its process group itself. What rank 0's call returns, JSON data again, is
    returned here. Logs and all else live in out/state/launch until the stage is finished.

    Raises the error of the rank that failed first, as it was raised there if it is one of ours, else as TrainingError
    with its first line and the name of its log; `PreemptedError` where the work was told to stop.
    """
    job = _job(out)
    work = Work(function, arguments, processes, threads, slurm.nodes if slurm else 1)
    if slurm:
        return run_on_slurm(job, work, slurm)
    job.prepare(work)
    return run_here(job)


def withdraw(out: Path) -> None:
    """Make sure that nothing launched on a cluster is at work in `out` any more; without such a job, do nothing.

    Raises ToolError where Slurm cannot be asked, or does not end the job.
    """
    end_job(_job(out))


def _job(out: Path) -> Job:
    return Job(out / STATE / "launch")
