"""Every family against transformers: logits, cached logits, files both ways, whatever its options."""

import json

import pytest
import torch

from smallcoder.model.families import FAMILIES, from_hf, to_hf
from smallcoder.model.hf import load_model, save_model
from smallcoder.model.rope import Rope
from smallcoder.model.transformer import document_blocks, document_mask, document_positions

SIZES = {
    **{"vocab_size": 97, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "head_dim": 12},
    **{"num_key_value_heads": 2, "intermediate_size": 80, "max_position_embeddings": 64},
    **{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
}
DENSE = [name for name, family in FAMILIES.items() if not family.experts]  # transformers has no Ling
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
VARIANTS: list[tuple[str, dict]] = [
    ("llama", {}),
    ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e5}}),  # DeepSeek-Coder
    ("llama", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **LLAMA3}}),
    ("qwen2", {"tie_word_embeddings": True, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}),
    ("qwen2", {"rope_parameters": {**YARN, "rope_theta": 1e6}}),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}),
    ("qwen3", {"head_dim": 16, "attention_bias": True}),
    (
        "qwen3",
        {"rope_parameters": {**YARN, "rope_theta": 1e4, "beta_fast": 8, "attention_factor": 1.1, "truncate": False}},
    ),
    ("mistral", {"sliding_window": 7}),
    ("mistral", {"sliding_window": None}),
    ("gemma", {"head_dim": 16}),
    ("granite", {"attention_multiplier": 0.2, "residual_multiplier": 0.3, "logits_scaling": 4.0}),
    ("granite", {"embedding_multiplier": 6.0, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("starcoder2", {"sliding_window": 9}),
    ("starcoder2", {"use_bias": False, "tie_word_embeddings": False}),
]


def theirs(family: str, options: dict, folder) -> torch.nn.Module:
    """A random model of transformers, saved to a folder. Norms and biases are random too, so that each matters."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {name: value for name, value in SIZES.items() if family in {"qwen3", "gemma"} or name != "head_dim"}
    config = AutoConfig.for_model(family, **{**sizes, **options})
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for weight in model.parameters():
        weight.data += 0.2 * torch.randn(weight.shape)
    model.save_pretrained(folder)
    return model


@pytest.fixture
def tokenizer(tmp_path):
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": [{"content": "<|endoftext|>", "id": 3}]}))
    return folder


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_logits_equal_transformers_and_files_go_both_ways(family, options, tmp_path, tokenizer):
    from transformers import AutoModelForCausalLM

    model = theirs(family, options, tmp_path / "theirs")
    ours = load_model(tmp_path / "theirs")
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in model.parameters())
    tokens = torch.randint(4, 97, (2, 40), generator=torch.Generator().manual_seed(1))
    segments = torch.tensor([[0] * 13 + [1] * 20 + [2] * 7] * 2)
    mask, positions = document_mask(segments), document_positions(segments)
    with torch.no_grad():
        expected = model(tokens).logits
        assert torch.allclose(ours(tokens), expected, atol=1e-4, rtol=1e-4)
        packed = ours(tokens, positions, mask)
        assert torch.allclose(ours(tokens, positions, document_blocks(segments)), packed, atol=1e-5)
        for start, end in ((0, 13), (13, 33), (33, 40)):
            alone = model(tokens[:, start:end]).logits
            assert torch.allclose(packed[:, start:end], alone, atol=1e-4, rtol=1e-4)
        cache = ours.new_cache(2, 40)
        ours.extend(tokens[:, :17], torch.tensor([17, 17]), cache)
        for at in range(17, 40):
            last = ours.extend(tokens[:, at : at + 1], torch.tensor([1, 1]), cache)
            assert torch.allclose(last, expected[:, at], atol=1e-4, rtol=1e-4)
        save_model(ours, tokenizer, tmp_path / "ours")
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
        assert type(again) is type(model)
        assert torch.allclose(again(tokens).logits, expected, atol=1e-5)
    assert from_hf(to_hf(ours.config)) == ours.config


def test_every_family_is_tried():
    assert {family for family, _ in VARIANTS} == set(DENSE)


def test_what_a_config_may_leave_out_is_what_transformers_takes():
    """Older checkpoints say no more than the sizes."""
    from transformers import AutoConfig

    for family in DENSE:
        sizes = {name: value for name, value in SIZES.items() if name != "head_dim"}
        full = json.loads(AutoConfig.for_model(family, **sizes).to_json_string(use_diff=False))
        if family in {"gemma", "qwen3"}:  # heads of a size of their own, which their files tell
            sizes["head_dim"] = full["head_dim"]
        if family == "mistral":
            sizes["sliding_window"] = full["sliding_window"]
        assert from_hf({"model_type": family, **sizes}) == from_hf(full)


def test_old_and_new_names_of_rope_scaling():
    old = {"max_position_embeddings": 64, "rope_theta": 1e5, "rope_scaling": {"type": "linear", "factor": 4.0}}
    assert (
        Rope.from_hf(old)
        == Rope(1e5, "linear", 4.0)
        == Rope.from_hf({"rope_parameters": Rope(1e5, "linear", 4.0).to_hf()})
    )
    assert Rope.from_hf({"rope_scaling": None}) == Rope()
