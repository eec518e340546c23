"""Packed rows to batches: which rows a step reads, and what the model gets of them.

Every epoch visits each row once in an order drawn from the seed and the epoch's number; a batch may span two epochs.
The rows of a step follow from the step's number alone, so there is no reader state to save.
"""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from smallcoder.tokens.packed import PackedRows
from smallcoder.train.objectives.language_model import IGNORED

ORDER_STREAM = 0x0DE2


class Batch(NamedTuple):
    """What one step reads: tokens and labels [B, T] int64 (label -100: no target), segments [B, T] int64."""

    tokens: Tensor
    segments: Tensor
    labels: Tensor


class RowOrder:
    """Rows of any step. Keeps the permutations of two epochs: 16 bytes a row."""

    def __init__(self, rows: int, batch: int, seed: int) -> None:
        self._rows = rows
        self._batch = batch
        self._seed = seed
        self._epochs: OrderedDict[int, np.ndarray] = OrderedDict()

    def __call__(self, step: int) -> np.ndarray:
        """Row numbers [batch] of step 0, 1, ..."""
        places = range(step * self._batch, (step + 1) * self._batch)
        return np.array([self._epoch(place // self._rows)[place % self._rows] for place in places])

    def _epoch(self, number: int) -> np.ndarray:
        if number not in self._epochs:
            # numpy takes (7, 0) for 7: without a mark of its own this would undo the packer's shuffle of equal seed.
            stream = np.random.default_rng((ORDER_STREAM, self._seed, number))
            self._epochs[number] = stream.permutation(self._rows)
            if len(self._epochs) > 2:
                self._epochs.popitem(last=False)
        return self._epochs[number]


def read_batch(packed: PackedRows, rows: np.ndarray, size: int, device: str) -> Batch:
    """The batch of those rows, filled up to `size` rows with rows without targets so that shapes never change."""
    rows, missing = np.sort(rows), size - len(rows)
    tokens = packed.tokens[rows].astype(np.int64)
    segments = packed.segments[rows, :-1].astype(np.int64)
    labels = np.where(packed.targets[rows, 1:] == 1, tokens[:, 1:], IGNORED)
    fill = ((0, missing), (0, 0))
    arrays = (
        np.pad(tokens[:, :-1], fill),
        np.pad(segments, fill),
        np.pad(labels, fill, constant_values=IGNORED),
    )
    return Batch(*(torch.from_numpy(array).to(device, non_blocking=True) for array in arrays))
