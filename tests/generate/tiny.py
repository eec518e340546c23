"""A model in miniature for tests: a tokenizer learned from this repository and a random decoder, as a ModelDir."""

from dataclasses import replace
from pathlib import Path

import torch

from smallcoder.model.config import Experts, ModelConfig
from smallcoder.model.hf import save_model
from smallcoder.model.transformer import Decoder
from smallcoder.tokens import train

SOURCES = [path.read_text(encoding="utf-8") for path in sorted(Path(train.__file__).parents[1].glob("core/*.py"))]


def tiny_model(folder: Path, context: int = 128, seed: int = 0, ffn: int = 96, experts: Experts | None = None) -> Path:
    """Write the ModelDir. Its weights are large, so that its likeliest tokens lead by more than rounding."""
    vocab_size = 768
    tokenizer = folder.with_name(folder.name + "-tokenizer")
    train.save(train.learn(SOURCES, vocab_size - train.SPECIAL_SLOTS), vocab_size, tokenizer)
    config = ModelConfig(vocab_size, width=64, layers=2, heads=4, kv_heads=2, head_dim=16, ffn=ffn, context=context)
    if experts:
        options = {"experts": experts, "family": "bailing_moe", "qk_norm": False, "tied": False, "norm_head": True}
        config = replace(config, **options)
    decoder = Decoder(config)
    torch.manual_seed(seed)
    for weight in decoder.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.25)
    save_model(decoder, tokenizer, folder)
    return folder
