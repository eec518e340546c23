"""Which rows a step reads: one source of packed rows or several, mixed in nested proportions.

A mixture says how many rows in a hundred come from each source, group within group, as the papers write theirs:

    mixture = { code = { share = 70, raw = 94, related = 5, synthetic = 1 }, text = 20, math = 10 }

Places of a run are numbered; blocks of `BLOCK` places hold each source in its exact share (to two rows), spread
evenly: the k-th of a source's n places lies, at random, in the k-th of n equal stretches. Every source is gone through
in epochs, each row once in an epoch, in an order drawn from the seed, the source's name and the epoch. So the rows of a
step follow from its number alone; there is no reader to save, and none to lose its place.

Rows are counted, not tokens: packed rows are all but full, so the two shares differ by their padding.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from smallcoder.core.errors import InputError
from smallcoder.core.recipe import nearest

BLOCK = 1 << 16
ORDER_STREAM, MIX_STREAM = 0x0DE2, 0x313  # so that draws here are no draws of another part with the same seed
SHARE = "share"
LEAST = 1e-4  # a smaller share has less than a row or two in a block


def shares(mixture: Mapping[str, Any] | None, sizes: Mapping[str, int]) -> dict[str, float]:
    """The share of each source, summing to 1; without a mixture in proportion to their rows.

    Raises InputError where names and sources do not match, or a group lacks its own share.
    """
    found = _leaves(mixture or sizes, 1.0)
    for name in found:
        if name not in sizes:
            raise InputError(f"the mixture names {name!r}, and no packed input is called so", nearest(name, sizes))
    for name in sizes:
        if name not in found:
            raise InputError(f"packed input {name!r} has no share in the mixture", "give it one, or leave it out")
    if len(sizes) > 1 and min(found.values()) < LEAST:
        raise InputError(f"a source has a share of {min(found.values()):.1e}", f"give none less than {LEAST}")
    return {name: found[name] for name in sizes}


def _leaves(group: Mapping[str, Any], whole: float) -> dict[str, float]:
    weights: dict[str, float] = {}
    for name, value in group.items():
        if name == SHARE:
            continue
        weight = value.get(SHARE) if isinstance(value, Mapping) else value
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not weight > 0:
            raise InputError(
                f"mixture: {name} has the share {weight!r}", "give every source and group a number above 0"
            )
        weights[name] = float(weight)
    if not weights:
        raise InputError("mixture: a group is empty", "name its sources, or write its share as a plain number")
    found: dict[str, float] = {}
    for name, weight in weights.items():
        part = whole * weight / sum(weights.values())
        value = group[name]
        inner = _leaves(value, part) if isinstance(value, Mapping) else {name: part}
        if twice := sorted(set(inner) & set(found)):
            raise InputError(f"mixture: {twice[0]!r} stands in two groups", "name it once")
        found |= inner
    return found


class Places:
    """Source and row of every place of a run.

    `sizes` are the rows of each source, `start` how many of each an earlier stage has read already. Memory: 16 bytes a
    row for two epochs of each source.
    """

    def __init__(
        self, sizes: Mapping[str, int], shares: Mapping[str, float], seed: int, start: Mapping[str, int] | None = None
    ) -> None:
        self.names = tuple(sizes)
        self._sizes = [sizes[name] for name in self.names]
        self._start = [(start or {}).get(name, 0) for name in self.names]
        self._upto = np.concatenate(([0.0], np.cumsum([shares[name] for name in self.names])))
        self._upto[-1] = 1.0
        self._seed = seed
        self._orders: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._blocks: OrderedDict[int, np.ndarray] = OrderedDict()

    def __call__(self, first: int, last: int) -> list[tuple[int, int]]:
        """(number of the source, row) of the places first..last-1."""
        return [self._row(place) for place in range(first, last)]

    def read(self, places: int) -> dict[str, int]:
        """How many rows of each source the places before `places` and earlier stages hold."""
        block, within = divmod(places, BLOCK)
        counts = self._before(block)
        if within:
            counts = counts + np.bincount(self._block(block)[:within], minlength=len(self.names))
        return {name: int(n) + old for name, n, old in zip(self.names, counts, self._start, strict=True)}

    def epochs(self, places: int) -> dict[str, float]:
        """How often each source has been gone through by then."""
        return {name: n / size for (name, n), size in zip(self.read(places).items(), self._sizes, strict=True)}

    def _row(self, place: int) -> tuple[int, int]:
        block, within = divmod(place, BLOCK)
        order = self._block(block)
        source = int(order[within])
        index = self._start[source] + int(self._before(block)[source]) + self._rank(block, within)
        epoch, at = divmod(index, self._sizes[source])
        return source, int(self._order(source, epoch)[at])

    def _before(self, block: int) -> np.ndarray:
        """Rows of each source in all blocks before this one: their exact shares, rounded so that the sum is right."""
        return np.diff(np.rint(self._upto * (block * BLOCK))).astype(np.int64)

    def _block(self, number: int) -> np.ndarray:
        """The source of each place of a block."""
        return self._kept(number)[0]

    def _rank(self, block: int, within: int) -> int:
        """How many places of the same source stand before this one in its block."""
        return int(self._kept(block)[1][within])

    def _kept(self, number: int) -> np.ndarray:
        if number not in self._blocks:
            counts = self._before(number + 1) - self._before(number)
            sources = np.repeat(np.arange(len(counts)), counts)
            ranks = np.concatenate([np.arange(n) for n in counts])
            stream = np.random.default_rng((MIX_STREAM, self._seed, number))
            at = (ranks + stream.random(BLOCK)) / counts[sources]
            order = np.argsort(at, kind="stable")
            self._blocks[number] = np.stack([sources[order], ranks[order]])
            if len(self._blocks) > 2:
                self._blocks.popitem(last=False)
        return self._blocks[number]

    def _order(self, source: int, epoch: int) -> np.ndarray:
        """The rows of one epoch of a source in the order they are read."""
        key = (source, epoch)
        if key not in self._orders:
            # numpy takes (7, 0) for 7: without a mark of its own this would undo the packer's shuffle of equal seed.
            name = int.from_bytes(sha256(self.names[source].encode()).digest()[:8], "little")
            stream = np.random.default_rng((ORDER_STREAM, self._seed, epoch, name))
            self._orders[key] = stream.permutation(self._sizes[source])
            for old in [k for k in self._orders if k[0] == source][:-2]:
                del self._orders[old]
        return self._orders[key]


def ramp(step: int, batch: int, first: int, steps: int) -> int:
    """Places before a step where the batch grows from `first` rows to `batch` over `steps` steps, by whole `first`s."""
    growing = [min(batch, first * max(1, round((at + 1) / steps * batch / first))) for at in range(min(step, steps))]
    return sum(growing) + max(0, step - steps) * batch


def by_source(rows: Sequence[tuple[int, int]]) -> dict[int, np.ndarray]:
    """Rows of each source, ascending: as disks like to be read."""
    found: dict[int, list[int]] = {}
    for source, row in sorted(rows):
        found.setdefault(source, []).append(row)
    return {source: np.array(numbers) for source, numbers in found.items()}
