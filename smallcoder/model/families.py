"""The families of checkpoints that the one decoder reads and writes, in Hugging Face's config.json and weight names.

A row of `FAMILIES` is what all members of a family share; the rest stands in config.json. Weights have one set of names
inside (Llama's), and a family may call some of them otherwise.

    family      among them
    llama       DeepSeek-Coder 1.3B and 6.7B, Llama, CodeLlama, Yi-Coder, OpenCoder, granite-code 3B and 8B
    qwen2       Qwen2.5-Coder
    qwen3       Qwen3, and every model made here
    starcoder2  StarCoder2
    gemma       CodeGemma
    granite     Granite 3 and later, dense
    mistral     Mistral, Codestral 22B
    bailing_moe Ling-Lite, Ling-Coder-Lite: the mixture of experts

What a family never varies and a config.json may still say otherwise is refused by name, rather than read wrongly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from smallcoder.core.errors import InputError
from smallcoder.model.config import Experts, ModelConfig
from smallcoder.model.rope import Rope

SIZES = {
    "vocab_size": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "ffn": "intermediate_size",
    "context": "max_position_embeddings",
}
SILU, GELU = ("silu", "swish"), ("gelu_pytorch_tanh", "gelu")  # Gemma's "gelu" always was the approximation


@dataclass(frozen=True)
class Family:
    """`shared`: options of `ModelConfig`. `biases`: a field of config.json -> the options that it sets.

    `scales`: option -> field. `names`: part of a weight's name inside -> outside. `norm_eps`: the field, and what
    it is without one.
    """

    architecture: str
    shared: Mapping[str, Any] = field(default_factory=dict)
    tied: bool = False  # where config.json does not say
    biases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bias: bool = False  # likewise
    scales: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    norm_eps: tuple[str, float] = ("rms_norm_eps", 1e-6)
    activations: tuple[str, ...] = SILU
    windowed: bool = False  # whether `sliding_window` alone turns it on
    sized_heads: bool = False  # heads have a size of their own, not their share of the width
    experts: bool = False


ATTENTION = ("qkv_bias", "out_bias")
FAMILIES: dict[str, Family] = {
    "llama": Family(
        "LlamaForCausalLM",
        shared={"qk_norm": False},
        biases={"attention_bias": ATTENTION, "mlp_bias": ("ffn_bias",)},
    ),
    "qwen2": Family("Qwen2ForCausalLM", shared={"qk_norm": False, "qkv_bias": True}),
    "qwen3": Family("Qwen3ForCausalLM", biases={"attention_bias": ATTENTION}, sized_heads=True),
    "mistral": Family("MistralForCausalLM", shared={"qk_norm": False}, windowed=True),
    "granite": Family(
        "GraniteForCausalLM",
        shared={"qk_norm": False},
        biases={"attention_bias": ATTENTION, "mlp_bias": ("ffn_bias",)},
        scales={
            "embedding_scale": "embedding_multiplier",
            "residual_scale": "residual_multiplier",
            "attention_scale": "attention_multiplier",
            "logit_divisor": "logits_scaling",
        },
    ),
    "gemma": Family(
        "GemmaForCausalLM",
        shared={"qk_norm": False, "norm": "rms_plus_one", "activation": "gelu_tanh"},
        tied=True,
        biases={"attention_bias": ATTENTION},
        activations=GELU,
        sized_heads=True,
    ),
    "starcoder2": Family(
        "Starcoder2ForCausalLM",
        shared={"qk_norm": False, "norm": "layer", "activation": "gelu_tanh", "gated": False},
        tied=True,
        biases={"use_bias": (*ATTENTION, "ffn_bias")},
        bias=True,
        names={"mlp.up_proj": "mlp.c_fc", "mlp.down_proj": "mlp.c_proj"},
        norm_eps=("norm_epsilon", 1e-5),
        activations=GELU[:1],
        windowed=True,
    ),
    "bailing_moe": Family(
        "BailingMoeForCausalLM",
        shared={"qk_norm": False},
        biases={"use_bias": (*ATTENTION, "ffn_bias"), "use_qkv_bias": ("qkv_bias",)},
        names={"embed_tokens": "word_embeddings", "self_attn.o_proj": "attention.dense"},
        experts=True,
    ),
}
# Fields of config.json for a mixture of experts.
EXPERTS = {
    "count": "num_experts",
    "active": "num_experts_per_tok",
    "ffn": "moe_intermediate_size",
    "shared": "num_shared_experts",
}


def from_hf(fields: Mapping[str, Any]) -> ModelConfig:
    """Read a config.json. Raises InputError for another family, and for what no member of a family should have."""
    name = fields.get("model_type")
    family = FAMILIES.get(str(name))
    if family is None or family.architecture not in (fields.get("architectures") or [family.architecture]):
        raise InputError(
            f"config.json is of {fields.get('architectures')}, model_type {name!r}",
            f"use a checkpoint of one of these: {', '.join(FAMILIES)}",
        )
    activation = fields.get("hidden_activation") or fields.get("hidden_act") or family.activations[0]
    if activation not in family.activations:
        raise InputError(f"config.json has the activation {activation!r}", f"use a plain {name} checkpoint")
    try:
        sizes = {inside: fields[outside] for inside, outside in SIZES.items()}
        options = dict(family.shared)
        for outside, named in family.biases.items():
            given = bool(fields.get(outside, family.bias))
            options |= {option: given or options.get(option, False) for option in named}
        options |= {inside: float(fields.get(outside, 1.0)) for inside, outside in family.scales.items()}
        if name == "gemma":
            options["embedding_scale"] = sizes["width"] ** 0.5
        if family.experts:
            options |= {"experts": _experts(fields), "norm_head": bool(fields.get("norm_head"))}
        return ModelConfig(
            **sizes,
            kv_heads=fields.get("num_key_value_heads") or sizes["heads"],
            head_dim=fields["head_dim"]
            if family.sized_heads
            else fields.get("head_dim") or sizes["width"] // sizes["heads"],
            rope=Rope.from_hf(fields),
            norm_eps=fields.get(*family.norm_eps),
            tied=bool(fields.get("tie_word_embeddings", family.tied)),
            family=str(name),
            **_window(family, fields),
            **options,
        )
    except KeyError as error:
        raise InputError(f"config.json lacks {error}", f"use a complete {family.architecture} checkpoint") from None


def _experts(fields: Mapping[str, Any]) -> Experts:
    if fields.get("use_bias"):
        raise InputError("config.json has experts with biases", "use a plain bailing_moe checkpoint")
    return Experts(
        **{inside: fields[outside] for inside, outside in EXPERTS.items()},
        dense_layers=fields.get("first_k_dense_replace", 0),
        renormalise=bool(fields.get("norm_topk_prob", True)),
    )


def _window(family: Family, fields: Mapping[str, Any]) -> dict[str, int]:
    """Qwen's layers use a window from `max_window_layers` on and only where told so."""
    window = fields.get("sliding_window") or 0
    if not (family.windowed or fields.get("use_sliding_window")):
        window = 0
    return {"window": window, "window_from": 0 if family.windowed or not window else fields.get("max_window_layers", 0)}


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """The fields of a config.json that `from_hf` reads back."""
    family = FAMILIES[config.family]
    found = {
        "architectures": [family.architecture],
        "model_type": config.family,
        **{outside: getattr(config, inside) for inside, outside in SIZES.items()},
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "rope_theta": config.rope.theta,
        "rope_parameters": config.rope.to_hf(),
        family.norm_eps[0]: config.norm_eps,
        "tie_word_embeddings": config.tied,
        "hidden_act": family.activations[0],
        **{outside: getattr(config, named[0]) for outside, named in family.biases.items()},
        **{outside: getattr(config, inside) for inside, outside in family.scales.items()},
        "attention_dropout": 0.0,
        "use_cache": True,
        "torch_dtype": "float32",
    }
    if experts := config.experts:
        found |= {outside: getattr(experts, inside) for inside, outside in EXPERTS.items()}
        found |= {"first_k_dense_replace": experts.dense_layers, "norm_topk_prob": experts.renormalise}
        found |= {"norm_head": config.norm_head, "embedding_dropout": 0.0, "rope_scaling": None}
    if family.windowed:
        found["sliding_window"] = config.window or None
    elif config.family.startswith("qwen"):
        found["use_sliding_window"] = config.window > 0
        if config.window:
            found |= {"sliding_window": config.window, "max_window_layers": config.window_from}
    return found


