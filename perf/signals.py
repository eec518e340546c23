"""Rules and signals in one pass, without parsing: ours and peers in turn, in MB per CPU-second of one core.

    python perf/signals.py [FOLDER ...]     folders of Python files; the standard library without one

Peers get a sample, as they are slow. `filters` makes the judgements that NeMo Curator's code filters and the StarCoder,
StarCoder2 and Ling rules are made of, each as a plain Python function over the text, the way such filters are written;
like ours it never parses. `datatrove` is its own GopherRepetitionFilter, where datatrove 0.10 is installed: one of
these judgements (repeated lines and n-grams), made more finely.
"""

import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from smallcoder.core.records import DOCUMENT
from smallcoder.data import assess
from smallcoder.data.buckets import read_thresholds
from smallcoder.data.engine import BATCH
from smallcoder.data.read import stdlib
from smallcoder.data.rules import ADDRESSES, CONTACTS, ESCAPES
from smallcoder.data.signals import NAMES

ROUNDS, SAMPLE = 3, 40
BASE64 = re.compile(r"[a-zA-Z0-9+/=\n]{64,}")
GENERATED = re.compile("auto-?generated|automatically generated|generated automatically|do not edit", re.IGNORECASE)
COMMENTS = re.compile(r"#[^\n]*|\"\"\".*?\"\"\"|'''.*?'''", re.DOTALL)
STRINGS = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
WORDS = re.compile(r"\w+")
NO_PARSING = assess.Config(syntax="off")


def batches(texts: list[str]) -> list[pa.RecordBatch]:
    rows = [{"id": str(at), "text": text, "lang": "python", "path": f"{at}.py"} for at, text in enumerate(texts)]
    return pa.Table.from_pylist(rows, schema=DOCUMENT).combine_chunks().to_batches(BATCH)


def rules_and_signals(texts: list[pa.RecordBatch]) -> None:
    thresholds = read_thresholds(None, NAMES)
    for batch in texts:
        assess.judge(NO_PARSING, thresholds, defaultdict(int), batch)


def filters(texts: list[str]) -> None:
    for text in texts:
        lines = text.split("\n")
        lengths = [len(line) for line in lines]
        words = WORDS.findall(text)
        grams = [tuple(words[at : at + 5]) for at in range(len(words) - 4)]
        encoded = [len(match[0]) for pattern in (BASE64, ESCAPES) for match in pattern.finditer(text)]
        stripped = [line.strip() for line in lines if line.strip()]
        _ = (
            any(GENERATED.search(line) for line in lines[:5]),
            len(lines),
            max(lengths),
            statistics.fmean(lengths),
            sum(map(str.isalpha, text)) / max(len(text), 1),
            sum(map(str.isalnum, text)),
            sum(map(str.isspace, text)),
            sum(map(len, COMMENTS.findall(text))),
            sum(map(len, STRINGS.findall(text))),
            sum(encoded),
            text.count("\ufffd"),
            len(set(stripped)) / max(len(stripped), 1),
            len(set(grams)) / max(len(grams), 1),
            len(set(words)),
            sum(len(match[0]) for match in ADDRESSES.finditer(text)),
            sum(len(match[0]) for match in CONTACTS.finditer(text)),
            sum(line.lstrip().startswith(("print", "import", "from", "assert")) for line in lines),
            max((len(line) - len(line.lstrip()) for line in lines), default=0),
        )


def datatrove(texts: list[str]) -> None:
    from datatrove.data import Document  # pyright: ignore[reportMissingImports]  # noqa: PLC0415
    from datatrove.pipeline.filters import GopherRepetitionFilter  # pyright: ignore[reportMissingImports]  # noqa: PLC0415

    judge = GopherRepetitionFilter()
    for at, text in enumerate(texts):
        judge.filter(Document(text=text, id=str(at)))


def speed(function: Callable[[list], None], texts: list, size: int) -> float:
    """MB per CPU-second of this thread."""
    start = time.thread_time()
    function(texts)
    return size / 1e6 / (time.thread_time() - start)


def main(folders: list[str]) -> None:
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    files = files or [Path(file.location) for file in stdlib.files((".py",), frozenset()) if not file.reason]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file()]
    few = texts[::SAMPLE]
    everything, part = (sum(len(text.encode()) for text in some) for some in (texts, few))
    columns = batches(texts)
    rules_and_signals(columns[:1])
    peers: list[Callable[[list], None]] = [filters]
    try:
        datatrove(few[:2])
        peers.append(datatrove)
    except ImportError as error:
        print(f"datatrove left out: {error}")
    print(f"{len(texts)} documents, {everything / 1e6:.1f} MB; median of {ROUNDS} rounds, MB per CPU-second")
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        found.setdefault("ours", []).append(speed(rules_and_signals, columns, everything))
        for function in peers:
            found.setdefault(function.__name__, []).append(speed(function, few, part))
    medians = {name: float(np.median(values)) for name, values in found.items()}
    for name, value in medians.items():
        print(f"{name:12s}{value:8.1f}")
    for function in peers:
        print(f"ours / {function.__name__:12s}{medians['ours'] / medians[function.__name__]:8.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
