"""The trusted side: a pool of slots, each a warm process that forks the confined children of a run.

    this process --socket--> slot (worker/slot.py) --fork--> function (worker/candidate.py)
                                                   --fork--> function <--pipes--> tests (worker/witness.py)
                                                   --fork--> init (worker/script.py) --> compiler, program
                                                   --fork--> init --> program <--pipes--> tests <-- init

Code and inputs go down; what comes back is bytes of bounded length, read by a strict decoder. Each run has its own
pipes and processes, so a candidate can only claim values for its own inputs, which is what returning a value does. It
is up to the caller to compare them with what was expected.

Cost: 2 ms of CPU for a run of a function, twice that with tests in a second jail, 0.2 s to start a slot. Runs share
no state. Not covered: programs that need a network.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from smallcoder.core.errors import InputError, ToolError
from smallcoder.core.recipe import nearest
from smallcoder.sandbox.host import Slot, SlotError
from smallcoder.sandbox.languages import NAMES, toolchain
from smallcoder.sandbox.pack import pack, result
from smallcoder.sandbox.pool import Pool
from smallcoder.sandbox.protocol import Job, Limits, Program, Result

T = TypeVar("T")
TIERS = ("A", "B", "C")  # best first; "unsafe" must be asked for by name
RAISE = {
    "A": "run as root or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1,"
    " kernel.apparmor_restrict_unprivileged_userns=0; docker run --security-opt seccomp=unconfined"
    " --security-opt apparmor=unconfined, or --cap-add SYS_ADMIN)",
    "B": "as A; besides Linux 5.13 with Landlock",
    "C": "use Linux 5.13 or newer with seccomp and Landlock",
}
WINDOW = 64  # jobs begun or waiting per slot in run_many: results come in order, and one may take as long as 50 others
_PROBE = """
import os, socket
def probe(pids):
    def descriptor():
        for number in range(3, 64):
            try: kind = os.fstat(number).st_mode >> 12
            except OSError: continue
            if kind != 1: return
        raise OSError
    attempts = {
        "a new process": os.fork,
        "a program": lambda: os.execv("/bin/true", ["true"]),
        "a socket": socket.socket,
        "a signal to another process": lambda: os.kill(os.getppid() or 1, 0),
        "reading /etc": lambda: open("/etc/passwd"),
        "reading /proc": lambda: os.listdir("/proc/1"),
        "writing to the libraries": lambda: open("/usr/lib/probe", "w"),
        "writing to /": lambda: open("/probe", "w"),
        "becoming root": lambda: os.setuid(0) if os.getuid() else os.chroot("."),
        "an inherited descriptor": descriptor,
        "a file over the limit": lambda: os.truncate("probe", 1 << 40),
        "memory over the limit": lambda: bytearray(1 << 31),
    }
    open("probe", "w").close()
    worked = []
    for name, attempt in attempts.items():
        try: attempt()
        except (OSError, MemoryError): continue
        worked.append(name)
    if pids and os.getpid() != 1: worked.append("seeing the host's process ids")
    return worked
"""


class Sandbox:
    """A pool of `workers` slots. A context manager; usable from several threads at once.

    `tiers` are tried in order, and the first that holds is taken: `tier` is its name, and `refused` says of each
    better one why it was not reached. `languages` are those whose programs may run, next to Python functions; in tiers
    B and C there are none, and `missing` says of each that cannot run why. Raises ToolError where no tier holds.
    """

    _pool: Pool  # inside its `with`

    def __init__(
        self, workers: int = 2, tiers: Sequence[str] = TIERS, languages: Sequence[str] = (), unsafe: bool = False
    ) -> None:
        assert workers > 0
        self.workers = workers
        self.tier = ""
        self.refused: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self._tiers = (*tiers, *(["unsafe"] if unsafe else []))
        self._toolchains = {name: toolchain(known(name)) for name in languages}

    def __enter__(self) -> Self:
        for tier in self._tiers:
            try:
                slot = self._slot(tier)
            except SlotError as error:
                self.refused[tier] = str(error)
                continue
            if not (reason := _probe(slot, tier)):
                self._open(tier, slot)
                return self
            self.refused[tier] = reason
            slot.close()
        reasons = "; ".join(f"{tier}: {reason}" for tier, reason in self.refused.items())
        raise ToolError(
            f"no sandbox can be built here ({reasons})",
            "use Linux 5.13 or newer with seccomp and Landlock, or a container that allows user namespaces;"
            " --unsafe runs without one",
        )

    def _slot(self, tier: str) -> Slot:
        found = [chain for chain in self._toolchains.values() if not isinstance(chain, str)]
        return Slot(tier, sorted({path for chain in found for path in chain.reads}))

    def _open(self, tier: str, slot: Slot) -> None:
        self.tier = tier
        for name, chain in self._toolchains.items():
            if isinstance(chain, str):
                self.missing[name] = chain
            elif tier in "BC":
                self.missing[name] = f"tier {tier} cannot hold programs: it runs Python functions alone"
        self._pool = Pool(self.workers, tier, slot, lambda: self._slot(tier))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pool.close()

    def run(
        self, program: Program, inputs: Sequence[tuple[Any, ...] | str] = (), limits: Limits | None = None, **more: Any
    ) -> Result:
        """Run one job, made of the arguments (`protocol.Job`). Waits for a free slot.

        Raises TypeError where an input is not plain data.
        """
        return self._submit(Job(program, inputs, limits or Limits(), **more)).result()

    def run_many(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """The results of the jobs in their order. Takes jobs as it needs them and runs at most a few ahead.

        Closing the iterator early drops the jobs that have not started.
        """
        return in_order(self._submit, jobs, WINDOW * self.workers)

    def _submit(self, job: Job) -> "Future[Result]":
        assert self.tier, "the sandbox is used outside its `with`"
        chain = None
        name = job.program.language
        if name != "python" or not (job.program.entry_point or job.tests):
            chain = self._toolchains.get(name, f"the sandbox was not made for {name} programs")
            why = self.missing.get(name) or (chain if isinstance(chain, str) else chain.lacks(job.program.code))
            if why or isinstance(chain, str):
                lacking: Future[Result] = Future()
                lacking.set_result(Result("infra", [], why, 0.0, self.tier, "one process"))
                return lacking
        return self._pool.submit(pack(job, chain))


def in_order(submit: Callable[[T], "Future[Result]"], jobs: Iterable[T], most: int) -> Iterator[Result]:
    """The results of the jobs, in their order. Takes jobs as needed: at most `most` are begun or waiting."""
    waiting: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            waiting.append(submit(job))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def known(language: str) -> str:
    """The language's name. Raises InputError where there is no such language."""
    if language not in NAMES:
        raise InputError(f"the sandbox knows no language {language!r}", nearest(language, NAMES))
    return language


def _probe(slot: Slot, tier: str) -> str:
    """Why the tier does not hold in this slot, found by trying; empty where it does. In `unsafe` nothing is tried."""
    if tier == "unsafe":
        return ""
    message = pack(Job(Program(_PROBE, "probe"), [(tier == "A",)], Limits(5, 60)))
    try:
        tried = result(slot.run(message), message, tier)
    except SlotError as error:
        return str(error)
    if tried.status != "ok" or tried.outputs[0].error:
        return tried.reason or tried.status if tried.status != "ok" else tried.outputs[0].error
    return f"it does not refuse {', '.join(tried.outputs[0].value)}" if tried.outputs[0].value else ""
