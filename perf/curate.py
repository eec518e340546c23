"""The whole curation recipe, from files to a decontaminated table: MB per CPU-second, stage by stage and together.

    python perf/curate.py WORK FOLDER... [--times 1,4,16] [--datatrove PYTHON]

WORK is a scratch folder; each FOLDER holds repositories of Python files: an environment's site-packages has enough. It
runs recipes/quickstart.toml up to decontamination, every licence let in and one worker: without the step that parses
(the syntax rule) and the filters of prose and learned quality; with either; and whole. `--times` makes so many
copies of each file, letters and digits exchanged, so that they are no duplicates and no Python either. With a PYTHON
that has datatrove 0.10, it works on a sample with like steps, decontamination left out on both sides.

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
from smallcoder.core.recipe import Recipe, load_recipe
from smallcoder.run import run_recipe
from smallcoder.stages import STAGES

QUICKSTART = Path(__file__).parents[1] / "recipes" / "quickstart.toml"
PAST = (  # the filters of prose and learned quality, which nothing reads then
    "civil.from.documents=docs",
    "civil.store=true",
    "english.from.documents=docs",
    "english.store=true",
    "assessed.from.documents=redacted",
    "unique.from.documents=assessed",
)
PLAIN = ("assessed.syntax=off", *PAST)
VARIANTS = {  # changes of the recipe, and its last step
    "plain": (PLAIN, "decontaminated"),
    "parsing": (PAST, "decontaminated"),
    "prose": (("assessed.syntax=off",), "decontaminated"),
    "whole": ((), "decontaminated"),
    "like the peer": ((*PLAIN, "unique.store=true"), "unique"),
}
FIRST = 4e7  # bytes of the run that loads what is compiled


def ours(work: str, folder: str, variant: str) -> None:
    """One run in this process, after a small one that loads what is compiled; prints its figures as JSON."""
    run(Path(work), Path(work) / "first", variant)
    print(json.dumps(run(Path(work), Path(folder), variant)))


def run(work: Path, folder: Path, variant: str) -> dict[str, Any]:
    """CPU-seconds of the recipe's curation over a folder, pass by pass, its peak memory, and the bytes read."""
    own, last = VARIANTS[variant]
    changes = [f"docs.paths={json.dumps([str(folder)])}", "docs.skip=[]", "licensed.policy=any", *own]
    recipe = load_recipe(QUICKSTART, STAGES, changes)
    workers = [step.name for step in recipe.steps if "workers" in type(step.config).model_fields]
    recipe = load_recipe(QUICKSTART, STAGES, [*changes, *(f"{name}.workers=1" for name in workers)])
    shutil.rmtree(work / recipe.name, ignore_errors=True)
    seconds, peak, size = {}, 0, 0
    wanted = needed(recipe, last)
    for chain in recipe.chains():
        if chain[-1].name not in wanted:
            continue
        start = time.process_time()
        made = run_recipe(recipe, work, only=chain[-1].name, console=Console(quiet=True))
        seconds[" + ".join(step.name for step in chain)] = time.process_time() - start
        manifest = read_manifest(made / chain[-1].name)
        assert manifest is not None
        peak = max(peak, manifest.peak_memory_bytes)
        size = size or manifest.facts["bytes"]
    shutil.rmtree(work / recipe.name)
    seconds.pop("drills", None)  # made for decontamination, no part of it
    return {"seconds": seconds, "peak": peak, "bytes": size}


def needed(recipe: Recipe, name: str) -> set[str]:
    """A step and all that it is made from."""
    return {name}.union(*(needed(recipe, source) for source, _ in recipe.step(name).inputs.values()))


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
    print(f"{name:46}{megabytes:9.1f} MB {megabytes / seconds:7.2f} MB/CPU-s {peak:6.2f} GiB", flush=True)
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
    shutil.rmtree(work / "first", ignore_errors=True)
    copy(asked.folders, work / "first", 1, FIRST)

    def measure(variant: str) -> dict[str, Any]:
        return child([sys.executable, __file__, "--ours", str(work), str(corpus), variant], work)

    for times in map(int, asked.times.split(",")):
        shutil.rmtree(corpus, ignore_errors=True)
        copy(asked.folders, corpus, times)
        found = measure("plain")
        costs.append((math.log(found["bytes"]), math.log(show(f"smallcoder x{times}", found))))
        if times == 1:
            show("smallcoder x1, with parsing", measure("parsing"))
            show("smallcoder x1, with prose and learned quality", measure("prose"))
            show("smallcoder x1, whole", measure("whole"))
    if len(costs) > 1:
        exponent = (costs[-1][1] - costs[0][1]) / (costs[-1][0] - costs[0][0])
        print(f"CPU-seconds grow with the power {exponent:.3f} of the bytes")
    if asked.datatrove:
        shutil.rmtree(corpus)
        copy(asked.folders, corpus, 1, SAMPLE_BYTES / 2)
        mine = measure("like the peer")
        seconds = show("smallcoder, sample", mine)
        peer = Path(__file__).with_name("peers") / "curate_datatrove.py"
        theirs = child([asked.datatrove, str(peer), str(corpus), "OUT"], work)
        print(f"datatrove {mine['bytes'] / 1e6 / theirs['seconds']:.2f} MB/CPU-s, {theirs['records']} kept")
        print(f"    ratio {theirs['seconds'] / seconds:.1f}")
    shutil.rmtree(corpus)
    shutil.rmtree(work / "first")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        ours(*sys.argv[2:])
    else:
        main()
