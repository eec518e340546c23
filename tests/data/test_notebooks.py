"""Notebooks of every format become scripts that parse and marked cells whose spans are the marks and nothing else."""

import ast
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.records import SPAN
from smallcoder.core.tables import read_batches, table_digest
from smallcoder.data import notebooks as stage
from smallcoder.data.comments import BY_LANGUAGE, spans
from smallcoder.data.notebooks import MARKS, Config, code, converted
from smallcoder.data.read import stage as read
from smallcoder.tokens.vocabulary import CONTROL

PYTHON = {"kernelspec": {"language": "python", "name": "python3"}, "language_info": {"name": "python"}}


V4 = {"nbformat": 4, "nbformat_minor": 4}


def cell(source: Any, kind: str = "code", outputs: list | None = None) -> dict:
    return {"cell_type": kind, "metadata": {}, "source": source} | (
        {"outputs": outputs or []} if kind == "code" else {}
    )


def notebook(*cells: dict, metadata: dict | None = None) -> str:
    return json.dumps({"cells": cells, "metadata": PYTHON if metadata is None else metadata} | V4)


def made(source: str, **config: Any) -> Any:
    return converted(Config(**config), source, Counter())


def stream(*lines: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": list(lines)}


def shown(**data: Any) -> dict:
    return {"output_type": "execute_result", "data": {key.replace("_", "/"): value for key, value in data.items()}}


FIRST = notebook(
    cell(["# Title\n", "\n", "some words"], "markdown"),
    cell("%matplotlib inline\nimport os\n!ls -l \\\n  --all\n"),
    cell(["\n", "\n", "if os:\n", "    !pip install x\n", "    files = %sx ls\n"]),
    cell('%%bash\necho "$HOME"'),
    cell("%%time\nx = 5 %2\nx?"),
    cell('text = """\n%d items\n"""\nnames = !ls'),
    cell("", "markdown"),
    cell("raw", "raw"),
    cell("   \n"),
)
SCRIPT = '''# # Title
#
# some words

# %matplotlib inline
import os
# !ls -l \\
#   --all

if os:
    pass  # !pip install x
    pass  # files = %sx ls

# %%bash
# echo "$HOME"

# %%time
x = 5 %2
# x?

text = """
%d items
"""
# names = !ls
'''


def test_a_script() -> None:
    assert made(FIRST) == (SCRIPT, "python", [])
    ast.parse(SCRIPT)


def test_code_is_what_jupytext_makes_of_it() -> None:
    jupytext = pytest.importorskip("jupytext", reason="the peer is not installed")
    cells = [
        cell(text)
        for text in ("import os\n\n%cd x\nos.getcwd()", "!ls -l\nx = 1", "%%time\nfor a in b:\n    c()\n\nd = 5 % 2")
    ]
    cells += [
        cell("%%bash\nls"),
        cell('s = """\n%d\n!x\n"""\n%timeit s'),
        cell("def f():\n    return '%s' % 1\n\n\nf?"),
    ]
    cells += [cell(f"# Words {at}", "markdown") for at in range(3)]
    source = notebook(*cells, metadata={"kernelspec": {"language": "python", "name": "python3", "display_name": "x"}})
    scripts = made(source)[0], jupytext.writes(jupytext.reads(source, "ipynb"), "py:light")
    ours, theirs = ([line for line in text.split("\n") if line.strip() and line[0] != "#"] for text in scripts)
    assert ours == theirs


def test_code_without_magics_stays() -> None:
    for text in ('"%d" %x\n', "print('!')", "x = (1\n  %y)", "a != b", "s = '''\n!ls\n%time\n'''"):
        assert code(text, "python") == text
    assert code("%AddDeps x y\nval a = b % c", "scala") == "// %AddDeps x y\nval a = b % c"
    assert code("%%html\n<b>", "julia") == "# %%html\n# <b>"
    assert code("% a comment\nx = 1;", "matlab") == "% a comment\nx = 1;"


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        (PYTHON, "python"),
        ({"kernelspec": {"name": "ir", "language": "R"}}, "r"),
        ({"language_info": {"name": "C++17"}}, "cpp"),
        (
            {"language_info": {"name": "polyglot-notebook"}, "kernelspec": {"language": "C#", "name": ".net-csharp"}},
            "csharp",
        ),
        ({"kernelspec": {"name": "julia-1.6"}}, "julia"),
        ({"kernelspec": {"name": "SageMath 9.0", "language": "sagemath"}}, "python"),
        ({"language_info": {"name": "nobody", "file_extension": ".scala"}}, "scala"),
        ({"language_info": {"name": "bash"}}, "shell"),
        ({}, "python"),  # as the code parses
        ({"kernelspec": [], "language_info": 3}, "python"),
    ],
)
def test_the_language_is_the_kernels(metadata, language) -> None:
    assert made(notebook(cell("x = 1"), metadata=metadata))[1] == language


