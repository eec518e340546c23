"""The stage `repositories` on a small table: texts in order, spans that fit, all that is dropped with its reason."""

import random
from pathlib import Path

import pytest

from smallcoder.core.errors import EmptyError
from smallcoder.core.manifest import digests
from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.tables import TableWriter, read_table
from smallcoder.repos.stage import Config, run

SHAPES = '''"""Shapes."""

from .numbers import half


def area(a, b):
    # of a triangle
    c = a * b
    return half(c)
'''
NUMBERS = """# Numbers.
LARGE = 100


def half(x):
    if x > LARGE:
        return None
    return x / 2
"""
MAIN = """# The program.
import os

from lib.shapes import area
from lib.gone import lost

name = input()
print(area(1, 2), name)
print(os.name)
"""
LIBRARY = {
    "lib/__init__.py": "",
    "lib/shapes.py": SHAPES,
    "lib/numbers.py": NUMBERS,
    "main.py": MAIN,
    "README.md": "# Triangles ∆\n\nHalf of a rectangle, <|file_sep|> as it were.\n",
}


def row(repo: str | None, path: str, text: str, **more) -> dict:
    lang = {"py": "python", "md": "markdown"}.get(path.rpartition(".")[2])
    return {
        **{"id": record_id(repo, path), "text": text, "lang": lang, "repo": repo, "path": path, "license": "MIT"},
        **{"revision": "1", "source": "test", "lineage": [], "quality": 90.0, **more},
    }


def rows() -> list[dict]:
    found = [row("team/triangles", path, text) for path, text in LIBRARY.items()]
    found += [row("alone", "a.py", "x = 1\n"), row(None, "loose.py", "x = 1\n")]
    found += [row("poor", f"{name}.py", LIBRARY["lib/numbers.py"], quality=20.0) for name in "ab"]
    found += [row("silent", f"{name}.py", "x = 1\n" * 40) for name in "ab"]
    found += [row("short", f"{name}.py", "# One.\nx = 1\n") for name in "ab"]
    return found


def arranged(folder: Path, found: list[dict], **settings) -> tuple[dict, Path]:
    with TableWriter(folder / "in", DOCUMENT) as writer:
        writer.write_rows(found)
    out = folder / "out"
    out.mkdir()
    return run(Config(**settings), {"documents": folder / "in"}, out), out


def test_a_repository_becomes_one_text_in_the_order_of_its_imports(tmp_path):
    facts, out = arranged(tmp_path, rows())
    (document,) = read_table(out / "documents").to_pylist()
    order = ["README.md", "lib/__init__.py", "lib/numbers.py", "lib/shapes.py", "main.py"]
    assert document["lineage"] == [record_id("team/triangles", path) for path in order]
    expected = "".join(f"<|file_sep|>{path}\n{LIBRARY[path]}" for path in order)
    assert document["text"] == "<|repo_name|>team/triangles\n" + expected
    assert (document["lang"], document["path"], document["license"], document["quality"]) == ("python", "", "MIT", 90.0)
    data = document["text"].encode()
    spans = read_table(out / "spans").to_pylist()
    marks = [data[span["start"] : span["end"]] for span in spans if span["kind"] == "mark"]
    assert marks == [b"<|repo_name|>", *[b"<|file_sep|>"] * 5]  # that of the README is none
    middles = [data[span["start"] : span["end"]].decode() for span in spans if span["kind"] != "mark"]
    assert middles
    assert all(any(middle in text for text in LIBRARY.values()) for middle in middles)
    edges = {(edge["path"], edge["imports"]) for edge in read_table(out / "edges").to_pylist()}
    assert {("lib/shapes.py", "lib/numbers.py"), ("main.py", "lib/shapes.py")} <= edges
    assert {name: facts[name] for name in ("repositories", "files", "records", "missing", "cycles_broken")} == {
        **{"repositories": 1, "files": 5, "records": 1, "missing": 1, "cycles_broken": 0}
    }


def test_what_is_left_out_is_dropped_with_a_reason(tmp_path):
    facts, out = arranged(tmp_path, [*rows(), row("team/triangles", "./main.py", "x\n"), row("short", "..", "x\n")])
    dropped = {(row["repo"], row["reason"]) for row in read_table(out / "dropped").to_pylist()}
    assert dropped == {
        ("alone", "single_file"),
        (None, "no_repository"),
        ("poor", "low_quality"),
        ("silent", "few_comments"),
        ("short", "few_lines"),
        ("short", "no_path"),
        ("team/triangles", "same_path"),
    }
    lost = sum(reason["records"] for reason in facts["dropped"].values())
    assert facts["records_in"] == len(rows()) + 2 == facts["files"] + lost
    assert facts["bytes_in"] == sum(len(row["text"].encode()) for row in rows()) + 4


def test_a_file_is_shown_after_what_it_imports(tmp_path):
    _, out = arranged(tmp_path, rows(), form="imports")
    found = {row["path"]: row for row in read_table(out / "documents").to_pylist()}
    assert set(found) == {"lib/shapes.py", "main.py"}
    text = found["lib/shapes.py"]["text"]
    assert text.index("<|file_sep|>lib/numbers.py") < text.index("<|file_sep|>lib/shapes.py")
    for span in read_table(out / "spans").to_pylist():  # middles in the last file alone
        own = next(row["text"] for row in found.values() if row["id"] == span["id"])
        assert span["kind"] == "mark" or span["start"] > own.encode().rindex(b"<|file_sep|>")


@pytest.mark.parametrize("limit", [1024, 1 << 17])
def test_neither_order_of_rows_nor_workers_show(limit, tmp_path):
    found = [*rows(), *(row("other", path, text * 9) for path, text in LIBRARY.items())]
    made = []
    for number, workers in enumerate((1, 2)):
        random.Random(number).shuffle(found)
        folder = tmp_path / str(number)
        folder.mkdir()
        facts, out = arranged(folder, found, max_bytes=limit, workers=workers)
        made.append((facts, digests(out)))
    assert made[0] == made[1]


def test_nothing_to_arrange_is_an_error(tmp_path):
    with pytest.raises(EmptyError, match="nothing was kept of 1 records"):
        arranged(tmp_path, [row("alone", "a.py", "x = 1\n")])
