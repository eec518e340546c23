"""Stage `redact`: takes what names or opens something out of the texts, and leaves the documents.

E-mail addresses, public IP addresses, tokens of known services, passwords and keys beside a telling name or in a URL,
private key blocks, telephone and card numbers become placeholders (`redactor`). Left are those that give nobody away
(`harmless`): loopback, private and documentation ranges, example.com, versions, UUIDs, hashes, test numbers, templates,
look-ups, words. One compiled pass finds the few places where a secret could be (`anchors`); only there patterns are
tried (`patterns`, `detect`).

StarCoder (arXiv 2305.06161, section 4) masks addresses, names, user names, passwords and keys with a trained model;
SantaCoder (arXiv 2301.03988, section 4) does it with patterns, as here. Cost: 390 MB a CPU-second on Python without
reading and writing (perf/redact.py).

Not here: names of persons, postal addresses, national identity numbers, passwords that are plain words, secrets in
encoded or compressed data, telephone numbers that neither begin with `+` nor have the North American form.
"""

from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow as pa

from smallcoder.core.stage import Inputs, StageConfig, run_only
from smallcoder.data.filters import Filter, Judged


class Config(StageConfig):
    """What is redacted is fixed. `workers` are processes."""

    max_redactions: int | None = None  # a document with more places is dropped as `personal_data`: it is a list of them
    workers: int = run_only(1, ge=1)


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped. `redacted` of the facts counts places by type, and the documents changed."""
    return Filter(partial(judge, config), lambda facts, counts: {**facts, "redacted": dict(sorted(counts.items()))})


def judge(config: Config, batch: pa.RecordBatch) -> Judged:
    """The batch with redacted texts."""
    import numpy as np
    import pyarrow.compute as pc

    from smallcoder.data.kernels import buffers
    from smallcoder.data.redact.anchors import find_anchors
    from smallcoder.data.redact.redactor import redact_row

    offsets, data = buffers(batch.column("text"))
    anchors = find_anchors(offsets, data)
    rows, starts = np.unique(anchors[:, 0], return_index=True)
    places_of = np.split(anchors[:, 1:], starts[1:]) if len(rows) else []
    langs = batch.column("lang").to_pylist()
    most = config.max_redactions
    counts: Counter[str] = Counter()
    reasons: list[str | None] = [None] * batch.num_rows
    changed = np.zeros(batch.num_rows, bool)
    texts: list[str] = []
    for row, places in zip(rows.tolist(), places_of, strict=True):
        text = data[offsets[row] : offsets[row + 1]].tobytes()
        redacted, found = redact_row(text, places, langs[row])
        if not found:
            continue
        if most is not None and found.total() > most:
            reasons[row] = "personal_data"
        changed[row] = True
        texts.append(redacted.decode())
        counts.update(found)
        counts["documents"] += 1
    if texts:
        column = batch.column("text").cast(pa.large_string())
        column = pc.call_function("replace_with_mask", [column, pa.array(changed), pa.array(texts, pa.large_string())])
        batch = batch.set_column(batch.schema.get_field_index("text"), "text", column)
    return Judged(batch, reasons, counts)
