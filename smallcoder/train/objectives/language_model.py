"""Next-token prediction: cross entropy over the positions that are targets, and nothing else.

Serves pretraining (every token of a document is a target), fine-tuning (the answers are) and measuring (the `nats` are
what bits per byte are made of).
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from smallcoder.train.objectives import Loss

IGNORED = -100


def language_model(logits: Tensor, labels: Tensor, z_loss: float = 0.0) -> Loss:
    """Mean negative log-likelihood of labels [B, T] under logits [B, T, V], in nats; labels of -100 do not count.

    `z_loss` adds that multiple of the mean squared log-partition, which keeps logits from drifting (PaLM, arXiv
    2204.02311, uses 1e-4). Metrics: `nats` summed over the targets, and their number `targets`. A batch without any
    target has loss 0.
    """
    flat = logits.flatten(0, 1).float()
    wanted = labels.flatten()
    targets = (wanted != IGNORED).sum()
    nats = cross_entropy(flat, wanted, ignore_index=IGNORED, reduction="sum")
    value = nats / targets.clamp(min=1)
    if z_loss:
        partition = flat.logsumexp(-1).square() * (wanted != IGNORED)
        value = value + z_loss * partition.sum() / targets.clamp(min=1)
    return Loss(value, {"nats": nats.detach(), "targets": targets})
