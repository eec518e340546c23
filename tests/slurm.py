"""A Slurm cluster of one node on this machine, from Debian's packages `slurm-wlm` and `munge`, for slow tests.

munged, slurmctld and slurmd run as the user of the tests, with their configuration, sockets and logs in one folder.
Processes are tracked by parentage (no cgroups), so it works in containers. Two partitions share the node: `low`, whose
jobs are requeued when `high` wants it.
"""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
BINARIES = "/usr/sbin:/sbin"
CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
ReturnToService=2
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=low Nodes=localhost Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=localhost PriorityTier=2 PreemptMode=OFF
"""


def missing() -> str:
    """Why there can be no cluster here; empty where there can."""
    path = f"{os.environ['PATH']}:{BINARIES}"
    lacking = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return f"{', '.join(lacking)} not installed (Debian: slurm-wlm, munge)" if lacking else ""


@contextmanager
def cluster() -> Iterator[Path]:
    """A running cluster and the folder of its logs; SLURM_CONF points at it while the context lasts."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: sockets have names of 107 bytes
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().split(".")[0]
    settings = {"host": host, "user": getpass.getuser(), "folder": folder, "cpus": os.cpu_count()}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(ports=_free_ports(2), **settings))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    before = os.environ.get("SLURM_CONF"), os.environ["PATH"]
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    os.environ["PATH"] += f":{BINARIES}"
    munge = [f"--{name}={folder}/munge.{end}" for name, end in MUNGE_FILES.items()]
    processes = []
    try:
        for command in (["munged", "--foreground", "--force", *munge], ["slurmctld", "-D"], ["slurmd", "-D"]):
            with (folder / f"{command[0]}.out").open("w") as log:
                processes.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
            time.sleep(0.5)
        _wait_until_idle(folder)
        yield folder
    finally:
        clear()
        for process in reversed(processes):
            process.terminate()
            process.wait(30)
        os.environ["PATH"] = before[1]
        os.environ.pop("SLURM_CONF")
        if before[0]:
            os.environ["SLURM_CONF"] = before[0]
        shutil.rmtree(folder, ignore_errors=True)


MUNGE_FILES = {
    "key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"
}  # fmt: skip


def _wait_until_idle(folder: Path) -> None:
    done = None
    for _ in range(60):
        done = subprocess.run(["sinfo", "-h", "-p", "low", "-o", "%t"], capture_output=True, text=True, check=False)
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in sorted(folder.glob("*.[ol][uo][tg]")))
    raise RuntimeError(f"the cluster did not come up: {done}\n{logs}")


def clear() -> None:
    """Cancel all jobs and wait until they are gone."""
    subprocess.run(["scancel", "--user", getpass.getuser()], check=False)
    for _ in range(120):
        if not subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=False).stdout.strip():
            return
        time.sleep(0.5)
    raise RuntimeError("jobs do not end")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
