"""Pairs are cut where their code ends, each of the seven rules drops what it names, and duplicates go in any order."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import EmptyError
from smallcoder.core.tables import table_digest
from smallcoder.data import pairs as stage
from smallcoder.data.pairs import pairs

PYTHON = '''#!/usr/bin/env python
"""The module's own words."""
import os

# Adds two numbers and
# returns what it gets.
def add(first, second):
    return first + second

class A:
    """Words of a class."""

    def get(self,
            name):
        """What it gets.

        More words.
        """
        if name:

            return 1
        # a comment inside of it
        found = 2  # trailing
        other = 3

        return found
'''
C = """/* Sums an array
 * of n. */
static int sum(int *a, int n)
{
    int s = 0;

    for (;;) { // trailing
    }
    return s;
}
// next one
int g(void) {
    return 1;
}
int h;
"""


def test_pairs_of_python() -> None:
    found = list(pairs(PYTHON, "python"))
    assert [pair.comment.split("\n")[0] for pair in found] == [
        "# Adds two numbers and",
        '"""What it gets.',
        "# a comment inside of it",
    ]
    assert found[0].text == PYTHON[PYTHON.index("# Adds") : PYTHON.index("class A") - 1]
    assert found[0].code == "def add(first, second):\n    return first + second"
    assert found[1].code.startswith("def get(self,\n        name):\n    if name:\n\n        return 1\n")
    assert found[1].code.endswith("\n\n    return found")
    assert found[2].code == "found = 2  # trailing\nother = 3"


def test_pairs_of_c() -> None:
    first, second = pairs(C, "c")
    assert first.text == C[: C.index("// next")]
    assert second.text == C[C.index("// next") : C.index("int h")]


def test_no_pairs() -> None:
    for text, lang in [
        ("# alone\n\nx = 1\n", "python"),
        ("# x\n{}", "json"),
        ("x = 1  # a\ny = 2\n", "python"),
        ("", "c"),
    ]:
        assert list(pairs(text, lang)) == []


BODY = "def add(first, second):\n    return first + second\n"
COMMENT = "# Adds the two numbers, as sum does.\n"
BAD = {
    "short_code": COMMENT + "x = 1\n",
    "long_code": COMMENT + "x = '" + "x" * 1000 + "'\n",
    "many_lines": COMMENT + "def f():\n" + "    pass  # nothing\n" * 30,
    "empty_comment": "#\n" + BODY,
    "short_comment": "# add them\n" + BODY,
    "long_comment": "# word" + " word" * 100 + "\n" + BODY,
    "special_characters": "# a ==@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n" + BODY,
    "annotation": "# TODO: add the two numbers, as sum does.\n" + BODY,
}


@pytest.mark.parametrize("reason", stage.RULES)
def test_each_rule(reason, documents, run) -> None:
    limits = {"max_code": 1000, "max_lines": 20, "max_comment": 400}
    kept, dropped, facts = run(stage, limits, documents=documents([COMMENT + BODY, BAD[reason]]))
    assert [row["text"] for row in kept] == [COMMENT + BODY]
    assert [row["reason"] for row in dropped] == [reason]
    assert facts["records_in"] == 2


def test_of_duplicates_the_smallest_id_stays_in_any_order(documents, run) -> None:
    items = [{"text": f"{COMMENT}{BODY}\nx = {at}\n", "id": f"{at}", "repo": f"r{at}"} for at in (3, 1, 2)]
    items.append({"text": f"{COMMENT}{BODY}\n\n{COMMENT}{BODY}", "id": "9"})
    digests = set()
    for order in (items, items[::-1]):
        for workers in (1, 2):
            kept, dropped, _ = run(stage, {"workers": workers}, documents=documents(order))
            assert [(row["repo"], row["lineage"]) for row in kept] == [("r1", ["1"])]
            assert {row["reason"] for row in dropped} == {"duplicate"}
            assert len(dropped) == 4
            digests.add(table_digest([pa.RecordBatch.from_pylist(kept)]))
    assert len(digests) == 1
    with pytest.raises(EmptyError):
        run(stage, {}, documents=documents(["x = 1\n"]))


def test_hostile_text_takes_linear_time() -> None:
    """With a quadratic scan this takes minutes instead of seconds."""
    for piece in ("# a\n", "/* */", '"""a"""', '"""', "# a\n ", "# a\nif x:\n    ", "#\0\n", "\t# a\n\tx\n"):
        for lang in ("python", "c"):
            list(pairs(piece * (60_000 // len(piece)), lang))


@settings(max_examples=100, deadline=None)
@given(st.text("#\n \t\"'/*ax:(){}", max_size=200))
def test_any_text(text) -> None:
    for lang in ("python", "c"):
        for pair in pairs(text, lang):
            assert pair.comment in text
            assert pair.code
