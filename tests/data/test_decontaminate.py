"""Decontamination: copies of problems go, in any layout; common phrases stay."""

import json
from pathlib import Path

from smallcoder.core.records import PROBLEM
from smallcoder.core.tables import TableWriter
from smallcoder.data import decontaminate

PROMPT = "Return the running totals of a list of daily rainfall readings, starting from the first wet day."
REFERENCE = """def running_totals(readings):
    started, total, answer = False, 0, []
    for reading in readings:
        started = started or reading > 0
        if started:
            total += reading
            answer.append(total)
    return answer
"""
TESTS = json.dumps(
    [{"code": "assert running_totals([0, 0, 2, 3]) == [2, 5], 'totals start after dry days only'"}, list(range(40))]
)


def problems(folder: Path, **changes: str) -> Path:
    row = {"id": "p", "benchmark": "rain", "split": "test", "prompt": PROMPT, "entry_point": "f"}
    row |= {"reference": REFERENCE, "tests": TESTS, "meta": "{}"} | changes
    with TableWriter(folder, PROBLEM) as writer:
        writer.write_rows([row])
    return folder


def test_copies_go_and_common_code_stays(tmp_path: Path, documents, run) -> None:
    contaminated = {
        "prompt": f"x = 1\n\n# {PROMPT.upper()}\n",
        "reference": "import os\n" + REFERENCE.replace("    ", "\t").replace("[]", "list( )") + "\nprint(os)\n",
        "tests": "def test():\n    assert running_totals([0,0,2,3]) == [2,5], 'totals start\\\n after dry days only'\n",
    }
    clean = {
        "numbers": "TABLE = [" + ", ".join(map(str, range(100))) + "]\n",
        "part": "def running_totals(readings):\n    started, total, answer = False, 0, []\n    return sum(readings)\n",
        "other": "def f(x):\n    for y in x:\n        total += y\n    return total\n",
    }
    table = documents([{"text": text, "id": name} for name, text in (contaminated | clean).items()])
    found = []
    for workers in (1, 2):
        kept, dropped, facts = run(
            decontaminate, {"workers": workers}, documents=table, problems=problems(tmp_path / "p")
        )
        assert {row["id"] for row in kept} == set(clean)
        assert {row["id"]: row["reason"] for row in dropped} == dict.fromkeys(contaminated, "contaminated")
        found.append(facts)
    assert found[0] == found[1]
    assert found[0]["documents_by_benchmark"] == {"rain/test": 3}


def test_short_texts_are_matched_whole(tmp_path: Path, documents, run) -> None:
    prompt = "Count vowels in every third word of it."
    texts = [f"# {prompt}\npass\n", "# count vowels in every third word\n", "# seven words are too few to count\n"]
    table = documents([{"text": text, "id": str(at)} for at, text in enumerate(texts)])
    short = problems(tmp_path / "p", prompt=prompt, reference="seven words are too few to count", tests="not json {")
    _, dropped, _ = run(decontaminate, {}, documents=table, problems=short)
    assert [row["id"] for row in dropped] == ["0"]
