"""Stage `perplexity`: the bits a byte that one of our own models needs for every document, as a table of scores.

The first `tokens` tokens of a document are scored, at most the model's context, each given those before it; the first
one, which has nothing before it, is not, and its bytes do not count (as in the held-out figures of training). Bits per
byte, not perplexity per token, so that models with other vocabularies can be compared. Ling-Coder-Lite (arXiv
2503.17793, section 2.2.1) filters by the distribution of perplexity: the facts give its quantiles. Very low values are
boilerplate and copies of what the model knows, very high ones data, foreign languages or noise; but a model also finds
hard what is merely rare, so this is a component for `quality` to weigh, not a verdict.

Tokens wait in a scratch file until all are known; then those of about one length go through the model together, the
longest first. The batches depend on the documents alone, not on their order. Cost: 2 x parameters x tokens operations;
memory is some 300 bytes a document, one batch and the logits of LOGITS tokens. A text is cut at 16 characters a token
before it is encoded. It takes no account of documents' repetition of one another.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import Field

from smallcoder.core.records import SCORE, record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.core.tables import TableWriter, read_batches

if TYPE_CHECKING:
    import numpy as np

    from smallcoder.model.transformer import Decoder
    from smallcoder.tokens.packing import Pieces

NAME = "bits_per_byte"
WIDEST = 16  # characters a token may stand for before a text is cut short
BATCH_TOKENS = 8192  # in one pass through the model, padding included
LOGITS = 512  # tokens whose logits are in memory at a time
READ = 256  # documents tokenized at a time
ROWS = 1 << 16  # rows written at a time


class Config(StageConfig):
    tokens: int = Field(default=1024, ge=2)  # of a document, at most


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """A row a document."""
    return Size(inputs["documents"].records, note=f"at most {config.tokens} tokens of a document")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/perplexity; a document of fewer than two tokens has the value null."""
    import numpy as np
    import torch

    from smallcoder.core.progress import Progress, track
    from smallcoder.model.hf import load_model
    from smallcoder.tokens.encode import load_encoder
    from smallcoder.tokens.packing import Pieces

    encoder = load_encoder(inputs["model"])
    decoder = load_model(inputs["model"], "cuda" if torch.cuda.is_available() else "cpu")
    most = min(config.tokens, decoder.config.context)
    about: list[tuple[str, str]] = []  # id and language
    longer = 0
    with Pieces(out) as pieces:
        for batch in track(read_batches(inputs["documents"], ("id", "lang", "text"), READ), "tokenize"):
            row = batch.to_pydict()
            for id, lang, text in zip(row["id"], row["lang"], row["text"], strict=True):
                begin = [] if encoder.begin is None else [encoder.begin]
                ids = begin + encoder.encode((text or "")[: WIDEST * most])
                longer += len(ids) > most or len(text or "") > WIDEST * most
                pieces.add(int(record_id(id), 16), ids[:most])
                about.append((id, lang or "unknown"))
        bits, scored, sizes = np.zeros(len(about)), np.zeros(len(about), np.int64), np.zeros(len(about), np.int64)
        with Progress("perplexity", len(about), "documents") as progress:
            for owners, rows in batches(pieces):
                bits[owners] = bits_of(decoder, rows)
                scored[owners] = [len(row) - 1 for row in rows]
                sizes[owners] = [int(encoder.token_sizes[row[1:]].sum()) for row in rows]
                progress.advance(len(owners))
    values = np.divide(bits, sizes, out=np.full(len(about), np.nan), where=sizes > 0)
    with TableWriter(out / "perplexity", SCORE) as writer:
        for start in range(0, len(about), ROWS):
            ids = [id for id, _ in about[start : start + ROWS]]
            column = pa.array(values[start : start + ROWS], from_pandas=True)
            writer.write(pa.table([ids, [NAME] * len(ids), column, pa.nulls(len(ids), pa.string())], schema=SCORE))
    return {**_facts([lang for _, lang in about], bits, sizes), "tokens": int(scored.sum()), "cut_short": longer}


def batches(pieces: "Pieces") -> "Iterator[tuple[np.ndarray, list[np.ndarray]]]":
    """Numbers and token ids of the pieces of two tokens and more, the longest first, at most BATCH_TOKENS together."""
    import numpy as np

    lengths = np.asarray(pieces.lengths).astype(np.int64)
    if not len(lengths) or lengths.max() < 2:
        return
    data, starts = pieces.read()
    order = pieces.order()
    order = order[np.argsort(-lengths[order], kind="stable")]
    order = order[lengths[order] >= 2]
    first = 0
    while first < len(order):
        chosen = order[first : first + max(1, BATCH_TOKENS // int(lengths[order[first]]))]
        first += len(chosen)
        yield chosen, [data["token"][starts[at] : starts[at] + lengths[at]].astype(np.int64) for at in chosen]


def bits_of(decoder: "Decoder", rows: "list[np.ndarray]") -> "np.ndarray":
    """Bits that the model needs for all tokens but the first of each row of ids, float64 [rows]."""
    import numpy as np
    import torch
    from torch.nn.functional import cross_entropy, linear

    device = decoder.embed_tokens.weight.device
    tokens = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True).to(device)
    found = np.zeros(len(rows))
    with torch.inference_mode():
        hidden = decoder.hidden(tokens)  # causal, so padding on the right changes nothing
        for place, row in enumerate(rows):
            for start in range(0, len(row) - 1, LOGITS):
                end = min(start + LOGITS, len(row) - 1)
                logits = linear(hidden[place, start:end], decoder.output_weight).float()
                nats = cross_entropy(logits, tokens[place, start + 1 : end + 1], reduction="none")
                found[place] += float(nats.double().sum())
    return found / np.log(2)


def _facts(languages: list[str], bits: "np.ndarray", sizes: "np.ndarray") -> dict[str, Any]:
    import numpy as np

    known = sizes > 0
    values = np.sort(bits[known] / sizes[known])
    groups: dict[str, list[int]] = defaultdict(list)
    for at in np.flatnonzero(known).tolist():
        groups[languages[at]].append(at)
    mean = _sum(bits[known]) / max(int(sizes.sum()), 1)
    return {
        "records": len(languages),
        "headline": f"{mean:.3f} bits/byte",
        NAME: mean,
        "scored": len(values),
        "scored_bytes": int(sizes.sum()),
        "quantiles": {str(at): float(np.percentile(values, at)) for at in (5, 25, 50, 75, 95) if len(values)},
        "languages": {
            lang: {"records": len(rows), NAME: _sum(bits[rows]) / int(sizes[rows].sum())}
            for lang, rows in sorted(groups.items())
        },
    }


def _sum(values: "np.ndarray") -> float:
    """A sum that does not depend on the order of the values."""
    from math import fsum

    return fsum(values.tolist())