def test_every_way_to_comment_is_a_comment() -> None:
    for language, mark in stage.MARK_OF.items():
        if language in BY_LANGUAGE:
            assert [*spans(f"x\n{mark} some words\ny", language)] == [(2, 2 + len(mark) + 11)], language


OUTPUTS = notebook(
    cell("Ä <|cell_code|>", "markdown"),
    cell(
        "x", outputs=[stream("a\n", "b\n"), stream("no", name="stderr"), shown(text_plain=["5"], text_html="<b>5</b>")]
    ),
    cell("y", outputs=[shown(image_png="iVBOR", text_plain="<Figure size 640x480 with 1 Axes>")]),
    cell("z", outputs=[stream("10%\r100%\n", "\x1b[31mred\x1b[0m\n"), stream("".join(f"{at}\n" for at in range(99)))]),
    cell(
        "e", outputs=[{"output_type": "error", "ename": "KeyError", "evalue": "'a'\nmore", "traceback": ["long"] * 99}]
    ),
)


def test_cells_and_their_spans() -> None:
    text, language, marks = made(OUTPUTS, form="cells", output_lines=4)
    assert language == "jupyter"
    data = text.encode()
    names = [data[start:end].decode() for start, end in marks]
    parts = [
        data[end:stop].decode()
        for (_, end), stop in zip(marks, [start for start, _ in marks[1:]] + [len(data)], strict=True)
    ]
    kind = {mark: name for name, mark in MARKS.items()}
    assert [(kind[name], part) for name, part in zip(names, parts, strict=True)] == [
        ("markdown", "Ä <|cell_code|>\n"),
        ("code", "x\n"),
        ("output", "a\nb\n5\n"),
        ("code", "y\n"),
        ("code", "z\n"),
        ("output", "100%\nred\n0\n1\n...\n"),
        ("code", "e\n"),
        ("output", "KeyError: 'a'\n"),
    ]
    assert "cell_output" not in made(OUTPUTS, form="cells", output_lines=0)[0]
    assert "<|cell_output|>a\nb\n...\n" in made(OUTPUTS, form="cells", output_chars=4)[0]
    assert set(MARKS.values()) <= set(CONTROL)


def test_nbformat_3() -> None:
    old = {
        "metadata": {"name": ""},
        "nbformat": 3,
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": ["Heading"]},
                    {
                        "cell_type": "code",
                        "language": "python",
                        "input": "print 1",
                        "outputs": [
                            {"output_type": "stream", "stream": "stdout", "text": "1\n"},
                            {"output_type": "pyout", "text": ["2"], "html": "<i>", "prompt_number": 1},
                            {"output_type": "display_data", "png": "iVBOR", "text": "<matplotlib.figure at 0x7>"},
                            {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": []},
                        ],
                    },
                ]
            }
        ],
    }
    assert made(json.dumps(old)) == ("# ## Heading\n\nprint 1\n", "python", [])
    text = made(json.dumps(old), form="cells")[0]
    assert text == "<|cell_markdown|>## Heading\n<|cell_code|>print 1\n<|cell_output|>1\n2\nE: v\n"


BROKEN = {
    "broken_json": ["", "{", "[]", "3", "[" * 100_000, '{"cells": ' + "1" * 5000 + "}"],
    "no_cells": ["{}", '{"cells": []}', '{"cells": 3}', '{"cells": [3]}', '{"worksheets": [3, {}, {"cells": 1}]}'],
    "no_code": [
        notebook(cell("words", "markdown")),
        notebook(cell("")),
        notebook(cell(None)),
        notebook(cell({"a": 1})),
    ],
    "unknown_language": [
        notebook(cell("fn main() {}"), metadata={}),
        notebook(cell("x"), metadata={"language_info": {"name": "nobody's"}, "kernelspec": {"name": "json"}}),
    ],
}


