import ast
import json

import pytest

from smallcoder.core.errors import EmptyError
from smallcoder.core.manifest import digests
from smallcoder.core.records import DOCUMENT
from smallcoder.core.tables import TableWriter, read_table
from smallcoder.data import docstrings
from smallcoder.data.docstrings import Config, Passed, examples

GOOD = '''\
def clamp(value: int, low: int = 0, *, high: int = 9) -> int:
    """Return the value, moved into the range
    from low to high.

    More words that no prompt needs.
    """

    # below, then above
    if value < low:
        return low
    return min(value, high)
'''
REASONS = {
    "no_docstring": "def f(a):\n    return a + 1\n",
    "decorated": '@cache\ndef f(a):\n    """Return one more than the given number."""\n    return a + 1 + 0 + 0\n',
    "special": 'async def f(a):\n    """Return one more than the given number."""\n    return a + 1 + 0 + 0 + 0 + 0\n',
    "stub": 'def f(a):\n    """Return one more than the given number."""\n    raise NotImplementedError\n',
    "trivial_docstring": 'def get_the_new_name(a):\n    """Get the new name."""\n    return a.name.strip().lower()\n',
    "long_docstring": f'def f(a):\n    """{"Return a word. " * 20}"""\n    return a.name.strip().lower()\n',
    "odd_docstring": 'def f(a):\n    """TODO: return one more than a number."""\n    return a.name.strip().lower()\n',
    "one_line": 'def f(a): """Return one more than the number."""; return a + 1\n',
    "long": 'def f(a):\n    """Return one more than the number."""\n'
    + "    a = a + 1 + 2 + 3\n" * 40
    + "    return a\n",
    "short": 'def f(a):\n    """Return one more than the number."""\n    return a\n    a\n',
    "not_ascii": 'def f(a):\n    """Return one more than the number."""\n    return a + "é" * 3 + "äöü" * 4 + "-"\n',
    "outside_names": 'def f(a):\n    """Return one more than the number."""\n    return _helper(a + 1, a + 2, a + 3)\n',
    "unparsable": 'def f(a):\n    """Return one more than the number."""\n    return (a + 1\n',
}


def document(text, name="d1", **changes):
    row = {"id": name, "text": text, "lang": "python", "repo": "r", "revision": "1", "path": "a.py", "license": "MIT"}
    return row | {"source": "s", "lineage": ["raw"]} | changes


def write(folder, documents):
    with TableWriter(folder / "documents", DOCUMENT) as table:
        table.write_rows(documents)
    out = folder / "out"
    out.mkdir()
    return {"documents": folder / "documents"}, out


def test_a_good_function_becomes_an_example():
    (row,) = examples(document("x = 1\n" + GOOD + "\ny = 2\n"), Config())
    assert isinstance(row, dict)
    user, assistant = row["messages"]
    assert (user["role"], assistant["role"]) == ("user", "assistant")
    assert "def clamp(value: int, low: int=0, *, high: int=9) -> int" in user["content"]
    assert "Return the value, moved into the range from low to high." in user["content"]
    assert "More words" not in user["content"]
    assert '"""' not in assistant["content"]
    assert "# below, then above" in assistant["content"]
    scope = {}
    exec(assistant["content"], scope)
    assert [scope["clamp"](value) for value in (-3, 4, 12)] == [0, 4, 9]
    assert (row["license"], row["lineage"], row["task"]) == ("MIT", ["raw", "d1"], "docstrings")


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason(reason):
    (found,) = examples(document(REASONS[reason]), Config())
    assert isinstance(found, Passed)
    assert found.reason == reason
    assert found.bytes > 0


@pytest.mark.parametrize(
    "text", ["", "\n", "def", "def f(", "\0" * 50, "def f():\n\t" + "(" * 5000, '"""', "@\ndef f(): 1"]
)
def test_what_is_not_python_is_passed_over(text):
    assert all(isinstance(found, Passed) for found in examples(document(text), Config()))


def test_methods_and_code_in_the_first_column_do_not_leak_into_answers():
    text = (
        f"class A:\n    def f(self):\n        'Return the one thing it has.'\n        return 1\n{GOOD}print(clamp(3))\n"
    )
    (row,) = examples(document(text), Config())
    assert isinstance(row, dict)
    assert "print" not in row["messages"][1]["content"]


def test_the_order_of_documents_does_not_count_and_numbers_add_up(tmp_path):
    functions = [GOOD.replace("clamp", f"clamp_{letter}") for letter in "abcdefgh"]
    documents = [document(functions[number % 8], f"d{number}") for number in range(12)]
    documents += [document(text, reason) for reason, text in REASONS.items()]
    documents.append(document(GOOD, "other", lang="markdown"))
    results = []
    for name, order in (("a", documents), ("b", documents[::-1])):
        (tmp_path / name).mkdir()
        inputs, out = write(tmp_path / name, order)
        facts = docstrings.run(Config(max_examples=6), inputs, out)
        results.append((json.dumps(facts, sort_keys=True), digests(out)))
    assert results[0] == results[1]
    assert facts["records"] == 6
    assert facts["dropped"]["duplicate"]["records"] == 4
    assert facts["dropped"]["not_chosen"]["records"] == 2
    assert facts["records_in"] == 12 + len(REASONS)
    assert facts["bytes_in"] == facts["bytes"] + sum(counts["bytes"] for counts in facts["dropped"].values())
    rows = read_table(out / "examples").to_pylist()
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    for row in rows:
        ast.parse(row["messages"][1]["content"])


def test_no_example_at_all_is_an_error(tmp_path):
    inputs, out = write(tmp_path, [document(REASONS["stub"])])
    with pytest.raises(EmptyError, match="stub"):
        docstrings.run(Config(), inputs, out)
