"""Notebooks to scripts: our stage's function and Jupytext in turn on the same notebooks, in MB per CPU-second.

    python perf/notebooks.py [FOLDER]      a folder with notebooks; made of the standard library without one

Jupytext (`pip install jupytext`) is what StarCoder2 converts with; it reads with nbformat and writes `py:light`. Prints
how many of the scripts of either parse as Python: Jupytext leaves blocks empty where a magic was all they held.
"""

import ast
import json
import statistics
import sys
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jupytext  # pyright: ignore[reportMissingImports]

from smallcoder.data.notebooks import Config, converted

ROUNDS, FILES, LINES, CELL = 3, 60, 400, 15


def made() -> list[str]:
    """Notebooks whose cells are lines of the standard library at the top level, with magics, words and an image."""
    texts = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:FILES]:
        source = path.read_text("utf-8", "replace")
        cells = []
        for at, node in enumerate(ast.parse(source).body):
            code = (ast.get_source_segment(source, node) or "").splitlines(True)
            output = {"output_type": "stream", "name": "stdout", "text": [f"{line}\n" for line in range(CELL)]}
            magic = ["%matplotlib inline\n", "if True:\n", "    !ls\n"] if at % 5 == 0 else []
            cells.append({"cell_type": "markdown", "metadata": {}, "source": [f"Some words about step {at}.\n"] * 4})
            cells.append(
                {
                    "cell_type": "code",
                    "metadata": {},
                    "execution_count": at,
                    "source": magic + code,
                    "outputs": [output],
                }
            )
        image = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBOR" * 6000}}
        cells.append({"cell_type": "code", "metadata": {}, "execution_count": 0, "source": ["x\n"], "outputs": [image]})
        metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
        texts.append(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}, indent=1))
    return texts


def ours(text: str) -> str:
    found = converted(Config(), text, Counter())
    return "" if isinstance(found, str) else found[0]


def peer(text: str) -> str:
    return jupytext.writes(jupytext.reads(text, "ipynb"), "py:light")


def parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def main(folder: str | None) -> None:
    warnings.simplefilter("ignore")
    texts = [path.read_text("utf-8") for path in sorted(Path(folder).rglob("*.ipynb"))] if folder else made()
    size = sum(len(text.encode()) for text in texts) / 1e6
    speeds: dict[str, list[float]] = {"ours": [], "jupytext": []}
    callers: dict[str, Callable[[str], str]] = {"ours": ours, "jupytext": peer}
    for _ in range(ROUNDS):
        for name, call in callers.items():
            start = time.process_time()
            scripts = [call(text) for text in texts]
            speeds[name].append(size / (time.process_time() - start))
            print(f"{name}: {speeds[name][-1]:.1f} MB/s, {sum(map(parses, scripts))} of {len(scripts)} scripts parse")
    ratio = statistics.median(speeds["ours"]) / statistics.median(speeds["jupytext"])
    print(f"{size:.1f} MB, ratio {ratio:.1f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
