"""The mixture of experts against its definition, its files, Ling's sizes; against llama.cpp in tests/quantize."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize, silu

from smallcoder.core.errors import InputError
from smallcoder.model.config import Experts, ModelConfig
from smallcoder.model.families import from_hf, to_hf
from smallcoder.model.hf import load_model, save_model
from smallcoder.model.transformer import Decoder, initialize
from smallcoder.train.optim import Muon

EXPERTS = Experts(count=8, active=3, ffn=24, shared=2)
PLAIN = ModelConfig(vocab_size=97, width=48, layers=3, heads=4, kv_heads=2, head_dim=12, ffn=64, context=64)
MIXED = replace(PLAIN, tied=False, family="bailing_moe", qk_norm=False, experts=EXPERTS, norm_head=True)


def decoder(config: ModelConfig = MIXED) -> Any:
    made = Decoder(config).eval()
    initialize(made, 0)
    generator = torch.Generator().manual_seed(0)
    for weight in made.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return made


def tokens(rows: int = 2, length: int = 40) -> torch.Tensor:
    return torch.randint(0, 97, (rows, length), generator=torch.Generator().manual_seed(1))


def test_a_layer_is_what_its_definition_says():
    """Each token through each of its experts in turn, one by one; the balance loss by its sums."""
    layer = decoder().layers[0].mlp
    x = torch.randn(2, 9, 48, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y, routing = layer(x)
        flat = x.flatten(0, 1)
        probabilities = (flat @ layer.gate.weight.T).softmax(-1)
        load = torch.zeros(8)
        for token, (row, shares) in enumerate(zip(flat, probabilities, strict=True)):
            chosen = shares.sort(descending=True, stable=True).indices[:3]
            expected = layer.shared_experts(row)
            for expert in chosen.tolist():
                gate, up, down = (getattr(layer.experts, f"{name}_proj")[expert] for name in ("gate", "up", "down"))
                expected = expected + shares[expert] / shares[chosen].sum() * (down @ (silu(gate @ row) * (up @ row)))
                load[expert] += 1
            assert torch.allclose(y.flatten(0, 1)[token], expected, atol=1e-5)
        load /= load.sum()
    assert torch.allclose(routing.load, load)
    assert torch.allclose(routing.balance, 8 * (load * probabilities.mean(0)).sum())
    assert torch.allclose(routing.z, (flat @ layer.gate.weight.T).logsumexp(-1).square().mean())


def test_gradients_reach_every_expert_that_was_used_and_no_other():
    made = decoder()
    routing: list = []
    made(tokens(1, 4), routing=routing).square().mean().backward()
    assert len(routing) == 3
    for layer, spread in zip(made.layers, routing, strict=True):
        used = layer.mlp.experts.down_proj.grad.abs().sum((1, 2)) > 0
        assert torch.equal(used, spread.load > 0)
        assert layer.mlp.gate.weight.grad.abs().sum() > 0


def test_even_routing_has_the_least_balance_loss():
    made = decoder()
    for layer in made.layers:
        layer.mlp.gate.weight.data.zero_()
    routing: list = []
    with torch.no_grad():
        made(tokens(), routing=routing)
    assert torch.allclose(torch.stack([spread.balance for spread in routing]), torch.ones(3))


@pytest.mark.parametrize("dense", [0, 1])
def test_files_come_back(dense, tmp_path):
    experts = Experts(count=8, active=3, ffn=24, shared=2, dense_layers=dense)
    made = decoder(replace(MIXED, experts=experts))
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text(json.dumps({"added_tokens": [{"content": "<|endoftext|>", "id": 3}]}))
    save_model(made, tokenizer, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.config == made.config == from_hf(to_hf(made.config))
    with torch.no_grad():
        assert torch.equal(again(tokens()), made(tokens()))
        assert torch.equal(made.output_weight, normalize(made.lm_head.weight, dim=0, eps=1e-7))
    fields = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps(fields | {"num_experts": 9}))
    with pytest.raises(InputError, match="do not fit"):
        load_model(tmp_path / "model")


def test_cached_logits_equal_those_of_whole_rows():
    made = decoder()
    cache = made.new_cache(2, 40)
    with torch.no_grad():
        expected = made(tokens())
        made.extend(tokens()[:, :17], torch.tensor([17, 17]), cache)
        for at in range(17, 40):
            last = made.extend(tokens()[:, at : at + 1], torch.tensor([1, 1]), cache)
            assert torch.allclose(last, expected[:, at], atol=1e-4)


def test_muon_sees_each_expert_as_a_matrix():
    """The update of stacked experts is that of the same matrices one by one."""
    drawn = torch.randn(2, 5, 24, 48, generator=torch.Generator().manual_seed(0))
    stacked = [torch.nn.Parameter(weight.clone()) for weight in drawn]
    single = [torch.nn.Parameter(matrix.clone()) for weight in drawn for matrix in weight]
    for weights in (stacked, single):
        muon = Muon(weights, 0.95, 0.95, 0.01)
        for _ in range(3):
            for weight in weights:
                weight.grad = weight.detach() ** 3
            muon.step(0.02)
    assert torch.allclose(torch.cat([*stacked]), torch.stack([*single]), atol=1e-6)
