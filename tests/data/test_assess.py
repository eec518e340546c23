"""The stage: rules drop, signals score the rest, and sums by repository and language."""

import json.decoder
import random
from pathlib import Path

from smallcoder.core.tables import read_batches, table_digest
from smallcoder.data import assess

PLAIN = "".join(f"def add{at}(first, second):\n    return first + second * {at}\n\n" for at in range(12))
KNOWN = PLAIN.replace("(first, second):\n", '(first, second):\n    """Adds two numbers, the second one weighted."""\n')
REAL = Path(json.decoder.__file__).read_text(encoding="utf-8")
OPEN = {
    "min_lines": 0,
    "max_repeated_lines": 1,
    "max_numbers": 1,
    "max_repeated_words": 1,
    "min_letters": 0,
    "syntax": "off",
    "min_words": 0,
}  # no rule


def test_stage(documents, run, tmp_path: Path) -> None:
    bad = "x = [\n" + "    1, 2, 3, 4, 5,\n" * 80 + "]\n"
    items = [
        {"text": REAL, "repo": "one", "stars": 50, "forks": 9, "id": "a"},
        {"text": bad, "repo": "one", "id": "b"},
    ]
    source = documents([*items, {"text": PLAIN, "id": "c"}, {"text": "", "id": "d", "lang": "markdown"}])
    kept, dropped, facts = run(assess, OPEN, documents=source)
    quality = {row["id"]: row["quality"] for row in kept}
    assert not dropped
    assert quality["a"] > quality["c"] > quality["b"]
    assert quality["d"] < quality["a"]
    assert sum(part["records"] for part in facts["buckets"].values()) == 4
    assert set(facts["distributions"]) == {"python", "markdown"}
    assert facts["distributions"]["python"]["signals"]["lines"]["documents"] == 3
    out = tmp_path / "out1"
    rows = {row["id"]: row for batch in read_batches(out / "signals") for row in batch.to_pylist()}
    assert rows["a"]["bucket"] == "high"
    assert rows["a"]["repository_files"] == 2
    assert rows["c"]["stars"] is None
    assert rows["b"]["duplicate_line_share"] > 0.9
    repositories = [row for batch in read_batches(out / "repositories") for row in batch.to_pylist()]
    assert [(row["repo"], row["files"], row["stars"]) for row in repositories] == [("one", 2, 50)]
    kept, dropped, _ = run(assess, OPEN | {"keep": "high"}, documents=source)
    assert {row["reason"] for row in dropped} <= {"medium_quality", "low_quality"}
    assert "a" in {row["id"] for row in kept}


def test_what_the_rules_drop_is_not_measured(documents, run, tmp_path: Path) -> None:
    source = documents([{"text": PLAIN, "id": "a"}, {"text": "x = 1\n", "id": "b"}])
    kept, dropped, facts = run(assess, {}, documents=source)
    assert [row["id"] for row in kept] == ["a"]
    assert [(row["reason"], row["quality"]) for row in dropped] == [("too_short", None)]
    assert [row["id"] for batch in read_batches(tmp_path / "out1" / "signals") for row in batch.to_pylist()] == ["a"]
    assert sum(part["records"] for part in facts["buckets"].values()) == 1


def test_order_and_workers_change_nothing(documents, run, tmp_path: Path) -> None:
    rng = random.Random(3)
    items = [{"text": KNOWN[: rng.randrange(1, 800)], "repo": f"r{at % 7}", "id": str(at)} for at in range(600)]
    results = []
    for number, (workers, rows) in enumerate([(1, items), (2, items[::-1])], start=1):
        _, _, facts = run(assess, OPEN | {"workers": workers}, documents=documents(rows))
        folders = ("documents", "signals", "repositories")
        digests = [table_digest(read_batches(tmp_path / f"out{number}" / name)) for name in folders]
        results.append((digests, facts))
    assert results[0] == results[1]
