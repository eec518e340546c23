import os
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.report import figures
from smallcoder.report.facts import first_lines, load_stages
from smallcoder.report.figures import Interval, dot_plot, line_chart, thin, ticks
from smallcoder.report.formats import duration, size, visible
from smallcoder.report.page import write_report
from tests.report.made_up import HOSTILE, make_run, manifest, sieve

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags and attributes, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.text = set(), [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_a_whole_run(tmp_path):
    page = write_report(make_run(tmp_path / "run"), "quickstart")
    assert page == tmp_path / "run" / "report.html"
    text = page.read_text(encoding="utf-8")
    parsed = Page(text)
    shown = " ".join(" ".join(parsed.text).split())
    for wanted in (
        "1.598", "95.2%", "0.0% after pretrain", "98.7%", "3.00 GiB", "BSD-3-Clause", "syntax error", "3.41", "1.710",
        "4 of 300 lines exact", "12 repositories (1 MB) are held out whole", "count_even", "tier: namespaces",
        "GPL-3.0-only 31", "ip address 4", "high 600", "98.6% (93.0% to 99.8%)", "humaneval/test 2",
        "en 410", "89.3% (80.3% to 94.5%)", "10 of 18", "classifier 700 80.4", "below 50 are dropped",
    ):  # fmt: skip
        assert wanted in shown, wanted
    assert {"svg", "polyline", "circle"} <= parsed.tags
    assert not list(tmp_path.rglob("*.tmp"))


def test_hostile_text_is_inert(tmp_path):
    run = make_run(tmp_path / "run")
    text = write_report(run, HOSTILE).read_text(encoding="utf-8")
    parsed = Page(text)
    assert not parsed.tags & {"script", "img", "b0", "iframe", "link", "object"}
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name in ("src", "href")]
    assert "http:" not in text
    assert "https:" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "Content-Security-Policy" in text
    assert text.count("&lt;script&gt;alert(") >= 5


def test_any_part_of_a_run_gives_a_page(tmp_path):
    whole = make_run(tmp_path / "whole")
    for stage in load_stages(whole):
        only = tmp_path / f"only-{stage.stage}"
        only.mkdir()
        os.symlink(whole / stage.stage, only / stage.stage)
        Page(write_report(only, "part").read_text(encoding="utf-8"))


def test_stages_that_say_little_or_odd_things(tmp_path):
    uses = (
        "read",
        "clean",
        "split",
        "tokenizer",
        "pack",
        "pack_examples",
        "train",
        "evaluate",
        "infilling",
        "gguf",
        "licenses",
        "redact",
        "assess",
        "dedup",
        "decontaminate",
        "language",
        "quality_classifier",
        "quality",
        "new",
    )
    for use in uses:
        manifest(tmp_path / "empty", use, use, {})
        odd = {
            "dropped": {"x": 3},
            "splits": {"a": {}},
            "files": {"f16": {}},
            "contents": {},
            "licenses": {"dropped": {"GPL-3.0-only": 3}},
            "redacted": {"email": None},
            "buckets": {"high": {}},
            "measured": {"recall": None, "interval": None},
            "problems": 3,
            "natural": {"en": 3},
            **{name: {"share": None, "interval": None} for name in ("precision", "recall", "f1")},
            "components": {"quality": None},
            "loss_curve": [[1, None]],
        }
        manifest(tmp_path / "odd", use, use, odd, seconds=0.0, peak_memory_bytes=0)
    for name in ("empty", "odd"):
        Page(write_report(tmp_path / name, name).read_text(encoding="utf-8"))


def test_stages_come_after_what_they_are_made_from(tmp_path):
    manifest(tmp_path, "c", "clean", sieve(1, {}), inputs={"documents": "b/documents"})
    manifest(tmp_path, "b", "clean", sieve(1, {}), inputs={"documents": "a/documents"})
    manifest(tmp_path, "a", "read", sieve(1, {}))
    manifest(tmp_path, "a.partial", "read", sieve(1, {}))
    assert [stage.stage for stage in load_stages(tmp_path)] == ["a", "b", "c"]


def test_nothing_to_report(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="no finished stage"):
            write_report(folder, "x")


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 8))
def test_ticks_cover_the_range_with_round_steps(low, span, number):
    marks = ticks(low, low + span, number)
    step = marks[1] - marks[0]
    assert 2 <= len(marks) <= number + 3
    assert marks[0] <= low + 1e-6 * step
    assert marks[-1] >= low + span - 1e-6 * step


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats()), max_size=400))
def test_charts_draw_any_numbers(points):
    chart = str(line_chart(points, "loss"))
    assert "nan" not in chart
    assert "inf" not in chart
    if chart:
        Page(chart)


def test_figures_escape_and_keep_means():
    chart = str(dot_plot([("<b>", [Interval(0, 0.5, 0.4, 0.6, '"><script>')])]))
    assert "<b>" not in chart
    assert "<script>" not in chart
    assert thin([(float(x), 2.0 * x) for x in range(1000)], 100)[0] == (4.5, 9.0)


def test_small_texts():
    assert [size(value) for value in (0, 999, 1_500, 226_000_000, 4.7e9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "226 MB",
        "4.7 GB",
    ]
    assert [duration(value) for value in (0.24, 491.3, 59.99, 3254, 7300)] == [
        "0.2 s",
        "8 min 11 s",
        "1 min 0 s",
        "54 min",
        "2 h 1 min",
    ]
    assert first_lines("\n\na\n" + "b" * 500 + "\nc\nd", lines=3, columns=5) == "a\nbbbbb …\nc\n…"
    assert visible("a\tb\n\x00\u200b") == "a\tb\n\u2400⟨U+200B⟩"
    assert not re.search(r"[\x00-\x08\x80-\x9f]", visible("".join(map(chr, range(256)))))


def test_the_load_of_experts_is_drawn_square_by_square():
    drawn = figures.load_chart([[0.25, 0.25, 0.5, 0.0], [0.25, 0.25, 0.25, 0.25]])
    assert drawn.count('class="cell"') == drawn.count('class="load"') == 8
    assert "layer 0, expert 2: 2.00 of an even share" in drawn
    sides = [float(side) for side in re.findall(r'class="load"[^>]*width="([\d.]+)"', drawn)]
    whole = float(re.findall(r'class="cell"[^>]*width="([\d.]+)"', drawn)[0])
    assert sides[2] == whole
    assert sides[3] == 0
    assert sides[4] ** 2 == pytest.approx(whole**2 / 2, rel=0.01)
    assert not figures.load_chart([])
