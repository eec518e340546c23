"""Redaction: our stage's function and two peers in turn on the same documents, in MB per CPU-second of one core.

    python perf/redact.py [FOLDER ...]     folders of Python files; the standard library without one

Needs the extra `peers`. datatrove's PIIFormatter looks for e-mail and IP addresses only;
detect-secrets, with its default plugins, for keys and passwords only. Both get a sample, as they are slow. Prints what
we redacted, by type; `toxic` is measured on the way.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from datatrove.pipeline.formatters import PIIFormatter  # pyright: ignore[reportMissingImports]
from detect_secrets.core.secrets_collection import SecretsCollection  # pyright: ignore[reportMissingImports]
from detect_secrets.settings import default_settings  # pyright: ignore[reportMissingImports]

from smallcoder.data import toxic
from smallcoder.data.read import stdlib
from smallcoder.data.redact import stage

ROUNDS, SAMPLE, BATCH = 3, 40, 256


def batches(texts: list[str]) -> list[pa.RecordBatch]:
    rows = [{"text": text, "lang": "python"} for text in texts]
    schema = pa.schema([("text", pa.large_string()), ("lang", pa.string())])
    return [pa.RecordBatch.from_pylist(rows[at : at + BATCH], schema) for at in range(0, len(rows), BATCH)]


def ours(texts: list[str]) -> Callable[[], Counter[str]]:
    parts, config = batches(texts), stage.Config()
    return lambda: sum((stage.judge(config, part).counts for part in parts), Counter())


def words(texts: list[str]) -> Callable[[], Counter[str]]:
    parts, config = batches(texts), toxic.Config()
    return lambda: sum((toxic.judge(config, part).counts for part in parts), Counter())


def datatrove(texts: list[str]) -> Callable[[], None]:
    formatter = PIIFormatter()

    def call() -> None:
        for text in texts:
            formatter.format(text)

    return call


def detect_secrets(texts: list[str]) -> Callable[[], None]:
    folder = tempfile.TemporaryDirectory()
    paths = [Path(folder.name, f"{at}.py") for at in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")

    def call() -> None:
        with default_settings():
            for path in paths:
                SecretsCollection(folder.name).scan_file(path.name)

    return call


def speed(function: Callable[[], object], texts: list[str]) -> float:
    """MB per CPU-second."""
    start = time.process_time()
    function()
    return sum(len(text.encode()) for text in texts) / 1e6 / (time.process_time() - start)


def main(folders: list[str]) -> None:
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    files = files or [Path(file.location) for file in stdlib.files((".py",), frozenset()) if not file.reason]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file()]
    few = texts[::SAMPLE]
    runs = {"redact": (ours(texts), texts), "toxic": (words(texts), texts)}
    runs |= {"datatrove": (datatrove(few), few), "detect-secrets": (detect_secrets(few), few)}
    counts = ours(texts)()
    runs["toxic"][0]()
    rounds = [{name: speed(*run) for name, run in runs.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(figures[name] for figures in rounds) for name in runs}
    print(f"{len(texts)} documents, {sum(map(len, texts)) / 1e6:.1f} MB; median of {ROUNDS}, MB per CPU-second")
    for name, figure in medians.items():
        print(f"{name:15}{figure:9.1f}   redact is {medians['redact'] / figure:7.1f} times as fast")
    print(dict(sorted(counts.items())))


if __name__ == "__main__":
    main(sys.argv[1:])
