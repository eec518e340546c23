"""One repository's rows to the rows of its training texts: what the stage `repositories` does to each."""

import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from smallcoder.core.records import record_id
from smallcoder.data.comments import BY_LANGUAGE
from smallcoder.data.comments import spans as comment_spans
from smallcoder.data.licenses.expressions import all_of
from smallcoder.repos.concatenate import Marks, Text, concatenate, heading, importing_texts, repository_texts
from smallcoder.repos.files import File, Files, normalise
from smallcoder.repos.graph import graph
from smallcoder.repos.order import order
from smallcoder.repos.spans import spans
from smallcoder.repos.stage import Config

Row = dict[str, Any]


@dataclass
class Arranged:
    """What one repository gives: rows of the four tables, and counts for the facts."""

    documents: list[Row] = field(default_factory=list)
    spans: list[Row] = field(default_factory=list)
    edges: list[Row] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def arrange(config: Config, rows: list[Row]) -> Arranged:
    """The texts of one repository's DOCUMENT rows; nothing depends on the order of the rows."""
    found = Arranged()
    by_path: dict[str, Row] = {}
    paths = {row["id"]: normalise(row["path"] or "") for row in rows}
    for row in sorted(rows, key=lambda row: (paths[row["id"]] != row["path"], row["id"])):  # the plainly named first
        path = paths[row["id"]]
        if path is None or path in by_path:
            _drop(found, [row], "same_path" if path else "no_path")
        else:
            by_path[path] = row
    if reason := unfit(config, list(by_path.values())):
        _drop(found, by_path.values(), reason)
        return found
    files = Files((path, File(row["lang"], _data(row))) for path, row in by_path.items())
    known = graph(files)
    ordered, broken = order(known.imports)
    marks = Marks(config.repository_mark, config.file_mark)
    sizes = {path: len(heading(path, marks)) + len(file.text) + 1 for path, file in files.items()}
    divide = repository_texts if config.form == "repository" else importing_texts
    limit = config.max_bytes - len(concatenate(rows[0]["repo"], (), marks).data)
    texts = divide(known, ordered, sizes, limit)
    for paths in texts:
        _add_text(config, found, [{**by_path[path], "path": path} for path in paths], marks)
    used = {path for paths in texts for path in paths}
    _drop(found, [row for path, row in by_path.items() if path not in used], "no_imports")
    for path, wanted in known.imports.items():
        found.edges.extend({"repo": rows[0]["repo"], "path": path, "imports": target} for target in wanted)
    found.counts.update(known.counts)
    found.counts.update(repositories=1, files=len(used), edges=len(found.edges), cycles_broken=broken)
    found.counts["file_bytes"] += sum(len(files[path].text) for path in used)
    found.counts["long"] += sum(size > limit for size in sizes.values())
    return found


def _data(row: Row) -> bytes:
    return (row["text"] or "").encode()


def _drop(found: Arranged, rows: Iterable[Row], reason: str) -> None:
    for row in rows:
        found.dropped.append({**row, "reason": reason})
        found.counts[f"records {reason}"] += 1
        found.counts[f"bytes {reason}"] += len(_data(row))


def unfit(config: Config, rows: Sequence[Row]) -> str | None:
    """Why a repository is left out, None if it is not; means over its files of code that
    are not empty, of quality over those judged."""
    if len(rows) < 2:
        return "single_file"
    quality = _mean([row["quality"] for row in rows])
    if quality is not None and quality < config.min_quality:
        return "low_quality"
    size = comments = lines = 0
    code = [row for row in rows if row["lang"] in BY_LANGUAGE and (row["text"] or "").strip()]
    for row in code:
        text, at, rest = row["text"] or "", 0, []
        for start, end in comment_spans(text, row["lang"]):
            rest.append(text[at:start])
            comments += end - start
            at = end
        rest.append(text[at:])
        size += len(text)
        lines += sum(not line.isspace() for line in "".join(rest).splitlines() if line)
    if code and comments < config.min_comments * size:
        return "few_comments"
    return "few_lines" if code and lines < config.min_lines * len(code) else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _add_text(config: Config, found: Arranged, rows: Sequence[Row], marks: Marks) -> None:
    """One row of documents/ and its spans."""
    files = [(row["path"], _data(row)) for row in rows]
    text = concatenate(rows[0]["repo"], files, marks)
    sizes: Counter[str | None] = Counter()
    for row, (_, data) in zip(rows, files, strict=True):
        sizes[row["lang"]] += len(data)
    licenses = [row["license"] for row in rows]
    whole = config.form == "repository"
    id = record_id("repositories", config.form, *(row["id"] for row in rows))
    found.documents.append(
        {
            **rows[-1],
            "id": id,
            "text": text.data.decode(),
            "lang": min(sizes, key=lambda lang: (-sizes[lang], lang or "")),
            "path": _folder([path for path, _ in files]) if whole else rows[-1]["path"],
            "license": all_of(licenses) if all(licenses) else None,
            "quality": _mean([row["quality"] for row in rows]),
            "lineage": [row["id"] for row in rows],
        }
    )
    found.counts["text_bytes"] += len(text.data)
    # What imports it shows a text for: the file that comes last.
    middles = range(len(files))[0 if whole else -1 :] if config.middles else range(0)
    found.spans.extend({"id": id, **place} for place in _places(text, rows, middles))


def _folder(paths: Sequence[str]) -> str:
    """The folder that holds all of these files, "" for the root; the path of a lone one."""
    return paths[0] if len(paths) == 1 else posixpath.commonpath([posixpath.dirname(f"/{path}") for path in paths])[1:]


def _places(text: Text, rows: Sequence[Row], middles: Iterable[int]) -> list[Row]:
    """The marks of a text and the middles of some of its files, by their start."""
    found = [{"kind": "mark", "start": start, "end": end} for start, end in text.marks]
    for number in middles:
        at = text.starts[number]
        found.extend(
            {"kind": span.kind, "start": at + span.start, "end": at + span.end}
            for span in spans(_data(rows[number]), rows[number]["lang"])
        )
    return sorted(found, key=lambda place: (place["start"], place["end"], place["kind"]))
