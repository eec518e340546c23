"""The state of a run that may be killed: weights, optimizers, step and how far the metrics file had got.

Written to a temporary name, synced and renamed, so there is one whole checkpoint or none. Nothing random is running in
a step (rows follow from the step's number, there is no dropout), so no generator state belongs to it.
Cost: three times the weights in fp32, once every `checkpoint_every` steps.
"""

import os
from pathlib import Path
from typing import Any

import torch

from smallcoder.core.manifest import sync

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint of the folder; the state is on disk when this returns."""
    folder.mkdir(exist_ok=True)
    partial = folder / (NAME + ".tmp")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / NAME)
    sync(folder)


def load_checkpoint(folder: Path, device: str) -> dict[str, Any] | None:
    """The last saved state, None where there is none."""
    path = folder / NAME
    return torch.load(path, map_location=device, weights_only=True) if path.is_file() else None
