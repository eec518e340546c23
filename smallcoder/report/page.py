"""The page of a run: takes what `facts` found, draws the figures and fills the template.

One file without a script and without anything from outside; all text is escaped, and characters that hide or reorder
text are made visible, since samples and drops are hostile until shown otherwise. Works from whatever stages exist.
Cost: well under a second, apart from reading the dropped tables once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from smallcoder.core.manifest import Manifest
from smallcoder.report import facts, figures
from smallcoder.report.curation import found
from smallcoder.report.formats import count, decimal, duration, percent, size, visible

NAME = "report.html"
SHOWN_SOURCES = 12
SHOWN_INFILLINGS = 3
AROUND_LINES = 4  # of an infilling sample, before and after


@dataclass(frozen=True)
class Card:
    """One headline figure."""

    name: str
    value: str
    unit: str
    note: str


def write_report(run_folder: Path, recipe_name: str) -> Path:
    """Write `report.html` into the run folder and return its path. Raises InputError where no stage is finished."""
    stages = facts.load_stages(run_folder)
    retention = facts.retention(stages)
    trainings = facts.trainings(stages)
    scores = facts.scores(stages)
    sources = _sources(stages)
    page = _environment().from_string(_read("page.html.jinja"))
    text = page.render(
        recipe=recipe_name,
        style=Markup(_read("page.css")),
        lead=_lead(stages, sources, trainings),
        cards=_cards(stages, trainings, scores),
        scores=_scores(stages, scores),
        infillings=[_infilling(stage) for stage in facts.using(stages, "infilling")],
        samples=facts.samples(stages),
        curves=[_curve(training) for training in trainings],
        sources=sources,
        retention=_retention(retention),
        found=found(stages),
        drops=_drops(run_folder, retention),
        tokenizers=[_tokenizer(stage.facts) for stage in facts.using(stages, "tokenizer")],
        packs=[_pack(stage) for stage in facts.using(stages, "pack", "pack_examples")],
        files=_files(stages),
        costs=_costs(stages),
        settings=[_settings(stage) for stage in stages],
        environment=sorted(stages[-1].environment.items()),
    )
    path = run_folder / NAME
    partial = path.with_suffix(".tmp")
    partial.write_text(text, encoding="utf-8", errors="replace")
    partial.rename(path)
    return path


def _read(name: str) -> str:
    return files("smallcoder.report").joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=visible
    )
    environment.filters.update(percent=percent, count=count, size=size, decimal=decimal)
    environment.filters.update(split_title=facts.split_title, words=lambda text: text.replace("_", " "))
    return environment


def _lead(stages: Sequence[Manifest], sources: dict[str, Any], trainings: Sequence[facts.Training]) -> str:
    """One sentence on what the run did."""
    parts = []
    if sources:
        parts.append(f"from {count(sources['repositories'])} repositories with {size(sources['bytes'])} of code")
    weights = next((value for item in trainings if (value := parameters(item.facts))), None)
    if weights:
        parts.append(f"to a model of {weights / 1e6:.1f} million parameters")
    parts.append(f"in {duration(sum(stage.seconds for stage in stages))}")
    text = " ".join(parts)
    return f"{text[0].upper()}{text[1:]}, {len(stages)} stages."


def parameters(data: dict[str, Any]) -> float | None:
    """A model's number of parameters, from a stage's facts."""
    return data.get("parameters")


def _cards(
    stages: Sequence[Manifest], trainings: Sequence[facts.Training], scores: Sequence[facts.Score]
) -> list[Card]:
    cards = []
    heldout = next(
        ((item, value) for item in reversed(trainings) if (value := facts.final_heldout(item)) is not None), None
    )
    if heldout:
        cards.append(Card("Held-out bits per byte", f"{heldout[1]:.3f}", "", "on repositories never trained on"))
    models = list(dict.fromkeys(score.stage for score in scores))
    for split in dict.fromkeys(score.split for score in scores):
        by_model = {score.stage: score for score in scores if score.split == split}
        last = next(by_model[name] for name in reversed(models) if name in by_model)
        before = [f"{score.share:.1%} after {name}" for name, score in by_model.items() if score is not last]
        note = f"95%: {last.low:.1%} – {last.high:.1%}" + (f"; {', '.join(before)}" if before else "")
        cards.append(Card(f"Solved: {facts.split_title(split)}", f"{last.share:.1%}", "", note))
    for stage in facts.using(stages, "gguf"):
        for row in _files([stage])[-1:]:
            if row["same_tokens"] is not None:
                note = f"same greedy tokens as before, {size(row['bytes'])}"
                cards.append(Card(f"GGUF {row['name']}", percent(row["same_tokens"]), "", note))
    slowest = max(stages, key=lambda stage: stage.seconds)
    largest = max(stages, key=lambda stage: stage.peak_memory_bytes)
    total = sum(stage.seconds for stage in stages)
    cards.append(
        Card("Time", duration(total), "", f"{slowest.seconds / total if total else 0:.0%} of it in {slowest.stage}")
    )
    memory = f"{largest.peak_memory_bytes / 2**30:.2f}"
    cards.append(Card("Peak memory", memory, "GiB", f"in {largest.stage}"))
    return cards


def _scores(stages: Sequence[Manifest], scores: Sequence[facts.Score]) -> dict[str, Any]:
    models = list(dict.fromkeys(score.stage for score in scores))
    rows = []
    for split in dict.fromkeys(score.split for score in scores):
        intervals = [
            figures.Interval(
                models.index(item.stage), item.share, item.low, item.high,
                f"{item.stage}: {item.share:.1%} ({item.low:.1%} to {item.high:.1%}) of {item.problems} problems",
            )
            for item in scores
            if item.split == split
        ]  # fmt: skip
        rows.append((facts.split_title(split), intervals))
    return {"rows": scores, "models": models, "figure": figures.dot_plot(rows), "tiers": ", ".join(facts.tiers(stages))}


def _infilling(stage: Manifest) -> dict[str, Any]:
    data = stage.facts
    exact = data.get("exact") or {}
    pairs: list[tuple[str, str]] = []
    note = ""
    if exact:
        low, high = exact.get("interval", (0.0, 1.0))
        pairs.append(("exact match", f"{percent(exact.get('share'))}"))
        pairs.append(("95% interval", f"{low:.1%} – {high:.1%}"))
        note = f"{count(exact.get('count'))} of {count(data.get('records'))} lines exact."
        if not exact.get("count"):
            note += " At this size a model hardly ever gets a whole line right; bits per byte tell more."
    titles = {"infill": "bits per byte with suffix", "no_suffix": "without suffix", "plain": "left to right"}
    for name, title in titles.items():
        value = (data.get("bits_per_byte") or {}).get(name)
        if value is not None:
            pairs.append((title, f"{value:.3f}"))
    saved = next((value for name, value in data.items() if name.startswith("saved_by") and isinstance(value, dict)), {})
    if isinstance(saved.get("no_suffix"), dict):
        low, high = saved["no_suffix"].get("interval", (0.0, 0.0))
        note += f" The suffix saves {saved['no_suffix'].get('bits_per_byte', 0.0):.3f} bits per byte"
        note += f" (95%: {low:.3f} to {high:.3f})."
    rows = [row for row in data.get("samples") or [] if isinstance(row, dict)]
    shown = [_infilling_sample(row) for row in rows[:SHOWN_INFILLINGS]]
    return {"figures": pairs, "note": note, "model": facts.model_of(stage), "samples": shown}


def _infilling_sample(row: dict[str, Any]) -> dict[str, Any]:
    before = str(row.get("prefix", "")).splitlines(keepends=True)[-AROUND_LINES:]
    after = str(row.get("suffix", "")).splitlines(keepends=True)[:AROUND_LINES]
    got = str(row.get("completion", "")).split("\n", 1)[0]
    where = f"{row.get('path', '')}:{row.get('line', '')}".strip(":")
    return {
        **{"before": "".join(before), "after": "\n" + "".join(after), "got": got, "where": where},
        **{"wanted": str(row.get("middle", "")).strip(), "exact": row.get("exact")},
    }


def _curve(training: facts.Training) -> dict[str, Any]:
    data = training.facts
    about = [f"started from {training.started_from}"] if training.started_from else []
    if weights := parameters(data):
        about.append(f"{count(weights)} parameters")
    about += [f"{count(data[name])} {name}" for name in ("steps", "tokens") if data.get(name) is not None]
    if data.get("epochs") is not None:
        about.append(f"{decimal(data['epochs'])} epochs")
    if data.get("train_loss") is not None:
        about.append(f"last loss {data['train_loss']:.3f}")
    if (heldout := facts.final_heldout(training)) is not None:
        about.append(f"held-out {heldout:.3f} bits per byte")
    about += [f"{name} {curve[-1][1]:.3f}" for name, curve in sorted((data.get("heldout_curves") or {}).items())]
    return {
        "stage": training.stage,
        "about": " · ".join(about),
        "loss": figures.line_chart(training.loss, "training loss"),
        "heldout": figures.line_chart(training.heldout, "held-out bits per byte", dots=True),
        "loads": figures.load_chart(data.get("expert_loads") or []),
    }


def _sources(stages: Sequence[Manifest]) -> dict[str, Any]:
    tallies = [tally for stage in facts.using(stages, "read") if (tally := facts.contents(stage, "contents"))]
    if not tallies:
        return {}
    total = sum(tally.get("bytes", 0) for tally in tallies)
    licenses: dict[str, dict[str, Any]] = {}
    for tally in tallies:
        for name, counts in tally.get("licenses", {}).items():
            row = licenses.setdefault(name, {"name": name, "records": 0, "bytes": 0})
            row["records"] += counts.get("records", 0)
            row["bytes"] += counts.get("bytes", 0)
    ranked = sorted(licenses.values(), key=lambda row: (-row["bytes"], row["name"]))
    top = sorted((row for tally in tallies for row in tally.get("top", [])), key=lambda row: -row["bytes"])
    repositories = sum(tally.get("repositories", 0) for tally in tallies)
    records = sum(tally.get("records", 0) for tally in tallies)
    about = f"{count(records)} files, {size(total)}, of {count(repositories)} repositories"
    about += f" under {len(ranked)} licence expressions."
    for stage in facts.using(stages, "split"):
        held = facts.contents(stage, "heldout")
        if held:
            about += f" {count(held.get('repositories'))} repositories ({size(held.get('bytes'))}) are held out whole."
    shown_licenses = _fold(ranked, "name", f"{len(ranked) - SHOWN_SOURCES + 1} others")
    for row in [*shown_licenses, *top]:
        row["share"] = row["bytes"] / total if total else 0.0
    return {
        **{"about": about, "repositories": repositories, "bytes": total},
        **{"licenses": shown_licenses, "top": [_repository(row) for row in top[:SHOWN_SOURCES]]},
    }


def _repository(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"revision": row.get("revision") or "", "license": row.get("license") or "licence unknown"}


def _fold(rows: list[dict[str, Any]], key: str, rest: str) -> list[dict[str, Any]]:
    """The rows, with those past the last one shown added up in a row of their own."""
    if len(rows) <= SHOWN_SOURCES:
        return rows
    tail = rows[SHOWN_SOURCES - 1 :]
    sums = {name: sum(row[name] for row in tail) for name in ("records", "bytes")}
    return [*rows[: SHOWN_SOURCES - 1], {key: rest, **sums}]


def _retention(rows: Sequence[facts.Retention]) -> list[dict[str, Any]]:
    whole = rows[0].bytes_in if rows else 0
    made = []
    for row in rows:
        reasons = [
            {**vars(reason), "share": min(1.0, reason.bytes / whole) if whole else 0.0} for reason in row.reasons
        ]
        share = min(1.0, row.bytes / whole) if whole else 0.0
        made.append({**vars(row), "reasons": reasons, "share": share})
    return made


def _drops(folder: Path, retention: Sequence[facts.Retention]) -> list[dict[str, Any]]:
    counts = {(row.stage, reason.name): reason.records for row in retention for reason in row.reasons}
    groups: dict[tuple[str, str], list[facts.Drop]] = {}
    for item in facts.drops(folder, retention):
        groups.setdefault((item.stage, item.reason), []).append(item)
    telling = next((key for key, items in groups.items() if any(item.text for item in items)), None)
    return [
        {"stage": key[0], "reason": key[1], "records": counts.get(key), "shown": items, "open": key == telling}
        for key, items in groups.items()
    ]


def _tokenizer(data: dict[str, Any]) -> dict[str, Any]:
    pairs = []
    for name, title in (("vocab_size", "vocabulary"), ("merges", "merges learned"), ("documents", "documents sampled")):
        if data.get(name) is not None:
            pairs.append((title, count(data[name])))
    if data.get("sample_bytes") is not None:
        pairs.append(("sample", size(data["sample_bytes"])))
    if data.get("bytes_per_token") is not None:
        pairs.append(("bytes per token", decimal(data["bytes_per_token"])))
    longest = [repr(str(token))[1:-1] for token in data.get("longest_tokens") or []]
    return {"figures": pairs, "longest": longest}


def _pack(stage: Manifest) -> dict[str, Any]:
    names = ("rows", "least_rows", "tokens", "targets", "padding_share", "split_share", "fim_share")
    return {"stage": stage.stage, **{name: stage.facts.get(name) for name in names}}


def _files(stages: Sequence[Manifest]) -> list[dict[str, Any]]:
    rows = []
    for stage in facts.using(stages, "gguf"):
        for name, data in (stage.facts.get("files") or {}).items():
            names = ("bytes", "bits_per_weight", "same_tokens", "same_sequences")
            rows.append(
                {"name": name.upper() if name.startswith("q") else name, **{key: data.get(key) for key in names}}
            )
    return rows


def _costs(stages: Sequence[Manifest]) -> list[dict[str, Any]]:
    longest = max(stage.seconds for stage in stages) or 1.0
    largest = max(stage.peak_memory_bytes for stage in stages) or 1
    return [
        {
            **{"stage": stage.stage, "use": stage.use, "seconds": stage.seconds, "memory": stage.peak_memory_bytes},
            **{"time_share": stage.seconds / longest, "memory_share": stage.peak_memory_bytes / largest},
        }
        for stage in stages
    ]


def _settings(stage: Manifest) -> dict[str, Any]:
    inputs = ", ".join(dict.fromkeys(stage.inputs.values()))
    config = [(name, facts.first_lines(str(value), 4, 300)) for name, value in stage.config.items()]
    return {
        **{"name": stage.stage, "use": stage.use, "inputs": inputs, "config": config},
        "outputs": sorted(stage.outputs.items()),
    }
