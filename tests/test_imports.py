"""The direction of imports (docs/architecture.md) and what must stay quick to import."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "smallcoder"
MAY_IMPORT = {
    "core": set(),
    "data": set(),
    "repos": {"data"},
    "tokens": set(),
    "model": set(),
    "train": {"model", "tokens"},
    "generate": {"model", "tokens"},
    "sandbox": set(),
    "bench": set(),
    "evaluate": {"bench", "sandbox", "generate", "model", "tokens"},
    "quantize": {"model", "tokens", "generate"},
    "serve": {"generate", "tokens"},
    "report": set(),
}


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_a_part_imports_only_what_it_may(part):
    allowed = MAY_IMPORT[part] | {"core", part}
    for path in (ROOT / part).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name.startswith("smallcoder."):
                    assert name.split(".")[1] in allowed, f"{path} imports {name}"


def test_every_part_has_a_rule():
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()} == set(MAY_IMPORT)


def test_stage_modules_and_the_command_line_import_nothing_heavy():
    code = (
        "import sys, smallcoder.cli\n"
        "from smallcoder.stages import STAGES\n"
        "for stage in STAGES.values(): stage.config\n"
        "print([name for name in ('torch', 'numba', 'transformers', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LEAN = ("torch", "numpy", "pyarrow", "tokenizers", "safetensors", "pydantic")
IMPORT_ALL = """
import importlib, pkgutil, sys

class Lean:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Lean())
for part in ("core", "tokens", "model", "train"):
    package = importlib.import_module(f"smallcoder.{part}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def test_training_needs_few_packages():
    """So that it runs on the images of clusters and rented GPUs."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[^\w-]", entry)[0].replace("-", "_") for entry in project["dependencies"]}
    others = names - set(LEAN) | {"transformers", "daft", "submitit", "tensorboard", "wandb"}
    subprocess.run([sys.executable, "-c", IMPORT_ALL, ",".join(sorted(others))], check=True)
