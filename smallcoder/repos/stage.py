"""Stage `repositories`: files to training texts that hold a repository's files in the order of their imports.

Repositories are gathered from the table (`gather`), their imports found (`graph`), their files ordered (`order`) and
joined (`concatenate`). `form = "repository"` gives Ling-Coder-Lite's and Mify-Coder's repository-level data (arXiv
2503.17793, section 2.2.2; 2512.23747): one text a repository, or several where it is long; repositories of one file are
left out. `form = "imports"` gives one text a file: what it imports, then the file, so that its middles are to be filled
in with the code at hand that they call.

Writes documents/ (one row a text: its `lineage` are the files, its licence asks for all of theirs), spans/ with the
places of the marks and, in the files of a known grammar, of what makes a good middle (`spans`), edges/ with the import
graph, dropped/ with the files left out. Splitting into train and held out comes before, by repository.

Cost: see perf/graph.py; memory for the largest repository, a few times a worker. Not here: resolving what the build
system or the running program decides; the table of one stage stays on one machine.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from smallcoder.core.progress import track
from smallcoder.core.records import DOCUMENT, SPAN, with_reason
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import TableWriter, read_batches, require_kept
from smallcoder.data.engine import parallel_map

EDGE = pa.schema([("repo", pa.string()), ("path", pa.string()), ("imports", pa.string())])
# Of the facts: repositories, files used and imports between them; imports by what became of them (see `Graph`); files
# placed before something that they import; files too large or too deep to parse; files longer than a text should be.
COUNTED = (
    *("repositories", "files", "edges", "found", "outside", "missing", "dynamic", "cycles_broken", "large", "deep"),
    "long",
)


class Config(StageConfig):
    """`max_bytes` of a text, marks and headings included. `middles`: whether spans/ holds middles.

    The filter of whole repositories, by means: `min_quality` over the files judged; over those of code `min_comments`
    (share of the characters) and `min_lines` (neither blank nor comment). Ling names the three and no thresholds; these
    drop what hardly has any.
    """

    form: Literal["repository", "imports"] = "repository"
    max_bytes: int = Field(default=1 << 17, ge=1 << 10)  # some 32,000 tokens
    middles: bool = True
    min_quality: float = Field(default=50.0, ge=0, le=100)
    min_comments: float = Field(default=0.005, ge=0, le=1)
    min_lines: float = Field(default=5.0, ge=0)
    repository_mark: str = Field(default="<|repo_name|>", min_length=1)
    file_mark: str = Field(default="<|file_sep|>", min_length=1)
    workers: int = run_only(1, ge=1)


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill the four tables. Raises EmptyError where no repository is kept."""
    from smallcoder.repos.arrange import arrange
    from smallcoder.repos.gather import by_repository

    counts: Counter[str] = Counter()
    with (
        TableWriter(out / "documents", DOCUMENT) as documents,
        TableWriter(out / "spans", SPAN) as spans,
        TableWriter(out / "edges", EDGE) as edges,
        TableWriter(out / "dropped", with_reason(DOCUMENT)) as dropped,
    ):
        known = _with_repository(read_batches(inputs["documents"]), dropped, counts)
        tables = (table.to_pylist() for table in by_repository(known, out))
        arranged = parallel_map(partial(arrange, config), tables, config.workers, processes=True)
        for _, found in track(arranged, "arrange", unit="repositories"):
            documents.write_rows(found.documents)
            spans.write_rows(found.spans)
            edges.write_rows(found.edges)
            dropped.write_rows(found.dropped)
            counts.update(found.counts)
    facts = _facts(counts, documents.rows)
    require_kept(facts)
    return facts


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(bytes=inputs["documents"].bytes, note="texts of several files")


def _with_repository(
    batches: Iterable[pa.RecordBatch], dropped: TableWriter, counts: Counter[str]
) -> Iterator[pa.RecordBatch]:
    """The batches; rows that belong to no repository are dropped, one by one, so that they need no memory."""
    for batch in batches:
        loose = batch.filter(batch.column("repo").is_null())
        dropped.write(loose.append_column("reason", pa.array(["no_repository"] * loose.num_rows, pa.string())))
        counts["records no_repository"] += loose.num_rows
        sizes = pc.call_function("binary_length", [loose.column("text")])
        counts["bytes no_repository"] += sum(size or 0 for size in sizes.to_pylist())
        yield batch


def _facts(counts: Counter[str], texts: int) -> Facts:
    """The retention facts: files came in, texts are kept."""
    reasons = sorted({name.partition(" ")[2] for name, count in counts.items() if count and " " in name})
    dropped = {
        reason: {"records": counts[f"records {reason}"], "bytes": counts[f"bytes {reason}"]} for reason in reasons
    }
    return {
        "records_in": counts["files"] + sum(row["records"] for row in dropped.values()),
        "bytes_in": counts["file_bytes"] + sum(row["bytes"] for row in dropped.values()),
        "records": texts,
        "bytes": counts["text_bytes"],
        "dropped": dropped,
        "headline": f"{texts:,} texts of {counts['files']:,} files in {counts['repositories']:,} repositories",
        **{name: counts[name] for name in COUNTED},
    }
