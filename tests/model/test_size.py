"""Counts from a shape against the decoder of that shape, its products as torch counts them, and published sizes."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from smallcoder.model.config import Experts, ModelConfig
from smallcoder.model.families import FAMILIES, from_hf
from smallcoder.model.size import flops_per_token, parameters
from smallcoder.model.transformer import Decoder

PLAIN = ModelConfig(vocab_size=96, width=48, layers=3, heads=4, kv_heads=2, head_dim=16, ffn=64, context=64)
EXPERTS = Experts(count=8, active=3, ffn=24, shared=2)
MIXED = replace(PLAIN, tied=False, family="bailing_moe", qk_norm=False, experts=EXPERTS)
LING = ModelConfig(
    **{"vocab_size": 126_464, "width": 2048, "layers": 28, "heads": 16, "kv_heads": 4, "head_dim": 128, "ffn": 5632},
    **{"context": 4096, "tied": False, "family": "bailing_moe", "qk_norm": False, "norm_head": True},
    experts=Experts(count=64, active=6, ffn=1408, shared=2),
)
FIELDS = {
    **{"vocab_size": 97, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "head_dim": 12},
    **{"num_key_value_heads": 2, "intermediate_size": 80, "max_position_embeddings": 64},
    **{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 20, "num_shared_experts": 1},
}


def made(config: ModelConfig) -> Decoder:
    with torch.device("meta"):
        return Decoder(config)


def total(decoder: Decoder) -> int:
    return sum(weight.numel() for weight in decoder.parameters())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [False, True])
def test_the_total_is_that_of_every_family(family, tied):
    options = [name for name in FAMILIES[family].biases if family != "bailing_moe" or name == "use_qkv_bias"]
    for values in product([False, True], repeat=len(options)):
        fields = {
            "model_type": family,
            "tie_word_embeddings": tied,
            **FIELDS,
            **dict(zip(options, values, strict=True)),
        }
        config = from_hf(fields)
        assert parameters(config).total == total(made(config))


def test_the_total_is_that_of_every_option():
    names = ("tied", "gated", "qk_norm", "qkv_bias", "out_bias", "ffn_bias")
    for values in product([False, True], repeat=len(names)):
        for norm, dense in (("rms", 1), ("layer", 7), ("rms_plus_one", None)):
            experts = None if dense is None else replace(EXPERTS, dense_layers=dense, shared=dense % 2)
            config = replace(PLAIN, norm=norm, experts=experts, **dict(zip(names, values, strict=True)))
            assert parameters(config).total == total(made(config)), config


def test_a_token_uses_of_the_experts_the_active_ones():
    decoder = made(MIXED)
    routed = sum(weight.numel() for name, weight in decoder.named_parameters() if ".mlp.experts." in name)
    found = parameters(MIXED)
    assert found.routed == routed
    assert found.active == total(decoder) - routed * 5 // 8
    assert parameters(PLAIN).active == parameters(PLAIN).total


@pytest.mark.parametrize(
    ("billions", "active", "config"),
    [
        (16.8, 2.75, LING),  # Ling-Coder-Lite, arXiv 2503.17793
        (1.54, 1.54, {"model_type": "qwen2", "vocab_size": 151_936, "hidden_size": 1536, "num_hidden_layers": 28}),
        (1.35, 1.35, {"model_type": "llama", "vocab_size": 32_256, "hidden_size": 2048, "num_hidden_layers": 24}),
        (3.03, 3.03, {"model_type": "starcoder2", "vocab_size": 49_152, "hidden_size": 3072, "num_hidden_layers": 30}),
    ],
)
def test_published_sizes(billions, active, config):
    """Of Ling, Qwen2.5-Coder-1.5B, deepseek-coder-1.3b and starcoder2-3b, by their config.json; to the last digit."""
    rest = {
        "qwen2": {"num_attention_heads": 12, "num_key_value_heads": 2, "intermediate_size": 8960},
        "llama": {"num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 5504},
        "starcoder2": {"num_attention_heads": 24, "num_key_value_heads": 2, "intermediate_size": 12_288},
    }
    if isinstance(config, dict):
        tied = config["model_type"] != "llama"
        extra = {"max_position_embeddings": 16_384, "tie_word_embeddings": tied}
        config = from_hf(config | rest[config["model_type"]] | extra)
    found = parameters(config)
    digits = 1 if billions > 10 else 2
    assert round(found.total / 1e9, digits) == billions
    assert round(found.active / 1e9, 2) == active


@pytest.mark.parametrize("config", [PLAIN, replace(PLAIN, tied=False, gated=False), replace(PLAIN, qk_norm=False)])
def test_flops_of_products_are_those_that_torch_counts(config):
    """Torch's plain attention multiplies masked scores too, so it takes PaLM's 12 H E a key for all of them."""
    rows, context = 2, 32
    tokens = torch.randint(0, config.vocab_size, (rows, context))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        Decoder(config)(tokens).sum().backward()
    products, a_key = 6 * parameters(config).multiplied, config.layers * 12 * config.heads * config.head_dim
    assert counter.get_total_flops() == rows * context * (products + a_key * context)
    assert flops_per_token(config, context) == products + a_key * (context + 1) / 2


def test_a_token_is_charged_for_the_keys_it_sees():
    """Against a count of the mask's entries."""
    for length, window, begin in ((32, 0, 0), (32, 5, 0), (32, 5, 2), (32, 40, 0), (32, 1, 0)):
        config = replace(PLAIN, window=window, window_from=begin)
        seen = 0
        for layer in range(config.layers):
            limit = window if window and layer >= begin else length
            seen += sum(min(position, limit) for position in range(1, length + 1))
        expected = 6 * parameters(config).multiplied + 12 * 4 * 16 * seen / length
        assert flops_per_token(config, length) == pytest.approx(expected)
        assert flops_per_token(config, 64, length) == flops_per_token(config, length)
    lengths = [3, 20, 9]  # of documents in one row: a mean over tokens is exact
    mean = sum(n * n for n in lengths) / sum(lengths)
    seen = sum(position for n in lengths for position in range(1, n + 1)) / sum(lengths)
    expected = 6 * parameters(PLAIN).multiplied + 12 * 4 * 16 * PLAIN.layers * seen
    assert flops_per_token(PLAIN, 32, mean) == pytest.approx(expected)
