"""A decoder spread over a fleet: FSDP2, hybrid sharding, tensor parallel, expert parallel; what follows from it.

Weights are cut along `shard` layer by layer and gathered when a layer needs them (FSDP2 of torch, after ZeRO-3, arXiv
1910.02054), whole copies along `replicate` (hybrid sharding). Along `tensor` (Megatron, arXiv 1909.08053) each rank
has some of the heads, of the feed-forward's columns and of the vocabulary: two sums of activations a layer. Along
`expert` (GShard, arXiv 2006.16668) each has some experts of every layer, and rows travel to them (`model.experts`).

Gradients are summed over the ranks, not averaged: losses are divided by the targets of the whole update beforehand.

Costs: for every micro batch FSDP sends each weight twice (bf16) and each gradient once (fp32); copies of the model sum
theirs once an update. To keep whole gradients until the last micro batch would save the sending, which torch hides
behind the backward pass, and cost each rank four bytes for every weight of the model: 67 GB for 16.8 billion.
torchtitan decides alike (its pull requests 1710 and 4505).

In bf16 the stream between the layers is fp32, as that of one process under autocast is: the number of processes is no
part of a stage's identity. torchtitan's and Megatron's is bf16 by default, half the memory of that tensor. What
autocast leaves in fp32 and FSDP gathers in bf16 stays apart: embeddings, norms' weights and routers are rounded.

Does not cover: sequence and context parallelism, pipelines, offloading; tensor parallelism of experts; NormHead with
it. Logits are gathered whole on each tensor rank.
"""

import logging
import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    PrepareModuleInputOutput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.nn.functional import layer_norm

from smallcoder.model.experts import ExpertLayer
from smallcoder.model.transformer import Decoder, Layer
from smallcoder.train.parallel.fleet import Fleet
from smallcoder.train.parallel.parts import block, local, pieces

HEADS = 2  # dimension of [B, T, heads, E] that tensor ranks split
ARGUMENTS = (Replicate(), None, None, None, None)  # of attention: the stream is the same on all tensor ranks
CLIP_EPS = 1e-6  # as in torch.nn.utils.clip_grad_norm_


def shard(decoder: Decoder, fleet: Fleet, precision: str, compile: bool = False) -> None:
    """Spread the decoder over the fleet, in place, and move it to the fleet's device.

    It may lie on "meta" until `spread` fills it. `precision` "bf16" gathers and computes in bf16, keeps weights and
    sums gradients in fp32. `compile` compiles each layer by itself; a process alone ignores it, as it can compile
    the whole loss. Raises InputError for a model that the layout cannot cut.
    """
    fleet.layout.check(decoder.config)
    mesh = fleet.mesh
    if mesh is None:
        if not any(weight.is_meta for weight in decoder.parameters()):
            decoder.to(fleet.device)
        return
    if fleet.layout.tensor > 1:
        _split_products(decoder, mesh["tensor"])
    for layer in _layers(decoder):
        if layer.routed and fleet.experts is not None:
            _split_experts(layer, fleet.experts["expert"])
    if compile:
        for layer in _layers(decoder):
            _compile(layer, whole=fleet.layout.expert == 1 or not layer.routed)
    _gather_by_layer(decoder, fleet, mesh, precision)


def accumulating(decoder: Decoder, last: bool) -> None:
    """Say before each micro batch if it is the last of an update: only then are gradients summed over the copies."""
    if isinstance(decoder, FSDPModule):
        decoder.set_requires_all_reduce(last)
        decoder.set_is_last_backward(last)


@torch.no_grad()
def clip(decoder: Decoder, limit: float, fleet: Fleet) -> float:
    """Scale the gradients so that their norm over the whole model is at most `limit`; the norm before that.

    The same number on every rank; on one process that of `torch.nn.utils.clip_grad_norm_`.
    """
    weights = [weight for weight in decoder.parameters() if weight.grad is not None]
    gradients = [local(weight.grad) for weight in weights if weight.grad is not None]
    norms = torch.stack(torch._foreach_norm(gradients))  # pyright: ignore[reportPrivateImportUsage]
    if fleet.world > 1:
        copies = torch.tensor([fleet.world / pieces(weight) for weight in weights], device=norms.device)
        squares = (norms.double().square() / copies).sum()
        dist.all_reduce(squares)
        norm = squares.sqrt().float()
    else:
        norm = torch.linalg.vector_norm(norms)
    share = (limit / (norm + CLIP_EPS)).clamp(max=1.0)
    torch._foreach_mul_(gradients, share)  # pyright: ignore[reportPrivateImportUsage]
    return norm.item()


@torch.no_grad()
def gather_state(decoder: Decoder) -> dict[str, Tensor]:
    """All weights whole, on the CPU of the main process, by name; nothing on the others. Every rank must call it.

    They may share memory with the decoder. Memory: the whole model on the main process's host, one weight at a time on
    the devices.
    """
    # It says that a weight cut twice is gathered in two steps, which is no loss where a model is written once.
    logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
    whole: dict[str, Tensor] = {}
    for name, weight in decoder.named_parameters():
        full = weight.full_tensor() if isinstance(weight, DTensor) else weight.detach()
        if not dist.is_initialized() or dist.get_rank() == 0:
            whole[name] = full.cpu()
    return whole


