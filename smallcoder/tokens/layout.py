"""What the files of a tokenizer say: which kind it is, which of its tokens are marks, and the bytes of the others.

Two kinds of byte-pair encoding are read, both without loss. *Byte-level* (GPT-2's: Qwen, StarCoder, DeepSeek, Llama 3,
ours) spells every byte as a letter. *Sentencepiece's* (Gemma, Llama 2 and CodeLlama, Mistral) writes a space as U+2581
and a character that it has no token for as its bytes, `<0x0A>`; some put a space before every text, which is left out
wherever a stretch of text is encoded that may follow on another.

Added tokens are marks: ids of their own that no plain text may become. But those that are plain text themselves (runs
of white space and HTML tags, which Gemma has) stay words.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from smallcoder.core.errors import InputError
from smallcoder.tokens.vocabulary import byte_letters

SPACE = "\u2581"
WORD = re.compile(
    r"[\s\u2581]+|</?(?:table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|s|sub|sup|code)>"
)
NEVER = {0xC0, 0xC1, *range(0xF5, 0x100)}  # bytes that no UTF-8 text holds


@dataclass(frozen=True)
class Layout:
    """A tokenizer, taken apart.

    marked, plain: contents of a tokenizer.json for a whole prompt, and for a stretch of text without marks; neither
    puts anything around a text. words: bytes of each id that stands for text. marks: text -> id of the others. begin:
    the mark that the tokenizer puts before a text, if any. exact: whether no text is changed before it is encoded.
    """

    marked: dict[str, Any]
    plain: dict[str, Any]
    words: dict[int, bytes]
    marks: dict[str, int]
    begin: int | None
    end: int
    pad: int
    exact: bool

    @property
    def fingerprint(self) -> str:
        """The same for two tokenizers whose ids mean the same."""
        meaning = sorted(self.words.items()) + sorted((id, text) for text, id in self.marks.items())
        return blake2b(repr(meaning).encode(), digest_size=8).hexdigest()


def read_layout(folder: Path) -> Layout:
    """The tokenizer in a folder in Hugging Face layout. Raises InputError where it is none of the two kinds."""
    try:
        data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        return _layout(data, settings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.message if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        remedy = "name the folder of a tokenizer stage or of a model in Hugging Face layout"
        if not (folder / "tokenizer.json").exists() and (folder / "tokenizer.model").exists():
            remedy = "convert its tokenizer.model: load it with transformers' AutoTokenizer and save it"
        raise InputError(
            f"{folder} holds no byte-level BPE or sentencepiece BPE tokenizer ({reason})", remedy
        ) from None


def _layout(data: dict[str, Any], settings: dict[str, Any]) -> Layout:
    model = data["model"]
    if model.get("type", "BPE") != "BPE":
        raise ValueError(f"its model is {model['type']}")
    added = data.get("added_tokens") or []
    marks = {token["content"]: token["id"] for token in added if token.get("special") or not _is_word(token["content"])}
    if any(step["type"] == "ByteLevel" for step in _steps(data.get("pre_tokenizer"))):
        words = _byte_level(model["vocab"], marks)
        exact = not data.get("normalizer")
    elif model.get("byte_fallback"):
        words = _sentencepiece(data, marks)
        exact = False  # U+2581 itself comes back as a space
    else:
        raise ValueError("it has no tokens for bytes, so it would lose characters")
    plainly = [token for token in added if token["content"] not in marks]
    words |= {token["id"]: token["content"].replace(SPACE, " ").encode() for token in plainly}
    missing = {bytes([byte]) for byte in range(256) if byte not in NEVER} - set(words.values())
    if missing:
        raise ValueError(f"it has no tokens for {len(missing)} of the bytes, so it would lose characters")
    end = marks.get(token_text(settings.get("eos_token") or ""))
    if end is None:
        raise ValueError(f"its eos_token {settings.get('eos_token')!r} is none of its special tokens")
    pad = marks.get(token_text(settings.get("pad_token") or ""), end)
    marked = {**data, "post_processor": None, "truncation": None, "padding": None}
    # `tokenizers` gives an added token the next free id, unless the vocabulary has it.
    vocabulary = model["vocab"] | {token["content"]: token["id"] for token in plainly}
    plain = _without_first_space(marked) | {"added_tokens": plainly, "model": {**model, "vocab": vocabulary}}
    return Layout(marked, plain, words, marks, _begin(data, settings, marks), end, pad, exact)


def _is_word(text: str) -> bool:
    return WORD.fullmatch(text) is not None


def token_text(token: str | dict[str, Any]) -> str:
    """A special token's text; older files write it as an object."""
    return token if isinstance(token, str) else token["content"]


def _steps(part: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The steps of a normaliser, pre-tokenizer, decoder or post-processor, which may be sequences of sequences."""
    if not part:
        return
    if part["type"] != "Sequence":
        yield part
        return
    for name in ("normalizers", "pretokenizers", "decoders", "processors"):
        for step in part.get(name, ()):
            yield from _steps(step)


def _byte_level(vocabulary: dict[str, int], marks: dict[str, int]) -> dict[int, bytes]:
    letters = byte_letters()
    return {id: bytes(letters[letter] for letter in text) for text, id in vocabulary.items() if text not in marks}


def _sentencepiece(data: dict[str, Any], marks: dict[str, int]) -> dict[int, bytes]:
    kinds = {step["type"] for step in _steps(data.get("decoder"))}
    if "ByteFallback" not in kinds or not kinds <= {"Replace", "Metaspace", "ByteFallback", "Fuse", "Strip"}:
        raise ValueError(f"its decoder is {', '.join(sorted(kinds)) or 'missing'}")
    words = {}
    for text, id in data["model"]["vocab"].items():
        if text not in marks:
            byte = re.fullmatch("<0x([0-9A-F]{2})>", text)
            words[id] = bytes([int(byte[1], 16)]) if byte else text.replace(SPACE, " ").encode()
    return words


def _without_first_space(data: dict[str, Any]) -> dict[str, Any]:
    """The same tokenizer, but nothing is put before a text. Metaspace is then a replacement, if it does not split."""
    normalizers = [step for step in _steps(data.get("normalizer")) if step["type"] != "Prepend"]
    pre = [
        {**step, "prepend_scheme": "never"} if step["type"] == "Metaspace" else step
        for step in _steps(data.get("pre_tokenizer"))
    ]
    if len(pre) == 1 and pre[0]["type"] == "Metaspace" and not pre[0].get("split", True):
        normalizers.append({"type": "Replace", "pattern": {"String": " "}, "content": pre[0]["replacement"]})
        pre = []
    return {
        **data,
        "normalizer": {"type": "Sequence", "normalizers": normalizers} if normalizers else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": pre} if pre else None,
    }


def _begin(data: dict[str, Any], settings: dict[str, Any], marks: dict[str, int]) -> int | None:
    """What is put before a text: as the settings say, or else the post-processor's template."""
    asked = settings.get("add_bos_token")
    if asked is False:
        return None
    for step in _steps(data.get("post_processor")):
        for part in step.get("single", ())[:1] if step["type"] == "TemplateProcessing" else ():
            if "SpecialToken" in part:
                return marks.get(part["SpecialToken"]["id"])
    return marks.get(token_text(settings.get("bos_token") or "")) if asked else None
