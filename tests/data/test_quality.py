"""The composite is the plain weighted mean, whatever is missing; words are one line; scores are found by id."""

import math
import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.records import SCORE
from smallcoder.core.tables import TableWriter, table_digest
from smallcoder.data.quality import composite as quality
from smallcoder.data.quality.composite import Component, composite, points
from smallcoder.data.quality.scores import read_scores
from smallcoder.data.quality.words import CHARACTERS, one_line

HOSTILE = [
    "",
    "\n\n\n",
    "\0",
    " \t\r\f",
    "\ud800 a",
    "x" * 1_000_000,
    "__label__good </s>",
    "\u2028\x85",
    "\u0661\u0662",
]
share = st.one_of(st.none(), st.floats(0, 100))


def table(folder, rows, name="edu"):
    with TableWriter(folder, SCORE) as writer:
        writer.write_rows([{"id": id, "name": name, "value": value, "label": None} for id, value in rows])
    return folder


@given(
    st.lists(st.lists(share, min_size=3, max_size=3), min_size=1),
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
)
def test_the_composite_is_the_mean_by_weight_of_what_is_there(rows, weights):
    found = composite(np.array([[math.nan if v is None else v for v in row] for row in rows]), np.array(weights))
    for score, row in zip(found, rows, strict=True):
        there = [(value, weight) for value, weight in zip(row, weights, strict=True) if value is not None]
        if not there:
            assert math.isnan(score)
            continue
        values = [value for value, _ in there]
        assert score == pytest.approx(sum(v * w for v, w in there) / sum(w for _, w in there), abs=2e-6)
        assert min(values) - 1e-6 <= score <= max(values) + 1e-6


@given(st.floats(-50, 50), st.floats(0.01, 100), st.floats(0.05, 0.95), st.booleans(), st.floats(1, 99))
def test_a_scale_goes_through_its_three_points_and_never_turns(zero, span, share, falling, threshold):
    full = zero - span if falling else zero + span
    component = Component(zero=zero, full=full, passes=zero + share * (full - zero))
    assert points(np.array([zero, component.passes, full, math.nan]), component, threshold)[
        :3
    ].tolist() == pytest.approx([0.0, threshold, 100.0])
    values = np.linspace(min(zero, full) - span / 2, max(zero, full) + span / 2, 50)
    steps = np.diff(points(values, component, threshold))
    assert ((-steps if falling else steps) >= -1e-9).all()
    assert steps.any()
    assert math.isnan(points(np.array([math.nan]), component, threshold)[0])


@pytest.mark.parametrize("odd", [{"full": 0.0}, {"passes": 0.0}, {"passes": 101.0}, {"weight": 0.0}, {"wieght": 1.0}])
def test_odd_components_are_refused(odd):
    with pytest.raises(ValidationError):
        Component(**odd)


def test_documents_are_scored_on_what_is_known_of_them(documents, run, tmp_path):
    rows = [
        {"id": "both", "text": "a", "quality": 90.0},
        {"id": "edu", "text": "b"},
        {"id": "column", "text": "c", "quality": 90.0},
        {"id": "none", "text": "d", "lang": "go"},
        {"id": "null", "text": "e", "quality": 84.0, "lang": None},
        {"id": "passes", "text": "f", "quality": 85.0},
    ]
    edu = table(tmp_path / "edu", [("both", 5.0), ("edu", 3.0), ("null", None), ("other", 1.0), ("passes", 3.0)])
    config = {"components": {"edu": {"weight": 3.0, "passes": 3.0, "full": 5.0}, "quality": {}}}
    kept, dropped, facts = run(quality, config, documents=documents(rows), scores=edu)
    assert {row["id"]: row["quality"] for row in kept} == {"both": 97.5, "edu": 85.0, "column": 90.0, "passes": 85.0}
    assert {row["id"]: (row["quality"], row["reason"]) for row in dropped} == {
        "none": (None, "unscored"),
        "null": (84.0, "low_quality"),
    }
    assert facts["scored"] == 5
    assert facts["histogram"][16:] == [1, 2, 1, 1]
    assert facts["buckets"]["high"] == {"records": 4, "share": 0.8}
    assert facts["languages"]["unknown"] == {"records": 1, "mean": 84.0}
    assert facts["components"]["edu"]["records"] == 3
    assert facts["mean"] == pytest.approx((97.5 + 85 + 90 + 84 + 85) / 5)