@torch.no_grad()
def spread(decoder: Decoder, weights: dict[str, Tensor], fleet: Fleet) -> None:
    """Fill a decoder with whole weights, which only the main process needs to have. Every rank must call it.

    So that a large model is never whole anywhere else: build it on "meta" on every rank, `shard` it, `spread` it.
    """
    if any(weight.is_meta for weight in decoder.parameters()):
        decoder.to_empty(device=fleet.device)
        decoder.frequencies = decoder.config.rope.frequencies(decoder.config.head_dim).to(fleet.device)
    for name, weight in decoder.named_parameters():
        own = local(weight)
        if fleet.is_main:
            full = weights[name].to(own.device, own.dtype).contiguous()
        else:
            full = torch.empty(weight.shape, dtype=own.dtype, device=own.device)
        if fleet.world > 1:
            dist.broadcast(full, 0)
        start, shape = block(weight)
        own.copy_(full[tuple(slice(at, at + size) for at, size in zip(start, shape, strict=True))])


def _layers(decoder: Decoder) -> list[Layer]:
    return list(decoder.layers)  # pyright: ignore[reportReturnType]


def _split_products(decoder: Decoder, mesh: DeviceMesh) -> None:
    """Tensor parallel. Norms of heads see their own heads; those of the stream are the same on every rank."""
    once = {  # so that the gradients of what several products read are summed over the ranks once
        "self_attn": PrepareModuleInput(input_layouts=ARGUMENTS, desired_input_layouts=ARGUMENTS),
        "mlp": PrepareModuleInput(input_layouts=Replicate(), desired_input_layouts=Replicate()),
    }
    columns = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
    norms = ("self_attn.q_norm", "self_attn.k_norm")
    for layer in _layers(decoder):
        there = {name for name, _ in layer.named_modules()}
        plan: dict[str, ParallelStyle] = dict(once)
        plan |= {name: ColwiseParallel() for name in columns if name in there}
        plan |= {name: RowwiseParallel() for name in ("self_attn.o_proj", "mlp.down_proj")}
        plan |= {name: SequenceParallel(sequence_dim=HEADS, use_local_output=True) for name in norms if name in there}
        parallelize_module(layer, mesh, plan, src_data_rank=None)  # each rank cuts its own: nothing is sent
    # The logits are one, and nothing writes into them.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    top: dict[str, ParallelStyle] = {
        "embed_tokens": RowwiseParallel(input_layouts=Replicate()),
        "head": PrepareModuleInputOutput(
            input_layouts=(Replicate(), None),
            desired_input_layouts=(Replicate(), None),
            output_layouts=Shard(-1),
            desired_output_layouts=Replicate(),
        ),
    }
    if not decoder.config.tied:
        top["lm_head"] = ColwiseParallel()
    parallelize_module(decoder, mesh, top, src_data_rank=None)
    # What comes out is a sum still under way, through which a compiled layer sends no gradient; its copy is not.
    decoder.embed_tokens.register_forward_hook(lambda module, arguments, output: output.clone())


def _split_experts(layer: Layer, mesh: DeviceMesh) -> None:
    """Expert parallel: this rank's share of a layer's experts, in their order."""
    assert isinstance(layer.mlp, ExpertLayer)
    experts = layer.mlp.experts
    for name, weight in list(experts.named_parameters()):
        own = weight.detach().chunk(mesh.size())[mesh.get_local_rank()].clone()
        spread_weight = DTensor.from_local(own, mesh, [Shard(0)], run_check=False)
        experts.register_parameter(name, nn.Parameter(spread_weight))
    experts.group = mesh.get_group()


def _compile(layer: Layer, whole: bool) -> None:
    """Compile what lies between the hooks that gather weights; the exchange of rows has sizes that only a run knows."""
    part = layer if whole else layer.self_attn
    compiled: Any = torch.compile(part.forward, fullgraph=True, dynamic=False)
    part.forward = compiled


def _widen(norm: nn.LayerNorm) -> None:
    """Have it take a stream in fp32 while its weights are gathered in bf16, as CUDA's autocast does by itself."""

    def forward(input: Tensor) -> Tensor:
        return layer_norm(input, norm.normalized_shape, norm.weight.float(), norm.bias.float(), norm.eps)

    norm.forward = forward


def _gather_by_layer(decoder: Decoder, fleet: Fleet, mesh: DeviceMesh, precision: str) -> None:
    """FSDP2: each layer a unit, within it the experts where they have ranks of their own; the rest with the root."""
    narrow = torch.bfloat16 if precision == "bf16" else None
    if narrow:
        decoder.embed_tokens.register_forward_hook(lambda module, arguments, output: output.float())
        for module in decoder.modules():
            if isinstance(module, nn.LayerNorm):
                _widen(module)
    # Inputs stay as they are: among them is the list that receives what each layer of experts did.
    policy = MixedPrecisionPolicy(param_dtype=narrow, reduce_dtype=torch.float32, cast_forward_inputs=False)
    copies = ("replicate",) if fleet.layout.replicate > 1 else ()
    for layer in _layers(decoder):
        if isinstance(layer.mlp, ExpertLayer) and fleet.experts is not None:
            fully_shard(layer.mlp.experts, mesh=fleet.experts[(*copies, "outer")], mp_policy=policy)
        fully_shard(layer, mesh=mesh[(*copies, "shard")], mp_policy=policy)
    fully_shard(decoder, mesh=mesh[(*copies, "shard")], mp_policy=policy)
    for module in decoder.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
