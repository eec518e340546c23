"""Files as they were read against curated ones, at equal tokens, over the seeds of some runs.

    smallcoder run recipes/ablations/curation.toml --runs build/seed-7
    python ablations/curation.py build/seed-7/curation [RUN with other seeds ...]

Prints bits per byte of repositories put aside, as they were read and as curation leaves them, for each arm; and what
each arm saves against files as they were read, with the t-interval of 95% over the seeds.
"""

import argparse
from pathlib import Path
from statistics import mean

from experts import interval
from infilling import facts

ARMS = {"read": "as they were read", "rules": "cleaned, rules", "scores": "and the learned score"}
HELDOUT = {"read": "as they were read", "curated": "curated"}


def bits(run: Path, arm: str, domain: str) -> float:
    return facts(run, arm)["heldout_curves"][domain][-1][1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    runs = parser.parse_args().runs
    for domain, how in HELDOUT.items():
        print(f"held-out files {how}, bits per byte")
        for arm, title in ARMS.items():
            each = [bits(run, arm, domain) for run in runs]
            saved = [bits(run, "read", domain) - value for run, value in zip(runs, each, strict=True)]
            print(f"    trained on files {title:24}" + " ".join(f"{value:.4f}" for value in each), end="")
            print(f"  mean {mean(each):.4f}" + (f", saved {interval(saved)}" if arm != "read" else ""))


if __name__ == "__main__":
    main()
