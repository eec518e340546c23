"""What the curation stages found, as short tables: licences, places redacted, buckets, near copies, benchmark problems.

Facts are read as `facts` reads them: what a stage did not say, or said in an odd way, leaves its part out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from smallcoder.core.manifest import Manifest
from smallcoder.report.formats import count, percent, size

SHOWN = 8  # rows of a table


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


def _buckets(facts: dict[str, Any]) -> Finding | None:
    bounds = _table(facts.get("thresholds"))
    text = f"Points of 100: high from {_number(bounds.get('high')):g}, medium from {_number(bounds.get('medium')):g}."
    rows = _by_size(_table(facts.get("buckets")))
    return Finding("Quality by signals", text, ("bucket", "files", "size"), rows) if rows else None


def _copies(facts: dict[str, Any]) -> Finding | None:
    measured = _table(facts.get("measured"))
    if not measured:
        return None
    low, high = measured.get("interval") or (None, None)
    rows = [
        ("groups of near copies", count(facts.get("near_groups"))),
        ("pairs of one band", count(facts.get("pairs_in_a_band"))),
        ("recall", f"{percent(measured.get('recall'))} ({percent(low)} to {percent(high)})"),
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
    "assess": _buckets,
    "dedup": _copies,
    "decontaminate": _problems,
}


def _by_size(tallies: dict[str, Any]) -> list[tuple[str, ...]]:
    """(name, records, bytes) of the largest."""
    totals = {str(name): _number(_table(counts).get("bytes")) for name, counts in tallies.items()}
    records = {str(name): _number(_table(counts).get("records")) for name, counts in tallies.items()}
    largest = sorted(totals, key=lambda name: -totals[name])[:SHOWN]
    return [(name, count(records[name]), size(totals[name])) for name in largest]


def _words(name: Any) -> str:
    return str(name).replace("_", " ")


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0
