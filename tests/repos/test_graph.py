"""Stretches of a text tell the same imports as the whole; counts; every language bears whatever a repository holds."""

import re
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.data.syntax import LARGEST, parser
from smallcoder.repos.files import File, Files
from smallcoder.repos.graph import graph, parse
from smallcoder.repos.imports import Language, Parsed
from smallcoder.repos.languages import MODULES, language
from smallcoder.repos.order import order
from smallcoder.repos.query import captures, matches
from smallcoder.repos.stretches import stretches
from tests.repos.small import edges, graphed

LANGS = {"py": "python", "js": "javascript", "ts": "typescript", "c": "c", "h": "c"}
ALL = (
    "python",
    "java",
    "javascript",
    "typescript",
    "go",
    "rust",
    "c",
    "cpp",
    "csharp",
    "php",
    "ruby",
    "kotlin",
    "scala",
)
ALL += ("swift", "lua", "dart")  # fmt: skip
WORDS = """import from export require include use mod package namespace using extern static type part library open
    "a" './b' <c.h> ("d") a.b ::a \\a { } ( ) [ ] ; : , . * = => # @ // /* */ ` ${ end ''' \xff é"""


def speaks(lang: str) -> Language:
    found = language(lang)
    assert found is not None
    return found


def whole(lang: str, path: str, text: bytes) -> Parsed:
    speaker = speaks(lang)
    return speaker.parse(parser(speaker.grammar(path, lang)).parse(text).root_node, text)


def test_there_are_sixteen_languages():
    assert len(set(ALL)) == 16
    assert all(language(lang) is not None for lang in ALL)
    assert len(set(MODULES)) == len(MODULES)


@pytest.mark.parametrize("name", ["hypothesis", "rich", "networkx", "sympy", "numba", "pydantic"])
def test_stretches_of_installed_files_tell_what_the_whole_tells(name):
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{name} is not installed")
    paths = sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))
    for path in paths[:: len(paths) // 25 + 1]:
        text = path.read_bytes()
        if len(text) <= LARGEST:
            assert parse(speaks("python"), path.name, "python", text) == whole("python", path.name, text)


def test_stretches_end_where_nothing_is_open():
    rest = "\n" * 20 + "x = 1\n" * 200
    for text in (
        "import a\n",
        "from a import (\n    b,\nc)\n",
        "try:\n    import a\nexcept ImportError:\n    import b\nelse:\n    c\nfinally:\n    d\n",
        "def f():\n    '''\nimport a\nimport b\n'''\n    import c\n",
        "'''\nimport a\n'''\nimport b\n",
        "if x:\n    import a; y = (\n1,\n2)\n",
        "class A:\n    def f(self):\n        import a\n\n    def g(self):\n        pass\n",
        "import a; s = '''\nb\n'''\n",
        "import a \\\n, b\n",
        "import a, \\\nb\n",
        "from a \\\nimport b\n",
        "import a \\\r\n, b\r\nx = (1,\r\n2)\r\n",
    ):
        both = (text + rest).encode()
        assert parse(speaks("python"), "a.py", "python", both) == whole("python", "a.py", both)
    script = (
        "function f() {\n  const a = require('a');\nreturn `\nimport './b' ${import('c')}\n`;\n}\n" + "f();\n" * 100
    )
    assert parse(speaks("javascript"), "a.js", "javascript", script.encode()) == whole(
        "javascript", "a.js", script.encode()
    )


PIECES = [
    "import a", "x = 1", "def f():", "    import b", "    y", "class A:", "    def g(self):", "        import c",
    "        z", "    @d", "@e", "try:", "except E:", "else:", "'''", "    \"\"\"", "'''s'''", "(", ")", "# '''", "\\",
    "x = [", "]", "",
]  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_stretches_of_any_valid_python_tell_what_the_whole_tells(lines):
    text = "\n".join([*lines, *["x = 1"] * 30]).encode()
    if not parser("python").parse(text).root_node.has_error:
        assert parse(speaks("python"), "a.py", "python", text) == whole("python", "a.py", text)


@given(st.binary(max_size=200), st.lists(st.sampled_from([b"\nimport a\n", b"\ndef f", b"\n  class", b"'''", b"\nx"])))
def test_stretches_are_in_order_and_hold_all_mentions(noise, parts):
    python = speaks("python")
    text = noise.join(parts)
    kept = stretches(python, text)
    assert all(0 <= start < end <= len(text) for start, end in kept) or not text
    assert all(first[1] < second[0] for first, second in pairwise(kept))
    for found in python.MENTIONS.finditer(text):  # pyright: ignore[reportAttributeAccessIssue]
        assert any(start <= found.start() and found.end() <= end for start, end in kept)


def test_counts():
    texts = {
        "pkg/__init__.py": "from . import a, b\nimport os\nimport pkg\n",
        "pkg/a.py": "from .gone import x\n__import__(name)\n",
        "pkg/b.py": "import pkg.a\n",
        "big.py": "import pkg.a\n" + " " * LARGEST,
        "notes.md": "import pkg\n",
    }
    made = graphed(texts, **LANGS)
    assert made.imports == {
        "big.py": [],
        "notes.md": [],
        "pkg/__init__.py": ["pkg/a.py", "pkg/b.py"],
        "pkg/a.py": [],
        "pkg/b.py": ["pkg/a.py"],
    }
    assert +made.counts == {"found": 3, "outside": 1, "missing": 1, "dynamic": 1, "large": 1}


def test_languages_side_by_side():
    texts = {
        "a.py": "import b\n",
        "b.py": "",
        "a.js": "import './b'\n",
        "b.js": "",
        "a.h": "",
        "a.c": '#include "a.h"\n',
    }
    assert edges(texts, **LANGS) == {"a.c": ["a.h"], "a.js": ["b.js"], "a.py": ["b.py"]}


def test_rows_in_any_order_give_one_graph():
    rows = [
        (f"pkg/{name}.py", File("python", f"from . import {other}\n".encode())) for name, other in ("ab", "bc", "ca")
    ]
    first, last = graph(Files(rows)), graph(Files(reversed(rows)))
    assert list(first.imports.items()) == list(last.imports.items())
    assert order(first.imports) == order(last.imports)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(ALL), st.lists(st.sampled_from([*WORDS.split(), "\n", "\0"]), max_size=40), st.binary(max_size=20)
)
def test_no_text_and_no_path_raises_in_any_language(lang, words, noise):
    text = " ".join(words).encode() + noise
    names = ("a", "A", "src/lib/a", "../b", "a/./b", "é\0", "mod", "package", "x" * 300)
    files = Files((f"{name}.{lang}", File(lang, text)) for name in names)
    made = graph(files)
    assert made.imports.keys() == files.keys()
    assert all(target in files and target != path for path, targets in made.imports.items() for target in targets)
    assert sorted(order(made.imports)[0]) == list(files)


