"""Stage `split`: train/ and heldout/, so that no repository is in both.

A hash of the seed and the name puts the repositories in an order. Going through it, those are held out that take no
more than a quarter of `heldout_share` of the bytes, until one does not fit into what is left of it: so the figures
measured on them speak for several repositories. If none is that small, the smallest is held out. A document without
a repository counts as one of its own. Near duplicates must be gone before: run `dedup` first.

Two passes; memory for the names of the repositories. It does not balance languages or licences.
"""

from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from smallcoder.core.errors import InputError
from smallcoder.core.records import DOCUMENT
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.core.tables import TableWriter, read_batches
from smallcoder.data.tally import Tally

LARGEST_PART = 0.25


class Config(StageConfig):
    """`heldout_share`: share of the bytes to hold out, at most."""

    heldout_share: float = Field(default=0.02, gt=0.0, le=0.5)
    seed: int = 0


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/train and out/heldout. Raises InputError where there are not two repositories to tell apart."""
    sizes: dict[str, int] = {}
    for batch in read_batches(inputs["documents"], ["id", "repo", "text"]):
        lengths = pc.call_function("binary_length", [batch.column("text")]).to_pylist()
        for name, length in zip(_groups(batch), lengths, strict=True):
            sizes[name] = sizes.get(name, 0) + (length or 0)
    chosen = pa.array(sorted(heldout(sizes, config.heldout_share, config.seed)))
    tallies = {"train": Tally(), "heldout": Tally()}
    with TableWriter(out / "train", DOCUMENT) as train, TableWriter(out / "heldout", DOCUMENT) as held:
        for batch in read_batches(inputs["documents"]):
            apart = pc.call_function("is_in", [pa.array(_groups(batch))], pc.SetLookupOptions(chosen))
            for name, writer, mask in (("train", train, pc.call_function("invert", [apart])), ("heldout", held, apart)):
                part = batch.filter(mask)
                writer.write(part)
                tallies[name].add(part)
    return {name: tally.facts() for name, tally in tallies.items()}


def _groups(batch: pa.RecordBatch) -> list[str]:
    """What must stay together: the repository, or the document where it has none (a name no repository can have)."""
    pairs = zip(batch.column("repo").to_pylist(), batch.column("id").to_pylist(), strict=True)
    return [repo or f"\0{identity}" for repo, identity in pairs]


def heldout(sizes: dict[str, int], share: float, seed: int) -> set[str]:
    """The names to hold out, given the bytes of each: never none, never all. Raises InputError for fewer than two."""
    if len(sizes) < 2:
        raise InputError(
            f"there is only one repository to split ({next(iter(sizes), 'none')})",
            "read at least two: one side is trained on, the other measures it",
        )
    budget = share * sum(sizes.values())
    largest = budget * LARGEST_PART
    chosen: set[str] = set()
    small = [name for name in sizes if sizes[name] <= largest]
    for name in sorted(small, key=lambda name: blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()):
        budget -= sizes[name]
        if budget < 0 or len(chosen) == len(sizes) - 1:
            break
        chosen.add(name)
    return chosen or {min(sizes, key=lambda name: (sizes[name], name))}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """As large as the input."""
    return inputs["documents"]
