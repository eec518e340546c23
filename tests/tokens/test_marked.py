"""Documents with spans: marks become special tokens and nothing else does, middles are those offered."""

import json
import shutil
import unicodedata

import pytest

from smallcoder.core.errors import InputError
from smallcoder.core.records import DOCUMENT, SPAN
from smallcoder.tokens.cut import Cutter, Infill
from smallcoder.tokens.encode import load_encoder
from smallcoder.tokens.fim import FimSpec
from smallcoder.tokens.marked import Spans, encode_marked

from .conftest import Recorder, document_rows, plain_text, write
from .test_packing import pack, segments

NAME, FILE = "<|repo_name|>", "<|file_sep|>"


def joined(files: list[tuple[str, str]]) -> tuple[str, list[tuple[int, int, str]]]:
    """Files below each other under marked headings, every line of them a middle."""
    data = f"{NAME}r\n".encode()
    spans = [(0, len(NAME), "mark")]
    for path, text in files:
        spans.append((len(data), len(data) + len(FILE), "mark"))
        data += f"{FILE}{path}\n".encode()
        for line in text.splitlines(keepends=True):
            spans.append((len(data), len(data) + len(line.encode()), "statement"))
            data += line.encode()
    return data.decode(), spans


def test_middles_are_those_offered_and_come_from_the_last_file(encoder):
    files = [(f"{name}.py", "".join(f"{name}_{line} = {line}\n" for line in range(5))) for name in "abc"]
    text, spans = joined(files)
    (document,) = encode_marked(encoder, [("id", text, spans)], 1)
    middle = encoder.token_id("<|fim_middle|>")
    seen = set()
    for seed in range(40):
        recorder = Recorder()
        cutter = Cutter(encoder, 1024, Infill(FimSpec(), 1.0, 1.0, 0.5, 0.0), seed)
        cutter.cut(document, recorder)  # pyright: ignore[reportArgumentType]
        (piece,) = recorder.pieces
        seen.add(encoder.decode(piece[piece.index(middle) + 1 : -1]))
        assert cutter.facts()["fim_syntax"] == 1
    assert seen == {f"c_{line} = {line}\n" for line in range(5)}


def test_pack_reads_spans_beside_documents(tokenizer, encoder, tmp_path):
    """Some documents have spans and some none; a sample keeps those of the chosen."""
    rows = document_rows()[:12]
    spans = []
    for row in rows[::2]:
        row["text"], places = joined([(row["path"], row["text"]), ("b.py", "b = 1\n")])
        spans += [{"id": row["id"], "kind": kind, "start": start, "end": end} for start, end, kind in places]
    documents, table = write(tmp_path / "documents", DOCUMENT, rows), write(tmp_path / "spans", SPAN, spans)
    packed, facts = pack(documents, tokenizer, tmp_path / "all", spans=table, fim_rate=0.5)
    tokens = packed.tokens.ravel().tolist()
    assert tokens.count(encoder.token_id(NAME)) == 6
    assert tokens.count(encoder.token_id(FILE)) == 12
    assert 0 < facts["fim_syntax"] < facts["fim_pieces"]
    _, some = pack(documents, tokenizer, tmp_path / "some", spans=table, sample_bytes=20_000)
    assert 0 < some["documents"] < 12
    parts = sorted(ids.tolist() for ids, _ in segments(packed))
    again, _ = pack(documents, tokenizer, tmp_path / "again", spans=table, fim_rate=0.5, workers=1)
    assert sorted(ids.tolist() for ids, _ in segments(again)) == parts


@pytest.mark.parametrize(
    "span", [(0, 3, "mark"), (-1, 2, "mark"), (4, 99, "mark"), (0, 1, "mark"), (1, 2, "block"), (2, 2, "block")]
)
def test_spans_of_another_text_are_refused(encoder, span):
    """No special token there, outside the text, inside a character, empty."""
    with pytest.raises(InputError):
        encode_marked(encoder, [("id", "é = 1\n", [span])], 1)


def test_spans_of_another_table_are_refused(tmp_path):
    rows = [{"id": name, "kind": "mark", "start": 0, "end": 1} for name in "aab"]
    spans = Spans(write(tmp_path / "spans", SPAN, rows))
    assert len(spans.of("a")) == 2
    assert spans.of("c") == []
    with pytest.raises(InputError, match="document b"):
        spans.close()


def test_a_tokenizer_that_changes_the_text_gives_back_what_its_tokens_say(tokenizer, tmp_path):
    """Qwen's composes characters first: places in the text are not places in what is trained on."""
    shutil.copytree(tokenizer, tmp_path / "nfc")
    data = json.loads((tmp_path / "nfc" / "tokenizer.json").read_text())
    (tmp_path / "nfc" / "tokenizer.json").write_text(json.dumps(data | {"normalizer": {"type": "NFC"}}))
    encoder = load_encoder(tmp_path / "nfc")
    text, spans = joined([("a.py", "e\u0301 = 'e\u0301\u4f60'\n" * 40), ("b.py", "x = 1\n")])
    (document,) = encode_marked(encoder, [("id", text, spans)], 1)
    recorder = Recorder()
    Cutter(encoder, 64, Infill(FimSpec(), 1.0, 1.0, 0.5, 0.0), seed=1).cut(document, recorder)  # pyright: ignore
    found = b"".join(plain_text(piece, encoder, FimSpec()) for piece in recorder.pieces)
    assert found == unicodedata.normalize("NFC", text).encode()
