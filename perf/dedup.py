"""MinHash signatures: our kernel and datasketch in turn on the same documents, in MB per CPU-second of one core.

    python perf/dedup.py [FOLDER ...]     folders of Python files; the standard library without one

Both make 110 permutations over 5-shingles of the same words. datasketch gets its fast path (`bulk`, which makes the
permutations once), and only a sample of the documents, as it is slow. How good the estimates of both are is tested
in tests/data.
"""

import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from datasketch import MinHash

from smallcoder.data.dedup import permutations
from smallcoder.data.kernels import buffers, signatures
from smallcoder.data.read import stdlib

PERMUTATIONS, SHINGLE, ROUNDS, SAMPLE = 110, 5, 3, 20
WORDS = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")


def ours(texts: list[str]) -> None:
    signatures(*buffers(pa.array(texts, pa.large_string())), *permutations(PERMUTATIONS, 0), SHINGLE)


def theirs(texts: list[str]) -> None:
    shingles = []
    for text in texts:
        words = WORDS.findall(text.encode())
        shingles.append([b" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)])
    MinHash.bulk([found for found in shingles if found], num_perm=PERMUTATIONS)


def speed(function: Callable[[list[str]], None], texts: list[str]) -> float:
    """MB per CPU-second of this thread."""
    start = time.thread_time()
    function(texts)
    return sum(len(text.encode()) for text in texts) / 1e6 / (time.thread_time() - start)


def main(folders: list[str]) -> None:
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    files = files or [file.location for file in stdlib.files((".py",), frozenset()) if not file.reason]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file()]
    few = texts[::SAMPLE]
    ours(texts[:10])
    rounds = [(speed(ours, texts), speed(theirs, few)) for _ in range(ROUNDS)]
    fast, slow = (statistics.median(values) for values in zip(*rounds, strict=True))
    print(f"{len(texts)} documents, {sum(map(len, texts)) / 1e6:.1f} MB; median of {ROUNDS} rounds, MB per CPU-second")
    print(f"smallcoder {fast:8.1f}\ndatasketch {slow:8.1f}\nratio      {fast / slow:8.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
