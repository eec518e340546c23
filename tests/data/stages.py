"""How the tests of curation run the module of a stage."""

from pathlib import Path
from typing import Any

from smallcoder.core.stage import Facts, Inputs
from smallcoder.data.engine import run_filter


def run_stage(stage: Any, settings: dict[str, Any], inputs: Inputs, out: Path) -> Facts:
    """Make the empty folder and let the stage fill it."""
    out.mkdir()
    config = stage.Config(**settings)
    return run_filter(stage, config, inputs, out) if hasattr(stage, "as_filter") else stage.run(config, inputs, out)
