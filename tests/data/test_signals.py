"""The scan against a plain reference, on real files and on hostile text, and the stage's outputs."""

import json.decoder
import random
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.data import buckets, lexicon, signals
from smallcoder.data.distributions import Distributions
from smallcoder.data.scan import COUNTS, LIMIT, scan
from tests.data.plain_signals import plain_counts

FILES = 1000
PLAIN = "".join(f"def add{at}(first, second):\n    return first + second * {at}\n\n" for at in range(12))
REAL = Path(json.decoder.__file__).read_text(encoding="utf-8")


def differences(texts: list[str], languages: list[str | None]) -> list[tuple[int, str, int, int]]:
    found = scan(pa.array(texts, pa.large_string()), languages)
    return [
        (row, name, int(found[name][row]), value)
        for row, (text, lang) in enumerate(zip(texts, languages, strict=True))
        for name, value in plain_counts(text, lang).items()
        if found[name][row] != value
    ]


def test_every_count_has_a_reference() -> None:
    assert set(plain_counts("x", "python")) == set(COUNTS.names or ())


def test_a_thousand_real_files() -> None:
    places = {sysconfig.get_paths()[name] for name in ("stdlib", "purelib")}
    files = sorted({path for place in places for path in Path(place).rglob("*.py") if path.is_file()})
    random.Random(5).shuffle(files)
    texts: list[str] = []
    for path in files:
        text = path.read_bytes().decode("utf-8", "replace")
        if 0 < len(text) <= (30_000 if len(texts) % 25 == 0 else 3_000):  # the reference is slow
            texts.append(text)
        if len(texts) == FILES:
            break
    assert len(texts) == FILES
    assert any(not text.isascii() for text in texts)
    assert differences(texts, ["python"] * FILES) == []


SAMPLES = {
    "c": "/** Doc. */\n#include <io.h>\nint f(int a) { // TODO\nif(a) { printf(\"x\\\"y /*\"); }\n  return '\\''; }\n",
    "javascript": "const f = (a) => {\n return `x ${a} // \n y`; /* b */ };\nfoo(g(), {a: 1});\nclass A { m(x) { } }\n",
    "rust": "/// doc\nfn f<'a>(x: &'a str) -> char { '\\n' }\n//! in\nlet c = '\"'; let d = 'x';\n",
    "go": 'import "fmt"\nfunc main() {\n\tfmt.Println("a", `b\nc`)\n}\n',
    "shell": "#!/bin/sh\necho $# 'a # b' # c\nfor x in a; do echo ${x#y}; done\n",
    "sql": "-- c\nselect 'a--b' /* d */ from t;\n",
    "html": "<!-- a\nb --><p class='x'>t</p>\n",
    "tex": "a 50\\% b % c\n",
    "lisp": '; c\n(defun f (x) \'y "s ; t" #\\a)\n',
    "ruby": "require 'a'\ndef f\n  puts \"#{x}\" # c\nend\n",
    "yaml": "a: b # c\nd: e#f\n",
    "markdown": '# Title\n\nIt\'s `code` and "text".\n',
}


def test_other_languages() -> None:
    assert differences(list(SAMPLES.values()), list(SAMPLES)) == []
    found = scan(pa.array(list(SAMPLES.values())), list(SAMPLES))
    by_name = {lang: {name: int(found[name][row]) for name in COUNTS.names or ()} for row, lang in enumerate(SAMPLES)}
    picked = ("functions", "comments", "docs", "string_bytes", "import_lines", "print_lines", "mark_lines")
    assert [by_name["c"][name] for name in picked] == [1, 2, 1, 13, 1, 1, 1]
    assert [by_name["javascript"][name] for name in picked[:4]] == [2, 1, 0, 15]
    assert [by_name["rust"][name] for name in picked[:4]] == [1, 2, 2, 0]
    assert by_name["go"]["functions"] == by_name["ruby"]["functions"] == by_name["lisp"]["functions"] == 1
    assert by_name["shell"]["comments"] == 2
    assert by_name["yaml"]["comments"] == by_name["html"]["comments"] == by_name["tex"]["comments"] == 1
    assert by_name["markdown"]["comments"] == by_name["markdown"]["string_bytes"] == 0


