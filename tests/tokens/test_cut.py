"""Pieces of documents, in the infilling format of every family: nothing lost, nothing cut, shares as set."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.tokens.cut import Cutter, Infill
from smallcoder.tokens.encode import Encoder, load_encoder
from smallcoder.tokens.fim import FimSpec, known_fim
from smallcoder.tokens.marked import encode_marked

from .conftest import Recorder, document_rows, plain_text, said
from .families import MARKS, write_family

FAMILIES = ("ours", "starcoder", "deepseek", "qwen", "gemma", "llama2", "mistral")
HEADING = {"qwen": "<|file_sep|>", "starcoder": "<file_sep>", "gemma": "<|file_separator|>", "ours": "<|file_sep|>"}
LINES = st.sampled_from(
    ["x = 1\n", "    return é\n", "\n", "\r\n", "# 你好 🙂", "<|fim_middle|>", "<fim_prefix>", "\t", "a" * 30]
)
BODIES = st.one_of(st.lists(LINES, max_size=40).map("".join), st.text(max_size=120))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def reader(family, tokenizer, tmp_path_factory) -> Encoder:
    return load_encoder(tokenizer if family == "ours" else write_family(family, tmp_path_factory.mktemp(family)))


@pytest.fixture(scope="module")
def spec(reader) -> FimSpec:
    found = known_fim(reader)
    assert found
    return found


def repository(bodies: list[str], heading: str | None) -> tuple[str, list[tuple[int, int, str]]]:
    """Files below each other under marked headings, every line of them offered as a middle."""
    data, spans = b"", []
    for number, body in enumerate(bodies):
        if heading:
            spans.append((len(data), len(data) + len(heading.encode()), "mark"))
            data += f"{heading}{number}.py\n".encode()
        for line in body.splitlines(keepends=True):
            spans.append((len(data), len(data) + len(line.encode()), "statement"))
            data += line.encode()
    return data.decode(), spans


def test_every_document_comes_back_byte_for_byte(family, reader, spec):
    """From pieces of any order and kind, with middles from the syntax and with several files in a document."""

    @settings(max_examples=120, deadline=None)
    @given(
        bodies=st.lists(BODIES, min_size=1, max_size=3),
        context=st.sampled_from([40, 97, 1000]),
        rate=st.sampled_from([0.0, 0.5, 1.0]),
        other=st.sampled_from([0.0, 1.0] if spec.middle else [0.0]),
        syntax=st.sampled_from([0.0, 1.0]),
        seed=st.integers(0, 9),
    )
    def check(*, bodies, context, rate, other, syntax, seed):
        text, spans = repository(bodies, HEADING.get(family))
        (document,) = encode_marked(reader, [("id", text, spans)], 1)
        if reader.exact:
            assert document.data == text.encode()
        heading = reader.special.get(HEADING.get(family, ""))
        assert [at for at, id in enumerate(document.ids) if id == heading] == document.marks
        assert len(document.marks) == (len(bodies) if heading else 0)
        assert said(document.ids, reader) == document.data
        recorder = Recorder()
        cutter = Cutter(reader, context, Infill(spec, rate, syntax, 0.5, other), seed)
        cutter.cut(document, recorder)  # pyright: ignore[reportArgumentType]
        pieces = recorder.pieces
        assert b"".join(plain_text(piece, reader, spec) for piece in pieces) == document.data
        marks = [reader.token_id(mark) for mark in (spec.prefix, spec.suffix, spec.middle) if mark]
        infilling = [piece for piece in pieces if marks[0] in piece]
        for piece in pieces:
            assert len(piece) <= context + 1
            assert reader.begin is None or piece[0] == reader.begin
        for piece in infilling:  # each mark once, no heading among them, and a whole middle: the end follows it
            assert [piece.count(mark) for mark in marks] == [1] * len(marks)
            assert heading not in piece[min(map(piece.index, marks)) :]
            assert piece[-1] == reader.end
        if document.ids:  # the end of every file is seen, and seen to be one
            assert pieces[-1][-1] == reader.end
        facts = cutter.facts()
        assert facts["fim_pieces"] == len(infilling)
        assert facts["fim_pieces"] == facts["fim_syntax"] + facts["fim_lines"] + facts["fim_characters"]
        assert rate > 0 or not infilling
        if rate == 1:
            assert facts["pieces"] == facts["fim_pieces"] + facts["fim_too_long"] + facts["fim_no_body"]
        assert facts["fim_other_order"] == other * len(infilling)

    check()


def test_a_prompt_begins_as_a_training_piece(reader, spec, family):
    prefix, middle, suffix = "def f(x):\n    ", "return x", "\n\nf(1)\n"
    piece = spec.encode(reader, prefix, middle, suffix)
    if family == "llama2":  # `tokenizers` puts a space behind every mark too; CodeLlama itself has none there
        return
    prompt = reader.encode(spec.prompt(prefix, suffix), special=True)
    assert prompt[reader.begin is not None :] + reader.encode(middle) == piece


def test_formats_are_the_families_own(reader, spec, family):
    assert spec.order == ("spm" if family == "mistral" else "psm")
    expected = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>") if family == "ours" else MARKS[family]
    assert spec.prefix in expected
    assert spec.joint == (family in ("starcoder", "llama2"))
    ids = spec.encode(reader, "P", "M", "S", "spm")
    text = reader.decode(ids)
    if spec.joint:
        assert text == f"{spec.prefix}{spec.suffix}S{spec.middle}PM"
    else:
        assert text == f"{spec.suffix}S{spec.prefix}P{spec.middle}M"
    if spec.middle:
        assert reader.decode(spec.encode(reader, "P", "M", "S", "psm")) == f"{spec.prefix}P{spec.suffix}S{spec.middle}M"
    else:
        with pytest.raises(InputError, match="spm alone"):
            Cutter(reader, 64, Infill(spec, 0.5, 0.5, 0.5, 0.1), seed=0)


def test_shares_are_as_set(encoder: Encoder):
    """Of pieces that are rearranged, of orders, of splits by syntax and by line: four standard deviations at most."""
    rows = [(row["id"], *repository([row["text"]], None)) for row in document_rows()]
    rows = [(id, text, spans) for id, text, spans in rows if len(text) > 1000]
    documents = encode_marked(encoder, rows, 1)
    infill = Infill(FimSpec(), rate=0.4, syntax=0.6, lines=0.3, other_order=0.25)
    recorder = Recorder()
    cutter = Cutter(encoder, 96, infill, seed=11)
    for document in documents:
        cutter.cut(document, recorder)  # pyright: ignore[reportArgumentType]
    facts = cutter.facts()
    tried = facts["fim_pieces"] + facts["fim_too_long"] + facts["fim_no_body"]
    rest = facts["fim_pieces"] - facts["fim_syntax"]
    for count, total, share in (
        (tried, facts["pieces"], infill.rate),
        (facts["fim_syntax"], facts["fim_pieces"], infill.syntax),
        (facts["fim_lines"], rest, infill.lines),
        (facts["fim_other_order"], facts["fim_pieces"], infill.other_order),
    ):
        assert abs(count - total * share) < 4 * math.sqrt(total * share * (1 - share)), (count, total, share)
    assert facts["pieces"] > 3000
    assert facts["fim_too_long"] < 0.01 * facts["pieces"]
