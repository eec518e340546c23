"""What `smallcoder show` prints: a run's stages, or one stage's manifest, samples and drops."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from smallcoder.core.errors import InputError
from smallcoder.core.manifest import Manifest, read_manifest
from smallcoder.core.tables import count_rows, read_batches
from smallcoder.report.facts import Retention, load_stages, retention
from smallcoder.run import summary

CELL = 300


def show_run(folder: Path) -> None:
    """One line a finished stage, in the order they were made, and what is being built."""
    found = [manifest for path in folder.iterdir() if path.is_dir() and (manifest := read_manifest(path))]
    if not found:
        raise InputError(f"{folder} has no finished stage", "start it with: smallcoder run RECIPE")
    console = Console()
    table = Table("stage", "use", "made of", "what came out", box=None, pad_edge=False)
    for manifest in sorted(found, key=lambda item: (folder / item.stage / "manifest.json").stat().st_mtime_ns):
        table.add_row(manifest.stage, manifest.use, ", ".join(manifest.inputs.values()), summary(manifest))
    console.print(table)
    _show_retention(console, retention(load_stages(folder)))
    for path in sorted(folder.glob("*.partial")):
        console.print(f"in the making: {path.name}", highlight=False)


def _show_retention(console: Console, rows: list[Retention]) -> None:
    """Stage by stage and reason by reason: records, bytes and the share of the first stage's bytes that is left."""
    if not rows:
        return
    table = Table("what was kept", "records", "MB", "of the first", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    whole = max(1, rows[0].bytes_in)
    for row in rows:
        share = f"{100 * row.bytes / whole:.1f}%"
        table.add_row(f"[bold]{escape(row.stage)}[/]", f"{row.records:,}", f"{row.bytes / 1e6:,.1f}", share)
        for reason in row.reasons:
            table.add_row(f"  - {escape(reason.name)}", f"{reason.records:,}", f"{reason.bytes / 1e6:,.1f}", "")
    console.print()
    console.print(table)


def show_drops(folder: Path, reason: str | None, samples: int) -> None:
    """Some of what a stage dropped, for one reason or for each. Raises InputError with the reasons that there are."""
    _manifest(folder)
    if not any((folder / "dropped").glob("*.parquet")):
        raise InputError(f"{folder.name} drops nothing", "name a filter, such as a stage that uses assess or dedup")
    kept = drops(folder / "dropped", samples)
    reasons = sorted({row["reason"] for row in kept})
    if reason is not None and reason not in reasons:
        raise InputError(f"{folder.name} dropped nothing as {reason!r}", f"its reasons: {', '.join(reasons) or 'none'}")
    console = Console()
    for row in kept:
        if reason in (None, row["reason"]):
            _show_row(console, row)


def _manifest(folder: Path) -> Manifest:
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None:
        raise InputError(
            f"{folder} is no finished stage", f"see what there is with: smallcoder show {folder.parent.name}"
        )
    return manifest


def show_stage(folder: Path, samples: int) -> None:
    """The manifest of a stage in readable form, then a few rows of each of its tables, then a few drops a reason."""
    manifest = _manifest(folder)
    console = Console()
    _show_manifest(console, manifest, folder)
    for path in sorted(folder.iterdir()):
        if path.is_dir() and any(path.glob("*.parquet")):
            console.rule(f"{path.name}: {count_rows(path):,} rows", align="left")
            for row in drops(path, samples) if path.name == "dropped" else first(path, samples):
                _show_row(console, row)


def _show_manifest(console: Console, manifest: Manifest, folder: Path) -> None:
    outputs = {
        name: digest if (folder / name).exists() else f"{digest}, handed on and not stored"
        for name, digest in manifest.outputs.items()
    }
    console.print(f"[bold]{manifest.stage}[/] ({manifest.use}): {escape(summary(manifest))}", highlight=False)
    for title, data in (
        ("settings", manifest.config),
        ("made of", manifest.inputs),
        ("outputs", outputs),
        ("facts", manifest.facts),
    ):
        console.rule(title, align="left")
        for key, value in data.items():
            console.print(f"  {key}: {escape(_short(value))}", highlight=False)


def first(folder: Path, count: int) -> list[dict[str, Any]]:
    """The first `count` rows of a table."""
    rows: list[dict[str, Any]] = []
    for batch in read_batches(folder, batch_rows=max(count, 1)):
        rows += batch.to_pylist()
        if len(rows) >= count:
            break
    return rows[:count]


def drops(folder: Path, count: int) -> list[dict[str, Any]]:
    """The first `count` rows of each reason of a dropped table, by reason."""
    kept: dict[str, list[dict[str, Any]]] = {}
    for batch in read_batches(folder):
        reasons = batch.column("reason").to_pylist()
        for index, reason in enumerate(reasons):
            rows = kept.setdefault(reason, [])
            if len(rows) < count:
                rows.append(batch.slice(index, 1).to_pylist()[0])
    return [row for reason in sorted(kept) for row in kept[reason]]


def _show_row(console: Console, row: dict[str, Any]) -> None:
    for key, value in row.items():
        if value not in (None, "", []):
            console.print(f"  [dim]{key}[/] {escape(_short(value))}", highlight=False)
    console.print()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= CELL else f"{text[:CELL]} ... ({len(text):,} characters)"
