"""What went wrong in a process of many, in one line: errors recognised by their text, and which one was the cause.

When one rank fails, the others fail too, moments later, because it no longer answers. Those are echoes; a timeout is
one as well, unless nothing else is known. Texts are those of torch 2.11 to 2.13, gloo and NCCL.
"""

import errno
import re
import signal
import traceback
from dataclasses import dataclass
from pathlib import Path

from smallcoder.core.errors import SmallcoderError, StorageError, TrainingError
from smallcoder.train.launch.stopping import SIGNALS, PreemptedError

MEMORY = "lower micro_batch, set recompute = true, or shard over more processes"
TAIL = 20_000  # characters of a log in which a crash may have left its reason
SPACE = "free some space and run again"
LOGS = "look in the ranks' logs for the one that hangs or died: {logs}"


@dataclass(frozen=True)
class Known:
    """An error known by its text. `message` follows the words "rank N"; groups of the pattern stand in it as {0}."""

    pattern: str
    message: str
    remedy: str
    kind: type[SmallcoderError] = TrainingError
    echo: bool = False


KNOWN = (
    Known(
        r"CUDA (?:error: )?out of memory(?:. Tried to allocate ([\d.]+ \w+))?",
        "ran out of GPU memory (it asked for {0})",
        MEMORY,
    ),
    Known(
        r"can't allocate memory: you tried to allocate (\d+) bytes",
        "ran out of memory (it asked for {0} bytes)",
        MEMORY,
    ),
    Known(r"MemoryError(?:: Unable to allocate ([\d.]+ \w+))?", "ran out of memory (it asked for {0})", MEMORY),
    Known(r"No space left on device", "found the disk full", SPACE, StorageError),
    Known(
        r"invalid device ordinal|Duplicate GPU detected",
        "found no GPU of its own",
        "ask for no more processes than the node has GPUs",
    ),
    Known(r"CUDA error: ([^\n]*)", "met a CUDA error ({0})", "CUDA_LAUNCH_BLOCKING=1 shows the place; logs: {logs}"),
    Known(
        r"Watchdog caught collective operation timeout.*?OpType=(\w+)|Timed out waiting (\d+ms)|"
        r"Rank \d+ failed to pass monitoredBarrier in (\d+ ms)|wait timeout after (\d+ms)",
        "waited for another rank in vain ({0})",
        LOGS,
        echo=True,
    ),
    Known(
        r"(Connection (?:closed|reset) by peer|Broken pipe|Connection refused|failed to recv, got 0 bytes"
        r"|remote process exited|Socket closed)",
        "lost another rank ({0})",
        LOGS,
        echo=True,
    ),
    Known(
        r"NCCL error[^\n]*?(unhandled \w+ error|invalid usage|internal error|remote error)",
        "met an error of NCCL ({0})",
        "NCCL_DEBUG=INFO tells more; logs: {logs}",
        echo=True,
    ),
)


@dataclass(frozen=True)
class Failure:
    """One rank's end. Of several, the one of the least `weight`, then the earliest, is the cause."""

    error: SmallcoderError
    weight: int
    time: float = 0.0


CAUSE, CRASH, STOP, ECHO = range(4)  # weights


def explain(error: BaseException, who: str, log: Path, time: float = 0.0) -> Failure:
    """What an exception in `who`, a rank, means. Our own errors stay as they are; of others the last place in our code
    is named.
    """
    if isinstance(error, PreemptedError):
        return Failure(error, STOP, time)
    if isinstance(error, SmallcoderError):
        return Failure(error, CAUSE, time)
    text = "".join(traceback.format_exception_only(error)).strip()
    known = recognise(text, who, log)
    if known:
        return Failure(known[0], ECHO if known[1] else CAUSE, time)
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is the worker's
    ours = [frame for frame in frames if "smallcoder" in frame.filename or "site-packages" not in frame.filename]
    place = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    line = text.splitlines()[0][:300]
    return Failure(TrainingError(f"{who} failed: {line}{place}", f"its log has the rest: {log}"), CAUSE, time)


def recognise(text: str, who: str, log: Path) -> tuple[SmallcoderError, bool] | None:
    """The known error that a text speaks of, and whether it is an echo."""
    for known in KNOWN:
        found = re.search(known.pattern, text, re.MULTILINE | re.DOTALL)
        if found:
            detail = next((group for group in found.groups() if group), "")
            message = known.message.format(detail) if detail else re.sub(r" \([^)]*\{0\}\)", "", known.message)
            return known.kind(f"{who} {message}", known.remedy.format(logs=log.parent)), known.echo
    return None


def explain_exit(status: int, who: str, log: Path) -> Failure:
    """What the status of a rank means that left no word; negative ones are signals that its launcher did not send."""
    if -status in SIGNALS:  # so early that it did not listen yet
        return Failure(PreemptedError("training was stopped"), STOP)
    if status == errno.ENOSPC:  # it could not even write down why
        return Failure(StorageError(f"{who} found the disk full", SPACE), CAUSE)
    if status == -signal.SIGKILL:
        return Failure(TrainingError(f"{who} was killed (SIGKILL), as happens where memory runs out", MEMORY), CRASH)
    said = log.read_text(encoding="utf-8", errors="replace")[-TAIL:].strip() if log.is_file() else ""
    known = recognise(said, who, log)
    if known:
        return Failure(known[0], ECHO if known[1] else CRASH)
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"status {status}"
    last = f": {said.splitlines()[-1][:300]}" if said else ""
    return Failure(TrainingError(f"{who} crashed ({name}){last}", f"its log may say more: {log}"), CRASH)
