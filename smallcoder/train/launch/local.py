"""A job on this machine: one process a rank, watched until all have ended.

What torchrun's agent does for one node and no restarts, in the terms of this program: rank 0 keeps the terminal, the
others write to their logs; a rank's error is raised here as it was raised there; nothing stays behind. The launcher
holds the ranks' store on a port that the kernel chose, so no other process can take the port first.

The ranks lead sessions of their own, so Ctrl-C reaches the launcher alone. It tells them to stop, as it does when it
gets a SIGTERM itself, and gives them `GRACE_SECONDS` to checkpoint; at a second Ctrl-C it kills them. Where the
launcher itself is killed, their leash ends them (`worker`).
"""

import math
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from smallcoder.train.launch.job import Job, open_store
from smallcoder.train.launch.stopping import PreemptedError, listening

WORKER = "smallcoder.train.launch.worker"
HOST = "127.0.0.1"
GRACE_SECONDS = 60.0  # for ranks that have been told to stop
LAST_WORDS_SECONDS = 3.0  # after the first rank has failed, for the others to say why they do
POLL_SECONDS = 0.05


def run_here(job: Job) -> Any:
    """What rank 0 returned. Raises the error of the rank that failed, `PreemptedError` where all were told to stop."""
    store = open_store(HOST)
    ranks: list[subprocess.Popen[bytes]] = []
    with listening(at_terminal=True) as received:
        try:
            ranks.extend(_start(job, rank, store.port) for rank in range(job.work().processes))
            _watch(ranks, received)
            ended = {rank: process.returncode for rank, process in enumerate(ranks) if process.poll() is not None}
        finally:
            _kill(ranks)
        if received and not any(ended.values()) and len(ended) < len(ranks):
            raise PreemptedError("training was stopped, in the middle of a step")
        return job.judge(ended)


def _start(job: Job, rank: int, port: int) -> subprocess.Popen[bytes]:
    world = str(job.work().processes)
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
    command = [sys.executable, "-P", "-m", WORKER, str(job.folder), "leashed"]
    with job.log(rank).open("ab") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, **job.environment(HOST, port), **place, "GROUP_RANK": "0"},
            stdin=subprocess.PIPE,
            stdout=log if rank else None,
            stderr=log if rank else None,
            start_new_session=True,
        )


def _watch(ranks: list[subprocess.Popen[bytes]], received: set[int]) -> None:
    """Return when all have ended, or when those that have not have had their time."""
    deadline, told = math.inf, False
    while None in (statuses := [process.poll() for process in ranks]) and time.monotonic() < deadline:
        if received and not told:
            told, deadline = True, time.monotonic() + GRACE_SECONDS
            for process in ranks:
                process.terminate()
        if any(statuses):
            deadline = min(deadline, time.monotonic() + LAST_WORDS_SECONDS)
        time.sleep(POLL_SECONDS)


def _kill(ranks: list[subprocess.Popen[bytes]]) -> None:
    for process in ranks:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    for process in ranks:
        process.communicate()
