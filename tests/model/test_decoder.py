"""The decoder against transformers' Qwen3, packed rows against single documents, cached against whole-row logits."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.model.config import ModelConfig
from smallcoder.model.hf import load_model, save_model
from smallcoder.model.rope import Rope
from smallcoder.model.transformer import Decoder, document_mask, document_positions, initialize

SMALL = ModelConfig(vocab_size=97, width=48, layers=3, heads=4, kv_heads=2, head_dim=16, ffn=80, context=64)


def decoder(config=SMALL, seed=0):
    made = Decoder(config).eval()
    initialize(made, seed)
    generator = torch.Generator().manual_seed(seed)
    for weight in made.parameters():  # no zero projections and no unit norms: every path must matter
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return made


@pytest.fixture
def tokenizer(tmp_path):
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    added = [{"content": "<|endoftext|>", "id": 3}, {"content": "<|im_end|>", "id": 5}]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    (folder / "fim.json").write_text("{}")
    return folder


@pytest.mark.parametrize("tied", [True, False])
def test_logits_equal_transformers(tmp_path, tokenizer, tied):
    from transformers import AutoModelForCausalLM

    config = ModelConfig(**{**SMALL.__dict__, "tied": tied, "rope": Rope(50_000.0)})
    ours = decoder(config)
    save_model(ours, tokenizer, tmp_path / "model")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    assert theirs.generation_config.eos_token_id == [3, 5]
    tokens = torch.randint(0, 97, (3, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ours(tokens), theirs(tokens).logits, atol=1e-4)
        segments = torch.tensor([[0] * 13 + [1] * 20 + [2] * 7] * 3)
        mask, positions = document_mask(segments), document_positions(segments)
        additive = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
        expected = theirs(tokens, attention_mask=additive, position_ids=positions).logits
        assert torch.allclose(ours(tokens, positions, mask), expected, atol=1e-4)
        again = load_model(tmp_path / "model")
        assert torch.equal(again(tokens), ours(tokens))


def test_packed_documents_do_not_see_each_other():
    ours = decoder()
    tokens = torch.randint(0, 97, (1, 40), generator=torch.Generator().manual_seed(2))
    segments = torch.tensor([[0] * 9 + [1] * 24 + [65535] * 7])
    with torch.no_grad():
        packed = ours(tokens, document_positions(segments), document_mask(segments))
        for start, end in ((0, 9), (9, 33)):
            assert torch.allclose(packed[:, start:end], ours(tokens[:, start:end]), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_cached_rows_of_any_lengths_equal_whole_rows(data):
    ours = decoder()
    rows = data.draw(st.integers(1, 4))
    tokens = torch.randint(0, 97, (rows, 24), generator=torch.Generator().manual_seed(3))
    cache = ours.new_cache(rows, 24)
    done = torch.zeros(rows, dtype=torch.long)
    for _ in range(data.draw(st.integers(1, 4))):
        counts = torch.tensor([data.draw(st.integers(1, max(1, min(6, 24 - int(d))))) for d in done])
        if int((done + counts).max()) > 24:
            break
        block = torch.full((rows, int(counts.max())), 96)  # the padding is a real token id on purpose
        for row, (start, count) in enumerate(zip(done, counts, strict=True)):
            block[row, :count] = tokens[row, start : start + count]
        logits = ours.extend(block, counts, cache)
        done += counts
        assert torch.equal(cache.lengths, done)
        for row, length in enumerate(done):
            with torch.no_grad():
                expected = ours(tokens[row : row + 1, :length])[0, -1]
            assert torch.allclose(logits[row], expected, atol=1e-4)
        if rows > 1 and data.draw(st.booleans()):
            keep = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=5)))
            cache.select(keep)
            tokens, done, rows = tokens[keep], done[keep], len(keep)


def test_saved_bytes_repeat_and_seeds_differ(tmp_path, tokenizer):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fresh = Decoder(SMALL)
        initialize(fresh, seed)
        save_model(fresh, tokenizer, tmp_path / name)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    assert (tmp_path / "a" / "fim.json").is_file()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "model.safetensors").write_bytes(b"short"),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: _edit(folder, hidden_size=32),
        lambda folder: _edit(folder, num_hidden_layers=2),
        lambda folder: _edit(folder, architectures=["LlamaForCausalLM"]),
        lambda folder: _edit(folder, model_type="phi"),
        lambda folder: _edit(folder, hidden_act="relu"),
        lambda folder: _edit(folder, rope_parameters={"rope_type": "longrope", "factor": 2}),
        lambda folder: _edit(folder, rope_parameters={"rope_type": "yarn"}),
    ],
)
def test_damaged_models_are_refused_in_one_line(tmp_path, tokenizer, damage):
    save_model(Decoder(SMALL), tokenizer, tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(InputError):
        load_model(tmp_path / "model")


def _edit(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
