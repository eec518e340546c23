"""Syntax: whether a text is what its language allows, and how deep its tree is.

Python is read by the running interpreter's parser and checked for the use of names: 12 MB a CPU-second. What only its
code generator refuses, such as `return` outside a function, passes. Other languages are parsed by
tree-sitter, which goes on after an error, so what counts is the share of the text inside its ERROR
nodes: 8 to 15 MB a CPU-second, and as much again to measure the depth. Nothing is run or resolved.

Some texts take tree-sitter quadratic time: brackets in thousands of levels, thousands of comments that never end. The
first are not parsed, by a count (real code was seen to go 257 deep); for whatever else, parsing ends after `SECONDS`.
"""

import gc
import symtable
import time
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

LARGEST = 1 << 20  # bytes; longer texts are not parsed by tree-sitter, whose trees take 50 times a text's room
DEEPEST = 500  # brackets open at once, those in strings and comments among them
SECONDS = 20.0  # of processor time; a text of LARGEST bytes takes 0.1
CHUNK = 1 << 16
_BRACKETS = {b"([{": 1, b")]}": -1}
# Where the grammars' name is another one than ours.
GRAMMARS = {
    "shell": "bash", "restructuredtext": "rst", "protobuf": "proto", "makefile": "make", "objectivec": "objc",
    "emacslisp": "elisp", "vimscript": "vim", "visualbasic": "", "text": "", "csv": "",
    "jsp": "",
}  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """Of a syntax tree: the share of the bytes inside outermost ERROR nodes, and the depth of named nodes."""

    errors: float
    depth: int


def parses(text: str) -> bool:
    """Whether a text parses as Python and uses its names consistently. Never raises, whatever the text."""
    collects = gc.isenabled()
    gc.disable()  # a text makes thousands of objects that all go at the end
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # The compiler's front end as in `compile`, without building Python objects for the tree: 1.6 times as fast.
            symtable.symtable(text, "document", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return False
        finally:
            if collects:
                gc.enable()
    return True


def errors(text: str, lang: str | None) -> float | None:
    """The share of a text inside outermost ERROR nodes; None without a grammar, or for what is not parsed."""
    parsed = _parse(text, lang)
    if parsed is None:
        return None
    root, size = parsed
    return _errors(root) / size if size and root.has_error else 0.0


def tree(text: str, lang: str | None) -> Tree | None:
    """Errors and depth; None as for `errors`. Python as well: the interpreter tells no depth."""
    parsed = _parse(text, lang)
    if parsed is None:
        return None
    root, size = parsed
    return Tree(_errors(root) / size if size and root.has_error else 0.0, _depth(root))


def _parse(text: str, lang: str | None) -> tuple[Any, int] | None:
    reader = parser(lang or "")
    data = text.encode("utf-8", "replace")
    if reader is None or unreadable(data):
        return None
    root = bounded(reader, data)
    return None if root is None else (root, len(data))


def unreadable(data: bytes) -> str | None:
    """Why a text is not given to tree-sitter: "large", or "deep"; None if it may be. About 190 MB a CPU-second."""
    if len(data) > LARGEST:
        return "large"
    steps = np.zeros(256, np.int8)
    for brackets, step in _BRACKETS.items():
        steps[list(brackets)] = step
    levels = np.cumsum(steps[np.frombuffer(data, np.uint8)], dtype=np.int32)
    lowest = np.minimum.accumulate(np.minimum(levels, 0))
    return "deep" if len(levels) and int((levels - lowest).max()) > DEEPEST else None


def bounded(reader: Any, data: bytes) -> Any:
    """The root of tree-sitter's tree of a text; None where it takes more than SECONDS."""
    limit = time.thread_time() + SECONDS
    try:
        # One that may be stopped must read by a function.
        tree = reader.parse(
            lambda at, _: data[at : at + CHUNK], progress_callback=lambda *_: time.thread_time() > limit
        )
    except ValueError:  # stopped
        reader.reset()
        return None
    return tree.root_node


@cache
def parser(lang: str) -> Any:
    """tree-sitter's parser of one of our languages or of a grammar of its own; None if it has none for it."""
    from tree_sitter_language_pack import get_parser

    name: Any = GRAMMARS.get(lang, lang)
    try:
        return get_parser(name) if name else None
    except LookupError:
        return None


def _errors(root: Any) -> int:
    """Bytes in outermost ERROR nodes; only subtrees with an error are entered."""
    found = 0
    stack = [root]
    while stack:
        node = stack.pop()
        if node.is_error:
            found += node.end_byte - node.start_byte
        elif node.has_error:
            stack.extend(node.children)
    return found


def _depth(root: Any) -> int:
    """Most named nodes on a way from the root to a leaf."""
    cursor = root.walk()
    deepest = depth = 1
    while True:
        if cursor.goto_first_child():
            depth += cursor.node.is_named
        else:
            while not cursor.goto_next_sibling():
                depth -= cursor.node.is_named
                if not cursor.goto_parent():
                    return deepest
        deepest = max(deepest, depth)
