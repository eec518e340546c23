"""Small tokenizers configured as those of the families that we read: byte-level ones and sentencepiece's kind.

Each is learned by `tokenizers` from a little code; the settings around it (normaliser, pre-tokenizer, decoder, special
tokens) are those of the family's tokenizer.json.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SIZE = 700
CODE = (
    Path(__file__).with_name("test_packing.py").read_text(encoding="utf-8") + "\u4f60\u597d \u00e9t\u00e9 2024\r\n" * 9
)
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+"


def split(pattern: str, behavior: str = "Isolated") -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": False}


def letters(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


DIGITS = {"type": "Digits", "individual_digits": True}
PREPEND = {"type": "Prepend", "prepend": "\u2581"}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
SPACES = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
UNDO = [SPACES, {"type": "ByteFallback"}, {"type": "Fuse"}]
METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}

BYTE_LEVEL: dict[str, dict[str, Any]] = {
    "starcoder": {"pre_tokenizer": sequence(DIGITS, letters(True))},
    "gpt2": {"pre_tokenizer": letters(True)},
    "deepseek": {
        "pre_tokenizer": sequence(
            split("[\r\n]"),
            split(r"\s?\p{L}+"),
            split(r"\s?\p{P}+"),
            split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"),
            DIGITS,
            letters(False),
        )
    },
    "llama3": {"pre_tokenizer": sequence(split(CONTRACTIONS + WORDS + r"|\p{N}{1,3}" + REST), letters(False))},
    "qwen": {
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": sequence(split(CONTRACTIONS + WORDS + r"|\p{N}" + REST), letters(False)),
    },
}
SENTENCEPIECE: dict[str, dict[str, Any]] = {
    "gemma": {
        "normalizer": REPLACE,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "decoder": {"type": "Sequence", "decoders": UNDO},
    },
    "llama2": {
        "normalizer": {"type": "Sequence", "normalizers": [PREPEND, REPLACE]},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [*UNDO, STRIP]},
    },
    "mistral": {
        "normalizer": None,
        "pre_tokenizer": METASPACE,
        "decoder": {"type": "Sequence", "decoders": [*UNDO, STRIP]},
    },
}
FAMILIES = (*BYTE_LEVEL, *SENTENCEPIECE)

# The infilling marks of each, in the order prefix, suffix, middle, and what else it has.
MARKS: dict[str, tuple[str, ...]] = {
    "starcoder": ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<repo_name>"),
    "gpt2": (),
    "deepseek": (
        "<\uff5cfim\u2581begin\uff5c>",
        "<\uff5cfim\u2581hole\uff5c>",
        "<\uff5cfim\u2581end\uff5c>",
        "<|EOT|>",
    ),
    "llama3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "qwen": (
        *("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>"),
        *("<|im_start|>", "<|im_end|>"),
    ),
    "gemma": (
        *("\n\n", "<table>", "<start_of_turn>", "<end_of_turn>"),
        *("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"),
    ),
    "llama2": ("\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>", "\u2581<EOT>"),
    "mistral": ("[PREFIX]", "[SUFFIX]", "[INST]", "[/INST]"),
}
BEGIN = {
    "llama3": "<|begin_of_text|>",
    "deepseek": "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
    **dict.fromkeys(SENTENCEPIECE, "<s>"),
}
PLAIN = ("\n\n", "<table>")  # added tokens that are not special


@cache
def model(byte_level: bool) -> dict[str, Any]:
    """The learned vocabulary and merges, as in a tokenizer.json."""
    tokenizer = Tokenizer(models.BPE(unk_token=None if byte_level else "<unk>", byte_fallback=not byte_level))
    if byte_level:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        special = []
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
        special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE + len(special),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if byte_level else [],
        show_progress=False,
    )
    tokenizer.train_from_iterator(CODE.splitlines(keepends=True), trainer)
    data = json.loads(tokenizer.to_str())
    data["model"]["fuse_unk"] = not byte_level
    return data


def write_family(family: str, folder: Path) -> Path:
    """A tokenizer folder of the family; its marks take the ids behind the vocabulary."""
    data = json.loads(json.dumps(model(family in BYTE_LEVEL)))
    data |= BYTE_LEVEL.get(family) or SENTENCEPIECE[family]
    end = "<|endoftext|>" if family in BYTE_LEVEL else "</s>"
    known = data["model"]["vocab"]
    names = () if family in BYTE_LEVEL else ("<unk>", "<s>", "</s>")
    names = dict.fromkeys((*names, *MARKS[family], *([BEGIN[family]] if family in BEGIN else ()), end))
    fresh = (name for name in names if name not in known)
    ids = {name: known[name] for name in names if name in known} | {
        name: len(known) + place for place, name in enumerate(fresh)
    }
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    data["added_tokens"] = [
        {"id": id, "content": text, **flags, "special": text not in PLAIN}
        for text, id in sorted(ids.items(), key=lambda item: item[1])
    ]
    if begin := BEGIN.get(family):
        single = [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
        pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
        tokens = {begin: {"id": begin, "ids": [ids[begin]], "tokens": [begin]}}
        data["post_processor"] = {
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": tokens,
        }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    settings = {"eos_token": end, "bos_token": begin, "clean_up_tokenization_spaces": False}
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder
