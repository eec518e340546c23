"""Muon against torch's own, the schedule, the order of rows, the loss."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.train.batches import RowOrder
from smallcoder.train.objectives.language_model import language_model
from smallcoder.train.optim import Muon, balance, orthogonalize
from smallcoder.train.schedule import scale


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


@given(st.integers(1, 500), st.integers(0, 60), st.floats(0, 1), st.sampled_from(["linear", "cosine"]))
def test_the_rate_rises_to_its_peak_and_ends_at_the_floor(steps, warmup, floor, decay):
    rates = [scale(step, steps, warmup, floor, decay) for step in range(steps)]
    assert all(0 <= rate <= 1 for rate in rates)
    assert all(a < b for a, b in pairwise(rates[:warmup]))
    assert all(a >= b for a, b in pairwise(rates[warmup:]))
    if steps > warmup + 1:
        assert rates[warmup] == 1
        assert rates[-1] == pytest.approx(floor)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 3))
def test_every_epoch_visits_every_row_once_whatever_was_asked_before(rows, batch, seed):
    steps = 3 * rows
    straight = [list(RowOrder(rows, batch, seed)(step)) for step in range(steps)]
    one = RowOrder(rows, batch, seed)
    assert [list(one(step)) for step in range(steps)] == straight
    flat = [int(row) for step in straight for row in step]
    for start in range(0, len(flat) - rows + 1, rows):
        assert set(Counter(flat[start : start + rows]).values()) == {1}
        assert len(set(flat[start : start + rows])) == rows


def test_loss_counts_targets_only():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 7), torch.randint(0, 7, (2, 5))
    labels[0, :3] = -100
    kept = labels != -100
    expected = -logits.log_softmax(-1).gather(2, labels.clamp(min=0)[..., None])[..., 0][kept]
    loss = language_model(logits, labels)
    assert torch.allclose(loss.value, expected.mean())
    assert torch.allclose(loss.metrics["nats"], expected.sum())
    assert int(loss.metrics["targets"]) == 7
    assert language_model(logits, torch.full((2, 5), -100)).value == 0
    z = logits.logsumexp(-1)[kept].square().mean()
    assert torch.allclose(language_model(logits, labels, 0.5).value, expected.mean() + 0.5 * z)
