"""Functions that the tests of launching have run in other processes. Torch is imported where it is needed."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

from smallcoder.core.errors import InputError
from smallcoder.train.launch.stopping import PreemptedError, stop_requested

RANK = int(os.environ.get("RANK", "0"))
ROOT = Path(__file__).parents[2]
HERE = "tests.train.launched"
RUNNER = (
    "import json, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
    "from pathlib import Path\nfrom smallcoder.core.errors import SmallcoderError\n"
    "from smallcoder.train.launch.slurm import Slurm\nfrom smallcoder.train.launch.start import launch\n"
    "function, out = sys.argv[1:3]\narguments, asked = map(json.loads, sys.argv[3:])\n"
    "slurm = Slurm(**asked) if asked else None\n"
    "try: print(launch(function, arguments, Path(out), processes=2, threads=1, slurm=slurm))\n"
    "except SmallcoderError as error: sys.exit(f'{type(error).__name__}: {error}')\n"
)


def launcher(function, out, arguments, asked=None):
    """The launcher in a process of its own, as `smallcoder run` is; `asked` of Slurm, or of this machine."""
    work = [f"{HERE}:{function}", str(out), json.dumps(arguments), json.dumps(asked)]
    command = [sys.executable, "-c", RUNNER, *work]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


@contextmanager
def sent_when(condition, *numbers):
    """Send these signals to this very process, one when the condition holds and others a moment later each."""

    def send():
        wait_for(condition)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.2)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join()


def add_up(scale):
    """The sum of all ranks' numbers, by gloo, what the process was told about itself, and what torch says in rank 0
    when it waits for another in vain."""
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    number = torch.tensor([RANK * scale])
    dist.all_reduce(number)
    impatient, said = dist.new_group(timeout=timedelta(seconds=0.5)), ""
    if RANK == 0:
        try:
            dist.all_reduce(torch.zeros(1), group=impatient)
        except RuntimeError as error:
            said = str(error)
    dist.barrier()
    dist.destroy_process_group()
    print(f"rank {RANK} added up")
    return {"sum": number.item(), "threads": torch.get_num_threads(), "place": place(), "said": said}


def lose_a_rank():
    """Rank 1 fails while rank 0 waits for it in an all-reduce."""
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    if RANK == 1:
        _divide(0)
    dist.all_reduce(torch.zeros(1))


def place():
    """What torchrun's variables say of this rank."""
    return [os.environ[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")]


def fail(how, detail=0):
    """Rank 1 fails in some way; rank 0 waits for a while."""
    if RANK == 0:
        time.sleep(60)
    if how == "user error":
        raise InputError("shard 7 is damaged", "make it again")
    if how == "signal":
        os.kill(os.getpid(), detail)
    raise RuntimeError("first line\nsecond line")


def _divide(number):
    return 1 / number


def sleep(folder):
    """Write down the processes, one with a child of its own each, and wait."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    (Path(folder) / f"{RANK}.tmp").write_text(f"{os.getpid()} {child.pid}")
    (Path(folder) / f"{RANK}.tmp").rename(Path(folder) / f"{RANK}.pids")
    time.sleep(60)


def count(folder, until, pause, together=True):
    """Count in a file that outlives the process; told to stop, all ranks stop at the same number."""
    file, starts = Path(folder) / "count", Path(folder) / f"starts-{RANK}"
    done = int(file.read_text()) if file.exists() else 0
    with starts.open("a") as log:
        log.write(f"{done}\n")
    with _group() if together else nullcontext(bool) as any_of:
        while done < until:
            time.sleep(pause)
            done += 1
            stop = any_of(stop_requested())
            if RANK == 0 and (stop or done == until):
                file.write_text(str(done))
            print(f"counted to {done}", file=sys.stderr, flush=True)
            if stop:
                raise PreemptedError
    return done


@contextmanager
def _group():
    """A gloo group; yields a function that tells whether any rank says yes."""
    import torch
    import torch.distributed as dist

    def any_of(yes):
        flag = torch.tensor([int(yes)])
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag.item())

    dist.init_process_group("gloo")
    yield any_of
    dist.destroy_process_group()
