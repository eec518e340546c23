"""Documents as token ids, with what their spans say: which places are special tokens, and what makes a good middle.

A span of kind "mark" (`core/records.SPAN`) covers the text of a special token; everywhere else such a text is encoded
as plain text. The rest of a mark's line is a heading, such as the path of a file; after it a body begins. Spans of
other kinds are subtrees of a body, offered as middles.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from random import Random

from smallcoder.core.errors import InputError
from smallcoder.core.tables import read_batches
from smallcoder.tokens.encode import Encoder

Span = tuple[int, int, str]  # start and end in UTF-8 bytes, kind


@dataclass(frozen=True)
class Encoded:
    """A document's UTF-8 and its tokens; laid end to end, the bytes of these give the text back.

    marks: positions of tokens that are marks; bodies: of the first token of each body; middles: by their start.
    """

    id: str
    data: bytes
    ids: list[int]
    marks: list[int] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    middles: list[Span] = field(default_factory=list)

    def region(self, start: int, end: int) -> tuple[int, int] | None:
        """What of the tokens start..end belongs to the last body that begins or goes on there; None if none does."""
        at = bisect_left(self.bodies, end) - 1
        begin = max(start, self.bodies[at]) if at >= 0 else start
        mark = bisect_left(self.marks, begin)
        stop = min(end, self.marks[mark]) if mark < len(self.marks) else end
        return (begin, stop) if begin < stop else None

    def draw_middle(self, start: int, end: int, rng: Random) -> tuple[int, int] | None:
        """A middle inside the bytes start..end, each of the kinds there as likely as the others; None without one."""
        first, last = (bisect_left(self.middles, (place,)) for place in (start, end))
        inside = [span for span in self.middles[first:last] if span[1] <= end]
        if not inside:
            return None
        kind = rng.choice(sorted({kind for _, _, kind in inside}))
        begin, stop, _ = rng.choice([span for span in inside if span[2] == kind])
        return begin, stop


class Spans:
    """A table of spans, read beside the table of its documents: their order is the same."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._groups = groupby(_rows(folder), key=lambda row: row[0]) if folder else iter(())
        self._next: tuple[str, list[Span]] | None = None
        self._advance()

    def _advance(self) -> None:
        group = next(self._groups, None)
        self._next = group and (group[0], [(start, end, kind) for _, start, end, kind in group[1]])

    def of(self, id: str) -> list[Span]:
        """The spans of the document that comes next in its table, none where the table of spans has none."""
        if self._next is None or self._next[0] != id:
            return []
        found = self._next[1]
        self._advance()
        return sorted(found)

    def close(self) -> None:
        """Raises InputError where spans are left: they are those of another table, or of another order."""
        if self._next is not None:
            raise InputError(
                f"{self._folder} has spans of document {self._next[0]}, which does not come at that place",
                "name the spans and the documents of one and the same stage",
            )


def _rows(folder: Path) -> Iterator[tuple[str, int, int, str]]:
    for batch in read_batches(folder, ("id", "start", "end", "kind")):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def encode_marked(encoder: Encoder, rows: Sequence[tuple[str, str, list[Span]]], workers: int) -> list[Encoded]:
    """Encode (id, text, spans) rows. Raises InputError where a span is not a stretch of its text's characters, where
    marks overlap, or where one is no special token.

    Some tokenizers change the text first (Qwen's composes characters, NFC; Gemma's makes U+2581 a space). Then `data`
    is what the tokens say, and the middles, whose places were those of the text, are left out.
    """
    datas = [text.encode() for _, text, _ in rows]
    cuts = [list(_cut(id, data, spans)) for (id, _, spans), data in zip(rows, datas, strict=True)]
    # The parts of all rows at once, so that the threads have enough to do.
    plain = [part for parts in cuts for kind, part in parts if kind != "mark"]
    ids = iter(encoder.encode_batch(plain, workers))
    found = []
    for (id, _, spans), data, parts in zip(rows, datas, cuts, strict=True):
        document = Encoded(id, data, [], middles=[span for span in spans if span[2] != "mark"])
        for kind, part in parts:
            if kind != "heading":
                (document.marks if kind == "mark" else document.bodies).append(len(document.ids))
            document.ids.extend([encoder.token_id(part)] if kind == "mark" else next(ids))
        if not encoder.exact:
            said = b"".join([encoder.token_bytes[token] for token in document.ids])
            document = document if said == data else replace(document, data=said, middles=[])
        found.append(document)
    return found


def _cut(id: str, data: bytes, spans: list[Span]) -> Iterator[tuple[str, str]]:
    """A text in turn as "mark", "heading" (the rest of a mark's line) and "body", none of them empty."""
    for start, end, kind in spans:
        if not 0 <= start < end <= len(data) or any(
            place & 0xC0 == 0x80 for place in data[start : end + 1][:: end - start]
        ):
            raise InputError(f"document {id} has no {kind} at {start} to {end}", "make its spans again")
    at = 0
    for start, end in [*((start, end) for start, end, kind in spans if kind == "mark"), (len(data), len(data))]:
        if start < at:
            raise InputError(f"document {id} has two marks at {start}", "make its spans again")
        heading = (data.find(b"\n", at, start) + 1 or start) if at else 0
        for kind, part in (("heading", data[at:heading]), ("body", data[max(at, heading) : start])):
            if part:
                yield kind, part.decode("utf-8", "replace")
        if end > start:
            yield "mark", data[start:end].decode("utf-8", "replace")
        at = end
