"""The losses against their definitions, whole and cut into parts."""

import torch

from smallcoder.model.experts import Routing
from smallcoder.train.objectives import Loss
from smallcoder.train.objectives.experts import with_routing
from smallcoder.train.objectives.language_model import language_model


def made():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 7, requires_grad=True), torch.randint(0, 7, (2, 5))
    labels[0, :3] = -100
    return logits, labels


def test_loss_counts_targets_only():
    logits, labels = made()
    kept = labels != -100
    expected = -logits.log_softmax(-1).gather(2, labels.clamp(min=0)[..., None])[..., 0][kept]
    seven, one = torch.tensor(7.0), torch.tensor(1.0)
    loss = language_model(logits, labels, seven)
    assert torch.allclose(loss.value, expected.mean())
    assert torch.allclose(loss.metrics["nats"], expected.sum())
    assert language_model(logits, torch.full((2, 5), -100), one).value == 0
    z = logits.logsumexp(-1)[kept].square().mean()
    assert torch.allclose(language_model(logits, labels, seven, 0.5).value, expected.mean() + 0.5 * z)


def test_parts_of_an_update_add_up_to_its_gradient():
    logits, labels = made()
    targets = torch.tensor(7.0)
    (whole,) = torch.autograd.grad(language_model(logits, labels, targets, 1e-2).value, logits)
    parts = [language_model(logits[row : row + 1], labels[row : row + 1], targets, 1e-2).value for row in range(2)]
    (added,) = torch.autograd.grad(parts[0] + parts[1], logits)
    assert torch.allclose(whole, added, atol=1e-7)


def test_every_layer_of_experts_adds_its_own_losses():
    loads = torch.tensor([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
    routing = [Routing(torch.tensor(1.0 + at), torch.tensor(0.5 * at), load) for at, load in enumerate(loads)]
    half = torch.tensor(0.5)
    found = with_routing(Loss(torch.tensor(2.0), {}), routing, 0.01, 0.001, half)
    assert torch.allclose(found.value, torch.tensor(2.0 + 0.5 * (0.01 * (1 + 2 + 3) + 0.001 * (0 + 0.5 + 1.0))))
    assert torch.equal(found.metrics["loads"], loads / 2)
    assert with_routing(found, [], 0.01, 0.001, half) is found
