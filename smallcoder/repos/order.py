"""The order of a repository's files: dependencies before what depends on them, unique for every graph.

Ling-Coder-Lite's lexicographical topological sort (arXiv 2503.17793, section 2.2.2): again and again the file with the
fewest imports that are not placed yet is placed, of several the one whose path comes first. A least number above zero
means a cycle, which is broken there. Without cycles every dependency precedes its dependents. The order depends on
paths and imports alone, not on the order in which either is given. Cost: (files + imports) x log(files).
"""

import heapq
from collections.abc import Collection, Mapping


def order(imports: Mapping[str, Collection[str]]) -> tuple[list[str], int]:
    """The files in order, and how many were placed while an import of theirs was not.

    imports: every file -> the files it imports, all of them keys; itself among them does not count.
    """
    open_imports = {path: len(set(wanted) - {path}) for path, wanted in imports.items()}
    dependents: dict[str, list[str]] = {path: [] for path in imports}
    for path, wanted in imports.items():
        for target in set(wanted) - {path}:
            dependents[target].append(path)
    heap = [(count, path) for path, count in open_imports.items()]
    heapq.heapify(heap)
    placed: list[str] = []
    broken = 0
    while heap:
        count, path = heapq.heappop(heap)
        if open_imports.get(path) != count:
            continue  # placed already, or counted anew since
        del open_imports[path]
        placed.append(path)
        broken += count > 0
        for dependent in dependents[path]:
            if dependent in open_imports:
                open_imports[dependent] -= 1
                heapq.heappush(heap, (open_imports[dependent], dependent))
    return placed, broken


def components(imports: Mapping[str, Collection[str]]) -> list[list[str]]:
    """The files that are connected by imports in whatever direction, each group sorted; groups by their first path."""
    parent = {path: path for path in imports}

    def root(path: str) -> str:
        while parent[path] != path:
            parent[path] = parent[parent[path]]
            path = parent[path]
        return path

    for path, wanted in imports.items():
        for target in wanted:
            first, second = sorted((root(path), root(target)))
            parent[second] = first
    groups: dict[str, list[str]] = {}
    for path in sorted(imports):
        groups.setdefault(root(path), []).append(path)
    return list(groups.values())
