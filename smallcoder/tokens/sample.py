"""A deterministic share of a table, spread over its groups.

Water-filling: each group (a repository) offers its rows in hash order, and all groups are filled to one common level
of bytes, the highest that fits the budget. So small groups come whole and no large one outweighs the rest. The choice
depends on the rows, the seed and the budget, not on the order of the table. It streams; what stays in memory is about
a hundred bytes a row.
"""

from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import pyarrow.compute as pc

from smallcoder.core.errors import EmptyError
from smallcoder.core.tables import read_batches


def draw(seed: int, *parts: str | int) -> int:
    """128 random bits that depend on the seed and the parts alone."""
    data = "\0".join(str(part) for part in (seed, *parts))
    return int.from_bytes(blake2b(data.encode(), digest_size=16).digest(), "little")


def choose_documents(folder: Path, budget: int | None, seed: int) -> set[str] | None:
    """Ids of documents of at most `budget` UTF-8 bytes together; None means all of them.

    Raises EmptyError where not one document fits.
    """
    if budget is None:
        return None

    def rows() -> Iterable[tuple[str, str, int]]:
        for batch in read_batches(folder, ("id", "repo", "text")):
            sizes = pc.call_function("binary_length", [batch.column("text")]).to_pylist()
            yield from zip(batch.column("id").to_pylist(), batch.column("repo").to_pylist(), sizes, strict=True)

    chosen = spread(rows(), budget, seed)
    if not chosen:
        raise EmptyError(f"no document of {folder} fits {budget:,} bytes", "raise sample_bytes, or check its input")
    return chosen


def spread(rows: Iterable[tuple[str, str | None, int]], budget: int, seed: int) -> set[str]:
    """Ids chosen from (id, group, size) rows: level by level, up to `budget` in all."""
    groups: dict[str | None, list[tuple[int, str, int]]] = defaultdict(list)
    for id, group, size in rows:
        groups[group].append((draw(seed, id), id, size))
    offers = []
    for members in groups.values():
        level = 0
        for key, id, size in sorted(members):
            level += size
            offers.append((level, key, id, size))
    chosen = set()
    for _, _, id, size in sorted(offers):
        if size > budget:
            break
        budget -= size
        chosen.add(id)
    return chosen
