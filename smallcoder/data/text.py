"""Stage `text`: code-related text (pages, questions, notebooks, Markdown) by its source, its kind and its references.

Source code passes untouched. Of text it drops what comes from mathematical sources, so that text and mathematics do
not hold the same pages twice: hosts of the table in `kinds.toml`, and every page that the optional input `math` holds
too (Mify-Coder, arXiv 2512.23747, section 3.2: 3% of its tokens). The URL of a document is what its `path`, else its
`repo`, else its `source` begins with. Image references, links and placeholders are stripped (`references`); to drop
documents for them, as Ling-Coder-Lite does, is for `assess`. The facts hold the shares of kinds and domains.

About 10 MB a CPU-second of documentation full of links, more without. Memory: 64 bytes for every page of `math`.
It converts no HTML, and does not judge how well a text is written.
"""

from collections import Counter
from functools import cache, partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.errors import InputError
from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.core.tables import read_batches
from smallcoder.data.filters import Filter, Judged
from smallcoder.data.kinds import address, domain, domains, kind, kinds, math_sources
from smallcoder.data.natural import PROSE
from smallcoder.data.references import without_references

ADDRESSES = ("path", "repo", "source")


class Config(StageConfig):
    """What to keep of text. Empty lists keep everything."""

    math: Literal["drop", "keep"] = "drop"  # text from mathematical sources
    sites: tuple[str, ...] = ()  # further sites to drop: "example.org", "example.org/forum"
    kinds: tuple[str, ...] = ()  # keep only these kinds: see kinds.toml
    domains: tuple[str, ...] = ()  # keep only these domains
    strip: bool = True  # image references, links, placeholders
    workers: int = run_only(1, ge=1)


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped; `bytes_in` of the facts is before. Raises InputError for an unknown kind.

    Facts besides the retention: `kinds` and `domains` of all text that was read, each with records, bytes and its share
    of these bytes; `references`, how many went by what they were and the `characters` of all; `text`, the number of
    documents that are text, and of these `addressed`, those with a URL.
    """
    for asked, known in ((config.kinds, kinds()), (config.domains, domains())):
        if unknown := sorted(set(asked) - set(known)):
            raise InputError(f"there is no kind or domain {unknown[0]!r}", f"choose from {', '.join(known)}")
    _pages.cache_clear()  # a folder may hold other pages than when this process last read it
    return Filter(partial(judge, config, inputs.get("math")), _facts)


def _facts(retention: Facts, counts: Counter[str]) -> Facts:
    references = {name: counts[name] for name in ("image", "link", "placeholder", "characters")}
    return {
        **retention,
        "bytes_in": counts["bytes_in"],
        "text": counts["text"],
        "addressed": counts["addressed"],
        "references": references,
        "kinds": _shares(counts, "kind"),
        "domains": _shares(counts, "domain"),
    }


def judge(config: Config, math: Path | None, batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch against the pages of the table `math`; text may come back without its references."""
    before = pc.call_function("sum", [pc.call_function("binary_length", [batch.column("text")])]).as_py() or 0
    counts: Counter[str] = Counter(bytes_in=before)
    reasons: list[str | None] = []
    texts: list[str | None] = []
    for row in batch.select(["text", "lang", *ADDRESSES]).to_pylist():
        text, reason = row["text"] or "", None
        if row["lang"] is None or row["lang"] in PROSE:
            text, reason = _judge(config, math, row, counts)
        texts.append(text)
        reasons.append(reason)
    position = batch.schema.get_field_index("text")
    return Judged(batch.set_column(position, "text", pa.array(texts, pa.large_string())), reasons, counts)


def _judge(
    config: Config, math: Path | None, row: dict[str, str | None], counts: Counter[str]
) -> tuple[str, str | None]:
    """The text of a row and the reason to drop it; what is dropped is as it was read."""
    text = row["text"] or ""
    url = address(*(row[name] for name in ADDRESSES))
    size = len(text.encode())
    labels = {"kind": kind(url, row["path"], text), "domain": domain(url, text)}
    counts.update({"text": 1, "addressed": int(url is not None)})
    for name, label in labels.items():
        counts.update({f"{name} {label} records": 1, f"{name} {label} bytes": size})
    if url and config.math == "drop" and (url.on(math_sources()) or (math and url.page() in _pages(math))):
        return text, "math_source"
    if url and url.on(frozenset(config.sites)):
        return text, "unwanted_site"
    if config.kinds and labels["kind"] not in config.kinds:
        return text, "unwanted_kind"
    if config.domains and labels["domain"] not in config.domains:
        return text, "unwanted_domain"
    kept, found = without_references(text) if config.strip else (text, Counter())
    if not kept.strip():
        return text, "empty"
    counts.update(found)
    return kept, None


def _shares(counts: Counter[str], name: str) -> dict[str, dict[str, float]]:
    """What was counted under a name, by label: records, bytes and the share of the bytes."""
    labels = sorted({key.split()[1] for key in counts if key.startswith(f"{name} ")})
    total = sum(counts[f"{name} {label} bytes"] for label in labels)
    rows = {label: {part: counts[f"{name} {label} {part}"] for part in ("records", "bytes")} for label in labels}
    return {label: row | {"share": round(row["bytes"] / total, 4) if total else 0.0} for label, row in rows.items()}


@cache
def _pages(table: Path) -> frozenset[int]:
    """The pages of a table of documents. Every process reads it once."""
    pages = set()
    for batch in read_batches(table, ADDRESSES):
        for fields in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if url := address(*fields):
                pages.add(url.page())
    return frozenset(pages)
