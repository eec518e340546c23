import math
from typing import Any

import pytest
import torch

from smallcoder.core.errors import InputError
from smallcoder.generate.local import LocalGenerator, choose
from smallcoder.generate.protocol import Sampling
from smallcoder.tokens.vocabulary import VISIBLE
from tests.generate.tiny import SOURCES

PROMPTS = [
    *(SOURCES[1][start : start + 3 + 17 * start % 150] for start in range(0, 900, 90)),
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "<|fim_prefix|>def f(<|fim_suffix|>):\n    pass\n<|fim_middle|>",
    "é λ 你好 \U0001f600",
]


@pytest.fixture(scope="module")
def generator(model):
    return LocalGenerator(model, batch=5, device="cpu")


def naive(generator, prompt, limit):
    """Greedy decoding without a cache, one row at a time."""
    ids = generator.encoder.encode(prompt, special=True)
    found = []
    while len(found) < min(limit, generator.decoder.config.context - len(ids)):
        with torch.inference_mode():
            token = int(generator.decoder(torch.tensor([ids + found]))[0, -1].argmax())
        if token in generator._ends:
            break
        found.append(token)
    return tuple(found)


def test_greedy_equals_decoding_without_a_cache_in_any_batch(generator, model):
    expected = [naive(generator, prompt, 24) for prompt in PROMPTS]
    wide = LocalGenerator(model, batch=64, device="cpu")
    for engine in (generator, wide):
        found = engine.generate(PROMPTS, Sampling(24))
        assert [row[0].tokens for row in found] == expected
        control = set(engine.encoder.special.values()) - {engine.encoder.special[name] for name in VISIBLE}
        said = [[token for token in tokens if token not in control] for tokens in expected]
        assert [row[0].text for row in found] == [engine.encoder.decode(tokens) for tokens in said]
    assert len({tokens[:3] for tokens in expected}) > 5, "the model is too dull to show anything"


def test_rows_that_end_leave_the_batch_and_the_others_go_on(generator):
    plain = [row[0].tokens for row in generator.generate(PROMPTS, Sampling(24))]
    ends = generator._ends
    try:
        generator._ends = ends | {plain[0][4], plain[3][9], plain[7][1]}
        expected = [naive(generator, prompt, 24) for prompt in PROMPTS]
        found = [row[0] for row in generator.generate(PROMPTS, Sampling(24))]
    finally:
        generator._ends = ends
    assert [completion.tokens for completion in found] == expected
    assert len({len(tokens) for tokens in expected}) >= 3
    assert [c.finish for c in found] == ["stop" if len(c.tokens) < 24 else "length" for c in found]


def test_greedy_equals_transformers(generator, model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    peer: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    for prompt, row in zip(PROMPTS, generator.generate(PROMPTS, Sampling(16)), strict=True):
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
        assert ids[0].tolist() == generator.encoder.encode(prompt, special=True)
        out = peer.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False)
        assert out[0, ids.shape[1] :].tolist()[: len(row[0].tokens)] == list(row[0].tokens)


def test_a_stop_string_is_cut_off_wherever_tokens_break(generator):
    for (full,), prompt in zip(generator.generate(PROMPTS[:4], Sampling(24)), PROMPTS, strict=False):
        text = full.text.encode("utf-8", "replace").decode()
        stop = next(text[at : at + 3] for at in range(5, len(text)) if "�" not in text[at : at + 3])
        (cut,) = generator.generate([prompt], Sampling(24, stop=("never in there", stop)))[0]
        assert cut.text == text[: text.index(stop)]
        assert cut.finish == "stop"
        assert cut.tokens == full.tokens[: len(cut.tokens)]


def test_sampling_repeats_and_depends_on_the_row_alone(generator, model):
    sampling = Sampling(12, temperature=1.0, top_p=0.9, seed=5, samples=3)
    first = generator.generate(PROMPTS, sampling)
    assert first == LocalGenerator(model, batch=64, device="cpu").generate(PROMPTS, sampling)
    assert all(len({completion.tokens for completion in row}) == 3 for row in first)
    assert first != generator.generate(PROMPTS, Sampling(12, 1.0, 0.9, seed=6, samples=3))
    assert generator.generate([PROMPTS[0]], sampling) == first[:1]


def test_choose_draws_from_the_tempered_nucleus():
    shares = torch.tensor([0.1, 0.4, 0.05, 0.25, 0.2])
    count = 200_000
    uniform = torch.rand(count, generator=torch.Generator().manual_seed(1))
    logits = shares.log().expand(count, 5) + 3.0

    def drawn(**settings):
        return choose(logits, uniform, Sampling(1, **settings)).bincount(minlength=5) / count

    assert torch.allclose(drawn(temperature=1.0), shares, atol=0.005)
    assert torch.allclose(drawn(temperature=0.5), shares**2 / (shares**2).sum(), atol=0.005)
    nucleus = torch.tensor([0, 0.4, 0, 0.25, 0.2]) / 0.85  # 0.4 + 0.25 is short of 0.7, so a third joins
    assert torch.allclose(drawn(temperature=1.0, top_p=0.7), nucleus, atol=0.005)
    assert drawn(temperature=1.0, top_p=1e-6)[1] == 1.0
    assert drawn()[1] == 1.0
    edge = torch.tensor([0.0, math.nextafter(1.0, 0.0)])
    assert choose(logits[:2], edge, Sampling(1, temperature=1.0)).tolist() == [1, 2]


def test_the_context_ends_a_completion_and_odd_prompts_do_no_harm(generator):
    long = "x = 1\n" * 200
    room = next(n for n in range(400) if len(generator.encoder.encode("x\n" * n)) >= 120)
    almost = "x\n" * room
    rest = 128 - len(generator.encoder.encode(almost))
    rows = generator.generate([long, "", almost, "def"], Sampling(40))
    assert [row[0].tokens for row in rows[:2]] == [(), ()]
    assert [row[0].finish for row in rows[:3]] == ["length"] * 3
    assert len(rows[2][0].tokens) == rest
    assert rows[2][0].tokens == naive(generator, almost, 40)
    assert generator.generate([], Sampling(4)) == []


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"top_p": 0.0}, {"temperature": -1.0}, {"stop": ("",)}])
def test_senseless_sampling_is_refused(wrong):
    with pytest.raises(InputError):
        Sampling(**{"max_tokens": 4} | wrong)