@pytest.mark.parametrize("lang", ALL)
def test_a_path_that_no_language_expects_is_no_matter(lang):
    sample = b"import a\n#include <a>\nuse a::b;\nmod c;\nrequire 'a'\nusing A;\npackage p;\n"
    names = ["Package.swift", "go.mod", "Cargo.toml", "package.json", "composer.json", "pubspec.yaml", "tsconfig.json"]
    names += [
        "setup.py",
        "pyproject.toml",
        "CMakeLists.txt",
        "compile_commands.json",
        ".gitmodules",
        "Gemfile",
        ".",
        "",
    ]
    configs = [(name, File(None, b'{"a": [[' + sample)) for name in names]
    sources = [(f"{'d/' * depth}a.{lang}", File(lang, sample)) for depth in (0, 1, 50)]
    assert graph(Files(configs + sources)).imports


def test_ten_thousand_files_are_ordered():
    texts = {"app/__init__.py": ""}
    for at in range(10_000):
        wanted = "".join(f"from app.d{(at // 7 + by) % 100}.m{(at * by + 1) % 10_000} import x\n" for by in range(1, 6))
        texts[f"app/d{at % 100}/m{at}.py"] = wanted
    made = graphed(texts, **LANGS)
    assert sum(map(len, made.imports.values())) > 400
    assert sorted(order(made.imports)[0]) == sorted(texts)


def test_queries():
    root = parser("python").parse(b"import b\nfrom a import c\nimport a\n").root_node
    caught = captures(root, "python", "(import_statement name: (_) @name) (import_from_statement) @from")
    assert [node.text for node in caught["name"]] == [b"b", b"a"]
    assert set(caught) == {"name", "from"}
    assert [pattern for pattern, _ in matches(root, "python", "(import_from_statement) @a (import_statement) @b")] == [
        1,
        0,
        1,
    ]
    assert re.match("import", root.children[0].text.decode())


def test_a_comment_whose_two_ends_lie_in_different_stretches():
    """What opens it is kept and what closes it has no import: the next comment would seem to close it."""
    members = "".join(f"    public int f{at}() {{ return {at}; }}\n" for at in range(60))
    java = f"package p;\n/*\n    public void old() {{ }}\n*/\nimport a.B;\n/** Doc. */\nclass A {{\n{members}}}\n"
    made = graph(
        Files([("p/A.java", File("java", java.encode())), ("a/B.java", File("java", b"package a; class B {}"))])
    )
    assert made.imports["p/A.java"] == ["a/B.java"]


def test_configurations_and_names_made_to_take_for_ever():
    many = [(f"d{at}/f.kt", File("kotlin", b"package p\nimport p.A\nclass A\n")) for at in range(2000)]
    made = graph(
        Files(
            [
                *many,
                ("Cargo.toml", File("toml", b"a." * 40_000 + b"a=1")),
                ("src/lib.rs", File("rust", b"use *; use {*}; use self::y;")),
                ("x.csproj", File("xml", b"<Using " * 40_000)),
                ("x.cs", File("csharp", b"using A;\nclass C {}\n")),
                ("go/a.go", File("go", b'package x\nimport "../.."\n')),
                ("r.go", File("go", b"package r\n")),
            ]
        )
    )
    assert made.imports["d0/f.kt"] == made.imports["go/a.go"] == []