QKV = ("q_proj", "k_proj", "v_proj")


def outside(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The decoder's weights as the files of its family hold them. Meta tensors will do, for names and shapes."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        head, _, last = name.rpartition(".")
        if config.experts and head.endswith(".mlp.experts"):
            found |= {f"model.{head}.{number}.{last}.weight": part for number, part in enumerate(weight.unbind())}
        elif config.experts and head.endswith(".q_proj"):
            names = (name.replace("q_proj", part) for part in QKV)
            fused = torch.cat([weights[part] for part in names])
            found["model." + name.replace("self_attn.q_proj", "attention.query_key_value")] = fused
        elif not (config.experts and head.endswith((".k_proj", ".v_proj"))):
            for inside, theirs in FAMILIES[config.family].names.items():
                name = name.replace(inside, theirs)  # noqa: PLW2901
            found[name if name.startswith("lm_head.") else f"model.{name}"] = weight
    return found


def inside(found: Mapping[str, Tensor], wanted: Iterable[str], config: ModelConfig) -> dict[str, Tensor]:
    """The way back: the decoder's weights of these names, out of what `outside` gives."""
    weights: dict[str, Tensor] = {}
    sizes = [heads * config.head_dim for heads in (config.heads, config.kv_heads, config.kv_heads)]
    for name in wanted:
        head, _, last = name.rpartition(".")
        if config.experts and head.endswith(".mlp.experts"):
            assert config.experts
            parts = (found[f"model.{head}.{number}.{last}.weight"] for number in range(config.experts.count))
            weights[name] = torch.stack(list(parts))
        elif config.experts and head.endswith(QKV):
            part = QKV.index(head.rpartition(".")[2])
            fused = found[
                "model." + head.rpartition(".")[0].replace("self_attn", "attention.query_key_value") + f".{last}"
            ]
            weights[name] = fused.split(sizes)[part]
        else:
            theirs = next(iter(outside({name: torch.empty(0)}, config)))
            weights[name] = found[theirs]
    return weights
