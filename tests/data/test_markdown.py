"""Relevance of Markdown to code: on texts labelled by hand, on the READMEs of what is installed, and its parts."""

import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.tables import read_table
from smallcoder.data import markdown as stage
from smallcoder.data.markdown import Config, relevance, shares

LEAST = Config().min_score
TEXTS = tomllib.loads(Path(__file__).with_name("markdown_texts.toml").read_text("utf-8"))
ABOUT_CODE, NOT_ABOUT_CODE = TEXTS["about_code"], TEXTS["not_about_code"]


def test_labelled_texts() -> None:
    missed = {name for name, text in ABOUT_CODE.items() if relevance(text) < LEAST}
    wrong = {name for name, text in NOT_ABOUT_CODE.items() if relevance(text) >= LEAST}
    kept = len(ABOUT_CODE) - len(missed)
    print(f"precision {kept / (kept + len(wrong)):.3f}, recall {kept / len(ABOUT_CODE):.3f}", missed, wrong)
    assert wrong == set()
    assert missed <= {"regular expressions"}


def test_installed_readmes() -> None:
    """Nearly all are about code; what is not has few words beside its links."""
    texts = {}
    for found in distributions():
        head, _, body = (found.read_text("METADATA") or "").partition("\n\n")
        if "\nDescription-Content-Type: text/markdown" in head and len(body) > 2000:
            texts[found.metadata["Name"]] = body
    if len(texts) < 20:
        pytest.skip("too few packages with a README in Markdown are installed")
    assert sum(relevance(text) >= LEAST for text in texts.values()) >= 0.95 * len(texts)


def test_shares() -> None:
    assert shares("```\nabcd\n```\nefgh") == (0.5, 0.0, 0.0)
    assert shares("word " * 12 + "`x_y`")[0] == pytest.approx(3 / 53)
    assert shares("    code()\n\n" + "word " * 16)[0] == pytest.approx(6 / 70)
    assert shares("the file_name and --some-option of src/main.py are not in use here at all")[1] == pytest.approx(
        3 / 13
    )
    assert shares("- [a](b) words\n- [c](d) words\n" + "many more words are here\n" * 3)[2] == pytest.approx(1 / 7)
    assert shares("- a list\n- inside\n    - deeper\n    - and deeper of words and more words")[0] == 0.0
    assert relevance("word " * 50) == 0.0


def test_stage(documents, run, tmp_path) -> None:
    items = [
        {"text": text, "lang": "markdown", "id": text[:9]} for text in (ABOUT_CODE["readme"], NOT_ABOUT_CODE["poem"])
    ]
    items += [
        {"text": NOT_ABOUT_CODE["poem"], "lang": "text", "id": "t"},
        {"text": None, "lang": "markdown", "id": "n"},
    ]
    for workers in (1, 2):
        kept, dropped, facts = run(stage, {"workers": workers}, documents=documents(items))
        assert [row["id"] for row in kept] == [items[0]["id"], "t"]
        assert [row["reason"] for row in dropped] == ["not_about_code"] * 2
        assert facts["markdown"] == 3
        scores = read_table(sorted(tmp_path.glob("out*"))[-1] / "scores").to_pylist()
        assert [(row["id"], row["name"], row["value"]) for row in scores] == [(items[0]["id"], "code_relevance", 1.0)]
    assert len(run(stage, {"min_score": 0}, documents=documents(items))[0]) == 4


@settings(max_examples=200, deadline=None)
@given(st.text("`~ \n#[]()!<>-*ab_./\t", max_size=120))
def test_any_text(text) -> None:
    assert 0 <= relevance(text) <= 1


def test_hostile_text_takes_linear_time() -> None:
    """With a quadratic scan this takes minutes instead of seconds."""
    pieces = "` ```\n [ [a]( ![ <a_ <!-- ____a\n \n\n____a a. a/ -_ _ --a a' ---\n ( aB >_ ____\n"
    pieces += " \t\n\n \n\n____-_a / :: | [a](b 1 a:"
    for piece in pieces.split(" "):
        for start in ("", "\n\n    ", "x `"):
            relevance(start + piece.replace("_", " ") * (60_000 // len(piece)))
        relevance(piece * (60_000 // len(piece)))
    relevance("a_" * 30_000 + "-")
