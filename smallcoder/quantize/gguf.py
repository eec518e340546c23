"""Write a ModelDir as one GGUF file for llama.cpp, in f16 or Q8_0, with tokenizer, chat template and FIM tokens.

Layout: llama.cpp's "qwen3" architecture, whose rotary order is our own, so no weight is permuted; for a mixture of
experts its "bailingmoe", which turns neighbouring pairs, so queries and keys are put in that order, and which wants the
output matrix as NormHead leaves it. Norms and routers stay f32.
Q8_0 stores blocks of 32 weights of a row as int8 with one f16 scale: 8.5 bits a weight. A matrix whose rows do not
divide into blocks stays f16, as in llama.cpp's own quantizer.

Cost: the model in fp32 and one file's worth of memory. Does not do K-quants (llama.cpp's own tool makes them from the
f16 file) or other families than these two, which it refuses by name.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import (
    GGML_QUANT_SIZES,
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFWriter,
    LlamaFileType,
    TokenType,
    get_tensor_name_map,
)
from gguf.quants import quantize

from smallcoder.core.errors import InputError
from smallcoder.model.config import ModelConfig
from smallcoder.model.hf import load_model
from smallcoder.model.transformer import Decoder
from smallcoder.tokens.fim import load_fim
from smallcoder.tokens.vocabulary import END_OF_TEXT, IM_END, PRE_TOKENIZER

Kind = Literal["f16", "q8_0"]
ARCHITECTURES = {"qwen3": MODEL_ARCH.QWEN3, "bailing_moe": MODEL_ARCH.BAILINGMOE}
FILE_TYPES = {"f16": LlamaFileType.MOSTLY_F16, "q8_0": LlamaFileType.MOSTLY_Q8_0}
FIM_PLACES = {"pad": "<|fim_pad|>", "rep": "<|repo_name|>", "sep": "<|file_sep|>"}
LARGEST_F16 = float(np.finfo(np.float16).max)


def write_gguf(model: Path, path: Path, kind: Kind) -> None:
    """Write the ModelDir `model` to the file `path`. The same model always gives the same bytes.

    Raises InputError where the folder is no such model, lacks its tokenizer, or has a weight too large for f16.
    """
    decoder = load_model(model)
    if decoder.config.family not in ARCHITECTURES:
        raise InputError(f"{model} is a {decoder.config.family} model", "convert it with llama.cpp's own script")
    writer = GGUFWriter(path, MODEL_ARCH_NAMES[ARCHITECTURES[decoder.config.family]])
    writer.add_type("model")
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_quantization_version(2)  # of the block formats; ggml has had no other since 2023
    _add_sizes(writer, decoder.config)
    _add_tokenizer(writer, model, decoder.config.vocab_size)
    for name, weight, stored in _tensors(decoder, kind):
        if stored is not GGMLQuantizationType.F32 and not np.abs(weight).max() <= LARGEST_F16:
            raise InputError(f"{model}: {name} has a weight that f16 cannot hold", "look at how its training went")
        writer.add_tensor(name, quantize(weight, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_sizes(writer: GGUFWriter, config: ModelConfig) -> None:
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_freq_base(config.rope.theta)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if experts := config.experts:
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_expert_count(experts.count)
        writer.add_expert_used_count(experts.active)
        writer.add_expert_shared_count(experts.shared)
        writer.add_expert_feed_forward_length(experts.ffn)
        writer.add_expert_weights_norm(experts.renormalise)
        writer.add_expert_weights_scale(1.0)
        writer.add_leading_dense_block_count(experts.dense_layers)


def _add_tokenizer(writer: GGUFWriter, model: Path, vocab_size: int) -> None:
    """Byte-level BPE as in tokenizer.json; the token list is filled up to the rows of the embedding matrix."""
    data = _read_tokenizer(model)
    added = data["added_tokens"]
    tokens = [f"[UNUSED_{index}]" for index in range(vocab_size)]
    types = [TokenType.UNUSED] * vocab_size
    for token, index in data["model"]["vocab"].items():
        tokens[index], types[index] = token, TokenType.NORMAL
    for token in added:
        tokens[token["id"]] = token["content"]
        types[token["id"]] = TokenType.CONTROL if token["special"] else TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in data["model"]["merges"]])
    ids = {token["content"]: token["id"] for token in added}
    if END_OF_TEXT not in ids:
        raise InputError(f"the tokenizer of {model} has no {END_OF_TEXT}", "train it with the tokenizer stage")
    writer.add_eos_token_id(ids[END_OF_TEXT])
    writer.add_pad_token_id(ids[END_OF_TEXT])
    if IM_END in ids:
        writer.add_eot_token_id(ids[IM_END])
    fim = load_fim(model)
    roles = {"pre": fim.prefix, "suf": fim.suffix, "mid": fim.middle} | FIM_PLACES
    for role, name in roles.items():
        if name in ids:
            writer.add_uint32(f"tokenizer.ggml.fim_{role}_token_id", ids[name])
    writer.add_add_bos_token(False)
    template = model / "chat_template.jinja"
    if template.is_file():
        writer.add_chat_template(template.read_text(encoding="utf-8"))


def _read_tokenizer(model: Path) -> dict[str, Any]:
    path = model / "tokenizer.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error})", "copy the model again, with its tokenizer") from None
    if data["model"]["type"] != "BPE" or data["normalizer"]:
        raise InputError(f"{path} is not a plain byte-level BPE", "use a tokenizer of the tokenizer stage")
    return data


def _tensors(decoder: Decoder, kind: Kind) -> Iterator[tuple[str, np.ndarray, GGMLQuantizationType]]:
    """Every weight under llama.cpp's name in fp32, and the type it is stored in."""
    config = decoder.config
    names = get_tensor_name_map(ARCHITECTURES[config.family], config.layers)
    for name, parameter in decoder.named_parameters():
        outside = name if name.startswith("lm_head.") else f"model.{name}"
        found = names.get_name(outside, try_suffixes=(".weight",)) or names.get_name(outside)
        if found and outside != name and not found.endswith(".weight"):
            found += ".weight"  # experts, whose parameters are not those of a linear layer
        assert found, f"{outside} has no name in GGUF"
        weight = decoder.output_weight if name.startswith("lm_head.") else parameter
        if config.experts and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.heads if "q_proj" in name else config.kv_heads
            weight = weight.view(heads, 2, config.head_dim // 2, config.width).transpose(1, 2).reshape(weight.shape)
        router = config.experts is not None and name.endswith("mlp.gate.weight")
        stored = GGMLQuantizationType.F32 if router else _stored(weight.shape, kind)
        yield found, weight.detach().numpy(), stored


def _stored(shape: tuple[int, ...], kind: Kind) -> GGMLQuantizationType:
    if len(shape) == 1:
        return GGMLQuantizationType.F32
    block, _ = GGML_QUANT_SIZES[GGMLQuantizationType.Q8_0]
    return GGMLQuantizationType.Q8_0 if kind == "q8_0" and shape[-1] % block == 0 else GGMLQuantizationType.F16
