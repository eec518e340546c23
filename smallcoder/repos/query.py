"""Queries on syntax trees: what of a tree a language's file wants to see, in tree-sitter's query language.

    for node in captures(root, "python", "(import_statement) @import (import_from_statement) @from").get("from", ()):

A query is compiled once for a grammar. Running it visits every node of the tree, in C, without a Python object for any
that it does not capture: 35 to 50 MB of source a CPU-second, where a walk in Python makes 1 to 2. It uses no recursion,
so that depth is no matter. Write few and plain patterns (each alternative costs on every node), no predicates: a
comparison of texts is cheaper in Python, on the few nodes that are captured. https://tree-sitter.github.io, "Queries".

`mentions` is quicker still, 100 MB a CPU-second, where every import has a word of its own: a regular expression finds
the word, and the tree says whether it is one, or stands in a comment or a string.
"""

import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any


@cache
def _compiled(grammar: str, source: str) -> Any:
    from tree_sitter import Query
    from tree_sitter_language_pack import get_language

    return Query(get_language(grammar), source)  # pyright: ignore[reportArgumentType]


def captures(root: Any, grammar: str, source: str) -> dict[str, list[Any]]:
    """Name of a capture -> the nodes it caught below `root`, by their place in the text; names that caught none lack.

    source: one or more patterns. A wrong one is a bug of ours, and raises tree_sitter.QueryError.
    """
    from tree_sitter import QueryCursor

    found = QueryCursor(_compiled(grammar, source)).captures(root)
    return {name: sorted(nodes, key=_place) for name, nodes in found.items()}


def matches(root: Any, grammar: str, source: str) -> list[tuple[int, dict[str, list[Any]]]]:
    """Each match of a query: which pattern of `source`, counted from 0, and what its captures caught."""
    from tree_sitter import QueryCursor

    return QueryCursor(_compiled(grammar, source)).matches(root)


def mentions(
    root: Any, text: bytes, words: re.Pattern[bytes], leaves: Collection[str]
) -> Iterator[tuple[Any, Any, Any]]:
    """The leaf of the tree that holds each match of `words`, with its parent and its parent's parent, or None.

    leaves: types of leaves; those of other types, comments and strings, are passed over. The cursor never goes back,
    so that the cost is that of the way from one mention to the next, however deep they lie or broken the text is.
    """
    cursor = root.walk()
    path = [root]  # from the root to where the cursor is
    for found in words.finditer(text):
        start = found.start()
        while path[-1].end_byte <= start and len(path) > 1:
            if cursor.goto_next_sibling():
                path[-1] = cursor.node
            else:
                cursor.goto_parent()
                path.pop()
        while cursor.goto_first_child_for_byte(start) is not None:
            path.append(cursor.node)
        if path[-1].type in leaves and path[-1].start_byte <= start and len(path) > 1:
            yield path[-1], path[-2], path[-3] if len(path) > 2 else None


def _place(node: Any) -> tuple[int, int]:
    return node.start_byte, -node.end_byte
