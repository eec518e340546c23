"""Next-token prediction: cross entropy over the positions that are targets, and nothing else.

Serves pretraining (every token of a document is a target), fine-tuning (the answers are) and measuring (the `nats` are
what bits per byte are made of).
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from smallcoder.train.objectives import Loss

IGNORED = -100


def language_model(logits: Tensor, labels: Tensor, targets: Tensor, z_loss: float = 0.0) -> Loss:
    """Negative log-likelihood of labels [B, T] under logits [B, T, V], summed, over `targets`; -100 does not count.

    `targets` is a scalar: how many the whole update has, of which this batch may be a part. So the gradients of the
    parts add up to those of the mean, however an update is cut. `z_loss` adds that multiple of the mean squared
    log-partition, which keeps logits from drifting (PaLM, arXiv 2204.02311, uses 1e-4). Metric: `nats`, summed.
    """
    flat = logits.flatten(0, 1).float()
    wanted = labels.flatten()
    nats = cross_entropy(flat, wanted, ignore_index=IGNORED, reduction="sum")
    value = nats / targets
    if z_loss:
        partition = flat.logsumexp(-1).square() * (wanted != IGNORED)
        value = value + z_loss * partition.sum() / targets
    return Loss(value, {"nats": nats.detach()})
