"""The word count behind `toxic`, its thresholds, and what it must leave alone."""

import random
import re
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from smallcoder.data import toxic

TABLE = toxic.words()
VULGAR, SEVERE = TABLE["vulgar"], TABLE["severe"]
PLAIN = "The function returns the sum of both numbers and raises an error if one of them is missing. "


def reasons(*items: Mapping[str, str | None], **config: Any) -> list[str | None]:
    rows = [{"text": item["text"], "lang": item["lang"]} for item in items]
    return toxic.judge(toxic.Config(**config), pa.RecordBatch.from_pylist(rows)).reasons


def test_counts_equal_a_plain_count() -> None:
    rng = random.Random(1)
    alphabet = [*VULGAR, *SEVERE, "plain", "Word", "a_b", "é", "x9"]
    texts = [rng.choice([" ", "-", ", ", "\n"]).join(rng.choices(alphabet, k=rng.randrange(60))) for _ in range(200)]
    texts += ["", "_".join(VULGAR[:4]), VULGAR[0].upper() + "!", VULGAR[0] + "1"]
    counts, words = toxic.count(pa.array([*texts, None], pa.large_string()))
    for text, found, total in zip(texts, counts, words, strict=False):
        plain = re.findall(r"[0-9A-Za-z_\x80-\U0010ffff]+", text)
        assert total == len(plain)
        assert found == sum((word.lower() in VULGAR) + 3 * (word.lower() in SEVERE) for word in plain)
    assert len(counts) == len(texts) + 1


def test_prose_is_judged_by_count_and_share() -> None:
    curse = " ".join(VULGAR[:3]) + " "
    cases = {
        PLAIN + curse: "toxic",
        PLAIN + VULGAR[0]: None,
        PLAIN * 200 + curse: None,
        PLAIN * 20 + SEVERE[0]: "toxic",
        PLAIN: None,
    }
    assert reasons(*({"text": text, "lang": "markdown"} for text in cases)) == [*cases.values()]
    assert reasons({"text": PLAIN + VULGAR[0], "lang": None}, min_count=1) == ["toxic"]


def test_code_is_judged_by_its_comments() -> None:
    curse = " ".join(VULGAR[:4])
    code = "def add(first, second):\n    return first + second\n"
    listed = f"WORDS = {VULGAR + SEVERE}\n" + code
    assert reasons(
        {"text": listed, "lang": "python"},
        {"text": f"# {curse}\n{code}", "lang": "python"},
        {"text": f'def f():\n    """{curse}"""\n', "lang": "python"},
        {"text": f"/* {curse} */ int x;\n", "lang": "c"},
        {"text": listed, "lang": "json"},
    ) == [None, "toxic", "toxic", "toxic", None]


def test_words_of_the_trade_are_no_reason() -> None:
    text = (
        "Kill the child process, abort the master, execute the slave; dump the core. A naked pointer is no sane one."
        " The dummy queue is one; hash cum sum of breast cancer data, sex and race of adults, gay and black."
    )
    counts, _ = toxic.count(pa.array([text, "class Assassin: cockpit, Scunthorpe, analysis, title, grape, therapist"]))
    assert counts.tolist() == [0, 0]


def test_the_standard_library_is_clean() -> None:
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    rows = [{"text": path.read_text(encoding="utf-8"), "lang": "python"} for path in paths]
    assert set(reasons(*rows)) == {None}
    assert set(reasons(*(row | {"lang": "text"} for row in rows))) == {None}


def test_stage_drops_with_a_reason(documents, run) -> None:
    kept, dropped, facts = run(toxic, {}, documents=documents([PLAIN, {"text": " ".join(VULGAR), "lang": "text"}]))
    assert [row["text"] for row in kept] == [PLAIN]
    assert [row["reason"] for row in dropped] == ["toxic"]
    assert facts["with_words"] == 1


def test_the_table_is_veiled_and_has_no_word_twice() -> None:
    source = Path(toxic.__file__).with_suffix(".toml").read_text(encoding="utf-8").lower()
    assert not any(re.search(rf"\b{word}\b", source) for word in VULGAR + SEVERE)
    assert len({*VULGAR, *SEVERE}) == len(VULGAR) + len(SEVERE)


def test_nothing_is_toxic_without_a_word_of_the_table() -> None:
    lowest = {"min_count": 1, "min_share": 0.0}
    assert reasons({"text": None, "lang": "markdown"}, {"text": "", "lang": None}, **lowest) == [None, None]
    for wrong in ({"min_count": 0}, {"min_share": -0.1}, {"min_share": 1.5}):
        with pytest.raises(ValidationError):
            toxic.Config.model_validate(wrong)
