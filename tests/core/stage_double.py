"""A stage for the tests of the runner: doubles numbers, and can be told to fail in the ways a stage fails."""

import errno
import os
import signal
from pathlib import Path

from smallcoder.core.errors import EmptyError
from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only


class Config(StageConfig):
    start: list[int] = []
    factor: int = 2
    workers: int = run_only(1)
    fail: str = run_only("")
    seed: int = 0


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    numbers = config.start
    if "numbers" in inputs:
        numbers = [int(line) for line in (inputs["numbers"] / "n.txt").read_text().split()]
    state = out / "state" / "done"
    state.parent.mkdir(exist_ok=True)
    before = int(state.read_text()) if state.is_file() else 0
    (out / "numbers").mkdir(exist_ok=True)
    with (out / "numbers" / "n.txt").open("a" if before else "w") as file:
        for index, number in enumerate(numbers):
            if index < before:
                continue
            file.write(f"{number * config.factor}\n")
            file.flush()
            state.write_text(str(index + 1))
            if config.fail == "kill" and index == 1 and not before:
                os.kill(os.getpid(), signal.SIGKILL)
    if config.fail == "disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    if config.fail == "empty":
        raise EmptyError("nothing left", "give it something")
    return {"records": len(numbers), "resumed_at": before}
