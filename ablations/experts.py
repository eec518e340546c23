"""A mixture of experts against a dense model of equal cost a token, over the seeds of some runs.

    smallcoder run recipes/ablations/experts.toml --runs build/seed-7
    python ablations/experts.py build/seed-7/experts [RUN with other seeds ...]

Prints held-out bits per byte of both, their difference with the t-interval of 95% over the seeds, and how evenly the
experts were used: the least and the greatest share of tokens of any expert of any layer, in even shares. The report of
a run draws them all.
"""

import argparse
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

from infilling import facts

T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # two-sided, for that many runs (Student 1908)


def interval(values: list[float]) -> str:
    """Their mean, with the t-interval of 95% where there are enough."""
    half = T95[len(values)] * stdev(values) / sqrt(len(values)) if len(values) in T95 else 0.0
    return f"{mean(values):+.4f}" + (f" ({mean(values) - half:+.4f} to {mean(values) + half:+.4f})" if half else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    saved = []
    for run in parser.parse_args().runs:
        dense, mixture = facts(run, "dense"), facts(run, "mixture")
        bits = [data["heldout_curve"][-1][1] for data in (dense, mixture)]
        saved.append(bits[0] - bits[1])
        loads = mixture["expert_loads"]
        even = [share * len(row) for row in loads for share in row]
        print(
            f"{run.parent.name}: dense {bits[0]:.4f}, mixture {bits[1]:.4f} bits per byte; "
            f"loads {min(even):.2f} to {max(even):.2f} of an even share; "
            f"{dense['tokens_per_second']:,} and {mixture['tokens_per_second']:,} tokens/s"
        )
    print(f"saved by the mixture: {interval(saved)}")


if __name__ == "__main__":
    main()
