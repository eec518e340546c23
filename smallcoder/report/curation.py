"""What the curation stages found, as short tables: licences, places redacted, languages, quality, copies, problems.

Facts are read as `facts` reads them: what a stage did not say, or said in an odd way, leaves its part out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from smallcoder.core.manifest import Manifest
from smallcoder.report.formats import count, percent, size

SHOWN = 8  # rows of a table
COUNTED = ("true_positive", "false_positive", "false_negative", "true_negative")


@dataclass(frozen=True)
class Finding:
    """One small table under a heading. The first column is words, the others are figures."""

    title: str
    text: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def found(stages: Sequence[Manifest]) -> list[Finding]:
    """The findings of every curation stage that has some to tell, in order."""
    findings = (FINDINGS[stage.use](stage.facts) for stage in stages if stage.use in FINDINGS)
    return [finding for finding in findings if finding]


def _licenses(facts: dict[str, Any]) -> Finding | None:
    refused = _table(_table(facts.get("licenses")).get("dropped"))
    headers = {name: _number(_table(counts).get("records")) for name, counts in _table(facts.get("headers")).items()}
    text = f"Under the policy \u201c{facts.get('policy', '')}\u201d. "
    text += f"{count(sum(headers.values()))} files state a licence of their own" if headers else ""
    text += f", {count(headers.get('conflicts', 0))} in conflict with their repository." if headers else ""
    return Finding("Licences not let in", text, ("licence", "files", "size"), _by_size(refused)) if refused else None


def _redactions(facts: dict[str, Any]) -> Finding | None:
    places = {name: _number(value) for name, value in _table(facts.get("redacted")).items()}
    documents = places.pop("documents", 0)
    rows = [(_words(name), count(number)) for name, number in sorted(places.items(), key=lambda item: -item[1])]
    text = f"Replaced by placeholders in {count(documents)} files."
    return Finding("Personal data and secrets", text, ("kind", "places"), rows[:SHOWN]) if rows else None


def _languages(facts: dict[str, Any]) -> Finding | None:
    rows, judged = _by_size(_table(facts.get("natural"))), _table(facts.get("judged"))
    comments, prose, little = (count(_number(judged.get(name))) for name in ("comments", "text", "too_little"))
    text = f"Told by their comments of {comments} files, by their whole text of {prose}; {little} say too little."
    return Finding("Natural languages", text, ("language", "files", "size"), rows) if rows else None


def _buckets(facts: dict[str, Any]) -> Finding | None:
    bounds = _table(facts.get("thresholds"))
    text = f"Points of 100: high from {_number(bounds.get('high')):g}, medium from {_number(bounds.get('medium')):g}."
    rows = _by_size(_table(facts.get("buckets")))
    return Finding("Quality by signals", text, ("bucket", "files", "size"), rows) if rows else None


def _classifier(facts: dict[str, Any]) -> Finding | None:
    measured = {name: _table(facts.get(name)) for name in ("precision", "recall", "f1")}
    if not all(measured.values()):
        return None
    rows = [(name, _with_interval(found.get("share"), found.get("interval"))) for name, found in measured.items()]
    counts = _table(facts.get("counts"))
    right, wrong, missed, left = (_number(counts.get(name)) for name in COUNTED)
    rows.append(("others recognised", f"{count(left)} of {count(left + wrong)}"))
    text = f"Measured on {count(right + wrong + missed + left)} rows of repositories put aside, "
    text += f"{count(right + missed)} of them good; good from {_number(facts.get('threshold')):.3f} on."
    return Finding("Classifier of quality", text, ("", ""), rows)


def _composite(facts: dict[str, Any]) -> Finding | None:
    components = {str(name): _table(found) for name, found in _table(facts.get("components")).items()}
    rows = [
        (_words(name), count(_number(found.get("records"))), f"{_number(found.get('mean_points')):.1f}")
        for name, found in components.items()
    ]
    text = f"The mean of what judges gave, {_number(facts.get('mean')):.1f} of 100 points on average; "
    text += f"files below {_number(facts.get('threshold')):g} are dropped."
    return Finding("Composite score", text, ("judge", "files", "points on average"), rows) if rows else None


def _copies(facts: dict[str, Any]) -> Finding | None:
    measured = _table(facts.get("measured"))
    if not measured:
        return None
    rows = [
        ("groups of near copies", count(facts.get("near_groups"))),
        ("pairs of one band", count(facts.get("pairs_in_a_band"))),
        ("recall", _with_interval(measured.get("recall"), measured.get("interval"))),
        ("precision", percent(measured.get("precision"))),
    ]
    text = f"Measured by exact Jaccard on {count(measured.get('pairs_looked_at'))} pairs, "
    text += f"{count(measured.get('pairs'))} of them copies."
    return Finding("Near copies", text, ("", ""), rows)


def _problems(facts: dict[str, Any]) -> Finding | None:
    if "problems" not in facts:
        return None
    by_benchmark = {name: _number(value) for name, value in _table(facts.get("documents_by_benchmark")).items()}
    rows = [(name, count(number)) for name, number in sorted(by_benchmark.items(), key=lambda item: -item[1])]
    text = (
        f"Looked for {count(_number(facts['problems']))} problems; found {count(_number(facts.get('problems_found')))}."
    )
    return Finding("Benchmark problems", text, ("benchmark", "files"), rows[:SHOWN])


FINDINGS: dict[str, Callable[[dict[str, Any]], Finding | None]] = {
    "licenses": _licenses,
    "redact": _redactions,
    "language": _languages,
    "assess": _buckets,
    "quality_classifier": _classifier,
    "quality": _composite,
    "dedup": _copies,
    "decontaminate": _problems,
}


def _by_size(tallies: dict[str, Any]) -> list[tuple[str, ...]]:
    """(name, records, bytes) of the largest."""
    totals = {str(name): _number(_table(counts).get("bytes")) for name, counts in tallies.items()}
    records = {str(name): _number(_table(counts).get("records")) for name, counts in tallies.items()}
    largest = sorted(totals, key=lambda name: -totals[name])[:SHOWN]
    return [(name, count(records[name]), size(totals[name])) for name in largest]


def _with_interval(share: Any, interval: Any) -> str:
    low, high = interval or (None, None)
    return f"{percent(share)} ({percent(low)} to {percent(high)})"


def _words(name: Any) -> str:
    return str(name).replace("_", " ")


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0
