"""The part of a tensor that one rank holds. All of it where nothing is spread."""

from collections.abc import Iterable

from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor; shares its memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def like(weight: Tensor, part: Tensor) -> Tensor:
    """This rank's `part` of something of the shape of a weight, as a tensor spread as the weight is; shares memory."""
    return DTensor(part, weight._spec, requires_grad=False) if isinstance(weight, DTensor) else part


def block(weight: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where in the whole tensor this rank's part begins, and its shape."""
    if not isinstance(weight, DTensor):
        return (0,) * weight.ndim, tuple(weight.shape)
    shape, start = compute_local_shape_and_global_offset(weight.shape, weight.device_mesh, weight.placements)
    return tuple(start), tuple(shape)


def pieces(weight: Tensor, dimensions: Iterable[int] | None = None) -> int:
    """Into how many different parts a tensor is cut, along all or some of its dimensions."""
    if not isinstance(weight, DTensor):
        return 1
    wanted = {dimension % weight.ndim for dimension in (range(weight.ndim) if dimensions is None else dimensions)}
    count = 1
    for size, placement in zip(weight.device_mesh.shape, weight.placements, strict=True):
        if getattr(placement, "dim", None) in wanted:
            count *= size
    return count
