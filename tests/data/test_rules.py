"""Every rule drops what it names and nothing else, and hostile text never raises."""

import base64
import random

import pyarrow as pa
import pytest

from smallcoder.core.tables import table_digest
from smallcoder.data import rules

GOOD = "".join(f"def add{at}(first, second):\n    return first + second * {at}\n\n" for at in range(12))
BLOB = base64.b64encode(random.Random(0).randbytes(1200)).decode()
IDENTIFIERS = "".join(f"name_{at} = other_{at}\n" for at in range(40))

BAD = {
    "license_unknown": {"license": None},
    "license_not_permissive": {"license": "GPL-3.0-only"},
    "generated": {"text": "# DO NOT EDIT BY HAND\n" + GOOD},
    "too_short": {"text": "\n".join(IDENTIFIERS.splitlines()[:9])},
    "too_long": {"text": IDENTIFIERS * 501},
    "long_line": {"text": GOOD + "# " + "word " * 200 + "\n"},
    "long_lines": {"text": ("x = " + "some + " * 15 + "more\n") * 12},
    "few_letters": {"text": "a = [\n" + "    1.25, 2.5, 3.75, 5.0,\n" * 20 + "]\n"},
    "encoded_data": {
        "text": GOOD + f"blob = '''\n{chr(10).join(BLOB[at : at + 76] for at in range(0, 1600, 76))}'''\n"
    },
    "garbled": {"text": GOOD + "s = '" + "\ufffd" * 30 + "'\n"},
    "repeated_lines": {"text": GOOD[:200] + "    call(again)\n" * 60},
    "mostly_addresses": {
        "text": "".join(f"see https://example.org/long/path/{at}/to/some/page/with/a/name.html\n" for at in range(30)),
        "lang": "text",
    },
    "mostly_contacts": {"text": "".join(f"first.last{at}@example.org\n" for at in range(30)), "lang": "text"},
    "syntax_error": {"text": GOOD + "def broken(:\n"},
}


@pytest.mark.parametrize("reason", rules.RULES)
def test_each_rule(reason: str, documents, run) -> None:
    kept, dropped, _ = run(rules, {}, documents=documents([GOOD, {"text": GOOD} | BAD[reason]]))
    assert [row["text"] for row in kept] == [GOOD]
    assert [row["reason"] for row in dropped] == [reason]


def test_escaped_data_is_found_in_any_spelling() -> None:
    config = rules.Config()
    data = random.Random(0).randbytes(400)
    spellings = [
        ", ".join(f"0x{byte:02x}" for byte in data).replace(", ", ","),
        "".join(f"\\x{byte:02x}" for byte in data),
        " ".join(f"{byte:02x}" for byte in data),
        "".join(f"\\u{byte:04x}" for byte in data),
    ]
    for spelling in spellings:
        lines = "\n".join(spelling[at : at + 80] for at in range(0, len(spelling), 80))
        batch = pa.RecordBatch.from_pylist([{"text": GOOD[:400] + lines, "lang": "text", "license": "MIT"}])
        assert rules.judge(config, batch).reasons[0] in {"encoded_data", "few_letters"}


def test_settings_turn_rules_off(documents, run) -> None:
    items = [{"text": GOOD} | BAD[reason] for reason in ("license_unknown", "generated", "too_short", "syntax_error")]
    off = {"licenses": "any", "generated": True, "min_lines": 0, "parses": False}
    kept, _, _ = run(rules, off, documents=documents([*items, GOOD]))
    assert len(kept) == 5


def test_hostile_python_never_raises() -> None:
    hostile = ["(" * 10_000, "-" * 100_000 + "1", "a" + ".b" * 100_000, "1" + "+1" * 100_000, "x = '\0'", "\ud800"]
    hostile += ["if 1:\n" + " " * at + "if 1:\n" for at in (1, 200)] + [
        "f'{" * 500,
        "\\",
        "0" * 10_000,
        "9" * 10_000,
        "'\\d'",
    ]
    results = [rules.parses(text) for text in hostile]
    assert not any(results[:2] + results[4:6])
    assert results[-1]


def test_workers_change_nothing(documents, run) -> None:
    rng = random.Random(2)
    items = [{"text": GOOD + f"# {at}\n"} | rng.choice([{}, *BAD.values()]) | {"id": str(at)} for at in range(600)]
    digests = set()
    for workers in (1, 2):
        kept, dropped, _ = run(rules, {"workers": workers}, documents=documents(items))
        digests.add(tuple(table_digest([pa.RecordBatch.from_pylist(part)]) for part in (kept, dropped)))
    assert len(digests) == 1
