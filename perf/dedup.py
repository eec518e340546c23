"""Near deduplication end to end (read, signatures, bands, verify, clusters, write): us, and peers on the same files.

    python perf/dedup.py WORK FOLDER... [--times 1,4,16] [--datatrove PYTHON] [--textdedup PYTHON]

WORK is a scratch folder, the FOLDERs hold Python files: an environment's site-packages has enough. Prints MB per
CPU-second and peak memory of ours at 1, 4 and 16 times the corpus, and the exponent of its cost; with a PYTHON that has
datatrove 0.10 or text-dedup 0.4, then all in turn on a sample with the same settings (the `mify` preset), and the ratio
of CPU-seconds. A larger corpus is the same one with its letters and digits exchanged, differently in each copy, so that
no copy resembles another. Every run is a process of its own; its imports and compilation do not count.
"""

import argparse
import json
import math
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

import pyarrow as pa

from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.tables import TableWriter
from smallcoder.data import dedup
from smallcoder.data.engine import run_filter

SAMPLE_BYTES = 96_000_000  # two minutes of work for the slower peer
BANDS, ROWS, SHINGLE = "10", "11", "5"
PEERS = ("datatrove", "textdedup")


def ours(table: str, out: str, preset: str) -> None:
    """One run in this process, after a tiny one that loads what is compiled; prints its figures as JSON."""
    config = dedup.Config.model_validate({"preset": preset})
    folder = Path(out)
    folder.mkdir()
    write(folder / "tiny", (b"def name%d(): return [%d, %d, 1]" % (at, at, at) for at in range(100)), 1)
    for name in ("warm", "real"):
        (folder / name).mkdir()
    run_filter(dedup, config, {"documents": folder / "tiny"}, folder / "warm")
    start = time.process_time()
    facts = run_filter(dedup, config, {"documents": Path(table)}, folder / "real")
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak, **facts}))


def child(command: list[str], work: Path) -> dict[str, Any]:
    """What a process prints last, as JSON; `OUT` in its arguments is a folder that goes afterwards."""
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    full = [str(out) if part == "OUT" else part for part in command]
    done = subprocess.run(full, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    shutil.rmtree(out, ignore_errors=True)
    return json.loads(done.stdout.splitlines()[-1])


def texts(folders: list[Path]) -> Iterator[bytes]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if path.is_file() and path.stat().st_size < 1_000_000:
                yield path.read_text(encoding="utf-8", errors="replace").encode()


def write(folder: Path, source: Iterator[bytes], times: int, most: float = math.inf) -> int:
    """A table of documents, `times` copies of each text under other names; returns its bytes of text."""
    total = 0
    rows: list[dict[str, Any]] = []
    with TableWriter(folder, DOCUMENT) as writer:
        for text in source:
            for salt in range(times):
                salted = renamed(text, salt)
                total += len(salted)
                rows.append({"id": record_id(salted), "text": salted, "lang": "python", "lineage": []})
            if len(rows) >= 1024 or total > most:
                writer.write(pa.RecordBatch.from_pylist(rows, DOCUMENT))
                rows = []
            if total > most:
                break
        writer.write(pa.RecordBatch.from_pylist(rows, DOCUMENT))
    return total


def renamed(text: bytes, salt: int) -> bytes:
    """The text with its letters and digits exchanged for others, by a permutation of each: words stay words."""
    return text.translate(exchange(salt)) if salt else text


@cache
def exchange(salt: int) -> bytes:
    """A table for `bytes.translate`."""
    kinds = (ascii_lowercase, ascii_uppercase, digits)
    others = ("".join(random.Random(salt).sample(kind, len(kind))) for kind in kinds)
    return bytes.maketrans("".join(kinds).encode(), "".join(others).encode())


def line(name: str, size: int, found: dict[str, Any]) -> None:
    speed, peak = size / 1e6 / found["seconds"], found["peak"] / 2**30
    print(f"{name:18}{size / 1e6:9.1f} MB {speed:8.2f} MB/CPU-s {peak:6.2f} GiB, {found['records']} kept", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--times", default="1,4,16")
    for peer in PEERS:
        parser.add_argument(f"--{peer}", help="python of an environment that has it")
    asked = parser.parse_args()
    us = [sys.executable, __file__, "--ours"]
    costs = []
    for times in map(int, asked.times.split(",")):
        table = asked.work / f"times{times}"
        size = write(table, texts(asked.folders), times)
        found = child([*us, str(table), "OUT", "calibrated"], asked.work)
        line(f"smallcoder x{times}", size, found)
        measured = found["measured"]
        print(f"    recall {measured['recall']} {measured['interval']}, precision {measured['precision']}")
        costs.append((math.log(size), math.log(found["seconds"])))
        shutil.rmtree(table)
    if len(costs) > 1:
        exponent = (costs[-1][1] - costs[0][1]) / (costs[-1][0] - costs[0][0])
        print(f"CPU-seconds grow with the power {exponent:.3f} of the bytes")
    peers = {peer: python for peer in PEERS if (python := getattr(asked, peer))}
    if peers:
        table = asked.work / "sample"
        size = write(table, texts(asked.folders), 1, SAMPLE_BYTES)
        mine = child([*us, str(table), "OUT", "mify"], asked.work)
        line("smallcoder", size, mine)
        for peer, python in peers.items():
            script = str(Path(__file__).with_name("peers") / f"dedup_{peer}.py")
            theirs = child([python, script, str(table), "OUT", BANDS, ROWS, SHINGLE], asked.work)
            line(peer, size, theirs)
            print(f"    ratio {theirs['seconds'] / mine['seconds']:.1f}")
        shutil.rmtree(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        ours(*sys.argv[2:])
    else:
        main()
