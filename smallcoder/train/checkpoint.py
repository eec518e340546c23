"""The state of a run that may be killed: weights, optimizers, counters. Written while training goes on.

torch.distributed.checkpoint (DCP): every process writes the parts it holds, and any other number of processes, spread
any other way, reads what it needs. A checkpoint is a folder `checkpoint-N`; it is written under another name, synced
and renamed when every process is done, and only then the one before it is removed: from the first on there is a whole
checkpoint, whenever a run is killed and whatever could not be written. Processes must see one file system, and they
agree on whether a checkpoint was written: one that could not write its part would otherwise go on from another.

Nothing random is running in a step (rows follow from the step's number, there is no dropout), so no generator state
belongs to it.

Cost: a copy of the state in the host's memory and on disk, three times the weights in fp32 (Muon: twice). Training
waits for that copy, and for the writing of the checkpoint before where it is not done yet.
"""

import json
import os
import shutil
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import StorageMeta
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from smallcoder.core.errors import InputError, StorageError
from smallcoder.core.manifest import sync
from smallcoder.train.parallel.fleet import Fleet
from smallcoder.train.parallel.parts import like, local

NAME = "checkpoint-"
PARTIAL = ".partial"
VALUES = "values.json"
Value = TypeVar("Value")


class _Writer(FileSystemWriter):
    """Leaves out the path and the random name that torch adds, so that equal states are equal files."""

    def storage_meta(self) -> StorageMeta:
        return StorageMeta()


class Checkpoints:
    """The checkpoints of one run in a folder. Every process of the fleet must call every method, in the same order."""

    def __init__(self, folder: Path, fleet: Fleet) -> None:
        self._folder = folder
        self._fleet = fleet
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # so it is, for one process
        # A group of its own: what the writing thread says must not mix with what training says.
        self._group: Any = dist.new_group(backend="gloo") if fleet.world > 1 else None
        self._executor = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[int] | None = None  # the number of the one that is being written
        last = None
        if fleet.is_main:
            folder.mkdir(parents=True, exist_ok=True)
            self._clear()
            last = max(self._whole(), default=None)
        self._last: int | None = self._agreed(last)  # the newest whole one

    def save(self, state: dict[str, Any], values: dict[str, Any]) -> None:
        """Begin a new checkpoint: the tensors in nested dictionaries `state`, as they are now, and JSON `values`.

        Raises StorageError if the one before it could not be written.
        """
        self.wait()
        number = 0 if self._last is None else self._last + 1
        self._pending = self._executor.submit(self._write, _copied(state), json.dumps(values), number)

    def wait(self) -> None:
        """Until the last checkpoint is on disk. Raises StorageError, once, if it could not be written."""
        pending, self._pending = self._pending, None
        try:
            if pending is not None:
                self._last = pending.result()
        except (CheckpointException, OSError) as error:
            raise StorageError(
                f"no checkpoint could be written to {self._folder} ({_reason(error)})", "free some space and run again"
            ) from None

    def load(self, state: dict[str, Any]) -> dict[str, Any] | None:
        """Fill the tensors of `state` from the newest whole checkpoint; its values. None where there is none.

        Raises InputError if it was made by another model or optimizer, or is damaged; StorageError if the one begun
        last could not be written and nobody knows yet: the next call reads the one before.
        """
        self.wait()
        if self._last is None:
            return None
        path = self._folder / f"{NAME}{self._last}"
        try:
            load(state, storage_reader=FileSystemReader(path), process_group=self._group)
            return json.loads((path / VALUES).read_text(encoding="utf-8"))
        except (CheckpointException, OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"the checkpoint {path} cannot be read into this model ({_reason(error)})",
                "run again with --rebuild of this stage",
            ) from None

    def _write(self, state: dict[str, Any], values: str, number: int) -> int:
        """The number of what is written then. Every process raises where one of them failed."""
        partial = self._folder / f"{NAME}{number}{PARTIAL}"
        if self._fleet.is_main:  # what an attempt that failed has left; nobody writes before all have planned
            shutil.rmtree(partial, ignore_errors=True)
        save(state, storage_writer=_Writer(partial), process_group=self._group)
        failed = None
        if self._fleet.is_main:
            try:
                self._settle(partial, values)
            except OSError as error:
                failed = error
        failed = self._agreed(failed)
        if failed is not None:
            raise failed
        return number

    def _settle(self, partial: Path, values: str) -> None:
        """Make a checkpoint of a folder in which all have written their parts."""
        with (partial / VALUES).open("w", encoding="utf-8") as file:
            file.write(values)
            file.flush()
            os.fsync(file.fileno())
        sync(partial)
        partial.rename(partial.with_suffix(""))
        sync(self._folder)
        self._clear()

    def _clear(self) -> None:
        """Remove all but the newest whole checkpoint."""
        for number in sorted(self._whole())[:-1]:
            shutil.rmtree(self._folder / f"{NAME}{number}", ignore_errors=True)  # the newest is whole, anyway
        for path in self._folder.glob(NAME + "*" + PARTIAL):
            shutil.rmtree(path, ignore_errors=True)

    def _whole(self) -> list[int]:
        names = [path.name.removeprefix(NAME) for path in self._folder.glob(NAME + "*")]
        return [int(name) for name in names if name.isdecimal()]

    def _agreed(self, said: Value) -> Value:
        """What the main process says."""
        found = [said]
        if self._group is not None:
            dist.broadcast_object_list(found, 0, group=self._group)
        return found[0]


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    """The same in the host's memory, this rank's parts alone. (DCP's own copy fails on parts of a wider tensor.)"""
    return {
        name: _copied(entry) if isinstance(entry, dict) else like(entry, local(entry).detach().to("cpu", copy=True))
        for name, entry in state.items()
    }


def _reason(error: BaseException) -> str:
    """The first line of what went wrong, on whichever process."""
    if isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    return str(error).split("\n", maxsplit=1)[0][:200] or type(error).__name__
