"""Rotary positions (RoPE, arXiv 2104.09864) and the ways to stretch them over longer texts.

Kinds, as `rope_type` of a Hugging Face config.json names them: "default"; "linear", every angle divided by `factor`
(arXiv 2306.15595; DeepSeek-Coder); "llama3", long waves divided and short ones kept, with a smooth passage (Llama 3.1);
"yarn", the same with a linear passage, and sharper attention (arXiv 2309.00071). Scaling that depends on the length of
the text at hand ("dynamic", "longrope") is refused, and so are heads turned in part.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from smallcoder.core.errors import InputError

Kind = Literal["default", "linear", "llama3", "yarn"]
DEFAULT_THETA = 10_000.0


@dataclass(frozen=True)
class Rope:
    """Field names are those of `rope_parameters` in a config.json, apart from the prefix rope_."""

    theta: float = DEFAULT_THETA
    type: Kind = "default"
    factor: float = 1.0
    original_max_position_embeddings: int = 0  # the context before stretching, in tokens
    low_freq_factor: float = 1.0  # llama3: waves longer than original / low are divided whole
    high_freq_factor: float = 4.0  # llama3: those shorter than original / high are kept
    beta_fast: float = 32.0  # yarn: turns over the original context from which on a wave is kept
    beta_slow: float = 1.0  # yarn: turns up to which it is divided whole
    attention_factor: float | None = None  # yarn: of queries and keys; None: 0.1 ln(factor) + 1
    truncate: bool = True  # yarn: whether the passage begins and ends at whole pairs

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> "Rope":
        """Read old and new forms of a config.json. Raises InputError for a kind that is not known."""
        given = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
        kind = given.pop("rope_type", None) or given.pop("type", None) or "default"
        given.pop("type", None)
        theta = given.pop("rope_theta", None) or config.get("rope_theta") or DEFAULT_THETA
        if kind not in get_args(Kind) or given.get("partial_rotary_factor", 1.0) != 1.0 or given.get("mscale"):
            raise InputError(
                f"config.json asks for rotary positions of type {kind!r} ({given})",
                f"use a checkpoint with one of {', '.join(get_args(Kind))}, over whole heads",
            )
        if kind in {"llama3", "yarn"}:
            given.setdefault("original_max_position_embeddings", config["max_position_embeddings"])
        if kind != "default" and "factor" not in given:
            raise InputError(f"config.json has rotary positions of type {kind!r} without a factor", "copy it again")
        known = {field.name for field in fields(cls)}
        return cls(float(theta), kind, **{name: value for name, value in given.items() if name in known})

    def to_hf(self) -> dict[str, Any]:
        """The value of `rope_parameters`."""
        used = {
            **{"default": (), "linear": ("factor",)},
            "llama3": ("factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
            "yarn": ("factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "truncate"),
        }[self.type]
        found = {"rope_type": self.type, "rope_theta": self.theta} | {name: getattr(self, name) for name in used}
        return found if self.attention_factor is None else found | {"attention_factor": self.attention_factor}

    @property
    def magnitude(self) -> float:
        """What cosines and sines are multiplied by."""
        if self.type != "yarn":
            return 1.0
        return self.attention_factor or (0.1 * math.log(self.factor) + 1.0 if self.factor > 1 else 1.0)

    def frequencies(self, head_dim: int) -> Tensor:
        """Radians a position for each pair of a head, [head_dim / 2]."""
        found = self.theta ** -(torch.arange(0, head_dim, 2).float() / head_dim)
        if self.type == "linear":
            return found / self.factor
        if self.type == "llama3":
            waves = self.original_max_position_embeddings * found / (2 * math.pi)  # in the original context
            kept = (waves - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        elif self.type == "yarn":
            low, high = self._passage(head_dim)
            kept = 1 - (torch.arange(head_dim // 2).float() - low) / (high - low)
        else:
            return found
        kept = kept.clamp(0, 1)
        return found * kept + found / self.factor * (1 - kept)

    def _passage(self, head_dim: int) -> tuple[float, float]:
        """The pairs between which yarn goes over from keeping to dividing."""

        def pair(turns: float) -> float:
            length = self.original_max_position_embeddings / (turns * 2 * math.pi)
            return head_dim * math.log(length) / (2 * math.log(self.theta))

        low, high = pair(self.beta_fast), pair(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, head_dim - 1)
        return low, high if high > low else low + 0.001
