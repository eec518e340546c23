"""Where the figures of a run go: metrics.jsonl beside the model, and TensorBoard or Weights & Biases where asked for.

The file belongs to the stage's result: it holds nothing of the clock, and what a killed run wrote after its last
checkpoint is cut off. Rates, utilisation and memory go to the other two alone, which live outside the run folder.
"""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from smallcoder.core.errors import ToolError
from smallcoder.train.config import Config

METRICS = "metrics.jsonl"
HELDOUT = "heldout_bits_per_byte"
Figures = dict[str, Any]  # numbers, and lists of texts


class Tracker(Protocol):
    """A service that draws curves."""

    def add(self, step: int, figures: Figures) -> None: ...
    def close(self) -> None: ...


class Metrics:
    """Appends lines to out/metrics.jsonl, whose first `keep` bytes are of a run that this one goes on with."""

    def __init__(self, out: Path, keep: int, trackers: list[Tracker]) -> None:
        self._file = (out / METRICS).open("ab")
        self._file.truncate(keep)
        self._trackers = trackers

    def add(self, step: int, figures: Figures, passing: Figures | None = None) -> None:
        """Write the figures of a step; `passing` ones, of the clock and the machine, are only drawn."""
        self._file.write(json.dumps({"step": step, **figures}).encode() + b"\n")
        self._file.flush()
        for tracker in self._trackers:
            tracker.add(step, {**figures, **(passing or {})})

    def settle(self) -> int:
        """Put all on disk; returns the bytes written so far."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()
        for tracker in self._trackers:
            tracker.close()


def trackers(config: Config, out: Path, step: int) -> list[Tracker]:
    """Those that the settings ask for. Raises ToolError where one is not installed."""
    found: list[Tracker] = []
    if config.tensorboard:
        found.append(TensorBoard(config.tensorboard, step))
    if config.wandb:
        found.append(WeightsAndBiases(config.wandb, f"{out.parent.name}-{out.stem}", config.model_dump(mode="json")))
    return found


class Nowhere:
    """What every process but the main one writes to."""

    def add(self, step: int, figures: Figures, passing: Figures | None = None) -> None:
        return None

    def settle(self) -> int:
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        return None


class TensorBoard:
    """Event files under `folder`; a run that goes on from `step` hides what was drawn after it."""

    def __init__(self, folder: str, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ToolError("TensorBoard is not installed", "pip install smallcoder[track]") from None
        self._writer = SummaryWriter(folder, purge_step=step)

    def add(self, step: int, figures: Figures) -> None:
        for name, value in figures.items():
            if isinstance(value, list):
                self._writer.add_text(name, "\n\n".join(map(str, value)), step)
            else:
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """One run of a project, taken up again by the name of the stage's folder."""

    def __init__(self, project: str, name: str, settings: dict[str, Any]) -> None:
        try:
            import wandb  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ToolError("Weights & Biases is not installed", "pip install smallcoder[track]") from None
        self._run = wandb.init(project=project, id=name, name=name, config=settings, resume="allow")

    def add(self, step: int, figures: Figures) -> None:
        self._run.log(figures, step=step)

    def close(self) -> None:
        self._run.finish()
