"""One document into pieces that fit a row, some of them rearranged for fill-in-the-middle.

A piece ends with the document, or before the last mark in the second half of its room (so with a file), or at the last
line end there, or else at the last whole character; pieces laid end to end give the document back. Only the document's
last piece ends with the end-of-document token, except that every rearranged piece does: there it says that the middle
is complete. Of a piece with several files the last one is rearranged; those before it are what it is to be read with.
Every piece begins with the begin-of-text token, where the tokenizer has one: each is read as a text of its own.
"""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np

from smallcoder.core.errors import InputError
from smallcoder.tokens.encode import Encoder
from smallcoder.tokens.fim import FimSpec, Order, split
from smallcoder.tokens.marked import Encoded
from smallcoder.tokens.packing import Pieces
from smallcoder.tokens.sample import draw

# Three marks, the end, and what cutting words in two costs: 3 to 11 tokens on 2,441 pieces of real code, mostly 4 to 6.
MARKS_ROOM = 12
COUNTED = (
    *("documents", "empty_documents", "split_documents", "pieces", "fim_pieces"),
    *("fim_syntax", "fim_lines", "fim_characters", "fim_other_order"),  # of the fim_pieces
    *("fim_too_long", "fim_no_body"),  # pieces that were to be rearranged and were not
)


@dataclass(frozen=True)
class Infill:
    """How many pieces are rearranged (`rate`) and how: shares of middles that are subtrees of the syntax, where their
    places are known, of other splits that follow lines, and of the other order.
    """

    spec: FimSpec
    rate: float
    syntax: float
    lines: float
    other_order: float


class Cutter:
    """Cuts documents into pieces of at most `context + 1` tokens. All chance comes from the seed and the ids.

    Raises InputError where another order is asked for than the model's marks can express.
    """

    def __init__(self, encoder: Encoder, context: int, infill: Infill, seed: int) -> None:
        if infill.other_order and len(infill.spec.orders) < 2:
            raise InputError(
                f"this model's infilling knows the order {infill.spec.order} alone", "set fim_other_order = 0"
            )
        self._encoder = encoder
        self._begin = [] if encoder.begin is None else [encoder.begin]
        self._capacity = context + 1 - len(self._begin)
        self._infill = infill
        self._seed = seed
        self._ends_line = np.array([token.endswith(b"\n") for token in encoder.token_bytes])
        # A text may be cut before any token but one whose first byte goes on with a character.
        self._starts_character = np.array([not token or token[0] & 0xC0 != 0x80 for token in encoder.token_bytes])
        self._lengths = np.array([len(token) for token in encoder.token_bytes], np.int64)
        self._count: Counter[str] = Counter()

    def cut(self, document: Encoded, pieces: Pieces) -> None:
        """Add the pieces of one document to `pieces`."""
        rng = Random(draw(self._seed, document.id))
        ids = document.ids
        array = np.array(ids, np.int64)
        places = np.concatenate([[0], np.cumsum(self._lengths[array])])  # of the tokens, in bytes
        start = number = 0
        while start < len(ids):
            rearrange = rng.random() < self._infill.rate
            room = self._capacity - (MARKS_ROOM if rearrange else 0)
            end = self._end(array, document.marks, start, room)
            piece = None
            if rearrange and (region := document.region(start, end)):
                piece = self._rearranged(document, places, start, region, rng)
                end = region[1] if piece else end
            elif rearrange:
                self._count["fim_no_body"] += 1
            if piece is None:
                piece = [*ids[start:end], self._encoder.end] if end == len(ids) else ids[start:end]
            pieces.add(draw(self._seed, document.id, number), [*self._begin, *piece])
            start, number = end, number + 1
        self._count["pieces"] += number
        self._count["documents" if ids else "empty_documents"] += 1
        self._count["split_documents"] += number > 1
        self._count["split_tokens"] += len(ids) * (number > 1)
        self._count["text_bytes"] += len(document.data)
        self._count["text_tokens"] += len(ids)

    def _end(self, ids: np.ndarray, marks: list[int], start: int, room: int) -> int:
        if len(ids) - start + 1 <= room:  # with the end token
            return len(ids)
        half, full = start + room // 2, min(start + room, len(ids) - 1)
        mark = bisect_right(marks, full) - 1
        if mark >= 0 and marks[mark] >= half:
            return marks[mark]
        ends = np.flatnonzero(self._ends_line[ids[half - 1 : full]])
        if not len(ends):
            ends = np.flatnonzero(self._starts_character[ids[half : full + 1]])
        return half + int(ends[-1])

    def _rearranged(
        self, document: Encoded, places: np.ndarray, start: int, region: tuple[int, int], rng: Random
    ) -> list[int] | None:
        """The tokens from `start` to the region as they are, then the region."""
        spec = self._infill.spec
        order = _other(spec.order) if rng.random() < self._infill.other_order else spec.order
        begin, stop = (int(places[token]) for token in region)
        known = None
        if document.middles and rng.random() < self._infill.syntax:
            known = document.draw_middle(begin, stop, rng)
        if known:
            kind = "syntax"
            prefix, middle, suffix = (document.data[at:to].decode() for at, to in pairwise((begin, *known, stop)))
        else:
            kind, prefix, middle, suffix = split(document.data[begin:stop].decode(), rng, self._infill.lines)
        asked = spec.encode(self._encoder, prefix, middle, suffix, order)
        piece = [*document.ids[start : region[0]], *asked, self._encoder.end]
        if len(piece) > self._capacity:
            self._count["fim_too_long"] += 1
            return None
        self._count["fim_pieces"] += 1
        self._count[f"fim_{kind}"] += 1
        self._count["fim_other_order"] += order != spec.order
        return piece

    def facts(self) -> dict[str, Any]:
        """Counts of documents and pieces; the shares of the pieces that were rearranged, and of the tokens that are in
        documents of more than one piece.
        """
        count = self._count
        return {
            **{name: count[name] for name in (*COUNTED, "text_bytes")},
            "fim_share": count["fim_pieces"] / max(1, count["pieces"]),
            "split_share": count["split_tokens"] / max(1, count["text_tokens"]),
            "bytes_per_token": count["text_bytes"] / max(1, count["text_tokens"]),
        }


def _other(order: Order) -> Order:
    return "spm" if order == "psm" else "psm"
