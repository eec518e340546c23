"""A model in miniature for tests: a tokenizer learned from made-up code and a random decoder, as a ModelDir."""

from dataclasses import replace
from pathlib import Path

import torch

from smallcoder.model.config import Experts, ModelConfig
from smallcoder.model.hf import save_model
from smallcoder.model.transformer import Decoder
from smallcoder.tokens import train

WORDS = (
    "add count data entry find folder index item key last line make model next parse place record size table text value"
)
LINES = (
    "def {0}_{1}(self, {2}: int) -> str:\n    return {0}.{1}({2}, {0}_{2}=None)\n",
    "for {0}, {1} in enumerate({2}):\n    if {0} not in self.{1} and {2} > 0:\n        self.{0}[{1}] += {2}",
    "if {2}.{1} is None:\n    raise ValueError(f'the {0} of {{{1}}} has no {2}')",
    "class {0}{1}({2}):\n    {1}: list[int]\n\n    def {0}(self) -> None:\n        print(self.{1})\n",
    "from {0}.{1} import {2}",
    "while {0}:\n    {1} = {0}.{2}()",
)


def source(seed: int) -> str:
    """Two hundred statements that Python parses: the same for ever, as near ties between tokens hang on it."""
    words, lines = WORDS.split(), []
    for _ in range(200):
        places = []
        for _ in range(4):
            seed = (1103515245 * seed + 12345) % (1 << 31)
            places.append(seed >> 12)
        lines.append(LINES[places[0] % len(LINES)].format(*(words[place % len(words)] for place in places[1:])))
    return "\n".join(lines)


SOURCES = [source(seed) for seed in range(8)]


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
