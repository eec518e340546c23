"""Code as one line of words: what fastText is trained on and asked about.

fastText reads a line, splits it at white space and takes `__label__x` and `</s>` for its own marks. So:
- only the first CHARACTERS characters count: what a file is shows at its head, and a line of a megabyte costs no more;
- identifiers fall apart at underscores and at humps (`parseHTTPRequest_v2` -> `parse http request v 0`), lower case:
  names are endless, the words they are made of are not; and no mark of fastText can come out of that;
- digits become 0, so a number counts by its length only;
- every other mark is a word of its own, and so is a line end, written as a pilcrow: two in a row are a blank line,
  which bigrams see. Indentation, tabs and control characters are left out; what is not ASCII counts as small letters.

One compiled pass, 150 MB a CPU-second. It knows no language: strings and comments are words like others.

Instead the words can be the tokens of a tokenizer, as numbers: Ling-Coder-Lite (arXiv 2503.17793, section 2.3.1) and
DeepSeek-Coder-V2 train fastText on those of a byte-pair encoding. That reads 2 MB a CPU-second.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smallcoder.core.errors import InputError
from smallcoder.data.compiled import compiled
from smallcoder.data.kernels import Array

FORM = 1  # raise it when the same text would now give other words: models remember theirs
CHARACTERS = 8_000
_SPACE, _FEED, _MARK, _DIGIT, _SMALL, _CAPITAL = range(6)


def _kind(byte: int) -> int:
    letter = chr(byte)
    if byte >= 128 or letter.islower():
        return _SMALL
    if letter.isalnum():
        return _CAPITAL if letter.isupper() else _DIGIT
    if letter == "\n":
        return _FEED
    return _MARK if letter.isprintable() and letter not in " _" else _SPACE


KIND = np.array([_kind(byte) for byte in range(256)])


def one_line(texts: Sequence[str | None]) -> list[str]:
    """The words of each text with single spaces between them; "" where it has none but line ends. Never raises."""
    heads = [(text or "")[:CHARACTERS].encode("utf-8", "replace") for text in texts]
    bounds = np.cumsum([0, *map(len, heads)])
    out, ends = _words(bounds, np.frombuffer(b"".join(heads) or b"\0", np.uint8))
    data = out.tobytes()
    return [data[start:end].decode() for start, end in zip([0, *ends.tolist()], ends.tolist(), strict=False)]


def token_lines(tokenizer: Any, texts: Sequence[str | None]) -> list[str]:
    """The tokens of the head of each text as numbers with single spaces between them."""
    heads = [(text or "")[:CHARACTERS].encode("utf-8", "replace").decode() for text in texts]
    return [
        " ".join(map(str, tokenizer.encode(head, add_special_tokens=False).ids)) if head.strip() else ""
        for head in heads
    ]


def load_tokenizer(path: Path) -> Any:
    """What `token_lines` takes, of a tokenizer.json. Raises InputError."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no exceptions of its own
        raise InputError(
            f"{path} is no tokenizer ({str(error)[:100]})", "name a folder with a tokenizer.json"
        ) from None


@compiled
def _words(bounds: Array, data: Array) -> tuple[Array, Array]:
    """The lines of all texts end to end, uint8, and where each ends, int64 [texts]."""
    out = np.empty(3 * (bounds[-1] - bounds[0]) + 1, np.uint8)
    ends = np.zeros(len(bounds) - 1, np.int64)
    used = 0
    for row in range(len(ends)):
        first = used
        before, spoken = _SPACE, False
        for i in range(bounds[row], bounds[row + 1]):
            kind = KIND[data[i]]
            if kind != _SPACE:
                after = KIND[data[i + 1]] if i + 1 < bounds[row + 1] else _SPACE
                goes_on = (
                    (kind == _DIGIT and before == _DIGIT)
                    or (kind == _SMALL and before >= _SMALL)
                    or (kind == _CAPITAL and before == _CAPITAL and after != _SMALL)
                )
                if not goes_on and used > first:
                    out[used] = 32
                    used += 1
                if kind == _FEED:
                    out[used], out[used + 1] = 0xC2, 0xB6  # a pilcrow
                    used += 2
                else:
                    spoken = True
                    out[used] = 48 if kind == _DIGIT else data[i] + 32 if kind == _CAPITAL else data[i]
                    used += 1
            before = kind
        if not spoken:
            used = first
        ends[row] = used
    return out[:used], ends
