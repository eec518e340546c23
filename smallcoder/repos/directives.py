"""Directives that are lines of their own: a regular expression finds them, and the tree says which of them are code.

For grammars that lose a directive where something else is wrong, or do not know all of its forms.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any


def directives(
    root: Any, text: bytes, pattern: re.Pattern[bytes], no_code: Collection[str]
) -> Iterator[re.Match[bytes]]:
    """The matches that do not begin, white space left off, in a node of a type of `no_code`: a comment, a string.

    The cursor never goes back: the cost is that of the way from one match to the next, however deep they lie.
    """
    cursor = root.walk()
    for found in pattern.finditer(text):
        start = found.end() - len(found[0].lstrip())
        while cursor.node.end_byte <= start and cursor.goto_parent():
            pass
        while cursor.node.type not in no_code and cursor.goto_first_child_for_byte(start) is not None:
            pass
        if cursor.node.type not in no_code or cursor.node.start_byte > start:
            yield found
