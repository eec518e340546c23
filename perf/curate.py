"""The whole curation recipe, from files to a decontaminated table: MB per CPU-second, stage by stage and together.

    python perf/curate.py WORK FOLDER... [--times 1,4,16] [--datatrove PYTHON]

WORK is a scratch folder; each FOLDER holds repositories of Python files: an environment's site-packages has enough. It
runs recipes/quickstart.toml up to decontamination, every licence let in and one worker, without the step that parses
(the syntax rule) and, on the files as they are, with it. Its steps of natural language and learned quality are passed
by: they have scripts of their own, and the peer has nothing like them. `--times` makes so many copies of each file,
letters and digits exchanged, so that they are no duplicates and no Python either. With a PYTHON that has datatrove
0.10, it works on a sample with like steps, decontamination left out on both sides.

CPU-seconds are those of one worker and of all that a stage costs: reading, writing, digests. Imports and compilation do
not count.
"""

import argparse
import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from dedup import SAMPLE_BYTES, child, renamed
from rich.console import Console

from smallcoder.core.manifest import read_manifest
from smallcoder.core.recipe import load_recipe
from smallcoder.run import run_recipe
from smallcoder.stages import STAGES

QUICKSTART = Path(__file__).parents[1] / "recipes" / "quickstart.toml"
SPREAD = ("docs", "clean", "redacted", "assessed", "unique", "decontaminated")  # have workers
STEPS = ("docs", "licensed", "clean", "redacted", "assessed", "unique", "decontaminated")
PAST = ("assessed.from.documents=redacted", "unique.from.documents=assessed")  # language and learned quality
TINY = (
    "def add{at}(first, second):\n    # Adds numbers, one of them {at} times.\n    return first + second * {at}\n\n\n"
)


def ours(work: str, folder: str, syntax: str) -> None:
    """One run in this process, after a tiny one that loads what is compiled; prints its figures as JSON."""
    tiny = Path(work) / "tiny"
    for at in range(8):
        (tiny / f"repository{at}").mkdir(parents=True, exist_ok=True)
        text = "".join(TINY.format(at=99 * at + line) for line in range(12))
        (tiny / f"repository{at}" / "module.py").write_text(text)
    run(Path(work), tiny, syntax)
    print(json.dumps(run(Path(work), Path(folder), syntax)))


def run(work: Path, folder: Path, syntax: str) -> dict[str, Any]:
    """CPU-seconds by stage of the recipe's curation over a folder, its peak memory, and the bytes read."""
    changes = [f"docs.paths={json.dumps([str(folder)])}", "docs.skip=[]", "licensed.policy=any"]
    changes += [f"assessed.syntax={syntax}", *(f"{stage}.workers=1" for stage in SPREAD), *PAST]
    recipe = load_recipe(QUICKSTART, STAGES, changes)
    shutil.rmtree(work / recipe.name, ignore_errors=True)
    seconds, peak, size = {}, 0, 0
    for step in ("drills", *STEPS):
        start = time.process_time()
        made = run_recipe(recipe, work, only=step, console=Console(quiet=True))
        seconds[step] = time.process_time() - start
        manifest = read_manifest(made / step)
        assert manifest is not None
        peak = max(peak, manifest.peak_memory_bytes)
        size = manifest.facts["bytes"] if step == "docs" else size
    shutil.rmtree(work / recipe.name)
    del seconds["drills"]  # made for decontamination, no part of it
    return {"seconds": seconds, "peak": peak, "bytes": size}


def copy(folders: list[Path], target: Path, times: int, most: float = math.inf) -> None:
    """Folders of repositories with `times` renamed copies of each Python file, until `most` bytes are written."""
    total = 0
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if total > most:
                return
            for salt in range(times if path.is_file() else 0):
                text = renamed(path.read_bytes(), salt)
                total += len(text)
                inside = path.relative_to(folder)
                copied = target / f"{inside.parts[0]}-{salt}" / inside
                copied.parent.mkdir(parents=True, exist_ok=True)
                copied.write_bytes(text)


def show(name: str, found: dict[str, Any]) -> float:
    """Prints the speed of each stage and of all; returns the CPU-seconds of all."""
    megabytes, seconds = found["bytes"] / 1e6, sum(found["seconds"].values())
    peak = found["peak"] / 2**30
    print(f"{name:28}{megabytes:9.1f} MB {megabytes / seconds:7.2f} MB/CPU-s {peak:6.2f} GiB", flush=True)
    print("    " + ", ".join(f"{stage} {megabytes / cost:.0f}" for stage, cost in found["seconds"].items()))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--times", default="1")
    parser.add_argument("--datatrove", help="python of an environment that has it")
    asked = parser.parse_args()
    work = asked.work.absolute()
    corpus = work / "corpus"
    costs = []

    def measure(syntax: str) -> dict[str, Any]:
        return child([sys.executable, __file__, "--ours", str(work), str(corpus), syntax], work)

    for times in map(int, asked.times.split(",")):
        shutil.rmtree(corpus, ignore_errors=True)
        copy(asked.folders, corpus, times)
        found = measure("off")
        costs.append((math.log(found["bytes"]), math.log(show(f"smallcoder x{times}", found))))
        if times == 1:
            show("smallcoder x1, with parsing", measure("python"))
    if len(costs) > 1:
        exponent = (costs[-1][1] - costs[0][1]) / (costs[-1][0] - costs[0][0])
        print(f"CPU-seconds grow with the power {exponent:.3f} of the bytes")
    if asked.datatrove:
        shutil.rmtree(corpus)
        copy(asked.folders, corpus, 1, SAMPLE_BYTES / 2)
        mine = measure("off")
        del mine["seconds"]["decontaminated"]
        seconds = show("smallcoder, sample", mine)
        peer = Path(__file__).with_name("peers") / "curate_datatrove.py"
        theirs = child([asked.datatrove, str(peer), str(corpus), "OUT"], work)
        print(f"datatrove {mine['bytes'] / 1e6 / theirs['seconds']:.2f} MB/CPU-s, {theirs['records']} kept")
        print(f"    ratio {theirs['seconds'] / seconds:.1f}")
    shutil.rmtree(corpus)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        ours(*sys.argv[2:])
    else:
        main()
