"""The trusted side: a pool of slots, each a warm process that forks one confined child per run.

    this process --socket--> slot (worker/slot.py) --fork--> candidate (worker/candidate.py)

Code and inputs go down; what comes back is bytes of bounded length, read by a strict decoder. Each run has its own
pipe and its own process, so a candidate can only claim values for its own inputs, which is what returning a value
does. It is up to the caller to compare them with what was expected, strictly by type.

Cost: 1.7 ms of CPU a run in the child, 0.15 s to start a slot. Runs share no state. Not covered yet: other
languages, packages beyond the standard library, programs that need processes or sockets.
"""

import queue
import struct
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from smallcoder.core.errors import ToolError
from smallcoder.sandbox.host import Slot, SlotError
from smallcoder.sandbox.protocol import Job, Limits, Output, Program, Result
from smallcoder.sandbox.worker.codec import DecodeError, EncodeError, decode, encode

TIERS = ("namespaces", "process")  # best first; "unsafe" must be asked for by name
_INPUT_BYTES = 1 << 28
_WINDOW = 4  # jobs begun or waiting per slot in run_many
_REASONS = {"cpu": "CPU time", "wall": "wall time"}
_PROBE = """
import os, socket
def probe():
    for attempt in (os.fork, socket.socket, lambda: os.listdir("/proc/self"), lambda: os.kill(1, 0)):
        try:
            attempt()
        except OSError:
            continue
        return "a forbidden call worked"
    return "held"
"""


class Sandbox:
    """A pool of `workers` slots. A context manager; usable from several threads at once.

    `tiers` are tried in order, and the first that holds is taken: `tier` is its name, and `refused` says of each
    better one why it was not reached. Raises ToolError on entry where none holds.
    """

    def __init__(self, workers: int = 2, tiers: Sequence[str] = TIERS) -> None:
        assert workers > 0
        self.workers = workers
        self.tier = ""
        self.refused: dict[str, str] = {}
        self._tiers = tuple(tiers)
        self._idle: queue.LifoQueue[Slot | None] = queue.LifoQueue()  # None: a slot to be started when needed
        self._slots: set[Slot] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        for tier in self._tiers:
            try:
                slot = Slot(tier)
            except SlotError as error:
                self.refused[tier] = str(error)
                continue
            if not (reason := _probe(slot, tier)):
                self.tier = tier
                self._slots.add(slot)
                for item in [*[None] * (self.workers - 1), slot]:
                    self._idle.put(item)
                self._threads = ThreadPoolExecutor(self.workers, "sandbox")
                return self
            self.refused[tier] = reason
            slot.close()
        reasons = "; ".join(f"{tier}: {reason}" for tier, reason in self.refused.items())
        raise ToolError(
            f"no sandbox can be built here ({reasons})",
            "use Linux 5.13 or newer with seccomp and Landlock, or a container that allows user namespaces",
        )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._lock:
            self._closed = True
            slots = list(self._slots)
        for slot in slots:
            slot.hang_up()
        self._threads.shutdown(cancel_futures=True)
        for slot in slots:
            slot.close()

    def run(self, program: Program, inputs: Sequence[tuple[Any, ...]], limits: Limits | None = None) -> Result:
        """Call the program's entry point once per input, each a tuple of positional arguments of plain data.

        Waits for a free slot. Raises TypeError where an input is not plain data.
        """
        return self._run(_pack(Job(program, inputs, limits or Limits())))

    def run_many(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """The results of the jobs in their order. Takes jobs as it needs them and runs at most a few ahead.

        Closing the iterator early drops the jobs that have not started.
        """
        waiting: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                waiting.append(self._threads.submit(self._run, _pack(job)))
                if len(waiting) >= self.workers * _WINDOW:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _run(self, job: dict[str, Any]) -> Result:
        assert self.tier, "the sandbox is used outside its `with`"
        result = Result("infra", [], "closed", 0.0, self.tier)
        slot = self._idle.get()
        try:
            for _ in range(2):
                if self._closed:
                    break
                try:
                    slot = slot or self._start()
                    result = _result(slot.run(job), len(job["inputs"]), self.tier)
                except SlotError as error:
                    result = Result("infra", [], str(error), 0.0, self.tier)
                if result.status != "infra":
                    break
                slot = self._discard(slot)
        finally:
            self._idle.put(slot)
        return result

    def _start(self) -> Slot:
        slot = Slot(self.tier)
        with self._lock:
            self._slots.add(slot)
            if self._closed:
                slot.hang_up()
        return slot

    def _discard(self, slot: Slot | None) -> None:
        if slot:
            slot.close()
            with self._lock:
                self._slots.discard(slot)


def _probe(slot: Slot, tier: str) -> str:
    """Why the tier does not hold in this slot; empty where it does. Nothing is tried out in the unsafe tier."""
    code = "def probe():\n    return 'held'" if tier == "unsafe" else _PROBE
    try:
        result = _result(slot.run(_pack(Job(Program(code, "probe"), [()]))), 1, tier)
    except SlotError as error:
        return str(error)
    if result.status != "ok":
        return result.reason or result.status
    return "" if result.outputs[0].value == "held" else "a forbidden call worked"


def _pack(job: Job) -> dict[str, Any]:
    """A job as the plain data that a slot reads."""
    try:
        inputs = [encode(tuple(item), _INPUT_BYTES) for item in job.inputs]
    except EncodeError as error:
        raise TypeError(f"an input is not plain data: {error}") from None
    limits = job.limits
    return {
        "code": job.program.code,
        "entry_point": job.program.entry_point,
        "inputs": inputs,
        "cpu_seconds": float(limits.cpu_seconds),
        "wall_seconds": float(limits.wall_seconds),
        "memory_bytes": limits.memory_bytes,
        "output_bytes": limits.output_bytes,
    }


def _result(reply: dict[str, Any], calls: int, tier: str) -> Result:
    """Judge a slot's reply: how the run ended, and the frames that the candidate wrote."""
    end, seconds = reply["end"], reply["cpu_seconds"]
    if end == "infra":
        return Result("infra", [], reply["reason"], seconds, tier)
    try:
        outputs, told = _frames(reply["data"], calls)
    except DecodeError as error:
        outputs, told = [], f"malformed result: {error}"
    if end in _REASONS:
        return Result("timeout", outputs, _REASONS[end], seconds, tier)
    if end == "output":
        return Result("error", outputs, "too much output", seconds, tier)
    if told == "done":
        return Result("ok", outputs, "", seconds, tier)
    died = f"killed by {reply['reason']}" if reply["reason"] else "ended before it was done"
    return Result("error", outputs, told or died, seconds, tier)


def _frames(data: bytes, calls: int) -> tuple[list[Output], str]:
    """The outputs, and "done", or why the program did not load, or "" where the frames stop early."""
    outputs: list[Output] = []
    at = 5  # after the ready frame, which the slot has seen
    while len(data) >= at + 5:
        kind, size = struct.unpack_from("<cI", data, at)
        body = data[at + 5 : at + 5 + size]
        if len(body) < size:
            break
        at += 5 + size
        if kind in (b"D", b"X"):
            if at != len(data) or len(outputs) != (calls if kind == b"D" else 0):
                raise DecodeError("frames that do not match the calls")
            return outputs, "done" if kind == b"D" else body.decode("utf-8", "replace") or "did not load"
        if kind not in (b"V", b"E") or len(outputs) == calls:
            raise DecodeError("an unexpected frame")
        error = body.decode("utf-8", "replace") or "an error without a text"
        outputs.append(Output(decode(body)) if kind == b"V" else Output(error=error))
    return outputs, ""
