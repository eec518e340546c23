"""The peer of perf/curate.py: datatrove's own way to curate a folder of Python files, one task each, in this process.

    PYTHON perf/peers/curate_datatrove.py FOLDER OUT

Rules with the thresholds of our stage `rules`, each a plain function in a LambdaFilter; PIIFormatter for e-mail and IP
addresses; the four MinHash steps. No licences, signals, decontamination or comment stripping: it does less than ours.
PYTHON is that of an environment with `datatrove[io,processing]==0.10.*`. Prints CPU-seconds without the imports, peak
memory and the documents kept, as JSON.
"""

import json
import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datatrove.data import Document  # pyright: ignore[reportMissingImports]
from datatrove.executor import LocalPipelineExecutor  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.dedup import (  # pyright: ignore[reportMissingImports]
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.filters import LambdaFilter  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.formatters import PIIFormatter  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.readers import ParquetReader  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.writers import ParquetWriter  # pyright: ignore[reportMissingImports]

GENERATED = re.compile("auto-?generated|automatically generated|generated automatically|do not edit", re.IGNORECASE)
BASE64 = re.compile(r"[a-zA-Z0-9+/=\n]{64,}")
ESCAPES = re.compile(r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}|(?:\\u[0-9a-fA-F]{4}){8,}")
ADDRESSES = re.compile(r"https?://\S+|\b\d{1,3}(?:\.\d{1,3}){3}\b")
CONTACTS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,3}|\b\d{4}-\d\d-\d\d\b")
COMMENTS = re.compile(r"#[^\n]*|\"\"\".*?\"\"\"|'''.*?'''", re.DOTALL)
WORDS = re.compile(r"\w+")


def length(doc: Any) -> bool:
    lines = doc.text.split("\n")
    return 10 <= len(lines) <= 20_000 and max(map(len, lines)) <= 1000 and len(doc.text) <= 101 * len(lines)


def repeated(doc: Any) -> bool:
    lines = [line.strip() for line in doc.text.split("\n") if line.strip()]
    words = WORDS.findall(doc.text)
    grams = [tuple(words[at : at + 5]) for at in range(len(words) - 4)]
    return len(set(lines)) >= 0.3 * len(lines) and len(set(grams)) >= 0.3 * len(grams)


def encoded(doc: Any) -> bool:
    runs = [len(match[0]) for pattern in (BASE64, ESCAPES) for match in pattern.finditer(doc.text)]
    return max(runs, default=0) <= 1024 and sum(runs) <= 0.5 * len(doc.text)


RULES = [
    lambda doc: not any(GENERATED.search(line) for line in doc.text.split("\n", 5)[:5]),
    length,
    lambda doc: sum(map(str.isalpha, doc.text)) >= 0.25 * len(doc.text),
    lambda doc: sum(map(len, COMMENTS.findall(doc.text))) <= 0.85 * len(doc.text),
    lambda doc: sum(word[0].isdigit() for word in WORDS.findall(doc.text)) <= 0.6 * len(doc.text),
    lambda doc: doc.text.count("\ufffd") <= 0.01 * len(doc.text),
    lambda doc: sum(len(match[0]) for match in ADDRESSES.finditer(doc.text)) <= 0.6 * len(doc.text),
    lambda doc: sum(len(match[0]) for match in CONTACTS.finditer(doc.text)) <= 0.5 * len(doc.text),
    encoded,
    repeated,
]


def files(folder: str) -> Iterator[Any]:
    for path in sorted(Path(folder).rglob("*.py")):
        text = path.read_bytes().decode("utf-8", "replace")
        if text:
            yield Document(text=text, id=str(path))


def main(folder: str, out: str) -> None:
    config = MinhashConfig(n_grams=5, num_buckets=17, hashes_per_bucket=5)  # the bands of our preset `calibrated`
    reader = ParquetReader(f"{out}/filtered")
    signatures, buckets, remove = (f"{out}/{name}" for name in ("signatures", "buckets", "remove"))
    start = time.process_time()
    steps = [
        [
            list(files(folder)),
            *(LambdaFilter(rule) for rule in RULES),
            PIIFormatter(),
            ParquetWriter(f"{out}/filtered"),
        ],
        [reader, MinhashDedupSignature(output_folder=signatures, config=config)],
        [MinhashDedupBuckets(input_folder=signatures, output_folder=buckets, config=config)],
        [MinhashDedupCluster(input_folder=buckets, output_folder=remove, config=config)],
        [reader, MinhashDedupFilter(input_folder=remove), ParquetWriter(f"{out}/kept")],
    ]
    for at, step in enumerate(steps):
        tasks = config.num_buckets if at == 2 else 1
        LocalPipelineExecutor(step, tasks=tasks, logging_dir=f"{out}/logs{at}").run()
    seconds = time.process_time() - start + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    kept = sum(pq.read_metadata(path).num_rows for path in Path(out, "kept").glob("*.parquet"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "records": kept}))


if __name__ == "__main__":
    main(*sys.argv[1:])
