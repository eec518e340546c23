"""What tree-sitter is not given, or does not finish."""

import pytest

from smallcoder.data import syntax
from smallcoder.data.syntax import DEEPEST, LARGEST, bounded, errors, parser, tree, unreadable


def test_large_and_deep_texts_are_not_parsed():
    assert unreadable(b"x" * LARGEST) is None
    assert unreadable(b"x" * (LARGEST + 1)) == "large"
    assert unreadable(b"(" * DEEPEST + b")" * DEEPEST) is None
    assert unreadable(b")" * 900 + b"(" * DEEPEST) is None
    assert unreadable(b"]" * 900 + b"([{" * DEEPEST) == "deep"
    assert unreadable(b"") is None
    assert errors("{" * 9999, "dart") is None
    assert tree("[" * 9999, "python") is None


def test_parsing_ends_and_the_parser_goes_on(monkeypatch):
    """Comments that never end: every one is looked for up to the end of the text."""
    reader = parser("javascript")
    monkeypatch.setattr(syntax, "SECONDS", 0.2)
    assert bounded(reader, b"/* x\n" * 30_000) is None
    assert errors("/* x\n" * 30_000, "javascript") is None
    assert bounded(reader, b"let x = 1;").child(0).type == "lexical_declaration"


@pytest.mark.parametrize("text", ["", "x = 1\n" * 30_000, "é = '🙂'\n" * 20_000])
def test_a_tree_is_that_of_the_whole_text(text):
    """It is handed over in pieces."""
    data = text.encode()
    root = bounded(parser("python"), data)
    assert root.end_byte in {len(data), 0}
    assert not root.has_error
