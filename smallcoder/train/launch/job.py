"""The folder of one job: what its processes are to do, and what became of them.

    work.json        the function, its arguments, how many processes a node; its digest names the job's outcome
    rank-N.log       what rank N printed, and its traceback; job.log is the agent's and srun's
    failed-N.json    how rank N ended, where it did not end well
    returned.json    what rank 0's function returned
    outcome.json     on a cluster: the result or the failure of the whole, written by the job when all ranks have ended

Everything is plain JSON, so that a job can be read by another process, on another node, days later.
"""

import json
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
    """A job's folder. One launcher and its ranks use it at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def prepare(self, work: Work) -> None:
        """Begin anew: write down the work and forget whatever an earlier attempt left, logs too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.forget_ends()
        for log in self.folder.glob("*.log"):
            log.unlink()
        write_json(self.folder / "work.json", asdict(work))

    def forget_ends(self) -> None:
        """Forget how an earlier attempt at the same work ended; its logs stay."""
        for pattern in ("failed-*.json", "returned.json", "outcome.json"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

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
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }

    def put_returned(self, value: Any) -> None:
        write_json(self.folder / "returned.json", value)

    def put_failure(self, rank: int, error: BaseException) -> None:
        failure = explain(error, f"rank {rank}", self.log(rank), time.time())
        data = {**_to_json(failure.error), "weight": failure.weight, "time": failure.time}
        write_json(self.folder / f"failed-{rank}.json", data)

    def judge(self, statuses: Mapping[int, int]) -> Any:
        """What rank 0 returned, once all have ended. `statuses` are exit statuses of ranks, negative for signals; that
        under -1 is of some rank, nobody knows which.

        Raises the error of the rank that failed first of all, and `PreemptedError` where the work was stopped.
        """
        failures = []
        for path in self.folder.glob("failed-*.json"):
            data = json.loads(path.read_text(encoding="utf-8"))
            failures.append(Failure(_from_json(data), data["weight"], data["time"]))
        for rank, status in statuses.items():
            if status and not (self.folder / f"failed-{rank}.json").exists():
                known = (f"rank {rank}", self.log(rank)) if rank >= 0 else ("a rank", self.folder / "job.log")
                failures.append(explain_exit(status, *known))
        if failures:
            raise min(failures, key=lambda failure: (failure.weight, failure.time)).error
        return json.loads((self.folder / "returned.json").read_text(encoding="utf-8"))

    def put_outcome(self, end: SmallcoderError | None, result: Any = None) -> None:
        found = {"error": _to_json(end)} if end else {"result": result}
        write_json(self.folder / "outcome.json", {"work": self.work().digest, **found})

    def outcome(self, work: Work) -> tuple[SmallcoderError | None, Any] | None:
        """Error and result of a job of just this work; None where there is no such outcome."""
        try:
            data = json.loads((self.folder / "outcome.json").read_text(encoding="utf-8"))
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
