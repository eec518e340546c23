"""Text is sorted by address and words, mathematical sources and references go, and source code passes untouched."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.core.tables import table_digest
from smallcoder.data import text as stage
from smallcoder.data.kinds import address, domain, kind, math_sources
from smallcoder.data.references import without_references

WORDS = "Some plain words that stand here to make a page of text long enough to be kept by the rule. " * 4
KINDS = {
    "https://stackoverflow.com/questions/11227809/why-is-it-faster": "question_answer",
    "https://unix.stackexchange.com/questions/1": "question_answer",
    "https://docs.python.org/3/library/re.html": "documentation",
    "https://numpy.readthedocs.io/en/latest/": "documentation",
    "https://en.wikipedia.org/wiki/Prime_number": "reference",
    "https://en.cppreference.com/w/cpp/container/vector": "reference",
    "https://arxiv.org/abs/2512.23747": "academic",
    "https://realpython.com/python-f-strings/": "tutorial",
    "https://www.example.org/tutorials/first.html": "tutorial",
    "https://someone.medium.com/a-post-1": "blog",
    "https://example.org/2019/05/post.html": "blog",
    "https://www.bbc.co.uk/news/technology-1": "news",
    "https://github.com/a/b/blob/main/x.py": "code_page",
    "https://github.com/a/b/issues/12": "discussion",
    "https://www.reddit.com/r/python/comments/1": "discussion",
    "https://example.org/": "other",
}
SAID = {
    "tutorial": "# Loops\nIn this tutorial you will learn about loops.\n\n## Step 1\nLet's begin.\n",
    "question_answer": "Q: How do I sort a list?\n\nThanks in advance\n\nAccepted answer: use sorted.\n",
    "documentation": "## Installation\n\n    pip install it\n\n## Usage\n\nParameters\n----------\n",
    "academic": "# Abstract\nIn this paper we propose a method.\n\n## References\nSmith et al. 2020\n",
    "blog": "Posted on 3 May\nIn this post I complain.\n\nLeave a comment\n",
    "news": "LONDON (Reuters) A spokesman told reporters so.\n",
    "other": "Nothing tells what this is.\n",
}


def test_kinds_by_address_by_path_and_by_words() -> None:
    assert {url: kind(address(url), None, "") for url in KINDS} == KINDS
    assert {kind(None, "a.md", text): kind(None, None, text) for text in SAID.values()} == {name: name for name in SAID}
    assert kind(None, "docs/a.md", "") == kind(None, "README.md", "") == "documentation"
    assert kind(None, "a/tutorials/b.rst", "") == "tutorial"


def test_domains() -> None:
    assert domain(address("https://math.stackexchange.com/questions/1"), "") == "math"
    assert domain(None, "The proof of the theorem uses a polynomial equation over the integers. " * 5) == "math"
    assert domain(None, "The function takes a string argument and writes to the database server. " * 5) == "computing"
    assert domain(None, "The protein binds to cells of the species in our experiment. " * 5) == "science"
    assert domain(None, WORDS) == domain(None, "") == "general"


def test_addresses_are_found_in_any_column_and_name_one_page() -> None:
    assert address("docs/a.md", "numpy", "python:site-packages") is None
    first = address(None, "https://www.Example.org/a/index.html?utm_source=x&b=2&a=1#top", "source")
    second = address("http://example.org:80/a/?a=1&b=2")
    assert first and second and first.page() == second.page()  # noqa: PT018 - both narrow their types
    assert first.host == "example.org"
    other = address("//user:word@example.org/b")
    assert other and other.page() != first.page()  # noqa: PT018


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://mathoverflow.net/questions/1", True),
        ("https://meta.mathoverflow.net/", True),
        ("https://math.stackexchange.com", True),
        ("https://stackexchange.com/math", False),
        ("https://arxiv.org/abs/math/0211159", True),
        ("https://arxiv.org/abs/2401.00001", False),
        ("https://www.khanacademy.org/math/algebra", True),
        ("https://www.khanacademy.org/computing", False),
        ("https://notmathoverflow.net/", False),
    ],
)
def test_math_sources(url, expected) -> None:
    found = address(url)
    assert found
    assert found.on(math_sources()) is expected


REFERENCES = [
    ("[![build](https://x/y.svg)](https://z) Hello [world](https://a.b/c_(d)).", " Hello world."),
    ('![pic](a.png "title") and <img src="x"> end', " and  end"),
    ("see <https://x.y> or https://x.y/z now", "see  or  now"),
    ("[text][ref] stays\n\n[ref]: http://q 'T'\n[^1]: a note", "text stays\n\n\n[^1]: a note"),
    (".. image:: a.png\n   :alt: x\n\n`word <http://x>`_ end", "\n\nword end"),
    ("[[File:x.png|thumb]] [[Page|words]] [http://x two words]", " words two words"),
    ("<a href='x'>word</a> {{ user }} [image: a cat] <your name>", "word"),
    ("use `d[key](arg)` and a[i][j] and d[key](arg)", None),
    ("    d[k](http://x)\n\n```py\n![keep](http://x)\n```\n<pre>[a](http://x)</pre>", None),
    ("~~~\nhttp://x\n~~~\n", None),
    ("a list [x] of {things} <b>bold</b> (http) image: none", None),
]


@pytest.mark.parametrize(("text", "expected"), REFERENCES)
def test_references(text, expected) -> None:
    kept, found = without_references(text)
    assert kept == (text if expected is None else expected)
    assert bool(found) is (expected is not None)


def test_hostile_markup_takes_linear_time() -> None:
    """With a quadratic pattern this takes minutes instead of seconds."""
    pieces = [
        "[",
        "![",
        "[a](",
        "<img ",
        "`",
        "```\n",
        "<pre>",
        "[[a|",
        "{{",
        "http://",
        ".. _a",
        "``",
        "[image:",
        " ",
        "\n",
    ]
    for piece in [*pieces, "[a]: /x\n", '[a](x "', "\0", "(", "\n .. image::x\n :a:", " x [b](c)\n" + " " * 50]:
        without_references(piece * (100_000 // len(piece)))
    without_references(" " * 100_000 + "x https://a")


@settings(max_examples=100, deadline=None)
@given(st.text("[]()!<>`{}~:/. \nahimgtpsre_|", max_size=200))
def test_any_markup(text) -> None:
    kept, found = without_references(text)
    assert len(kept) <= len(text)
    assert (kept == text) or found


def page(url: str | None, text: str = WORDS, **fields: str | None) -> dict[str, str | None]:
    return {"text": text, "lang": "markdown", "path": url} | fields


def test_each_reason(documents, run) -> None:
    math = documents([page(None, "any", repo="http://www.example.org/shared/?utm_medium=x")])
    items = {
        "": [page("https://example.org/a"), {"text": "x = '![a](https://b)'\n", "lang": "python"}],
        "math_source": [
            page("https://mathworld.wolfram.com/Prime.html"),
            page("https://example.org/shared/index.html"),
        ],
        "unwanted_site": [page("https://sub.bad.org/x")],
        "unwanted_kind": [page("https://example.org/news/a")],
        "unwanted_domain": [page("https://example.org/b", "The protein of the cells. " * 40)],
        "empty": [page("https://example.org/d", "![a](b.png)\n[image]\nhttps://example.org/x\n")],
    }
    rows = [row | {"id": f"{reason}.{at}"} for reason, found in items.items() for at, row in enumerate(found)]
    config = {"sites": ["bad.org"], "kinds": ["other"], "domains": ["general", "computing"]}
    kept, dropped, facts = run(stage, config, documents=documents(rows), math=math)
    assert {row["id"]: row["reason"] for row in dropped} == {
        row["id"]: row["id"][:-2] for row in rows if row["id"][0] != "."
    }
    assert {row["id"] for row in kept} == {".0", ".1"}
    assert next(row["text"] for row in kept if row["lang"] == "python") == "x = '![a](https://b)'\n"
    assert facts["text"] == facts["addressed"] == len(rows) - 1
    assert facts["kinds"]["news"]["records"] == 1
    assert sum(row["share"] for row in facts["domains"].values()) == pytest.approx(1, abs=0.001)


def test_references_are_stripped_or_kept(documents, run) -> None:
    items = [page(None, WORDS + extra) for extra in ("![a](b.png)", "[words](https://x)", "[image]", "")]
    kept, _, facts = run(stage, {}, documents=documents(items))
    assert [row["text"] for row in kept] == [WORDS.rstrip(), WORDS + "words", WORDS.rstrip(), WORDS]
    assert [facts["references"][name] for name in ("image", "link", "placeholder")] == [1, 1, 1]
    assert facts["bytes_in"] - facts["bytes"] >= facts["references"]["characters"] > 0
    kept, _, _ = run(stage, {"strip": False}, documents=documents(items))
    assert [row["text"] for row in kept] == [row["text"] for row in items]


def test_settings_are_checked(documents, run) -> None:
    for config in ({"kinds": ["docs"]}, {"domains": ["maths"]}):
        with pytest.raises(InputError, match="choose from"):
            run(stage, config, documents=documents([page(None)]))


def test_workers_change_nothing(documents, run) -> None:
    urls = [*KINDS, "https://mathoverflow.net/q/1", None]
    items = [page(url, WORDS + f" https://x/{at} {at}", id=f"{at}") for at, url in enumerate(urls * 30)]
    digests = set()
    for workers in (1, 2):
        kept, dropped, facts = run(stage, {"workers": workers}, documents=documents(items))
        tables = (table_digest([pa.RecordBatch.from_pylist(part)]) for part in (kept, dropped))
        digests.add((*tables, str(facts["kinds"])))
    assert len(digests) == 1
