"""Text to ids and back.

A tokenizer is a folder in Hugging Face layout holding a byte-level BPE. Encoding goes through tiktoken, whose Rust loop
is several times as fast as that of `tokenizers` (`perf/encode.py` measures both). tiktoken merges by the rank of the
merged token, `tokenizers` by a list of merges; for a vocabulary numbered in the order it was learned these agree in
practice, not by proof. So `load_encoder` compares the ids of both on text made of the vocabulary itself and on odd
input, and where they differ, or where the tokenizer normalises text, everything goes through `tokenizers`.

It does not read sentencepiece or word-piece tokenizers, and never adds a begin-of-text token.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
from tokenizers import Tokenizer

from smallcoder.core.errors import InputError
from smallcoder.tokens.vocabulary import byte_letters

# tiktoken's regex engine gives up on longer runs of white space (it fails at a million and not at 100,000).
LONGEST_SPACE = 50_000
_LONG_SPACE = re.compile(rf"\s{{{LONGEST_SPACE}}}")

ODD_TEXT = (
    "def f(x):\n\treturn  x['it''s'] != 0xFFff_1234\r\n\r\n  \n    # I'LL we'Re 'ſ don't\n\n\n\n",
    "na\u00efve e\u0301 \u212b \u4f60\u597d\u3002 \u0645\u0631\u062d\u0628\u0627 \U0001f469\u200d\U0001f4bb "
    "\u00a0\u2028\u3000\x85\x0b\x0c\x00\x1f \ufeff \u0967\u00bd\u2163",
    "<|endoftext|><|im_start|>user\n<think></think><|lang:python|><|fim_middle|",
    " " * 77 + "x" + "\t" * 33 + "\n" * 21 + " \n" * 9 + "=" * 99 + "-" * 80 + "#" * 41 + "a" * 50 + "aba" * 30,
)


class Encoder:
    """Encodes and decodes with one tokenizer; `load_encoder` makes it.

    token_bytes: the bytes of each id, for special tokens those of their text. token_sizes [vocab_size] uint32: UTF-8
    bytes of the text each id stands for, 0 for special tokens. special: text -> id of the special tokens. end, pad: ids
    of the end-of-document and padding tokens. fast: whether tiktoken does the work. Safe to use from several threads.
    """

    def __init__(self, data: dict[str, Any], settings: dict[str, Any]) -> None:
        if data["model"]["type"] != "BPE":
            raise ValueError(f"its model is {data['model']['type']}")
        added = data.get("added_tokens") or []
        self.special: dict[str, int] = {token["content"]: token["id"] for token in added}
        self._marked = _tokenizer(data)
        self._plain = _tokenizer({**data, "added_tokens": [], "post_processor": None})
        self._marked.no_padding()
        self._marked.no_truncation()
        letters = byte_letters()
        ranks = {
            bytes(letters[letter] for letter in text): id
            for text, id in data["model"]["vocab"].items()
            if text not in self.special
        }
        self.vocab_size = max([*ranks.values(), *self.special.values()]) + 1
        self.token_bytes: list[bytes] = [b""] * self.vocab_size
        self.token_sizes = np.zeros(self.vocab_size, np.uint32)
        for text, id in ranks.items():
            self.token_bytes[id] = text
            self.token_sizes[id] = len(text)
        for text, id in self.special.items():
            self.token_bytes[id] = text.encode()
        self.end = self.token_id(_content(settings["eos_token"]))
        self.pad = self.token_id(_content(settings.get("pad_token") or settings["eos_token"]))
        self._fast = _tiktoken(data, ranks, self.special)
        if self._fast and not self._agree(ranks):
            self._fast = None

    @property
    def fast(self) -> bool:
        return self._fast is not None

    def _agree(self, ranks: dict[bytes, int]) -> bool:
        words = [text.decode("utf-8", "replace") for text in list(ranks)[:: 1 + len(ranks) // 20_000]]
        samples = [*ODD_TEXT, "".join(words), "".join(words[::-1]), " ".join(words[::2] + words[1::2])]
        return all(
            self.encode(text) == self._plain.encode(text, add_special_tokens=False).ids
            and self.encode(text, special=True) == self._marked.encode(text, add_special_tokens=False).ids
            for text in samples
        )

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Ids of a text. The text of a special token becomes its id only where `special`; else it is plain text."""
        if self._fast is None or (len(text) >= LONGEST_SPACE and _LONG_SPACE.search(text)):
            tokenizer = self._marked if special else self._plain
            return tokenizer.encode(text, add_special_tokens=False).ids
        return self._fast.encode(text, allowed_special="all") if special else self._fast.encode_ordinary(text)

    def encode_batch(self, texts: Sequence[str], workers: int = 1) -> list[list[int]]:
        """`encode(text)` of each text, in order, in `workers` threads (the loop runs outside Python's lock)."""
        if workers == 1 or len(texts) < 2:
            return [self.encode(text) for text in texts]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self.encode, texts))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens as their text. Bytes that are not UTF-8 become U+FFFD.

        `encode` then `decode` gives back every text that holds no lone surrogate.
        """
        return b"".join([self.token_bytes[id] for id in ids]).decode("utf-8", "replace")

    def token_id(self, name: str) -> int:
        """Id of a special token by its text. Raises InputError where the tokenizer has no such token."""
        if name not in self.special:
            raise InputError(f"the tokenizer has no special token {name!r}", "use one made by the tokenizer stage")
        return self.special[name]


def load_encoder(folder: Path) -> Encoder:
    """The encoder of a tokenizer folder or a model folder. Raises InputError where it holds no byte-level BPE."""
    try:
        data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        return Encoder(data, settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder} holds no byte-level BPE tokenizer ({type(error).__name__}: {error})",
            "name the folder of a tokenizer stage or of a model in Hugging Face layout",
        ) from None


def _content(token: str | dict[str, Any]) -> str:
    """A special token's text; older files write it as an object."""
    return token if isinstance(token, str) else token["content"]


def _tokenizer(data: dict[str, Any]) -> Tokenizer:
    try:
        return Tokenizer.from_str(json.dumps(data))
    except Exception as error:  # tokenizers raises nothing narrower
        raise ValueError(str(error)) from None


def _tiktoken(data: dict[str, Any], ranks: dict[bytes, int], special: dict[str, int]) -> tiktoken.Encoding | None:
    """tiktoken's form of the same tokenizer, or None where it is more than a split and byte-level merges."""
    pre = data.get("pre_tokenizer") or {}
    steps = pre.get("pretokenizers", [])
    kinds = [step["type"] for step in steps]
    if data.get("normalizer") or kinds != ["Split", "ByteLevel"]:
        return None
    split, letters = steps
    if split["behavior"] != "Isolated" or split["invert"] or letters["add_prefix_space"] or letters["use_regex"]:
        return None
    if len({text for text in ranks if len(text) == 1}) < 256:
        return None
    return tiktoken.Encoding("", pat_str=split["pattern"]["Regex"], mergeable_ranks=ranks, special_tokens=special)
