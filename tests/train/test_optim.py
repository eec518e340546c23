"""Muon against torch's own; which weight goes where. Weights spread over processes: test_parallel."""

from dataclasses import replace

import pytest
import torch

from smallcoder.model.transformer import Decoder, initialize
from smallcoder.train.optim import ADAM_BETAS, ADAM_EPS, Muon, Optimizers, balance, orthogonalize
from tests.train.processes import DENSE, MIXED


def decoder_with_gradients(config):
    made = Decoder(config)
    initialize(made, 0)
    give_gradients(made, 0)
    return made


def give_gradients(decoder, step):
    generator = torch.Generator().manual_seed(step)
    for weight in decoder.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)


def test_muon_equals_torchs():
    torch.manual_seed(0)
    shapes = [(24, 16), (16, 24), (24, 16), (16, 16)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(weight.detach().clone()) for weight in ours]
    a = Muon(ours, momentum=0.95, second_momentum=None, weight_decay=0.1)
    b = torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=0.1, nesterov=True)
    for _ in range(5):
        for x, y in zip(ours, theirs, strict=True):
            x.grad = torch.randn_like(x)
            y.grad = x.grad.clone()
        a.step(0.02)
        b.step()
    for x, y in zip(ours, theirs, strict=True):
        assert torch.allclose(x, y, atol=2e-3)  # bf16 iterations, batched otherwise


def test_orthogonalized_singular_values_are_near_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(3, 20, 50)).float())
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.parametrize("shape", [(24, 16), (16, 24), (16, 16)])
def test_balanced_updates_are_those_of_a_plain_loop_over_the_neurons(shape):
    torch.manual_seed(0)
    squares = torch.zeros((2, shape[0], 1) if shape[0] >= shape[1] else (2, 1, shape[1]))
    plain = torch.zeros(2, max(shape))
    for _ in range(4):
        updates = torch.randn(2, *shape)
        found = balance(updates, squares, 0.9)
        for n, matrix in enumerate(updates):
            neurons = matrix if shape[0] >= shape[1] else matrix.T
            scaled = torch.empty_like(neurons)
            for at, neuron in enumerate(neurons):
                plain[n, at] = 0.9 * plain[n, at] + 0.1 * neuron.square().mean()
                scaled[at] = neuron / plain[n, at].sqrt()
            scaled *= neurons.norm() / scaled.norm()
            assert torch.allclose(found[n], scaled if shape[0] >= shape[1] else scaled.T, atol=1e-5)
    assert not balance(torch.zeros(2, *shape), squares, 0.9).any()


@pytest.mark.parametrize("tied", [False, True])
def test_adamw_for_all_is_torchs_with_the_rates_and_decay_of_each_part(tied):
    ours, theirs = (decoder_with_gradients(replace(DENSE, tied=tied)) for _ in range(2))
    optimizers = Optimizers(ours, 0.02, 0.3, 0.01, 0.1, kind="adamw")
    assert optimizers.peak == 0.01
    matrices = [weight for name, weight in theirs.named_parameters() if name.startswith("layers.") and weight.ndim > 1]
    embeddings = [] if tied else [theirs.embed_tokens.weight]
    rest = [weight for weight in theirs.parameters() if all(weight is not other for other in matrices + embeddings)]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": embeddings, "lr": 0.3 / 2}, {"params": rest}]
    reference = torch.optim.AdamW(groups, 0.01 / 2, ADAM_BETAS, ADAM_EPS, weight_decay=0.0)
    for step in range(3):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        optimizers.step(0.5)
        reference.step()
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert own.grad is None
        assert torch.allclose(own, other, atol=1e-6)


@pytest.mark.parametrize("config", [DENSE, MIXED])
def test_every_weight_has_the_moments_of_one_optimizer_and_they_are_all_its_state(config):
    whole = decoder_with_gradients(config)
    optimizers = Optimizers(whole, 0.02, 0.3, 0.01, 0.1)
    assert optimizers.peak == 0.02
    for step in range(2):
        give_gradients(whole, step)
        optimizers.step(1.0)
    state = optimizers.state()
    assert sorted([*state["adam"], *state["muon"]]) == sorted(name for name, _ in whole.named_parameters())
    assert {"norm.weight", "lm_head.weight", "embed_tokens.weight"} <= set(state["adam"])
    assert "layers.1.self_attn.q_proj.weight" in state["muon"]
    if config.experts:
        assert "layers.1.mlp.gate.weight" in state["adam"]
        assert state["muon"]["layers.1.mlp.experts.up_proj"]["momentum"].shape == (8, 24, 32)
    again = Decoder(config)
    again.load_state_dict(whole.state_dict())
    other = Optimizers(again, 0.02, 0.3, 0.01, 0.1)
    for kind, weights in other.state().items():
        for name, moments in weights.items():
            for key, moment in moments.items():
                moment.copy_(state[kind][name][key])
    for made, own in ((whole, optimizers), (again, other)):
        give_gradients(made, 2)
        own.step(0.7)
    assert all(map(torch.equal, whole.parameters(), again.parameters()))
