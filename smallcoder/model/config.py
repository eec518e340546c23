"""The shape of a decoder: sizes, and the options in which the supported families differ (`families`).

Does not cover: soft-capped logits, norms after a branch, heads turned in part.
"""

from dataclasses import dataclass, field
from typing import Literal

from smallcoder.core.errors import InputError
from smallcoder.model.rope import Rope

Norms = Literal["rms", "rms_plus_one", "layer"]
Activation = Literal["silu", "gelu_tanh"]


@dataclass(frozen=True)
class Experts:
    """A mixture of experts: of `count` feed-forwards of size `ffn` a token uses `active`, and `shared` ones always."""

    count: int
    active: int
    ffn: int
    shared: int = 0
    dense_layers: int = 0  # so many layers at the beginning have a feed-forward of the model's own `ffn` instead
    renormalise: bool = True  # the shares of the active ones sum to 1

    def __post_init__(self) -> None:
        if not 1 <= self.active <= self.count or self.ffn < 1 or self.shared < 0:
            raise InputError(f"{self.active} of {self.count} experts of size {self.ffn}", "give sizes that go together")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a decoder. `heads` share `kv_heads` key/value heads in equal groups; `context` is in tokens.

    The defaults of the options are those of Qwen3, which our own models are.
    """

    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    context: int
    rope: Rope = field(default_factory=Rope)
    norm_eps: float = 1e-6
    tied: bool = True  # the output projection is the embedding matrix
    family: str = "qwen3"  # `model_type` of a config.json
    norm: Norms = "rms"  # "rms_plus_one": weights count from 1 (Gemma); "layer": with mean and bias (StarCoder2)
    activation: Activation = "silu"
    gated: bool = True  # down(act(gate(x)) * up(x)), else down(act(up(x)))
    qk_norm: bool = True  # of each head's queries and keys
    qkv_bias: bool = False
    out_bias: bool = False  # of attention's output projection
    ffn_bias: bool = False
    window: int = 0  # tokens that a token sees, itself among them, in layers from `window_from` on; 0 means all
    window_from: int = 0
    embedding_scale: float = 1.0  # of embeddings as they enter the stream
    residual_scale: float = 1.0  # of what a branch adds to it
    attention_scale: float | None = None  # of scores; None: head_dim ** -0.5
    logit_divisor: float = 1.0
    experts: Experts | None = None
    norm_head: bool = False  # columns of the output matrix are used at length 1 (NormHead of Ling-Lite)

    def __post_init__(self) -> None:
        for name in ("vocab_size", "width", "layers", "heads", "kv_heads", "head_dim", "ffn", "context"):
            if getattr(self, name) < 1:
                raise InputError(f"model size {name} = {getattr(self, name)}", "give a positive number")
        if self.heads % self.kv_heads:
            raise InputError(
                f"{self.heads} heads cannot share {self.kv_heads} key/value heads", "make one divide the other"
            )
        if self.head_dim % 2:
            raise InputError(f"head_dim {self.head_dim} is odd", "rotary positions turn pairs: make it even")
