"""What a training run needs: memory of each GPU by component, time, GPU-hours and dollars; and the way back, the
utilisation that given GPU-hours mean. Plain arithmetic, nothing runs.

Time is FLOPs over what the hardware does: its peak times an assumed model-FLOPs utilisation (MFU; `model.size` says
what counts). With activation checkpointing the forward pass is done twice, so a quarter of that is lost.

Memory of mixed precision, bytes a parameter: 4 for the weight in fp32, 2 for its copy in bf16, 4 for its gradient, 8
for AdamW's two moments, or 4 for Muon's one and NorMuon's mean squares, one for each row or column (ZeRO, arXiv
1910.02054, section 3.1, in the same way comes to 16 for AdamW). Several processes share the model (`parallel.shard`):
all but the copies is divided among them, gradients too while they accumulate, and copies exist only of the layers at
work.

Activations follow Korthikanti et al. (arXiv 2205.05198, section 4.1), who count what the backward pass needs of each
layer of GPT-3: 34 s b h bytes and the scores. `activation_bytes` counts this decoder's in the same manner: gated
feed-forward, grouped key/value heads, a stream in fp32, no dropout, scores that are never stored (FlashAttention,
FlexAttention), and element-wise work fused or done again, as torch.compile's partitioner decides. What that partitioner
keeps is within 1% of it, dense or with experts; the peak of a whole compiled step was 2 to 12% below `memory` on a CPU,
and 1.9 times as much without compilation (tests/train/test_cost.py).

Does not cover: precision fp32, experts that have ranks of their own and so are not compiled, pipeline and context
parallelism, offloading, the optimizer's working space (it may use what activations took); time lost to communication,
evaluation, checkpoints and failures, which an MFU measured over a whole run contains.
"""

import tomllib
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from smallcoder.core.errors import InputError
from smallcoder.core.recipe import nearest
from smallcoder.model.size import flops_per_token, parameters

if TYPE_CHECKING:
    from smallcoder.model.config import ModelConfig

TABLE = Path(__file__).with_name("hardware.toml")
USABLE = 0.9  # of a GPU's memory: the rest is the driver's, the communication library's and lost between blocks
GIB = 1 << 30
STREAM_BYTES = 4  # of a token and a column of the stream between the layers
AHEAD = 2  # layers whose weights are gathered at one time: the one at work and the next
LOGIT_BYTES = 4  # of a token and an entry of the vocabulary: the logit and its gradient in bf16, fused by compilation


@dataclass(frozen=True)
class Hardware:
    """One device of hardware.toml, which says where the figures are from."""

    name: str
    tflops: float  # dense, bf16
    memory: float  # GiB
    bandwidth: float  # GB/s
    price: float  # dollars an hour, assumed
    source: str
    device_names: tuple[str, ...] = ()

    @property
    def flops(self) -> float:
        """Peak FLOP/s."""
        return self.tflops * 1e12

    @property
    def usable(self) -> float:
        """Bytes of memory that a run may plan with."""
        return USABLE * self.memory * GIB


@cache
def hardware_table() -> dict[str, Hardware]:
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {
        name: Hardware(name=name, **row | {"device_names": tuple(row["device_names"])}) for name, row in rows.items()
    }


def find_hardware(name: str) -> Hardware:
    """The row of that name, in any case. Raises InputError with the nearest one."""
    found = hardware_table().get(name.lower())
    if found is None:
        raise InputError(f"there is no hardware {name!r} in the table", nearest(name.lower(), hardware_table()))
    return found


@dataclass(frozen=True)
class Run:
    """A training run in plain values: `rows` rows of `context` tokens in all; each process, one a GPU, works on
    `micro_rows` at a time.

    `replicate`, `tensor` and `expert` are those of `parallel.fleet.Layout`: what they leave of the GPUs shards the
    model. `document_length`: as for `flops_per_token`.
    """

    config: "ModelConfig"
    context: int
    rows: int
    micro_rows: int
    gpus: int = 1
    replicate: int = 1
    tensor: int = 1
    expert: int = 1
    optimizer: Literal["muon", "adamw"] = "muon"
    recompute: bool = False  # activation checkpointing of every layer
    document_length: float | None = None

    @property
    def tokens(self) -> int:
        return self.rows * self.context

    @property
    def flops(self) -> float:
        """Model FLOPs of the whole run."""
        return self.tokens * flops_per_token(self.config, self.context, self.document_length)

    @property
    def work(self) -> float:
        """The same with the forward pass counted twice where it is done twice."""
        return self.flops * (4 / 3 if self.recompute else 1)

    @property
    def shard(self) -> int:
        """GPUs that hold a model's weights between them, apart from `tensor`."""
        return self.gpus // (self.replicate * self.tensor)


@dataclass(frozen=True)
class Memory:
    """Bytes of one GPU at the peak of a step: where the forward pass ends and the backward pass begins."""

    weights: float
    copies: float  # in bf16, for matrix products; of several processes: of the layers at work
    gradients: float
    optimizer: float
    activations: float  # what all layers keep for the backward pass; with checkpointing their inputs
    logits: float
    layer: float  # what the backward pass of one layer takes beyond the place that the logits left
    buffers: float  # of communication: gradients of a layer on their way, tokens on their way to experts

    @property
    def total(self) -> float:
        return sum(getattr(self, field.name) for field in fields(self))


