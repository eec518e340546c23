"""Licence files: our phrases and scancode in turn on those of the installed distributions; and the stage `licenses`.

    python perf/licenses.py [N]     N licence files of different text, 60 without it

Prints files per CPU-second of both, how many the phrases settle, how many of these scancode reads the same, where
not, and what scancode makes of the rest. Without scancode it says so and measures the stage alone: MB of the standard
library per CPU-second of one core, from Arrow to judged Arrow.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from smallcoder.core.records import DOCUMENT
from smallcoder.data.licenses import license_of_text, stage
from smallcoder.data.licenses.policy import load_policy
from smallcoder.data.licenses.scan import scanner
from smallcoder.data.licenses.scancode import detect
from smallcoder.data.read import distributions, stdlib

ROUNDS, BATCH = 3, 256


def license_files() -> list[str]:
    """The licence texts of the installed distributions, each once, in the order of their names."""
    found: dict[str, None] = {}
    for distribution in distributions.installed():
        for name in distribution.metadata.get_all("License-File") or ():
            text = distribution.read_text(f"licenses/{name}") or distribution.read_text(name) or ""
            found[text] = None
    return [text for text in found if text.strip()]


def timed(function: Callable[[str], str | None], texts: list[str]) -> tuple[list[str | None], float]:
    """The answers and the CPU-seconds of this thread."""
    start = time.thread_time()
    return [function(text) for text in texts], time.thread_time() - start


def compare(texts: list[str]) -> None:
    start = time.thread_time()
    detect(texts[0])
    loading = time.thread_time() - start
    (ours, fast), (theirs, slow) = timed(license_of_text, texts), timed(detect, texts)
    settled = [(mine, other) for mine, other in zip(ours, theirs, strict=True) if mine]
    same = sum(mine == other for mine, other in settled)
    within = sum(mine != other and mine in (other or "").split(" AND ") for mine, other in settled)
    print(f"{len(texts)} licence files; scancode's index takes {loading:.1f} CPU-seconds to load; files per CPU-second")
    print(f"phrases  {len(texts) / fast:10.1f}\nscancode {len(texts) / slow:10.1f}\nratio    {slow / fast:10.1f}")
    print(
        f"settled by phrases {len(settled)}: scancode the same {same}, the same and bundled parts {within}; otherwise"
    )
    for mine, other in sorted({pair for pair in settled if pair[0] not in (pair[1] or "").split(" AND ")}, key=str):
        print(f"    {mine}: {other}")
    rest = [other for mine, other in zip(ours, theirs, strict=True) if not mine]
    print(f"left to scancode {len(rest)}, of which it knows {sum(other is not None for other in rest)}")


def stage_speed() -> float:
    """MB per CPU-second of the stage's judgement on the standard library."""
    files = [file for file in stdlib.files((".py",), frozenset()) if not file.reason]
    texts = [Path(file.location).read_text(encoding="utf-8", errors="replace") for file in files]
    rows = [{"text": text, "repo": "python", "license": "PSF-2.0"} for text in texts]
    batches = pa.Table.from_pylist(rows, schema=DOCUMENT).to_batches(BATCH)
    policy = load_policy("permissive")
    stage.judge(policy, batches[0])
    start = time.thread_time()
    for _ in range(ROUNDS):
        for batch in batches:
            stage.judge(policy, batch)
    return ROUNDS * sum(len(text.encode()) for text in texts) / 1e6 / (time.thread_time() - start)


def main(count: int) -> None:
    texts = license_files()
    if scanner():
        compare(texts[:: max(1, len(texts) // count)][:count])
    else:
        print("scancode is not installed (pip install 'smallcoder[licences]'): only the stage is measured")
    print(f"stage licenses: {stage_speed():.0f} MB per CPU-second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 60)
