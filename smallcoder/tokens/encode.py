"""Text to ids and back.

A tokenizer is a folder in Hugging Face layout, of one of the two kinds that `layout.py` reads. Encoding goes through
fastokens, which reads the same tokenizer.json and is many times as fast as `tokenizers` (`perf/encode.py` measures
both). The two agree on all that was tried, by tests and not by proof: so `load_encoder` compares their ids on text made
of the vocabulary itself, on odd input and on characters of all of Unicode; where they differ, or where fastokens is not
installed or cannot read the file, everything goes through `tokenizers`.

Neither word-piece nor unigram tokenizers are read, nor tokenizers that are code.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tokenizers import Tokenizer

from smallcoder.core.errors import InputError
from smallcoder.tokens.layout import Layout, read_layout

# fastokens takes U+180E for white space, which it was until Unicode 6.3.
DIFFERS = "\u180e"

ODD_TEXT = (
    "def f(x):\n\treturn  x['it''s'] != 0xFFff_1234\r\n\r\n  \n    # I'LL we'Re 'ſ don't\n\n\n\n",
    "na\u00efve e\u0301 \u212b \u4f60\u597d\u3002 \u0645\u0631\u062d\u0628\u0627 \U0001f469\u200d\U0001f4bb "
    "\u00a0\u2028\u3000\x85\x0b\x0c\x00\x1f \ufeff \u0967\u00bd\u2163",
    "<|endoftext|><|im_start|>user\n<think></think><|lang:python|><|fim_middle|>",
    " " * 77 + "x" + "\t" * 33 + "\n" * 21 + " \n" * 9 + "=" * 99 + "-" * 80 + "#" * 41 + "a" * 50 + "aba" * 30,
)


class Encoder:
    """Encodes and decodes with one tokenizer; `load_encoder` makes it.

    token_bytes: the bytes of each id, for special tokens those of their text. token_sizes [vocab_size] uint32: UTF-8
    bytes of the text each id stands for, 0 for special tokens. special: text -> id of the special tokens. begin, end,
    pad: ids of the tokens before a text (None where the tokenizer has it begin at once), behind it, and of padding.
    fingerprint: what ids mean, in short. fast: whether fastokens does the work. exact: whether `encode` then `decode`
    gives back every text that holds no lone surrogate. Safe to use from several threads.
    """

    def __init__(self, layout: Layout) -> None:
        self.special = layout.marks
        self.begin, self.end, self.pad = layout.begin, layout.end, layout.pad
        self.exact = layout.exact
        self.vocab_size = max([*layout.words, *self.special.values()]) + 1
        self.token_bytes: list[bytes] = [b""] * self.vocab_size
        self.token_sizes = np.zeros(self.vocab_size, np.uint32)
        for id, data in layout.words.items():
            self.token_bytes[id] = data
            self.token_sizes[id] = len(data)
        for text, id in self.special.items():
            self.token_bytes[id] = text.encode()
        self.fingerprint = layout.fingerprint
        self._layout = layout
        self._plain = _tokenizer(layout.plain)
        self._fast = _fastokens(layout.plain)
        if self._fast and any(self.encode(text) != _ids(self._plain, text) for text in _samples(self.token_bytes)):
            self._fast = None

    @property
    def fast(self) -> bool:
        return self._fast is not None

    @cached_property
    def _marked(self) -> Tokenizer:
        return _tokenizer(self._layout.marked)

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Ids of a stretch of plain text: special tokens in it are text, and nothing is put before it.

        With `special` the text is a whole prompt, read as a server would: the text of a special token becomes its id,
        and where the tokenizer puts a token or a space before a text, that comes first, but no second such token. This
        goes through `tokenizers`: prompts are few.
        """
        if special:
            ids = _ids(self._marked, text)
            return ids if self.begin is None or ids[:1] == [self.begin] else [self.begin, *ids]
        if self._fast is None or DIFFERS in text:
            return _ids(self._plain, text)
        try:
            return self._fast.encode(text).ids
        except ValueError:  # a lone surrogate, or more than its regular expressions take
            return _ids(self._plain, text)

    def encode_batch(self, texts: Sequence[str], workers: int = 1) -> list[list[int]]:
        """`encode(text)` of each text, in order, in `workers` threads (the loop runs outside Python's lock)."""
        if workers == 1 or len(texts) < 2:
            return [self.encode(text) for text in texts]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self.encode, texts))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, special tokens as their text. Bytes that are not UTF-8 become U+FFFD."""
        return b"".join([self.token_bytes[id] for id in ids]).decode("utf-8", "replace")

    def token_id(self, name: str) -> int:
        """Id of a special token by its text. Raises InputError where the tokenizer has no such token."""
        if name not in self.special:
            raise InputError(f"the tokenizer has no special token {name!r}", "use one made by the tokenizer stage")
        return self.special[name]


def load_encoder(folder: Path) -> Encoder:
    """The encoder of a tokenizer folder or a model folder. Raises InputError where it holds no tokenizer we read."""
    return Encoder(read_layout(folder))


class _Fast(Protocol):
    """What we use of fastokens."""

    def encode(self, input: str) -> Any: ...


def _fastokens(data: dict[str, Any]) -> _Fast | None:
    try:
        from fastokens import Tokenizer as Fast  # absent from images made for training alone

        return Fast.from_json_str(json.dumps(data))
    except (ImportError, ValueError):  # ValueError: a step that it does not know
        return None


def _tokenizer(data: dict[str, Any]) -> Tokenizer:
    try:
        return Tokenizer.from_str(json.dumps(data))
    except Exception as error:  # tokenizers raises nothing narrower
        raise InputError(f"the tokenizer cannot be read ({error})", "copy its files again") from None


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    whole = text.encode("utf-8", "replace").decode()
    return tokenizer.encode(whole, add_special_tokens=False).ids


def _samples(token_bytes: list[bytes]) -> list[str]:
    some = [data.decode("utf-8", "replace") for data in token_bytes[:: 1 + len(token_bytes) // 20_000]]
    return [*ODD_TEXT, *_odd_characters(), "".join(some), "".join(some[::-1]), " ".join(some[::2] + some[1::2])]


@cache
def _odd_characters() -> tuple[str, ...]:
    """Every fiftieth character among letters and spaces, and runs longer than fastokens reads at once."""
    known = [chr(code) for code in range(0, 0x30000, 50)]
    some = [char for char in known if unicodedata.category(char) not in ("Cn", "Co", "Cs")]
    spaces = [chr(code) for code in range(0x10000) if chr(code).isspace()]
    runs = (" " * 40_000 + "x", "\n \t" * 9_000, "ab" * 9_000)
    return ("".join(f"a{char} {char}1" for char in some), "".join(f"a{char}b{char}\n{char} " for char in spaces), *runs)