def memory(run: Run) -> Memory:
    """The peak of one GPU."""
    config, size, several = run.config, parameters(run.config), run.gpus > 1
    own = size.total / (run.shard * run.tensor)  # weights whose fp32 values and moments lie here
    tables = (size.embedding + size.head) / run.tensor
    layers = (size.total - size.embedding - size.head - size.routed * (1 - 1 / run.expert)) / run.tensor
    layer = layers / config.layers
    if several:
        copies = 2 * (AHEAD * layer + tables)
    else:
        copies = 2 * (size.total - size.vectors - (0 if config.tied else size.embedding))
    tokens = run.micro_rows * run.context
    stream = STREAM_BYTES * config.width
    kept, logits = activation_bytes(config, run.tensor), LOGIT_BYTES * config.vocab_size
    buffers = 6 * layer + 2 * tables if several else 0.0  # a layer's in bf16 and, to be summed, fp32; the tables' wait
    if config.experts and run.expert > 1:
        buffers += tokens * 4 * config.experts.active * config.width  # sent and received, in bf16
    return Memory(
        weights=4 * own,
        copies=copies,
        gradients=4 * own,
        optimizer=4 * _moments(run, own),
        activations=tokens * (config.layers * (stream if run.recompute else kept) + stream + 2 * config.width),
        logits=tokens * logits,
        layer=tokens * max(0, (1 + run.recompute) * kept - logits),
        buffers=buffers,
    )


def activation_bytes(config: "ModelConfig", tensor: int = 1) -> float:
    """Bytes that the backward pass needs of one layer and token, a mean over the layers.

    The stream into both norms, and the norms' outputs, which matrices multiply; queries, keys and
    values, before their norms too where they have any; attention's output and its log-sums; of a feed-forward both
    products and what goes into the last one, of an expert also its input and output for each token.
    """
    width, experts = config.width, config.experts
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    attention = 2 * (2 * queries + 2 * keys) + 4 * config.heads + 2 * (queries + keys) * config.qk_norm
    dense = min(config.layers, experts.dense_layers) if experts else config.layers
    total = config.layers * (2 * (STREAM_BYTES + 2) * width + attention / tensor)
    total += dense * 2 * (2 + config.gated) * config.ffn / tensor
    if experts:
        routed = experts.active * (6 * experts.ffn + 4 * width) + 6 * experts.shared * experts.ffn + 8 * experts.count
        total += (config.layers - dense) * routed
    return total / config.layers


def _moments(run: Run, own: float) -> float:
    """Numbers that the optimizer keeps on one GPU. NorMuon's mean squares are whole on each."""
    if run.optimizer == "adamw":
        return 2 * own
    size = parameters(run.config)
    matrices = size.attention + size.feed_forward + size.routed
    return own * (2 - matrices / size.total) + _longer_sides(run.config)


def _longer_sides(config: "ModelConfig") -> int:
    """Rows of all tall matrices of the layers and columns of all wide ones."""
    width, experts = config.width, config.experts
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    dense = min(config.layers, experts.dense_layers) if experts else config.layers
    total = config.layers * 2 * (max(width, queries) + max(width, keys))
    total += dense * (2 + config.gated) * max(width, config.ffn)
    if experts:
        routed = experts.count * max(width, experts.ffn)
        shared = max(width, experts.shared * experts.ffn) if experts.shared else 0
        total += (config.layers - dense) * 3 * (routed + shared)
    return total


@dataclass(frozen=True)
class Cost:
    """What a run takes. `tokens_per_second` is that of all GPUs together."""

    tokens_per_second: float
    hours: float
    gpu_hours: float
    dollars: float


def cost(run: Run, hardware: Hardware, mfu: float, price: float | None = None) -> Cost:
    """Time and money at an assumed MFU without recomputing; `price` in dollars a GPU and hour, the table's if None."""
    seconds = run.work / (run.gpus * hardware.flops * mfu)
    gpu_hours = run.gpus * seconds / 3600
    dollars = gpu_hours * (hardware.price if price is None else price)
    return Cost(run.tokens / seconds, seconds / 3600, gpu_hours, dollars)


def implied_mfu(flops: float, gpu_hours: float, hardware: Hardware) -> float:
    """The MFU at which these model FLOPs took so many GPU-hours; of a run's `work`, what it had been by itself."""
    return flops / (gpu_hours * 3600 * hardware.flops)


def mfu(
    config: "ModelConfig",
    context: int,
    tokens_per_second: float,
    device_name: str,
    document_length: float | None = None,
) -> float | None:
    """The MFU of tokens a second on one device; None where the table does not know torch's name for it.

    The peak is that of bf16, whatever the run computes in.
    """
    for hardware in hardware_table().values():
        if device_name in hardware.device_names:
            return tokens_per_second * flops_per_token(config, context, document_length) / hardware.flops
    return None


def fits(run: Run, hardware: Hardware) -> bool:
    return memory(run).total <= hardware.usable


def remedy(run: Run, hardware: Hardware) -> str:
    """The cheapest change after which the run fits, in the words of a recipe; tried are smaller micro batches, then
    activation checkpointing, then twice the GPUs again and again, among which the weights are split."""
    halves = [run.micro_rows >> power for power in range(run.micro_rows.bit_length())]
    doubles = [run.gpus << power for power in range(12)]
    for gpus in doubles:
        for recompute in sorted({run.recompute, True}):
            for rows in halves:
                trial = replace(run, gpus=gpus, recompute=recompute, micro_rows=rows)
                if fits(trial, hardware):
                    words = [f"{gpus} GPUs"] if gpus != run.gpus else []
                    words += [f"micro_batch = {rows}"] if rows != run.micro_rows else []
                    words += ["recompute = true"] if recompute != run.recompute else []
                    return ", ".join(words)
    return "no number of these GPUs is enough: take larger ones, or shorter rows"
