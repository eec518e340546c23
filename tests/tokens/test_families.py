"""Tokenizers of other families: the ids of `tokenizers` and transformers, the bytes of the text, and clear refusals."""

import json
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from smallcoder.core.errors import InputError
from smallcoder.tokens import encode
from smallcoder.tokens.encode import ODD_TEXT, Encoder, load_encoder

from .conftest import HOSTILE, document_rows
from .families import BEGIN, BYTE_LEVEL, FAMILIES, MARKS, PLAIN, REPLACE, SENTENCEPIECE, write_family

PIECES = st.sampled_from(["def ", "    ", "\r\n", "'re", "'ſ", "==", "12", "é", "\u2581", "\u180e", "你", "  ", "\n\n"])
TEXTS = st.one_of(
    st.text(), st.text("ab \n\t'=_1é\u2581\x85"), st.lists(st.one_of(PIECES, st.text(max_size=3))).map("".join)
)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory) -> Path:
    return write_family(family, tmp_path_factory.mktemp(family))


@pytest.fixture(scope="module")
def other(folder) -> Encoder:
    return load_encoder(folder)


@pytest.fixture(scope="module")
def peer(folder, family) -> Tokenizer:
    """`tokenizers` on the same file, but for the space that some put before a text."""
    data = json.loads((folder / "tokenizer.json").read_text())
    if family in ("llama2", "mistral"):
        data |= {"normalizer": REPLACE, "pre_tokenizer": None}
    return Tokenizer.from_str(json.dumps(data))


def as_encoded(text: str, family: str) -> str:
    """What a family makes of a text before it encodes it."""
    if family == "qwen":
        return unicodedata.normalize("NFC", text)
    return text.replace("\u2581", " ") if family in SENTENCEPIECE else text


def test_any_text_has_the_peers_ids_and_its_own_bytes(other, peer, family):
    @settings(max_examples=150, deadline=None)
    @given(TEXTS)
    def check(text: str):
        assume(not any(mark in text for mark in other.special))  # which are text to us, and marks to the peer
        ids = other.encode(text)
        assert ids == peer.encode(text, add_special_tokens=False).ids
        assert other.decode(ids) == as_encoded(text, family)
        assert other.token_sizes[ids].sum() == len(as_encoded(text, family).encode())

    assert other.fast
    assert other.exact == (family in BYTE_LEVEL and family != "qwen")
    check()


def test_code_and_characters_of_all_kinds_have_the_peers_ids(other, peer, family):
    characters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]
    some = random.Random(family).sample(characters, 8_000)
    texts = [row["text"] for row in document_rows()[::9]] + [*ODD_TEXT, *HOSTILE]
    texts += [f"a{run} {run}\n {run}1" for run in ("".join(some[start : start + 16]) for start in range(0, 8_000, 16))]
    texts += [" " * 100_000 + "x", "\n \t" * 20_000, "ab1" * 20_000, "\u180e" * 30 + " \u180ea"]
    marks = [mark for mark in other.special if mark in "".join(texts)]
    expected = [peer.encode(text, add_special_tokens=False).ids for text in texts]
    for text, ids, wanted in zip(texts, other.encode_batch(texts, workers=2), expected, strict=True):
        assert ids == wanted or any(mark in text for mark in marks)


def test_a_prompt_is_read_as_transformers_reads_it(folder, other, family):
    from transformers import AutoTokenizer

    reader = AutoTokenizer.from_pretrained(folder)
    marks = [mark for mark in MARKS[family] if mark not in PLAIN]
    begin = BEGIN.get(family)
    for text in (
        *ODD_TEXT,
        "",
        "x",
        " x",
        "\n\ndef f():\n\n    '<table>'",
        *(f" a{mark} b{mark}{mark}\n" for mark in marks),
    ):
        ids = other.encode(text, special=True)
        assert ids == reader(text)["input_ids"]
        if begin:
            assert ids[0] == other.begin == other.special[begin]
            assert other.encode(begin + text, special=True)[:2] != [other.begin] * 2
        else:
            assert other.begin is None


def test_marks_in_plain_text_stay_text_and_words_stay_words(other, family):
    special = set(other.special.values())
    for mark in other.special:
        ids = other.encode(f"x {mark}y")
        assert not special & set(ids)
        assert other.decode(ids) == as_encoded(f"x {mark}y", family)
        assert other.token_sizes[other.special[mark]] == 0
    assert not set(PLAIN) & set(other.special)
    if family == "gemma":
        assert [other.token_bytes[id] for id in other.encode("\n\n<table>")] == [b"\n\n", b"<table>"]


def test_without_fastokens_or_where_it_errs_ids_are_the_same(folder, other, monkeypatch):
    class Wrong:
        def encode(self, text: str):
            raise ValueError("too much")

    class Lies:
        ids = (1,)

        def encode(self, text: str):
            return self

    for stand_in, fast in ((None, False), (Lies(), False), (Wrong(), True)):
        monkeypatch.setattr(encode, "_fastokens", lambda data, found=stand_in: found)
        slow = load_encoder(folder)
        assert slow.fast == fast
        for text in (*ODD_TEXT, "\ud800x"):
            assert slow.encode(text) == other.encode(text)
            assert slow.encode(text, special=True) == other.encode(text, special=True)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "WordPiece"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}, "Unigram"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": False}}, "lose"),
        ({"model": {"type": "BPE", "vocab": {"<0x0A>": 0}, "merges": [], "byte_fallback": True}}, "bytes"),
        ({"decoder": None}, "decoder"),
        ({"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}, "decoder"),
        ({"model": None}, "Error"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, change, word):
    folder = write_family("gemma", tmp_path)
    data = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(data | change))
    with pytest.raises(InputError, match=word) as found:
        load_encoder(folder)
    assert "\n" not in str(found.value)


def test_settings_say_whether_a_text_has_a_first_token(tmp_path):
    """Over the post-processor's template, as transformers has it."""
    folder = write_family("gemma", tmp_path)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    data = json.loads((folder / "tokenizer.json").read_text())
    for template in (data["post_processor"], None):
        (folder / "tokenizer.json").write_text(json.dumps(data | {"post_processor": template}))
        for asked, begin in ((True, 1), (False, None), (None, 1 if template else None)):
            (folder / "tokenizer_config.json").write_text(json.dumps(config | {"add_bos_token": asked}))
            assert load_encoder(folder).begin == begin
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"eos_token": None}))
    with pytest.raises(InputError, match="eos_token"):
        load_encoder(folder)


def test_a_model_of_sentencepiece_alone_names_what_to_do(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"x")
    with pytest.raises(InputError, match="AutoTokenizer"):
        load_encoder(tmp_path)