CHARACTERS = "\n\n\n \t'\"`#/*-;%<>{}()[]\\,=!ré漢\ue001\uf8ff\ufffd\x85\xa0😀_0\r\f"
MARKS = "''' \"\"\" /* */ // /// -- <!-- --> r' b\" \\' \\\" assertEqual print TODO for return 'x' '\\n' <'a>"
LINES = ["  ", "    x = 1\n", "\tif ", "def f(x):\n", "\\\n", "import os\n", "a b c d e f ", "(a) {", "=> {", "a@b.c "]
RUNS = ["0x1f, " * 9, "QUJD" * 17, "ab\ncd\n" * 12, "\\u00e9" * 8, "https://a.b/c?d "]
PIECES = st.sampled_from([*CHARACTERS, *MARKS.split(), *LINES, *RUNS])
LANGUAGES = st.sampled_from([*lexicon.LANGUAGES, "markdown", "brainfuck", None])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.lists(PIECES, max_size=25).map("".join), st.text(max_size=40)), LANGUAGES), max_size=4
    )
)
def test_hostile_text(rows: list[tuple[str, str | None]]) -> None:
    rows = [(text.encode("utf-8", "replace").decode(), lang) for text, lang in rows]
    assert differences([text for text, _ in rows], [lang for _, lang in rows]) == []


def test_huge_texts_cost_bounded_memory_and_random_bytes_do_no_harm() -> None:
    many = "ab " * (LIMIT + 9)
    found = scan(pa.array([many, "x" * 3_000_000, "\n" * 1000, "((((" * 1000], pa.large_string()), ["python"] * 4)
    assert found["words"].tolist() == [LIMIT + 9, 1, 0, 0]
    assert found["distinct_words"].tolist() == [1, 1, 0, 0]
    assert found["lines"].tolist() == [1, 1, 1000, 1]
    rng = random.Random(1)
    noise = [rng.randbytes(2000).decode("latin-1") for _ in range(50)]
    assert differences(noise, [rng.choice([*lexicon.LANGUAGES]) for _ in noise]) == []


def test_slices_nulls_and_empty_columns() -> None:
    column = pa.array(["zz", "x = 1\n", None, ""], pa.string()).slice(1)
    assert scan(column, ["python"] * 3)["words"].tolist() == [2, 0, 0]
    assert len(scan(pa.array([], pa.large_string()), [])) == 0


def test_thresholds_can_be_changed_and_mistakes_are_named(tmp_path: Path) -> None:
    place = tmp_path / "mine.toml"
    place.write_text("high = 90\nmedium = 50\n[code.lines]\nrises = [0, 10]\npoints = 100\n")
    found = buckets.read_thresholds(place, signals.NAMES)
    values = np.full((4, len(signals.NAMES)), np.nan)
    values[:3, signals.NAMES.index("lines")] = [0, 9, 20]
    quality = found.quality(values, ["code"] * 4)
    assert quality.tolist() == [0, 90, 100, 100]
    assert found.buckets(quality).tolist() == [2, 0, 0, 0]
    for text in (
        "high = 1\nmedium = 2",
        "medium = 2",
        "high = 9\nmedium = 2\n[cod.lines]\nrises = [0, 1]",
        "high = 9\nmedium = 2\n[code.lins]\nrises = [0, 1]",
        "high = 9\nmedium = 2\n[code.lines]\nrises = [1, 0]",
        "high = 9\nmedium = 2\n[code.lines]\nrise = [0, 1]",
        "high = 9\nmedium = 2\n[code.lines]\nrises = [0, 1]\npoints = 0",
        "high =",
    ):
        place.write_text(text)
        with pytest.raises(InputError):
            buckets.read_thresholds(place, signals.NAMES)
    with pytest.raises(InputError):
        buckets.read_thresholds(tmp_path / "none.toml", signals.NAMES)


def test_quantiles_are_near_the_exact_ones() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.lognormal(3, 2, 20_000), rng.random(20_000)], axis=1)
    whole, parts = Distributions(["size", "some_share"]), Distributions(["size", "some_share"])
    whole.add(["c"] * len(values), values)
    for part in np.array_split(values[::-1], 7):
        parts.add(["c"] * len(part), part)
    facts = whole.facts()
    assert facts == parts.facts()
    for at, name in enumerate(("size", "some_share")):
        found = facts["c"]["signals"][name]
        exact = np.quantile(values[:, at], [float(share) for share in found["quantiles"]])
        assert np.allclose(list(found["quantiles"].values()), exact, rtol=0.06)
        assert sum(found["histogram"]["documents"]) == len(values)
