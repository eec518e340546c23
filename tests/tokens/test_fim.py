"""Fill-in-the-middle: nothing lost in a split, and the forms that serving relies on."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.tokens.encode import Encoder
from smallcoder.tokens.fim import FimSpec, load_fim, split

CODE = "import os\n\n\ndef f(x):\n    y = x + 1\n    return y\n\nprint(f(2))\n"


@given(st.one_of(st.text(), st.text("a \n")), st.integers(0, 99), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_split_loses_nothing(text, seed, lines):
    assert "".join(split(text, Random(seed), lines)[1:]) == text


def test_splits_along_lines_are_what_an_editor_asks_for():
    cuts = [split(CODE, Random(seed), lines=1.0)[1:] for seed in range(2000)]
    whole = [middle for prefix, middle, suffix in cuts if (prefix + "\n")[-1] == "\n" or not prefix]
    single = [middle for _, middle, _ in cuts if "\n" not in middle.rstrip("\n")]
    assert all(middle.strip() for _, middle, _ in cuts)
    assert all(suffix.startswith("\n") or middle.endswith("\n") for _, middle, suffix in cuts)
    assert 0.4 < len([m for m in whole if m.endswith("\n")]) / len(cuts) < 0.6
    assert 0.5 < len(single) / len(cuts) < 0.75
    assert {"    y = x + 1\n", "x + 1", "    return y\n", "print(f(2))\n"} <= {middle for _, middle, _ in cuts}


def test_splits_anywhere_are_uniform():
    sizes = [len(split("x" * 90, Random(seed), lines=0.0)[2]) for seed in range(3000)]
    assert 28 < sum(sizes) / len(sizes) < 32  # two uniform cuts leave a third between them


def test_a_prompt_is_the_start_of_a_training_piece(encoder: Encoder):
    _, prefix, middle, suffix = split(CODE, Random(5))
    for spec in (FimSpec(), FimSpec(order="spm"), FimSpec(order="spm", joint=True), FimSpec(middle="", order="spm")):
        prompt = encoder.encode(spec.prompt(prefix, suffix), special=True)
        assert spec.encode(encoder, prefix, middle, suffix) == prompt + encoder.encode(middle)
    assert FimSpec().prompt("P", "S") == "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"
    assert FimSpec(order="spm").prompt("P", "S") == "<|fim_suffix|>S<|fim_prefix|>P<|fim_middle|>"
    joint = FimSpec(order="spm", joint=True).prompt("P", "S")
    assert joint == "<|fim_prefix|><|fim_suffix|>S<|fim_middle|>P"
    assert encoder.token_id("<|fim_middle|>") not in FimSpec().encode(encoder, "", "", "")[:2]
    assert FimSpec().encode(encoder, "<|fim_middle|>", "", "").count(encoder.token_id("<|fim_middle|>")) == 1


def test_the_spec_is_kept_with_the_tokenizer(tokenizer, tmp_path):
    assert load_fim(tokenizer) == FimSpec()
    spec = FimSpec("<PRE> ", " <SUF>", " <MID>", "spm", ("<EOT>", "\n\n"))
    spec.save(tmp_path)
    assert load_fim(tmp_path) == spec
    (tmp_path / "fim.json").write_text(json.dumps({"prefix": "a"}))
    with pytest.raises(InputError):
        load_fim(tmp_path)
    with pytest.raises(InputError):
        load_fim(tmp_path / "none")
