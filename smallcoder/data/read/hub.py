"""Data sets by their id on a Hugging Face hub, or by their folder, streamed by the `datasets` library.

    hf-dataset:NAME[#CONFIG][@SPLIT]        hf-dataset:bigcode/the-stack-smol#data/python@train

The split is `train` where none is named. Nothing is downloaded as a whole and no code of a data set is run; what the
columns mean is in `columns.py`. A hub may ask for a login (`hf auth login`) and to accept terms on its page first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallcoder.core.errors import InputError, ToolError
from smallcoder.core.stage import Size
from smallcoder.data.read import columns, folder
from smallcoder.data.read.columns import Record
from smallcoder.data.read.config import Config, Row
from smallcoder.data.read.places import storage

PREFIX = "hf-dataset:"
BATCH_ROWS = 64


@dataclass(frozen=True)
class Dataset:
    """The parts of a source's name."""

    name: str
    config: str | None
    split: str


def parsed(source: str) -> Dataset:
    """Raises InputError for a source without a name."""
    rest, at, split = source.removeprefix(PREFIX).partition("@")
    name, _, config = rest.partition("#")
    if not name or (at and not split):
        raise InputError(f"{source} is no data set", f"write {PREFIX}NAME, {PREFIX}NAME#CONFIG or {PREFIX}NAME@SPLIT")
    return Dataset(name, config or None, split or "train")


def parts(source: str) -> list[Dataset]:
    """The data set, one: it streams. Raises InputError for a source without a name."""
    return [parsed(source)]


def batches(source: str, parts: Iterable[Dataset], config: Config) -> Iterator[list[Row]]:
    """Rows of a split in its order. Raises InputError where it cannot be reached, ToolError without the library."""
    yield from columns.batches((record for part in parts for record in _records(source, part)), source, config)


def _records(source: str, found: Dataset) -> Iterator[tuple[str, Record]]:
    with storage(source):
        rows = _library().load_dataset(found.name, found.config, split=found.split, streaming=True)
        chosen = columns.wanted(rows.column_names) if rows.column_names else []
        # As Arrow: other columns' images or sound are not decoded.
        tables = iter((rows.select_columns(chosen) if chosen else rows).with_format("arrow").iter(BATCH_ROWS))
    while True:
        with storage(source):
            table = next(tables, None)
            records = table.to_pylist() if table is not None else []
        if table is None:
            return
        yield from ((source, record) for record in records)


def expect(source: str, config: Config) -> Size:
    """What the data set's card says of the split, where it says anything."""
    found = parsed(source)
    with storage(source):
        splits = _library().load_dataset_builder(found.name, found.config).info.splits or {}
    about = splits.get(found.split)
    if about is None or not about.num_examples:
        return Size(note="size of the data set not known")
    return Size(about.num_examples, about.num_bytes or None)


def outside(source: str) -> dict[str, str]:
    """The commit of the data set, or a fingerprint of its folder."""
    name = parsed(source).name
    if Path(name).is_dir():
        return {source: folder.fingerprint(Path(name))}
    with storage(source):
        from huggingface_hub import HfApi

        return {source: HfApi().dataset_info(name).sha or ""}


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise ToolError(f"{PREFIX} sources need the datasets library", "pip install 'smallcoder[sources]'") from None
    datasets.disable_progress_bars()
    return datasets
