"""Spider: SQL from questions (Yu et al., arXiv 1809.08887).

An answer is right where it gives the rows that the gold query gives on the question's database: as a bag, or in order
where that query has an ORDER BY. Its columns must be in the gold query's order.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import REMEDY, problem, rows
from smallcoder.core.errors import InputError

# The query is an input of this program, which is ours; the database lies beside it, and nothing that is changed stays.
PROGRAM = """
import sqlite3
def answer(query):
    database = sqlite3.connect("database")
    database.text_factory = lambda data: data.decode(errors="ignore")
    return database.execute(query).fetchall()
"""


def load(folder: Path) -> Iterator[Problem]:
    """The questions of the dev split, numbered in its order; `meta.database` names the folder under `database`."""
    for number, row in enumerate(rows(folder / "dev.json")):
        yield problem(
            "spider", "dev", number, row["question"], lang="sql", reference=row["query"], database=row["db_id"]
        )


def database(folder: Path, name: str) -> bytes:
    """The content of a database. Raises InputError where it is not there."""
    path = folder / "database" / name / f"{name}.sqlite"
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the database {name} of spider cannot be read ({error})", REMEDY) from None


def compare(gold: str, wanted: Any) -> Callable[[Any], bool]:
    """What judges the rows of an answer: true where they are right. Too many rows are a digest, which has an order."""
    if not isinstance(wanted, list) or "order by" in " ".join(gold.lower().split()):
        return lambda value: value == wanted
    bag = Counter(wanted)
    return lambda value: isinstance(value, list) and len(value) == len(wanted) and Counter(value) == bag
