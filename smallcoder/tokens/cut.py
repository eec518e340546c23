"""One document into pieces that fit a row, some of them rearranged for fill-in-the-middle.

A piece ends with the document, or at the last line end in the second half of its room, or else at the last whole
character; pieces laid end to end give the document back. Only the document's last piece ends with the end-of-document
token, except that every rearranged piece does: there it says that the middle is complete.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from smallcoder.tokens.encode import Encoder
from smallcoder.tokens.fim import FimSpec, Order, split
from smallcoder.tokens.packing import Pieces
from smallcoder.tokens.sample import draw

# Three marks, the end, and what cutting words in two costs: 3 to 11 tokens on 2,441 pieces of real code, mostly 4 to 6.
MARKS_ROOM = 12


@dataclass(frozen=True)
class Infill:
    """How many pieces are rearranged (`rate`) and how: shares of splits along lines and of the other order."""

    spec: FimSpec
    rate: float
    lines: float
    other_order: float


class Cutter:
    """Cuts documents into pieces of at most `context + 1` tokens. All chance comes from the seed and the ids."""

    def __init__(self, encoder: Encoder, context: int, infill: Infill, seed: int) -> None:
        self._encoder = encoder
        self._capacity = context + 1
        self._infill = infill
        self._seed = seed
        self._ends_line = np.array([token.endswith(b"\n") for token in encoder.token_bytes])
        # A text may be cut before any token but one whose first byte goes on with a character.
        self._starts_character = np.array([not token or token[0] & 0xC0 != 0x80 for token in encoder.token_bytes])
        self._count: Counter[str] = Counter()

    def cut(self, id: str, text: str, ids: list[int], pieces: Pieces) -> None:
        """Add the pieces of one document to `pieces`; `ids` is its text encoded."""
        rng = Random(draw(self._seed, id))
        array = np.array(ids, np.int64)
        start = number = 0
        while start < len(ids):
            rearrange = rng.random() < self._infill.rate
            end = self._end(array, start, self._capacity - (MARKS_ROOM if rearrange else 0))
            piece = self._rearranged(ids[start:end], rng) if rearrange else None
            if piece is None:
                piece = [*ids[start:end], self._encoder.end] if end == len(ids) else ids[start:end]
            pieces.add(draw(self._seed, id, number), piece)
            start, number = end, number + 1
        self._count["pieces"] += number
        self._count["documents" if ids else "empty_documents"] += 1
        self._count["split_documents"] += number > 1
        self._count["text_bytes"] += len(text.encode())
        self._count["text_tokens"] += len(ids)

    def _end(self, ids: np.ndarray, start: int, room: int) -> int:
        if len(ids) - start + 1 <= room:  # with the end token
            return len(ids)
        half, full = start + room // 2, min(start + room, len(ids) - 1)
        ends = np.flatnonzero(self._ends_line[ids[half - 1 : full]])
        if not len(ends):
            ends = np.flatnonzero(self._starts_character[ids[half : full + 1]])
        return half + int(ends[-1])

    def _rearranged(self, ids: list[int], rng: Random) -> list[int] | None:
        spec, text = self._infill.spec, self._encoder.decode(ids)
        order = _other(spec.order) if rng.random() < self._infill.other_order else spec.order
        prefix, middle, suffix = split(text, rng, self._infill.lines)
        piece = [*spec.encode(self._encoder, prefix, middle, suffix, order), self._encoder.end]
        fits = len(piece) <= self._capacity
        self._count["fim_pieces" if fits else "fim_too_long"] += 1
        return piece if fits else None

    def facts(self) -> dict[str, Any]:
        """Counts of documents and pieces, and the share of the pieces that was rearranged."""
        names = ("documents", "empty_documents", "split_documents", "pieces", "fim_pieces", "fim_too_long")
        count = self._count
        return {
            **{name: count[name] for name in (*names, "text_bytes")},
            "fim_share": count["fim_pieces"] / max(1, count["pieces"]),
            "bytes_per_token": count["text_bytes"] / max(1, count["text_tokens"]),
        }


def _other(order: Order) -> Order:
    return "spm" if order == "psm" else "psm"
