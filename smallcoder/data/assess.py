"""Stage `assess`: one scan of every document; simple rules drop some, signals score the others.

What a document is dropped for is a row of the table in `rules`, what it is measured by one in `signals`. Its quality
starts at 100, each check of `thresholds.toml` takes up to its points away (`buckets`), and its bucket high, medium or
low follows from that. `keep` drops the documents of lower buckets.

The optional input `repositories` is a stored table in which the files of each repository are counted, such as what was
read; else they are counted in the documents.

Writes documents/ with their `quality` (`dedup` keeps the best of a cluster by it), signals/ with a row for each
document that passed the rules, repositories/ with a row for each of their repositories, and the distributions of the
signals by language into the facts. Nothing depends on the order of rows.

Cost: 100 MB a CPU-second without parsing and without reading and writing; Python's parser (`syntax`) does 12, and
`trees`, which measures depth and errors of syntax trees, takes longer than all the rest. Memory: a few dozen bytes a
repository and 300 kB a language.

Not here: licences, statistical and learned quality, personal data, natural language, and running the code: an
execution check needs a sandbox, which this part must not import.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.errors import InputError
from smallcoder.core.stage import Facts, Inputs, run_only
from smallcoder.core.tables import TableWriter, read_batches
from smallcoder.data import rules
from smallcoder.data.buckets import BUCKETS, Thresholds, read_thresholds
from smallcoder.data.distributions import Distributions
from smallcoder.data.filters import BATCH, Filter, Judged
from smallcoder.data.lexicon import kind
from smallcoder.data.signals import NAMES, measure

Array = np.ndarray[Any, Any]

COUNTED = ("bytes", "comment_bytes", "doc_bytes")
SIGNALS = pa.schema(
    [("id", pa.string()), ("lang", pa.string()), ("repo", pa.string())]
    + [(name, pa.int64()) for name in COUNTED]
    + [("bucket", pa.string()), ("quality", pa.float64())]
    + [(name, pa.float32()) for name in NAMES]
)
REPOSITORY = pa.schema(
    [
        ("repo", pa.string()),
        ("files", pa.int64()),
        ("bytes", pa.int64()),
        ("code_lines", pa.int64()),
        ("stars", pa.int64()),
        ("forks", pa.int64()),
        ("comment_share", pa.float64()),
        ("quality", pa.float64()),  # mean of its documents
    ]
)


class Config(rules.Limits):
    """The limits of the rules, and: `thresholds`, a TOML file in place of the one shipped; `keep`, the lowest bucket
    kept; `trees`, whether to measure syntax trees. `workers` are processes.
    """

    thresholds: Path | None = None
    keep: Literal["high", "medium", "low"] = "low"
    trees: bool = False
    workers: int = run_only(1, ge=1)


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents, out/dropped, out/signals and out/repositories.

    Raises InputError for wrong thresholds, and where there is no table in which to count the files of repositories.
    """
    thresholds = read_thresholds(config.thresholds, NAMES)
    counted = inputs.get("repositories", inputs.get("documents"))
    if counted is None:
        raise InputError(
            "assess counts the files of repositories before it judges, and the documents it is given are not stored",
            'name in `from` a stored table to count in, such as repositories = "docs/documents"',
        )

    def facts(retention: Facts, counts: Counter[str]) -> Facts:
        return {**retention, "thresholds": thresholds.facts(), **_summarize(out / "signals", out / "repositories")}

    return Filter(partial(judge, config, thresholds, _files(counted)), facts, ("signals", SIGNALS))


def outside(config: Config) -> dict[str, str]:
    """The thresholds, where a file of the user has them."""
    return {"thresholds": read_thresholds(config.thresholds, NAMES).digest} if config.thresholds else {}


