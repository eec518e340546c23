"""Packed rows to batches: what the model gets of the rows of a step. Shapes never change: nothing is compiled anew."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from smallcoder.core.errors import InputError
from smallcoder.tokens.packed import PADDING_SEGMENT, PackedRows
from smallcoder.train.mixture import by_source
from smallcoder.train.objectives.language_model import IGNORED

Rows = Sequence[tuple[int, int]]  # (number of the source, row)
MEASURED = 64  # rows that tell how long documents are


class Batch(NamedTuple):
    """What one forward pass reads: tokens and labels [B, T] int64 (label -100: no target), segments [B, T] int64."""

    tokens: Tensor
    segments: Tensor
    labels: Tensor


class Sources:
    """Packed rows of one context under their names; a row is (number of the source, row)."""

    def __init__(self, packed: Mapping[str, PackedRows]) -> None:
        self.packed = dict(packed)
        self._rows = list(packed.values())
        self._names = list(packed)
        self.context = self._rows[0].context
        for name, rows in packed.items():
            if rows.context != self.context:
                raise InputError(
                    f"rows of {name!r} have {rows.context} tokens, those of {self._names[0]!r} {self.context}",
                    "pack all inputs of a stage with one context",
                )

    def sizes(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in self.packed.items()}

    def count(self, rows: Rows) -> tuple[int, int]:
        """How many tokens of these rows the model reads, and how many it is to predict."""
        tokens = targets = 0
        for source, numbers in by_source(rows).items():
            packed = self._rows[source]
            tokens += int((packed.segments[numbers, :-1] != PADDING_SEGMENT).sum())
            targets += int(packed.targets[numbers, 1:].sum())
        return tokens, targets

    def document_length(self) -> float:
        """Length in tokens of the document around a token, a mean over the tokens of some rows of each source."""
        lengths = [np.bincount(row[row != PADDING_SEGMENT]) for rows in self._rows for row in rows.segments[:MEASURED]]
        sizes = np.concatenate(lengths).astype(float)
        return float((sizes**2).sum() / sizes.sum())

    def batch(self, rows: Rows, size: int, device: str) -> Batch:
        """A batch of `size` rows: these, each source's together and ascending, then rows without any target.

        Raises InputError where a row holds what no token is: the file has been damaged.
        """
        tokens = np.zeros((size, self.context + 1), np.int64)
        segments = np.zeros((size, self.context), np.int64)
        labels = np.full((size, self.context), IGNORED, np.int64)
        end = 0
        for source, numbers in by_source(rows).items():
            packed, start, end = self._rows[source], end, end + len(numbers)
            tokens[start:end] = packed.tokens[numbers]
            segments[start:end] = packed.segments[numbers, :-1]
            wanted = packed.targets[numbers, 1:] == 1
            labels[start:end] = np.where(wanted, tokens[start:end, 1:], IGNORED)
            if (highest := tokens[start:end].max()) >= packed.vocab_size:
                row = numbers[int(tokens[start:end].max(axis=1).argmax())]
                raise InputError(
                    f"row {row} of {self._names[source]!r} holds the token {highest}, beyond its vocabulary of "
                    f"{packed.vocab_size}: the file is damaged",
                    "run again with --rebuild of the stage that packed them",
                )
        return Batch(*(_to(array, device) for array in (tokens[:, :-1], segments, labels)))


def _to(array: np.ndarray, device: str) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device == "cuda" else tensor
