"""Special tokens for a base model: old ids and old text stay, transformers agrees, the model hardly moves."""

import json
from pathlib import Path

import pytest
import torch

from smallcoder.core.errors import InputError
from smallcoder.model.hf import load_model
from smallcoder.tokens.encode import ODD_TEXT, load_encoder
from smallcoder.tokens.fim import load_fim
from smallcoder.tokens.vocabulary import CONTROL, VISIBLE
from smallcoder.train import extend
from tests.train.test_base import VOCAB, checkpoint, taken


def extended(folder: Path, family: str, reserved: int = 0, **settings) -> tuple[dict, Path]:
    """A checkpoint with some reserved slots, extended."""
    source = checkpoint(family, folder / "source", tuple(f"<|reserved_special_token_{n}|>" for n in range(reserved)))
    taken(source, folder / "base")
    inputs = {name: folder / "base" / name for name in ("model", "tokenizer")}
    out = folder / "out"
    out.mkdir()
    return extend.run(extend.Config(**settings), inputs, out), out


@pytest.mark.parametrize(("family", "reserved"), [("qwen2", 0), ("llama", 5), ("gemma", 30)])
def test_old_ids_and_logits_stay_and_new_tokens_are_there(family, reserved, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    facts, out = extended(tmp_path, family, reserved)
    before, after = load_encoder(tmp_path / "source"), load_encoder(out / "tokenizer")
    for text in [*ODD_TEXT[:2], "def f(x):\n    return x\n"]:
        assert after.encode(text) == before.encode(text)
    assert {*CONTROL, *VISIBLE} <= set(after.special)
    kept = [token for token in before.special if "reserved" not in token]
    assert {token: after.special[token] for token in kept} == {token: before.special[token] for token in kept}
    filled = sum(token in facts["added"] for token in (*CONTROL, *VISIBLE)) - reserved
    assert after.vocab_size == before.vocab_size + max(0, filled)
    assert facts["vocab_size"] >= after.vocab_size
    assert facts["vocab_size"] == VOCAB or facts["vocab_size"] % 128 == 0
    theirs = AutoTokenizer.from_pretrained(out / "model")
    text = "<|im_start|>user\nx<|im_end|><think>y<|file_sep|>"
    assert theirs(text)["input_ids"] == after.encode(text, special=True)
    assert theirs.chat_template == AutoTokenizer.from_pretrained(tmp_path / "source").chat_template
    assert load_fim(out / "model").prompt("P", "S") == load_fim(tmp_path / "base" / "tokenizer").prompt("P", "S")
    old, new = load_model(tmp_path / "base" / "model"), load_model(out / "model")
    AutoModelForCausalLM.from_pretrained(out / "model")
    ids = torch.tensor([before.encode("import os\nprint(os.name)\n")])
    same = sorted(set(range(before.vocab_size)) - set(facts["added"].values()))
    with torch.no_grad():
        assert torch.equal(new(ids)[..., same], old(ids)[..., same])
        moved = new(ids).softmax(-1)[..., sorted(facts["added"].values())].sum(-1)
    assert (moved < 2 * len(facts["added"]) / before.vocab_size).all()  # no more than an even share, or so


def test_rows_are_added_only_when_the_spare_ones_are_used_up(tmp_path):
    tokens = tuple(f"<|mine_{number}|>" for number in range(100))
    facts, out = extended(tmp_path, "qwen3", tokens=tokens, multiple=64)
    assert facts["vocab_size"] == 704  # 600 rows, 567 of them in use
    assert load_model(out / "model").config.vocab_size == 704
    assert list(facts["added"]) == list(tokens)


def test_nothing_to_add_changes_nothing(tmp_path):
    facts, out = extended(tmp_path, "qwen3", tokens=("<|fim_prefix|>",))
    assert facts["added"] == {}
    for name in ("model.safetensors", "tokenizer.json"):
        first, second = (
            json.loads(p.read_text()) if name.endswith("json") else load_model(p.parent).state_dict()
            for p in (tmp_path / "base" / "model" / name, out / "model" / name)
        )
        assert first == second if name.endswith("json") else all(torch.equal(first[k], second[k]) for k in first)


def test_a_damaged_tokenizer_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError):
        extend.extend(tmp_path, ("<|x|>",))
