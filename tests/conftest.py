"""What the tests of the whole road share: a small corpus of real code and the micro-recipe on it."""

import shutil
import sysconfig
from pathlib import Path

import pytest

PACKAGES = ("json", "email", "logging", "http", "html", "xml", "concurrent", "asyncio")  # each becomes a repository


@pytest.fixture(scope="session")
def micro_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The micro-recipe over a corpus of a few packages of the standard library, and one file of random bytes."""
    root = tmp_path_factory.mktemp("micro")
    library = Path(sysconfig.get_path("stdlib"))
    for name in PACKAGES:
        shutil.copytree(library / name, root / "corpus" / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "corpus" / "json" / "noise.py").write_bytes(bytes(range(256)) * 20)
    recipe = root / "micro.toml"
    recipe.write_text((Path(__file__).parent / "micro.toml").read_text().replace("CORPUS", str(root / "corpus")))
    return recipe
