"""The folder of one job: what its processes are to do, and what became of them.

    work.json        the function, its arguments, how many processes a node; its digest names the job's outcome
    rank-N.log       what rank N printed, and its traceback; job.log is the agent's and srun's
    failed-N.json    how rank N ended, where it did not end well
    returned.json    what rank 0's function returned
    outcome.json     on a cluster: the result or the failure of the whole, written by the job when all ranks have ended
    holder.json      on a cluster: the submission that may work here, and the attempt at it that does

Everything is plain JSON, so that a job can be read by another process, on another node, days later.

A cluster may start a job again while a node that it takes for dead still runs it, or end one only after the next has
been submitted. So the folder has one holder: a submission that is not named there may not begin, an attempt that is not
named any more stops (`agent`), and what the ranks of an attempt leave lies in a folder of its own.
"""

import json
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smallcoder.core.errors import SmallcoderError
from smallcoder.core.manifest import write_json
from smallcoder.train.launch.failures import Failure, explain, explain_exit

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]

OUTCOME = "outcome.json"
ATTEMPT = "SMALLCODER_ATTEMPT"  # tells ranks theirs


@dataclass(frozen=True)
class Work:
    """`function` is "module:name" of a top-level function, called with `arguments` (JSON data) in every process.

    `processes` and `nodes` multiply to the world size; `threads` is the size of a process's thread pool.
    """

    function: str
    arguments: dict[str, Any]
    processes: int
    threads: int
    nodes: int = 1

    def load(self) -> Callable[..., Any]:
        module, name = self.function.split(":")
        return getattr(import_module(module), name)

    @property
    def digest(self) -> str:
        return blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=8).hexdigest()


class Job:
    """A job's folder. One launcher and its ranks use it at a time. `attempt` is that of a rank on a cluster."""

    def __init__(self, folder: Path, attempt: str = "") -> None:
        self.folder = folder.resolve()
        self.attempt = attempt

    def prepare(self, work: Work) -> None:
        """Begin anew: write down the work and forget whatever an earlier job left, logs too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.retire()
        for path in self.folder.iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        write_json(self.folder / "work.json", asdict(work))

    def offer(self, work: Work) -> str:
        """`prepare`, for a job to come; the mark that this submission must show to `take` it."""
        self.prepare(work)
        submission = secrets.token_hex(4)
        write_json(self.holder, {"submission": submission, "attempt": ""})
        return submission

    def take(self, submission: str) -> bool:
        """Begin an attempt. False where the folder is not, or not any more, that submission's."""
        held = self._held()
        if held is None or held["submission"] != submission:
            return False
        self.attempt = secrets.token_hex(4)
        (self.folder / self.attempt).mkdir()
        (self.folder / OUTCOME).unlink(missing_ok=True)
        write_json(self.holder, {"submission": submission, "attempt": self.attempt})
        return True

    def lost(self) -> bool:
        """Whether another attempt or submission has the folder now."""
        held = self._held()
        return held is not None and held["attempt"] != self.attempt

    def retire(self) -> None:
        """Let no submission begin here any more. An attempt under way is not stopped by this."""
        self.holder.unlink(missing_ok=True)

    def submission(self, work: Work) -> str | None:
        """The mark of the submission of just this work, where there is one."""
        held = self._held()
        return held["submission"] if held and self.work() == work else None

    @property
    def holder(self) -> Path:
        return self.folder / "holder.json"

    def _held(self) -> dict[str, str] | None:
        return json.loads(self.holder.read_text(encoding="utf-8")) if self.holder.is_file() else None

    def work(self) -> Work:
        return Work(**json.loads((self.folder / "work.json").read_text(encoding="utf-8")))

    def log(self, rank: int) -> Path:
        return self.folder / f"rank-{rank}.log"

    def environment(self, host: str, port: int) -> dict[str, str]:
        """Variables that all ranks share: torchrun's, with a store that the launcher holds, and the thread pools."""
        threads = str(self.work().threads)
        return {
            "MASTER_ADDR": host,
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # rank 0 joins the launcher's store instead of opening one
            ATTEMPT: self.attempt,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }

    def put_returned(self, value: Any) -> None:
        write_json(self._ends / "returned.json", value)

    def put_failure(self, rank: int, error: BaseException) -> None:
        failure = explain(error, f"rank {rank}", self.log(rank), time.time())
        data = {**_to_json(failure.error), "weight": failure.weight, "time": failure.time}
        write_json(self._ends / f"failed-{rank}.json", data)

    def judge(self, statuses: Mapping[int, int]) -> Any:
        """What rank 0 returned, once all have ended. `statuses` are exit statuses of ranks, negative for signals; that
        under -1 is of some rank, nobody knows which.

        Raises the error of the rank that failed first of all, and `PreemptedError` where the work was stopped.
        """
        failures = []
        for path in self._ends.glob("failed-*.json"):
            data = json.loads(path.read_text(encoding="utf-8"))
            failures.append(Failure(_from_json(data), data["weight"], data["time"]))
        for rank, status in statuses.items():
            if status and not (self._ends / f"failed-{rank}.json").exists():
                known = (f"rank {rank}", self.log(rank)) if rank >= 0 else ("a rank", self.folder / "job.log")
                failures.append(explain_exit(status, *known))
        if failures:
            raise min(failures, key=lambda failure: (failure.weight, failure.time)).error
        return json.loads((self._ends / "returned.json").read_text(encoding="utf-8"))

    @property
    def _ends(self) -> Path:
        return self.folder / self.attempt

    def put_outcome(self, end: SmallcoderError | None, result: Any = None) -> None:
        """Say what became of the whole; nothing where the folder is another's now."""
        if not self.lost():
            found = {"error": _to_json(end)} if end else {"result": result}
            write_json(self.folder / OUTCOME, {"work": self.work().digest, **found})

    def outcome(self, work: Work) -> tuple[SmallcoderError | None, Any] | None:
        """Error and result of a job of just this work; None where there is no such outcome."""
        try:
            data = json.loads((self.folder / OUTCOME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if data["work"] != work.digest:
            return None
        return (_from_json(data["error"]) if "error" in data else None), data.get("result")


def open_store(host: str) -> "TCPStore":
    """The store through which ranks find one another, served by this process as long as the object lives.

    Its port is one that the kernel chose, so nobody can take it between choosing and using.
    """
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]

    return TCPStore(host, 0, is_master=True, wait_for_workers=False)


def _to_json(error: SmallcoderError) -> dict[str, str]:
    kind = type(error)
    return {"kind": f"{kind.__module__}:{kind.__qualname__}", "message": error.message, "remedy": error.remedy}


def _from_json(data: dict[str, Any]) -> SmallcoderError:
    module, name = data["kind"].split(":")
    kind = getattr(import_module(module), name)
    assert issubclass(kind, SmallcoderError)
    return kind(data["message"], data["remedy"])