def test_drops_and_what_passes(documents, run, tmp_path) -> None:
    items = [
        {"text": text, "lang": "jupyter", "repo": f"{reason} {at}"}
        for reason, texts in BROKEN.items()
        for at, text in enumerate(texts)
    ]
    items += [{"text": FIRST, "lang": "jupyter", "id": "n", "path": "a.ipynb"}, {"text": "x = 1\n", "id": "p"}]
    kept, dropped, facts = run(stage, {}, documents=documents(items))
    assert [row["reason"] for row in dropped] == [row["repo"].split()[0] for row in dropped]
    assert len(dropped) == len(items) - 2
    script, other = kept
    assert (script["text"], script["lang"], script["lineage"], script["path"]) == (SCRIPT, "python", ["n"], "a.ipynb")
    assert (other["id"], other["text"], other["lineage"]) == ("p", "x = 1\n", [])
    assert facts["languages"] == {"python": 1}
    assert facts["cells"] == {"code": 5, "markdown": 1, "empty": 5, "output": 0, "output_cut": 0, "output_dropped": 0}


def test_the_side_table_follows_the_documents(documents, run, tmp_path) -> None:
    items = [{"text": text, "lang": "jupyter"} for text in (OUTPUTS, "{", FIRST)] + ["x = 1"]
    table = documents(
        [{**item, "repo": f"{at}"} if isinstance(item, dict) else item for at in range(99) for item in items]
    )
    digests = set()
    for workers in (1, 2):
        kept, _, _ = run(stage, {"form": "cells", "workers": workers}, documents=table)
        folder = sorted(tmp_path.glob("out*"))[-1]
        marks = [row for batch in read_batches(folder / "spans") for row in batch.to_pylist()]
        texts = {row["id"]: row["text"].encode() for row in kept}
        assert [*dict.fromkeys(row["id"] for row in marks)] == [row["id"] for row in kept if row["lang"] == "jupyter"]
        assert {texts[row["id"]][row["start"] : row["end"]].decode() for row in marks} <= set(MARKS.values())
        assert {row["kind"] for row in marks} == {"mark"}
        digests.add(table_digest(read_batches(folder / "spans")))
        assert next(read_batches(folder / "spans")).schema == SPAN
    assert len(digests) == 1


def test_read_lets_notebooks_in(tmp_path, run) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.ipynb").write_text(FIRST)
    (folder / "b.py").write_text("x = 1\n")
    found, _, _ = run(read, {"paths": [str(folder)], "extensions": [".py", ".ipynb"]})
    assert [row["lang"] for row in found] == ["jupyter", "python"]
    kept, _, _ = run(stage, {}, documents=tmp_path / "out1" / "documents")
    assert [row["text"] for row in kept] == [SCRIPT, "x = 1\n"]
    assert (kept[0]["repo"], kept[0]["lineage"]) == ("project", [found[0]["id"]])


JSON = st.recursive(
    st.none()
    | st.integers()
    | st.text()
    | st.sampled_from(["code", "markdown", "error", "stream", "\ud800", "%%x", "\r"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "source", "cell_type", "outputs", "data", "text", "text/plain", "output_type", "evalue"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, max_size=4), JSON)
def test_any_json(cells, metadata) -> None:
    text = json.dumps({"cells": [cell("x = 1", outputs=[metadata]), *cells], "metadata": metadata})
    for form in ("script", "cells"):
        found = made(text, form=form)
        if not isinstance(found, str):
            found[0].encode()


def test_hostile_text_takes_linear_time() -> None:
    """With a quadratic scan this takes minutes instead of seconds."""
    for piece in (" ", "a ", "'a", '"""', "a=", "%", "!a\\\n", "a[", "x?", "?", "\x1b["):
        code("%a\n(" + piece * (100_000 // len(piece)), "python")
        code("%a\n" + piece * (100_000 // len(piece)) + ")", "python")
        made(notebook(cell("x", outputs=[stream(piece * 50_000)])), form="cells")
