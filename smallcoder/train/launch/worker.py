"""One rank: `python -m smallcoder.train.launch.worker FOLDER [leashed]` does a job's work and leaves word of its end.

It finds its place in torchrun's variables (RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT)
or, as a task of `srun`, in Slurm's; so torchrun itself can start it as well. A leashed one kills itself and all that it
started when its standard input ends, that is when the process that launched it is gone, however that went.
"""

import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from smallcoder.train.launch.job import ATTEMPT, Job
from smallcoder.train.launch.stopping import PreemptedError, listening

FROM_SLURM = {
    "RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID", "WORLD_SIZE": "SLURM_NTASKS", "GROUP_RANK": "SLURM_NODEID"
}  # fmt: skip


def main(folder: Path, leashed: bool) -> int | None:
    """None where the function returned; else an exit status, 0 where it was stopped."""
    with listening():
        if leashed:
            threading.Thread(target=_watch_launcher, daemon=True).start()
        job = Job(folder, os.environ.get(ATTEMPT, ""))
        work = job.work()
        if "RANK" not in os.environ:
            os.environ.update({name: os.environ[slurm] for name, slurm in FROM_SLURM.items()})
            os.environ["LOCAL_WORLD_SIZE"] = str(work.processes)
        rank = int(os.environ["RANK"])
        try:
            value = work.load()(**work.arguments)
            if rank == 0:
                job.put_returned(value)
        except BaseException as error:  # whatever ended this rank, the launcher must hear of it
            return _report(job, rank, error)
    return None


def _report(job: Job, rank: int, error: BaseException) -> int:
    stopped = isinstance(error, PreemptedError)
    try:
        job.put_failure(rank, error)
        if not stopped:
            with job.log(rank).open("a", encoding="utf-8") as log:
                traceback.print_exception(error, file=log)
    except OSError as failed:  # the disk is full, in most cases
        return failed.errno or 1
    return 0 if stopped else 1


def _watch_launcher() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)  # a leashed worker leads a group of its own


if __name__ == "__main__":
    status = main(Path(sys.argv[1]), sys.argv[2:] == ["leashed"])
    sys.stdout.flush()
    sys.stderr.flush()
    if status is not None:
        os._exit(status)  # communicators that wait for a lost peer would hold up an orderly end