def judge(config: Config, thresholds: Thresholds, files: Mapping[str | None, int], batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch by the rules, score what passes. `files`: documents by repository."""
    from smallcoder.data.scan import scan

    counts = scan(batch.column("text"), batch.column("lang").to_pylist())
    reasons = rules.reasons(batch, counts, config)
    passed = np.array([reason is None for reason in reasons], bool)
    rest, counts = batch.filter(pa.array(passed)), counts[passed]
    signals = measure(rest, counts, files, config.trees)
    points = thresholds.quality(signals, [kind(lang) for lang in rest.column("lang").to_pylist()])
    buckets = thresholds.buckets(points)
    quality = np.full(batch.num_rows, np.nan)
    quality[passed] = points
    for row, bucket in zip(np.flatnonzero(passed).tolist(), buckets.tolist(), strict=True):
        if bucket > BUCKETS.index(config.keep):
            reasons[row] = f"{BUCKETS[bucket]}_quality"
    place = batch.schema.get_field_index("quality")
    scored = batch.set_column(place, "quality", pa.array(quality, from_pandas=True))
    names = pa.array([BUCKETS[bucket] for bucket in buckets.tolist()], pa.string())
    columns = [rest.column(name) for name in ("id", "lang", "repo")] + [pa.array(counts[name]) for name in COUNTED]
    columns += [names, pa.array(points)]
    columns += [pa.array(signals[:, at].astype(np.float32), from_pandas=True) for at in range(len(NAMES))]
    return Judged(scored, reasons, side=pa.RecordBatch.from_arrays(columns, schema=SIGNALS))


def _files(documents: Path) -> dict[str | None, int]:
    """Documents by repository."""
    found: dict[str | None, int] = {}
    for batch in read_batches(documents, ["repo"]):
        for entry in pc.call_function("value_counts", [batch.column("repo")]).to_pylist():
            found[entry["values"]] = found.get(entry["values"], 0) + entry["counts"]
    return found


def _summarize(signals: Path, repositories: Path) -> Facts:
    """Write repositories/; the totals of the buckets and the distributions of the signals."""
    totals = {name: {"records": 0, "bytes": 0} for name in BUCKETS}
    distributions, sums = Distributions(NAMES), _Repositories()
    for batch in read_batches(signals):
        values = np.stack([batch.column(name).to_numpy(zero_copy_only=False) for name in NAMES], axis=1)
        distributions.add(batch.column("lang").to_pylist(), values.astype(float))
        sums.add(batch)
        for bucket, size in zip(*(batch.column(name).to_pylist() for name in ("bucket", "bytes")), strict=True):
            totals[bucket]["records"] += 1
            totals[bucket]["bytes"] += size
    sums.write(repositories)
    return {"buckets": totals, "distributions": distributions.facts()}


class _Repositories:
    """Sums by repository, in whole numbers so that the order of documents does not count."""

    def __init__(self) -> None:
        self._sums: dict[str, Array] = {}  # files, COUNTED, code lines, quality in thousandths
        self._known: dict[str, Array] = {}  # stars and forks, -1 for unknown

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of SIGNALS."""
        thousandths = np.rint(1000 * batch.column("quality").to_numpy()).astype(np.int64)
        counts = [batch.column(name).to_numpy().astype(np.int64) for name in (*COUNTED, "code_lines")]
        values = np.stack([np.ones_like(thousandths), *counts, thousandths], axis=1)
        known = [batch.column(name).to_numpy(zero_copy_only=False) for name in ("stars", "forks")]
        stars = np.nan_to_num(np.stack(known, axis=1), nan=-1).astype(np.int64)
        for row, repo in enumerate(batch.column("repo").to_pylist()):
            if repo is not None:
                self._sums[repo] = self._sums.get(repo, 0) + values[row]
                self._known[repo] = np.maximum(self._known.get(repo, -1), stars[row])

    def write(self, folder: Path) -> None:
        with TableWriter(folder, REPOSITORY) as writer:
            names = sorted(self._sums)
            for at in range(0, len(names), BATCH):
                writer.write_rows([self._row(name) for name in names[at : at + BATCH]])

    def _row(self, repo: str) -> dict[str, Any]:
        files, size, comments, docs, code_lines, quality = self._sums[repo].tolist()
        stars, forks = (None if known < 0 else known for known in self._known[repo].tolist())
        share = (comments + docs) / size if size else None
        values = (repo, files, size, code_lines, stars, forks, share, quality / 1000 / files)
        return dict(zip(REPOSITORY.names, values, strict=True))
