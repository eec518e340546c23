"""A filter learned from a judge's word on planted pairs: measured on other repositories, the same in any order."""

import ast
import random
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.records import SCORE
from smallcoder.core.tables import TableWriter, folder_digest
from smallcoder.data import consistency
from smallcoder.data import pairs as rules
from smallcoder.data.agreement import FEATURES, features, stem, stems
from smallcoder.data.engine import run_filter
from smallcoder.data.judge import stage as judge
from smallcoder.data.pairs import Pair, pairs
from tests.data.conftest import rows
from tests.data.judges import judging

_PACKAGES = """email json logging http xml concurrent asyncio importlib unittest multiprocessing collections ctypes
    distutils wsgiref sqlite3 curses html urllib re zoneinfo"""
PACKAGES = _PACKAGES.split()
PLANTED = 3  # one pair in as many gets the docstring of another


def real() -> list[tuple[str, Pair]]:
    """Functions of the standard library with their docstrings, by package or module."""
    library, found = Path(sysconfig.get_path("stdlib")), []
    files = [path for name in PACKAGES for path in sorted((library / name).rglob("*.py"))] + sorted(
        library.glob("*.py")
    )
    limits = rules.Config()
    for path in files:
        text = path.read_text("utf-8", "replace")
        if "test" in path.parts or len(text) > 60_000:
            continue
        for pair in pairs(text, "python"):
            function = pair.text.startswith(("def ", "async def")) and pair.comment[0] in "\"'r"
            if function and not any(fails(pair, limits) for fails in rules.RULES.values()):
                # A method's docstring is deeper in its file than in the pair.
                found.append((path.relative_to(library).parts[0], consistency.pair_of(pair.text, "python") or pair))
    return found


@pytest.fixture(scope="module")
def planted() -> tuple[list[dict], set[str]]:
    """Rows of stage `pairs`, a third with a docstring of another function; and the ids of these."""
    rng, found = random.Random(0), real()
    made, wrong = [], set()
    for number, (repo, pair) in enumerate(found):
        text = pair.text
        if number % PLANTED == 0:
            other = rng.choice(found)[1].comment
            text = text.replace(pair.comment, other)
            wrong.add(f"{number}")
        made.append({"id": f"{number}", "text": text, "repo": repo})
    assert len(made) > 800
    return made, wrong


def scored(folder: Path, values: dict[str, float]) -> Path:
    with TableWriter(folder, SCORE) as writer:
        writer.write_rows([{"id": id, "name": "c", "value": value, "label": None} for id, value in values.items()])
    return folder


def test_planted_pairs_are_found_in_any_order(planted, documents, tmp_path) -> None:
    made, wrong = planted
    sample = {row["id"] for row in made if int(row["id"]) % 4}  # the judge sees three of four
    scores = scored(tmp_path / "scores", {id: float(id not in wrong) for id in sample})
    digests, facts = set(), []
    for turn, workers in ((made, 1), (made[::-1], 2)):
        out = tmp_path / f"out{workers}"
        out.mkdir()
        config = consistency.Config(workers=workers)
        facts.append(run_filter(consistency, config, {"documents": documents(turn), "scores": scores}, out))
        digests.add((folder_digest(out / "documents"), (out / "classifier" / "model.json").read_bytes()))
    assert len(digests) == 1
    assert facts[0] == facts[1]
    measured = facts[0]
    assert measured["precision"]["share"] > 0.85
    assert measured["recall"]["share"] > 0.85
    assert measured["average_precision"] > measured["consistent_share"] + 0.15
    assert measured["by_judge"] == len(sample)
    dropped = {row["id"]: row["reason"] for row in rows(tmp_path / "out1" / "dropped")}
    assert set(dropped.values()) == {"inconsistent"}
    assert {id for id in dropped if id in sample} == wrong & sample  # what the judge saw goes by its word
    rest = {row["id"] for row in made} - sample
    caught = {id for id in dropped if id in rest}
    assert len(caught & wrong) > 0.6 * len(wrong & rest)
    assert len(caught - wrong) < 0.2 * len(rest - wrong)


