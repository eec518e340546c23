"""Stage `pack`: documents to packed rows (`packed.py`), a share of the pieces turned into fill-in-the-middle.

A document is tokenized whole, with the marks that an optional table of spans names (`marked.py`), and cut into pieces
that fit a row (`cut.py`). Fill-in-the-middle (`fim.py`) is decided piece by piece, after the cut: so no middle is ever
cut off, and an infilling piece shows all of its suffix. It works on text, not on tokens; the few pieces that no longer
fit once rearranged stay as they are and are counted.

A piece is all of its document wherever that fits a row, with its infilling marks; the facts say how many documents did
not (`split_documents`), the share of tokens that is theirs (`split_share`), and how many rows no packing could go below
(`least_rows`).

Cost: with `sample_bytes` one pass over the table to choose documents, then one to tokenize the chosen ones and best-fit
packing, together about 14 MB of code a CPU-second. All chance comes from the seed and the documents' ids, so neither
the number of workers nor the order of the table matters. It does not mix sources.
"""

from pathlib import Path
from typing import Any

from pydantic import Field

from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only

BYTES_PER_TOKEN = 3.3  # of a 4k vocabulary on Python; `expect` alone uses it


class Config(StageConfig):
    context: int = Field(default=512, ge=32, le=1 << 20)
    fim_rate: float = Field(default=0.25, ge=0, le=1)  # share of the pieces; a quarter is what Mify-Coder settled on
    fim_syntax: float = Field(default=0.5, ge=0, le=1)  # share of the middles that are subtrees, where spans are given
    fim_lines: float = Field(default=0.5, ge=0, le=1)  # share of the other middles that follow lines
    fim_other_order: float = Field(
        default=0.0, ge=0, le=1
    )  # share in the order that the tokenizer's fim.json does not name
    sample_bytes: int | None = Field(default=None, gt=0)  # at most so many bytes of text, spread over the repositories
    seed: int = 0
    workers: int = run_only(2, ge=1)


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    found = inputs["documents"].bytes or config.sample_bytes
    if not found:
        return Size()
    tokens = min(found, config.sample_bytes or found) / BYTES_PER_TOKEN
    return Size(round(tokens / config.context), round(5 * tokens), f"{tokens / 1e6:.1f}M tokens")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    from smallcoder.core.progress import Progress
    from smallcoder.core.tables import read_batches
    from smallcoder.tokens.cut import Cutter, Infill
    from smallcoder.tokens.encode import load_encoder
    from smallcoder.tokens.fim import load_fim
    from smallcoder.tokens.marked import Spans, encode_marked
    from smallcoder.tokens.packing import Pieces, pack
    from smallcoder.tokens.sample import choose_documents

    encoder = load_encoder(inputs["tokenizer"])
    spec = load_fim(inputs["tokenizer"])
    infill = Infill(spec, config.fim_rate, config.fim_syntax, config.fim_lines, config.fim_other_order)
    cutter = Cutter(encoder, config.context, infill, config.seed)
    chosen = choose_documents(inputs["documents"], config.sample_bytes, config.seed)
    with Pieces(out) as pieces, Progress("tokenize", len(chosen) if chosen else None, "documents") as progress:
        spans = Spans(inputs.get("spans"))
        for batch in read_batches(inputs["documents"], ("id", "text")):
            ids, texts = (batch.column(name).to_pylist() for name in ("id", "text"))
            rows = [(id, text, spans.of(id)) for id, text in zip(ids, texts, strict=True)]
            wanted = [row for row in rows if chosen is None or row[0] in chosen]
            for document in encode_marked(encoder, wanted, config.workers):
                cutter.cut(document, pieces)
            progress.advance(len(wanted))
        spans.close()
        meta = pack(pieces, out / "packed", encoder, cutter.facts(), context=config.context, seed=config.seed)
    return sizes(meta, out / "packed")


def sizes(meta: dict[str, Any], folder: Path) -> Facts:
    """packed.json as facts, with what `plan` shows: rows, bytes on disk and a headline."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    headline = f"{meta['tokens'] / 1e6:.2f}M tokens, {100 * meta['padding_share']:.1f}% padding"
    return {**meta, "records": meta["rows"], "bytes": size, "headline": headline}