def test_order_and_workers_change_nothing(documents, run, tmp_path):
    rng = random.Random(0)
    rows = [
        {
            "id": f"{at:032x}",
            "text": str(at),
            "quality": rng.choice([None, rng.uniform(0, 100)]),
            "lang": rng.choice("ab"),
        }
        for at in range(700)
    ]
    scores = [(row["id"], rng.uniform(0, 9)) for row in rows[::3]] * 2
    results = []
    for workers in (1, 2):
        rng.shuffle(rows)
        rng.shuffle(scores)
        config = {"components": {"edu": {"zero": 9, "full": 0, "passes": 2}, "quality": {}}, "workers": workers}
        kept, dropped, facts = run(
            quality, config, documents=documents(rows), scores=table(tmp_path / f"edu{workers}", scores)
        )
        results.append([table_digest([pa.RecordBatch.from_pylist(part)]) for part in (kept, dropped)] + [facts])
    assert results[0] == results[1]


def test_components_and_inputs_must_match(documents, run, tmp_path):
    rows = documents([{"id": "a", "text": "a", "quality": 10.0}])
    edu = table(tmp_path / "edu", [("a", 5.0)])
    for config, inputs in (
        ({}, {}),
        ({}, {"scores": edu}),
        ({"components": {"edo": {}}}, {"scores": edu}),
        ({"components": {"classifier": {}}}, {}),
        ({"components": {"edu": {}}}, {"scores": edu, "more_scores": edu}),
        ({"components": {"quality": {}}}, {"scores": table(tmp_path / "odd", [("a", 5.0)], name="quality")}),
    ):
        with pytest.raises(InputError):
            run(quality, config, documents=rows, **inputs)
    with pytest.raises(EmptyError):
        run(quality, {"components": {"quality": {}}}, documents=rows)


def test_scores_are_found_by_id_and_the_lowest_counts(tmp_path):
    rng = random.Random(1)
    rows = [(f"{rng.randrange(500):x}", rng.choice([None, rng.random()])) for _ in range(1000)]
    found = read_scores(table(tmp_path / "t", rows))["edu"]
    for id in [f"{at:x}" for at in range(520)] + ["", "zzzz" * 20, "\u00e9"]:
        values = [value for other, value in rows if other == id and value is not None]
        assert found.of([id]).tolist() == pytest.approx([min(values, default=math.nan)], nan_ok=True)
    assert read_scores(table(tmp_path / "empty", [])) == {}


def plainly(text):
    """The words of a text by a regular expression, to compare with."""
    head = "".join(letter if letter >= " " or letter == "\n" else " " for letter in text[:CHARACTERS])
    words = re.findall(r"[A-Z]?[a-z\x80-\U0010ffff]+|[A-Z]+(?![a-z\x80-\U0010ffff])|[0-9]+|[^\x7fA-Za-z0-9_ ]", head)
    line = " ".join("\u00b6" if word == "\n" else re.sub("[0-9]", "0", word) for word in words)
    return re.sub("[A-Z]", lambda match: match[0].lower(), line) if set(words) - {"\n"} else ""


def test_words_of_code():
    assert one_line(["parseHTTPRequest_v2 = Größe(0xff)\n\n# a\tb\0\n", None])[0].split() == [
        *("parse", "http", "request", "v", "0", "=", "größe", "(", "0", "xff", ")", "\u00b6", "\u00b6"),
        *("#", "a", "b", "\u00b6"),
    ]
    source = Path(quality.__file__).read_text()
    assert one_line([source, source[9:]]) == [plainly(source), plainly(source[9:])]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("aB_9.\n "))))
def test_words_are_one_line_without_marks_of_fasttext(texts):
    lines = one_line(texts)
    assert lines == [plainly(text) for text in texts]
    for line in lines:
        words = re.split("[\\s\0]", line, flags=re.ASCII)
        assert line == " ".join(words)
        assert not any(word.startswith("__label__") or word == "</s>" for word in words)


def test_hostile_text_is_a_line_or_nothing():
    lines = one_line(HOSTILE)
    assert lines[:4] == [""] * 4
    assert lines[4:7] == ["? a", "x" * CHARACTERS, "label good < / s >"]
    assert one_line([]) == []
