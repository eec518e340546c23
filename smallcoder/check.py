"""What `smallcoder check` finds out: whether this installation can be trusted to run recipes and to grade."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from smallcoder.core.errors import SmallcoderError
from smallcoder.core.recipe import load_recipe
from smallcoder.stages import STAGES


def check_all(recipes: Sequence[Path]) -> bool:
    """Check recipes, sandbox and built-in benchmark; print a line for each. True if nothing is wrong."""
    console = Console(highlight=False)
    good = True
    for path in recipes:
        try:
            recipe = load_recipe(path, STAGES)
            console.print(f"recipe {path}: {len(recipe.steps)} stages")
        except SmallcoderError as error:
            good = False
            console.print(f"[red]recipe {path}: {error}[/]")
    return check_grading(console) and good


def check_grading(console: Console) -> bool:
    """Reference answers of the built-in drills must pass in the sandbox, empty ones must fail."""
    from smallcoder.bench.check import check_benchmark
    from smallcoder.bench.drills.generate import problems
    from smallcoder.sandbox import RAISE, Sandbox
    from smallcoder.sandbox.languages import NAMES

    with Sandbox(languages=NAMES) as sandbox:
        console.print(f"sandbox: tier {sandbox.tier}")
        for tier, reason in sandbox.refused.items():
            console.print(f"         not {tier}: {reason}")
            console.print(f"         to reach {tier}: {RAISE[tier]}")
        console.print(
            f"         programs: {', '.join(name for name in NAMES if name not in sandbox.missing) or 'none'}"
        )
        for language, reason in sandbox.missing.items():
            console.print(f"         no {language}: {reason}")
        outcome = check_benchmark(problems(seed=0, per_split=50), sandbox)
    console.print(f"drills: {outcome}")
    return outcome.ok
