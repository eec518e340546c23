"""The peer of perf/curate.py: datatrove's own way to curate a folder of Python files, one task each, in this process.

    PYTHON perf/peers/curate_datatrove.py FOLDER OUT

Rules with the thresholds of our stage `assess`, each a plain function in a LambdaFilter; PIIFormatter for e-mail and IP
addresses; the four MinHash steps. No licences, signals, decontamination or comment stripping: it does less than ours.
PYTHON is that of an environment with `datatrove[io,processing]==0.10.*`. Prints CPU-seconds without the imports, peak
memory and the documents kept, as JSON.
"""

import re
import sys
from pathlib import Path
from typing import Any

from datatrove.data import Document  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.dedup.minhash import MinhashConfig  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.filters import LambdaFilter  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.formatters import PIIFormatter  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.readers import ParquetReader  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.writers import ParquetWriter  # pyright: ignore[reportMissingImports]
from dedup_datatrove import run

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


def files(folder: str) -> list[Any]:
    paths = sorted(Path(folder).rglob("*.py"))
    texts = (path.read_bytes().decode("utf-8", "replace") for path in paths)
    return [Document(text=text, id=str(path)) for path, text in zip(paths, texts, strict=True) if text]


def main(folder: str, out: str) -> None:
    rules = [LambdaFilter(rule) for rule in RULES]
    filtered = [files(folder), *rules, PIIFormatter(), ParquetWriter(f"{out}/filtered")]
    bands = MinhashConfig(n_grams=5, num_buckets=17, hashes_per_bucket=5)  # of our preset `calibrated`
    run([filtered], ParquetReader(f"{out}/filtered"), bands, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
