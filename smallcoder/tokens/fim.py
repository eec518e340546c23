"""Fill-in-the-middle: one record says how a model is asked for the text between a prefix and a suffix.

The same `FimSpec` arranges training pieces, evaluation prompts and serving. Orders: "psm" is prefix, suffix, middle;
"spm" is suffix, prefix, middle (Bavarian et al. 2022, arXiv 2207.14255). For the second there are two forms, of which
each family knows one: that of llama.cpp's /infill, and the paper's joint one (`joint`), in which prefix and middle are
one text, so that it begins as psm does with an empty prefix:

    psm         <|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>M<|endoftext|>
    spm         <|fim_suffix|>S<|fim_prefix|>P<|fim_middle|>M<|endoftext|>
    spm, joint  <|fim_prefix|><|fim_suffix|>S<|fim_middle|>PM<|endoftext|>

A text is split by character, before it is tokenized, so a model also learns middles that begin inside a token. Two
kinds of split are mixed. One cuts at two characters drawn uniformly, seldom within one line. The other follows lines,
as an editor asks: 1 line with probability 1/2, 2 with 1/4, ...; half the time whole, with indentation and last line
end, half the time from a column within the first line up to that line end.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal

from smallcoder.core.errors import InputError
from smallcoder.tokens.encode import Encoder
from smallcoder.tokens.vocabulary import END_OF_TEXT, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX

FILE = "fim.json"
Order = Literal["psm", "spm"]
Kind = Literal["lines", "characters", "syntax"]


@dataclass(frozen=True)
class FimSpec:
    """The marks and order of one model family; `middle` may be empty.

    stop: what ends a middle. joint: which form of spm it knows.
    """

    prefix: str = FIM_PREFIX
    suffix: str = FIM_SUFFIX
    middle: str = FIM_MIDDLE
    order: Order = "psm"
    stop: tuple[str, ...] = (END_OF_TEXT,)
    joint: bool = False

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders that can be told apart: without a mark before the middle, psm would hide where the suffix ends."""
        return ("psm", "spm") if self.middle else ("spm",)

    def prompt(self, prefix: str, suffix: str) -> str:
        """What to complete with the middle; to be encoded with its special tokens as such."""
        return "".join(text for _, text in self._parts(prefix, suffix, self.order))

    def encode(self, encoder: Encoder, prefix: str, middle: str, suffix: str, order: Order | None = None) -> list[int]:
        """Ids of a training piece, without what ends it. The three texts are plain: marks within them stay text."""
        ids = []
        for mark, text in self._parts(prefix, suffix, order or self.order):
            ids += [encoder.token_id(text)] if mark else encoder.encode(text)
        return ids + encoder.encode(middle)

    def _parts(self, prefix: str, suffix: str, order: Order) -> list[tuple[bool, str]]:
        """What stands before the middle: (whether it is a mark, text)."""
        before, after = [(True, self.prefix), (False, prefix)], [(True, self.suffix), (False, suffix)]
        middle = [(True, self.middle)] if self.middle else []
        if order == "psm":
            return [*before, *after, *middle]
        return [before[0], *after, *middle, before[1]] if self.joint else [*after, *before, *middle]

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


# What families outside call their marks, for models without a fim.json. Orders and stops are those of their cards:
# StarCoder2 and Granite, DeepSeek-Coder (with full-width bars), Qwen2.5-Coder and CodeGemma, CodeLlama, Codestral. Of
# these StarCoder and CodeLlama were trained on joint spm too (Li et al. 2023, arXiv 2305.06161; Roziere et al. 2023,
# arXiv 2308.12950), and Codestral on spm alone.
KNOWN = (
    FimSpec("<fim_prefix>", "<fim_suffix>", "<fim_middle>", stop=("<file_sep>",), joint=True),
    FimSpec(
        "<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cfim\u2581end\uff5c>", stop=("<|EOT|>",)
    ),
    FimSpec(stop=("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|file_separator|>", "<|im_end|>")),
    FimSpec("\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>", stop=("\u2581<EOT>",), joint=True),
    FimSpec("[PREFIX]", "[SUFFIX]", "", "spm", stop=()),
)


def known_fim(encoder: Encoder) -> FimSpec | None:
    """The spec of the family whose marks a tokenizer has, with its own end of text; None where it has none's."""
    for spec in KNOWN:
        if all(mark in encoder.special for mark in (spec.prefix, spec.suffix, spec.middle) if mark):
            end = next(text for text, id in encoder.special.items() if id == encoder.end)
            stops = [end, *(mark for mark in spec.stop if mark in encoder.special)]
            return replace(spec, stop=tuple(dict.fromkeys(stops)))
    return None


def load_fim(folder: Path) -> FimSpec:
    """The spec kept in a tokenizer or model folder. Raises InputError where there is none."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return FimSpec(**{**data, "stop": tuple(data["stop"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / FILE} is no infilling record ({error})", "make the tokenizer again") from None


def split(text: str, rng: Random, lines: float = 0.5) -> tuple[Kind, str, str, str]:
    """Cut a text into prefix, middle and suffix; a share `lines` of the time along lines, else anywhere.

    A text without a line that is not blank is cut anywhere. Returns which of the two it was, then the three texts.
    """
    kind: Kind = "characters"
    if rng.random() < lines and (starts := _line_starts(text)):
        kind = "lines"
        begin, end = _line_span(text, starts, rng)
    else:
        begin, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
    return kind, text[:begin], text[begin:end], text[end:]


def _line_starts(text: str) -> list[int]:
    """Where the lines begin that are not blank."""
    starts, at = [], 0
    for line in text.split("\n"):
        if line.strip():
            starts.append(at)
        at += len(line) + 1
    return starts


def _line_span(text: str, starts: list[int], rng: Random) -> tuple[int, int]:
    begin = end = rng.choice(starts)
    more = True
    while more and end < len(text):
        end = text.find("\n", end) + 1 or len(text)
        more = rng.random() < 0.5
    if rng.random() < 0.5:
        first = text.find("\n", begin, end)
        begin = rng.randrange(begin, first if first >= 0 else end)
        end -= text[end - 1] == "\n"
    return begin, end
