"""Fill-in-the-middle on against off, and along the syntax against along lines, over the seeds of some runs.

    smallcoder run recipes/ablations/fill-in-the-middle.toml --runs build/seed-7
    python ablations/infilling.py build/seed-7/fill-in-the-middle [RUN with other seeds ...]

Prints, for each arm, the mean over the runs with the least and the greatest
of held-out bits per byte, bits per byte of a missing line with what follows it, with nothing there, and as plain text,
and the share of lines filled in exactly, with Wilson's interval over all runs.
"""

import argparse
from pathlib import Path

from smallcoder.core.intervals import wilson
from smallcoder.core.manifest import read_manifest

ARMS = ("off", "lines", "syntax")
WAYS = {"infill": "with the suffix", "no_suffix": "empty suffix", "plain": "plain text"}


def facts(run: Path, stage: str) -> dict:
    manifest = read_manifest(run / stage)
    if manifest is None:
        raise SystemExit(f"{run / stage} is not finished -> run the recipe first")
    return manifest.facts


def spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    runs = parser.parse_args().runs
    for arm in ARMS:
        trained = [facts(run, arm) for run in runs]
        asked = [facts(run, f"{arm}-infilling") for run in runs]
        print(f"{arm}, {len(runs)} seeds")
        print(f"  held out, left to right  {spread([data['heldout_curve'][-1][1] for data in trained])}")
        for way, title in WAYS.items():
            print(f"  line, {title:18} {spread([data['bits_per_byte'][way] for data in asked])}")
        saved = [data["saved_by_infill_prompt_against"]["no_suffix"] for data in asked]
        shown = ", ".join(
            f"{one['bits_per_byte']:+.4f} ({one['interval'][0]:+.4f} to {one['interval'][1]:+.4f})" for one in saved
        )
        print(f"  saved by the suffix      {shown}")
        count = sum(data["exact"]["count"] for data in asked)
        total = sum(data["records"] for data in asked)
        low, high = wilson(count / total, total)
        print(f"  filled in exactly        {count} of {total}, {count / total:.2%} ({low:.2%} to {high:.2%})")


if __name__ == "__main__":
    main()