def test_with_a_judge_over_http(planted, documents, tmp_path) -> None:
    """A judge that knows one rule: the name of the function has a word in common with the docstring."""
    made = planted[0][:600]

    def rule(text: str) -> str:
        try:
            function: Any = ast.parse(text).body[0]
            said = stems(ast.get_docstring(function) or "")
            return f'1. ...\n{{"consistent": {str(bool(set(said) & set(stems(function.name)))).lower()}}}'
        except (SyntaxError, AttributeError, IndexError):
            return "I cannot read this."

    table = documents(made)
    with judging(rule) as server:
        (tmp_path / "judge").mkdir()
        config = judge.Config(question="consistency", model="rules", url=server.url, sample=400)
        judged = judge.run(config, {"documents": table}, tmp_path / "judge")
    assert judged["records"] + judged["unparsable"] == 400
    (tmp_path / "out").mkdir()
    inputs = {"documents": table, "scores": tmp_path / "judge" / "scores"}
    facts = run_filter(consistency, consistency.Config(), inputs, tmp_path / "out")
    assert facts["f1"]["share"] > 0.8
    weights = facts["weights"]
    assert weights["name_found"] == max(weights.values())  # the rule was found out


def test_what_cannot_be_learned_from_is_refused(documents, tmp_path) -> None:
    text = "# Adds the two numbers it is given.\ndef add(a, b):\n    return a + b\n"
    table = documents([{"id": f"{at}", "text": text + f"# {at}\n", "repo": f"r{at}"} for at in range(9)])
    for name, values, error in (
        ("all", dict.fromkeys("012345678", 1.0), EmptyError),
        ("none", {"x": 1.0}, EmptyError),
        ("empty", {}, InputError),
    ):
        (tmp_path / name).mkdir()
        inputs = {"documents": table, "scores": scored(tmp_path / f"{name}_scores", values)}
        with pytest.raises(error):
            run_filter(consistency, consistency.Config(), inputs, tmp_path / name)
    with pytest.raises(ValueError, match="not both"):
        consistency.Config(min_precision=0.9, min_recall=0.9)


def test_a_document_of_pairs_is_one_pair_again() -> None:
    found = [pair for _, pair in real()[:300]]
    for pair in found:
        assert pair.comment in pair.text
    same = sum(consistency.pair_of(pair.text, "python") == pair for pair in found)
    assert same >= 0.98 * len(found)
    assert consistency.pair_of("x = 1\n", "python") is None
    assert consistency.pair_of(None, None) is None


def test_newton_finds_the_least_loss() -> None:
    """Against plain descent with small steps."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(200, 4))
    good = (data @ [1.0, -2.0, 0.0, 0.5] + rng.normal(size=200) > 0).astype(float)
    slow = np.zeros(4)
    for _ in range(20_000):
        slow -= 0.005 * (data.T @ (consistency.sigmoid(data @ slow) - good) + slow)
    assert np.allclose(consistency.newton(data, good, 1.0), slow, atol=1e-6)
    apart = consistency.newton(np.array([[1e6, 1.0], [-1e6, 1.0]]), np.array([1.0, 0.0]), 1.0)
    assert np.isfinite(apart).all()


def test_stems_meet() -> None:
    assert stems("Parses the HTTPHeaders of parse_header") == ["pars", "http", "head", "pars", "head"]
    assert stem("running") == stem("run") == stem("runs")
    assert stem("deletes") == stem("deleting") == stem("delete")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_pair_has_features(comment, code) -> None:
    found = features(Pair(comment, code, comment + code), {"add": 1.0}, 3.0)
    assert len(found) == len(FEATURES)
    assert np.isfinite(np.array(found, float)).all()


def test_hostile_pairs_take_linear_time() -> None:
    for piece in ("`", "(", "a_", "aA", "a:", "param ", "1.", "'", ":param ", "\t", "@param\n", "a("):
        text = piece * (200_000 // len(piece))
        features(Pair(text, text, text), {}, 1.0)
