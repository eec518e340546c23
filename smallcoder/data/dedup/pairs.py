"""Compiled loops over the documents that share a band: which are worth an exact comparison, which are duplicates.

A band is two int32 arrays: `members`, nodes with those of one bucket next to each other and sorted by size, and
`firsts`, where the bucket of each member begins. A member is compared with at most WINDOW before it, the nearest in
size first, so a bucket of any size costs no more than WINDOW comparisons a member. Two similar documents have similar
sizes, are near each other in that order, and share other bands, where they have other neighbours.
"""

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import Array, find_root, jaccard

WINDOW = 256  # members


@compiled
def alike(left: Array, right: Array) -> int:
    """How many bytes of two sketches are equal."""
    count = 0
    for at in range(len(left)):
        count += left[at] == right[at]
    return count


@compiled
def mark(piece: tuple[Array, Array, int], sketches: Array, least: int, wanted: Array) -> int:
    """Set `wanted`, bool [nodes], where the sketches of a pair agree in `least` bytes; returns how many it compared.

    piece: members and firsts, and from which member on pairs with earlier ones count. sketches: uint8 [members,
    permutations], in the order of the members.
    """
    members, firsts, begin = piece
    compared = 0
    for i in range(begin, len(members)):
        for j in range(i - 1, max(firsts[i], i - WINDOW) - 1, -1):
            if wanted[members[i]] and wanted[members[j]]:
                continue
            compared += 1
            if alike(sketches[i], sketches[j]) >= least:
                wanted[members[i]] = wanted[members[j]] = True
    return compared


@compiled
def connect(
    parent: Array,
    piece: tuple[Array, Array, int],
    sketches: tuple[Array, int],
    sets: tuple[Array, Array, Array],
    threshold: float,
) -> int:
    """Join in `parent` the members of a piece that are similar enough; returns how many pairs it compared exactly.

    piece, sketches: as in `mark`, with the bytes that must agree. sets: (values, starts, sizes), where node d has the
    shingles values[starts[d] : starts[d] + sizes[d]]; a node without any is left alone. The root of a group is its
    smallest member. Two that are in one group already are not compared: nothing could come of it.
    """
    members, firsts, begin = piece
    values, starts, sizes = sets
    compared = 0
    for i in range(begin, len(members)):
        one = members[i]
        if sizes[one] == 0:
            continue
        left = find_root(parent, one)
        for j in range(i - 1, max(firsts[i], i - WINDOW) - 1, -1):
            two = members[j]
            if min(sizes[one], sizes[two]) < threshold * max(sizes[one], sizes[two]):
                continue
            right = find_root(parent, two)
            if left == right or alike(sketches[0][i], sketches[0][j]) < sketches[1]:
                continue
            compared += 1
            mine = values[starts[one] : starts[one] + sizes[one]]
            yours = values[starts[two] : starts[two] + sizes[two]]
            if jaccard(mine, yours) >= threshold:
                parent[max(left, right)] = min(left, right)
                left = min(left, right)
    return compared


@compiled
def join(parent: Array, left: Array, right: Array) -> None:
    """Join in `parent` the pairs (left[k], right[k]), without a look at them."""
    for k in range(len(left)):
        one, two = find_root(parent, left[k]), find_root(parent, right[k])
        parent[max(one, two)] = min(one, two)


@compiled
def similarities(left: Array, right: Array, sets: tuple[Array, Array, Array]) -> Array:
    """Exact Jaccard similarity of the pairs (left[k], right[k]), float64."""
    values, starts, sizes = sets
    out = np.empty(len(left), np.float64)
    for k in range(len(left)):
        one, two = left[k], right[k]
        out[k] = jaccard(values[starts[one] : starts[one] + sizes[one]], values[starts[two] : starts[two] + sizes[two]])
    return out
