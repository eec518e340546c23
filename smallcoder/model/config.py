"""The shape of a decoder, and its translation to and from a Hugging Face `config.json` of `Qwen3ForCausalLM`.

Does not cover: mixture of experts, sliding windows, biases, scaled RoPE. Such checkpoints are refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallcoder.core.errors import InputError

ARCHITECTURE = "Qwen3ForCausalLM"


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a decoder. `heads` share `kv_heads` key/value heads in equal groups; `context` is in tokens."""

    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    context: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    tied: bool = True  # the output projection is the embedding matrix

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

    def to_hf(self) -> dict[str, Any]:
        """The sizes as fields of a `config.json`."""
        return {
            "architectures": [ARCHITECTURE],
            "model_type": "qwen3",
            "vocab_size": self.vocab_size,
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.ffn,
            "max_position_embeddings": self.context,
            "rope_theta": self.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "rms_norm_eps": self.norm_eps,
            "tie_word_embeddings": self.tied,
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "use_sliding_window": False,
            "use_cache": True,
            "torch_dtype": "float32",
        }

    @classmethod
    def from_hf(cls, fields: Mapping[str, Any]) -> "ModelConfig":
        """Read a `config.json`. Raises InputError for another architecture or an unsupported variant of this one."""
        rope = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
        odd = {
            "architectures": fields.get("architectures") != [ARCHITECTURE],
            "rope_parameters": rope.get("rope_type", rope.get("type", "default")) != "default",
            "attention_bias": bool(fields.get("attention_bias")),
            "use_sliding_window": bool(fields.get("use_sliding_window")),
            "hidden_act": fields.get("hidden_act", "silu") != "silu",
        }
        for name, refused in odd.items():
            if refused:
                raise InputError(
                    f"config.json has {name} = {fields.get(name)!r}", f"use a plain {ARCHITECTURE} checkpoint"
                )
        try:
            return cls(
                vocab_size=fields["vocab_size"],
                width=fields["hidden_size"],
                layers=fields["num_hidden_layers"],
                heads=fields["num_attention_heads"],
                kv_heads=fields["num_key_value_heads"],
                head_dim=fields.get("head_dim") or fields["hidden_size"] // fields["num_attention_heads"],
                ffn=fields["intermediate_size"],
                context=fields["max_position_embeddings"],
                rope_theta=float(rope.get("rope_theta") or fields.get("rope_theta") or 10_000.0),
                norm_eps=fields.get("rms_norm_eps", 1e-6),
                tied=bool(fields.get("tie_word_embeddings", False)),
            )
        except KeyError as error:
            raise InputError(f"config.json lacks {error}", f"use a complete {ARCHITECTURE} checkpoint") from None
