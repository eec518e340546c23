"""What Slurm runs on a job's first node: `python -m smallcoder.train.launch.agent FOLDER SUBMISSION`. It starts the
ranks with `srun`, holds their store, and when all have ended says what became of the job, or asks for another attempt.

Who is told what, when a job must go:

    the time limit is near      SIGUSR1 to the agent (`sbatch --signal`), which passes it on to the ranks
    preemption, with grace      SIGTERM to the ranks alone, later to all
    preemption without, or the  SIGTERM to all, SIGKILL after KillWait; Slurm requeues the job itself, unless it was
    end of a cancelled job      cancelled

So where the ranks have stopped at a checkpoint and the agent has had no SIGTERM, it requeues the job: the same number,
the same folder, and the function goes on from its checkpoint. Slurm waits two minutes before it starts it again. After
a SIGTERM the agent says of nothing but a success: whether there is another attempt is for Slurm to say.

An agent that finds another holder in the folder (`job`) ends: before its ranks begin, or by killing them (SIGUSR2, so
that none writes another word).
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from smallcoder.train.launch.failures import explain
from smallcoder.train.launch.job import Job, open_store
from smallcoder.train.launch.local import WORKER
from smallcoder.train.launch.stopping import PreemptedError, listening

POLL_SECONDS = 0.5
END_SECONDS = 60.0  # for Slurm to end an attempt after a requeue
LATE_SECONDS = 2.0  # for a SIGTERM that was sent to all and reached the ranks first
LAG_SECONDS = 60.0  # for what the launcher wrote to be seen on another node
HOLDER_SECONDS = 5.0  # between two looks at who holds the folder


def main(folder: Path, submission: str) -> int:
    """Exit status: 1 where the job failed, so that Slurm says so, too."""
    job = Job(folder)
    with listening() as received:
        if not _begin(job, submission):
            print(f"{folder} is another job's now: this one has nothing to do there", file=sys.stderr)
            return 0
        host = os.environ["SLURMD_NODENAME"]
        try:
            store = open_store(host)
            status = _run_ranks(job, job.environment(host, store.port), received)
            if job.lost():
                print(f"{folder} was given to another attempt: this one was ended", file=sys.stderr)
                return 0
            job.put_outcome(None, job.judge({-1: 128 - status if status > 128 else status}))
        except PreemptedError as error:
            time.sleep(LATE_SECONDS)
            if signal.SIGTERM not in received and not _requeue(received):
                job.put_outcome(error)
        except Exception as error:  # of the ranks or of our own: whoever waits for the job must hear of it
            traceback.print_exc()  # to job.log
            if signal.SIGTERM not in received:
                job.put_outcome(explain(error, "the job", job.folder / "job.log").error)
            return 1
    return 0


def _begin(job: Job, submission: str) -> bool:
    until = time.monotonic() + LAG_SECONDS
    while not (taken := job.take(submission)) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return taken


def _run_ranks(job: Job, environment: dict[str, str], received: set[int]) -> int:
    """The exit status of srun: the largest of its tasks', 128 and the signal for those killed by one."""
    command = [
        "srun", "--kill-on-bad-exit=1",
        f"--cpus-per-task={os.environ.get('SLURM_CPUS_PER_TASK', '1')}",
        f"--output={job.folder}/rank-%t.log", "--open-mode=append",
        sys.executable, "-P", "-u", "-m", WORKER, str(job.folder),
    ]  # fmt: skip
    ours = {name: value for name, value in os.environ.items() if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    srun = subprocess.Popen(command, env={**ours, **environment}, stdin=subprocess.DEVNULL)
    told, look_at = False, 0.0
    while srun.poll() is None:
        if signal.SIGUSR1 in received and not told:
            told = True
            srun.send_signal(signal.SIGUSR1)
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + HOLDER_SECONDS
            if job.lost():
                srun.send_signal(signal.SIGUSR2)  # which it hands on, and of which the ranks die where they are
        time.sleep(POLL_SECONDS)
    return srun.returncode


def _requeue(received: set[int]) -> bool:
    """Ask for another attempt, and stay until Slurm ends this one: an end of its own could be taken for the job's."""
    if subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False).returncode:
        return False
    until = time.monotonic() + END_SECONDS
    while signal.SIGTERM not in received and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
