"""How fast the quality classifier reads documents, against fastText called as other tools' filters call it.

    python perf/quality.py [MEGABYTES]

The classifier learns to tell the standard library's tests from the rest of it. Then the same files are judged in turn:
by ours (words of the head of each file) and by fastText on each whole file, its line ends made spaces, a file a call.
MB of whole files per CPU-second of each, and the ratio. The peer gets the same model, so this measures reading only.
"""

import json
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fasttext

from smallcoder.data.quality.classifier import MODEL, Config, load_classifier, run
from smallcoder.data.quality.words import one_line

ROUNDS = 3
BATCH = 256


def library(megabytes: float) -> list[tuple[str, str]]:
    """Sources of the standard library, up to that size, as "high", and its tests as "low"."""
    rows, left = [], megabytes * 1e6
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in path.parts or left <= 0:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        rows.append((text, "low" if {"test", "tests"} & set(path.parts) else "high"))
        left -= len(text.encode())
    return rows


def main(megabytes: float = 20.0) -> None:
    rows = library(megabytes)
    texts = [text for text, _ in rows]
    size = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = folder / "labels.jsonl"
        labels.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
        start = time.process_time()
        facts = run(Config(labels=str(labels)), {}, folder)
        print(
            f"{len(rows)} files, {size:.1f} MB; trained in {time.process_time() - start:.1f} CPU-s, {facts['headline']}"
        )
        ours = load_classifier(folder / "classifier")
        peer = fasttext.load_model(str(folder / "classifier" / MODEL))
    batches = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]
    ways: dict[str, Callable[[list[str]], object]] = {
        "smallcoder": ours.probabilities,
        "words alone": one_line,
        "fastText": lambda batch: [peer.predict(text.replace("\n", " "), k=-1) for text in batch],
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for label, judge in ways.items():
            start = time.process_time()
            for batch in batches:
                judge(batch)
            best[label] = min(best[label], time.process_time() - start)
    for label, seconds in best.items():
        print(f"{label:12} {size / seconds:6.1f} MB per CPU-second")
    print(f"{'ratio':12} {best['fastText'] / best['smallcoder']:6.1f}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
