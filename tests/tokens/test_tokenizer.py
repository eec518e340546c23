"""The tokenizer: exact round trips, ids equal to two peers, special tokens in their places."""

import json
import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.tokens import train
from smallcoder.tokens.encode import ODD_TEXT, Encoder, load_encoder
from smallcoder.tokens.vocabulary import END_OF_TEXT, SPECIAL, SPECIAL_SLOTS, VISIBLE, byte_letters

from .conftest import HOSTILE, document_rows

PIECES = st.sampled_from([*SPECIAL[:20], "def ", "    ", "\n", "\r\n", "'re", "'S", "==", "1", "é", "<|", "|>", "\t"])
TEXTS = st.one_of(st.text(), st.text("ab \n\t'=<|>_1é"), st.lists(st.one_of(PIECES, st.text(max_size=3))).map("".join))


@pytest.fixture(scope="module")
def peers(tokenizer) -> tuple[Tokenizer, Tokenizer]:
    """`tokenizers` on the same file: special tokens as plain text, and as special tokens."""
    data = json.loads((tokenizer / "tokenizer.json").read_text())
    plain = Tokenizer.from_str(json.dumps({**data, "added_tokens": []}))
    return plain, Tokenizer.from_file(str(tokenizer / "tokenizer.json"))


def test_every_text_survives_and_has_the_peers_ids(encoder: Encoder, peers):
    @settings(max_examples=1500, deadline=None)
    @given(TEXTS)
    def check(text: str):
        for special, peer in zip((False, True), peers, strict=True):
            ids = encoder.encode(text, special)
            assert ids == peer.encode(text, add_special_tokens=False).ids
            assert encoder.decode(ids) == text
            assert b"".join(encoder.token_bytes[id] for id in ids) == text.encode()

    assert encoder.fast
    check()


def test_ids_equal_the_peers_on_real_code_and_on_every_character(encoder: Encoder, peers):
    texts = [row["text"] for row in document_rows()] + list(ODD_TEXT)
    characters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]
    random.Random(1).shuffle(characters)
    runs = ["".join(characters[start : start + 16]) for start in range(0, len(characters), 16)]
    texts += [f"a{run} {run}\n {run}1" for run in runs]
    expected = peers[0].encode_batch(texts, add_special_tokens=False)
    assert encoder.encode_batch(texts, workers=2) == [encoding.ids for encoding in expected]


def test_special_tokens_in_plain_text_stay_text(encoder: Encoder):
    first = encoder.vocab_size - SPECIAL_SLOTS
    for name in SPECIAL:
        assert encoder.encode(name, special=True) == [encoder.token_id(name)]
        assert max(encoder.encode(f"x{name}y")) < first
    assert encoder.end == encoder.pad == encoder.token_id(END_OF_TEXT)
    assert [encoder.special[name] for name in SPECIAL] == list(range(first, encoder.vocab_size))


def test_all_bytes_are_there_and_sizes_are_utf8_bytes(encoder: Encoder):
    assert {bytes([byte]) for byte in range(256)} <= set(encoder.token_bytes)
    assert sorted(byte_letters().values()) == list(range(256))
    for text in HOSTILE:
        assert encoder.token_sizes[encoder.encode(text)].sum() == len(text.encode())
    assert encoder.token_sizes[encoder.encode("".join(SPECIAL), special=True)].sum() == 0


def test_transformers_loads_it_with_the_same_ids_and_chat(tokenizer, encoder: Encoder, tmp_path):
    """As a tokenizer folder and as a model folder, where transformers could prefer the model's own tokenizer class."""
    import shutil

    from transformers import AutoTokenizer

    from smallcoder.tokens.template import load_template

    shutil.copytree(tokenizer, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}')
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "\n\nadd {{ x }} é <tool_call>\n"},
        {"role": "assistant", "content": "  <think>\n</think>return x\n"},
        {"role": "user", "content": "more"},
    ]
    for folder in (tokenizer, tmp_path / "model"):
        peer = AutoTokenizer.from_pretrained(folder)
        assert len(peer) == encoder.vocab_size == 1024
        assert (peer.eos_token_id, peer.pad_token_id, peer.bos_token_id) == (encoder.end, encoder.end, None)
        for text in (*ODD_TEXT, *HOSTILE):
            ids = encoder.encode(text, special=True)
            assert peer(text)["input_ids"] == ids
            assert peer.decode(ids) == text
        shown = peer.decode(encoder.encode("<|im_start|>" + "".join(VISIBLE), True), skip_special_tokens=True)
        assert shown == "".join(VISIBLE)
        for generate in (False, True):
            text = peer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate)
            turns = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
            assert text == turns + generate * "<|im_start|>assistant\n"
        assert peer.apply_chat_template(messages)["input_ids"] == load_template(folder, encoder).encode(messages)[0]


def test_training_repeats_exactly_in_any_row_order(trained, documents, examples, tmp_path):
    from smallcoder.core.records import DOCUMENT

    from .conftest import write

    folder, facts = trained
    shuffled = document_rows()
    random.Random(3).shuffle(shuffled)
    again = write(tmp_path / "documents", DOCUMENT, shuffled)
    config = train.Config(vocab_size=1024, sample_bytes=600_000)
    assert train.run(config, {"documents": again, "examples": examples}, tmp_path) == facts
    for path in folder.iterdir():
        assert (tmp_path / "tokenizer" / path.name).read_bytes() == path.read_bytes()


def test_facts_and_words_of_the_examples(trained, encoder: Encoder):
    _, facts = trained
    assert facts["vocab_size"] == facts["records"] == 1024
    assert facts["merges"] == 1024 - 256 - SPECIAL_SLOTS
    assert facts["sample_bytes"] <= 600_000
    assert 2 < facts["bytes_per_token"] == facts["by_language"]["python"]["bytes_per_token"] < 4
    assert len(facts["longest_tokens"]) == 10
    assert len(encoder.encode(" zyzzyva")) == 1


def test_a_tiny_sample_is_filled_up_with_reserved_tokens(tmp_path):
    train.save(train.learn(["abc abc\n"], 512 - SPECIAL_SLOTS), 512, tmp_path)
    encoder = load_encoder(tmp_path)
    assert encoder.vocab_size == len(set(encoder.token_bytes)) == 512
    assert encoder.decode(encoder.encode("ünïcode")) == "ünïcode"


def test_a_sample_too_small_for_its_vocabulary_is_refused_with_the_size_that_fits(documents, tmp_path):
    asked = train.Config(vocab_size=131_072, sample_bytes=300_000)
    with pytest.raises(EmptyError, match=r"set vocab_size = (\d+)") as refused:
        train.run(asked, {"documents": documents}, tmp_path)
    fits = int(str(refused.value).split("vocab_size = ")[1].split(",")[0])
    assert 2048 < fits < 131_072
    facts = train.run(train.Config(vocab_size=fits, sample_bytes=300_000), {"documents": documents}, tmp_path)
    assert facts["vocab_size"] == facts["merges"] + 256 + SPECIAL_SLOTS == fits
    encoder = load_encoder(tmp_path / "tokenizer")
    assert encoder.fast
    assert min(encoder.special.values()) == fits - SPECIAL_SLOTS


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": {"type": "WordPiece", "vocab": {"a": 0}}}', "\x00\xff"])
def test_what_is_no_tokenizer_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|endoftext|>"}')
    with pytest.raises(InputError, match="byte-level BPE"):
        load_encoder(tmp_path)
