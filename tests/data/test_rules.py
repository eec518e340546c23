"""Every rule drops what it names and nothing else, and hostile text never raises."""

import base64
import random

import pyarrow as pa
import pytest

from smallcoder.core.records import DOCUMENT
from smallcoder.core.tables import table_digest
from smallcoder.data import assess, rules
from smallcoder.data.scan import scan
from smallcoder.data.syntax import Tree, errors, parses, tree

GOOD = "".join(f"def add{at}(first, second):\n    return first + second * {at}\n\n" for at in range(12))
BLOB = base64.b64encode(random.Random(0).randbytes(1200)).decode()
IDENTIFIERS = "".join(f"name_{at} = other_{at}\n" for at in range(40))

WORDS = [
    "The",
    "parser",
    "reads",
    "one",
    "record",
    "after",
    "the",
    "other",
    "and",
    "keeps",
    "what",
    "it",
    "has",
    "seen",
    "so",
    "far",
    "in",
    "a",
    "small",
    "table.",
]
PROSE = " ".join(f"{word}{at}" for at in range(8) for word in WORDS) + "\n"
PAGE = "<html><body>" + "<p class='some long name of a class'><b></b></p>" * 40 + "<p>Short.</p></body></html>\n"

BAD = {
    "generated": {"text": "# DO NOT EDIT BY HAND\n" + GOOD},
    "vendored": {"path": "src/third_party/six.py"},
    "minified": {"text": "function f(a){return a}" * 60 + "\n" + "var x=1;\n" * 9, "lang": "javascript"},
    "too_short": {"text": "\n".join(IDENTIFIERS.splitlines()[:9])},
    "too_long": {"text": IDENTIFIERS * 501},
    "long_line": {"text": GOOD + "# " + "word " * 200 + "\n"},
    "long_lines": {"text": ("x = " + "some + " * 15 + "more\n") * 12},
    "xml_header": {"text": '<?xml version="1.0"?>\n' + "<a>\n" * 12, "lang": "c"},
    "few_comments": {"text": "".join(f"int value_{at} = other_{at};\n" for at in range(40)), "lang": "c"},
    "mostly_comments": {"text": "# All that this file says it says in comments.\n" * 12},
    "mostly_numbers": {
        "text": GOOD + "TABLE = (\n" + "    (0x1100, 0x115F), (0x231A, 0x231B),  # WIDE EAST ASIAN\n" * 99 + ")\n"
    },
    "data_size": {"text": '{"key": "some value"}\n', "lang": "json"},
    "data_lines": {"text": "key: value\n" * 513, "lang": "toml"},
    "few_words": {"text": "# Title\n\nA short note.\n", "lang": "markdown"},
    "many_words": {"text": "one two three four five six seven eight\n" * 12_501, "lang": "text"},
    "little_text": {"text": PAGE, "lang": "html"},
    "images": {"text": PROSE + "![a picture of it](docs/pictures/picture.png)\n" * 40, "lang": "markdown"},
    "links": {"text": PROSE[:600] + "see https://example.org/some/page/of/a/site/7.html\n" * 18, "lang": "text"},
    "placeholders": {"text": PROSE + "Lorem ipsum dolor sit amet.\n", "lang": "text"},
    "few_letters": {"text": "a = [\n" + "    1.25, 2.5, 3.75, 5.0,\n" * 20 + "]\n"},
    "encoded_data": {
        "text": GOOD + f"blob = '''\n{chr(10).join(BLOB[at : at + 76] for at in range(0, 1600, 76))}'''\n"
    },
    "garbled": {"text": GOOD + "s = '" + "\ufffd" * 30 + "'\n"},
    "repeated_lines": {"text": GOOD[:200] + "    call(again)\n" * 60},
    "repeated_words": {
        "text": "".join(
            f"x{at % 9} = call(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v) #{at}\n"
            for at in range(40)
        )
    },
    "mostly_addresses": {
        "text": "".join(f"see https://example.org/long/path/{at}/to/some/page/with/a/name.html\n" for at in range(30)),
    },
    "mostly_contacts": {"text": "".join(f"first.last{at}@example.org\n" for at in range(40)), "lang": "text"},
    "syntax_error": {"text": GOOD + "def broken(:\n"},
}


def batch_of(rows: list[dict[str, str]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        rows, schema=pa.schema([DOCUMENT.field(name) for name in ("text", "lang", "path")])
    )


def judged(limits: rules.Limits, batch: pa.RecordBatch) -> list[str | None]:
    return rules.reasons(batch, scan(batch.column("text"), batch.column("lang").to_pylist()), limits)


SETTINGS = {"few_comments": {"min_comments": 0.01}, "links": {"max_addresses": 1}}


@pytest.mark.parametrize("reason", rules.RULES)
def test_each_rule(reason: str, documents, run) -> None:
    good = GOOD if reason != "few_comments" else "# Adds numbers.\n" * 3 + GOOD
    source = documents([good, {"text": good} | BAD[reason], {"text": PROSE, "lang": "markdown"}])
    kept, dropped, _ = run(assess, SETTINGS.get(reason, {}), documents=source)
    assert [row["text"] for row in kept] == [good, PROSE]
    assert [row["reason"] for row in dropped] == [reason]


def test_generated_files_are_known_by_name_and_by_their_first_lines_only() -> None:
    rows = [
        {"text": GOOD, "path": "a/b_pb2.py"},
        {"text": GOOD, "path": "static/jquery.min.js"},
        {"text": GOOD, "path": "pb2.py"},
        {"text": "\n" * 3 + "/* Automatically Generated */\n" + GOOD, "lang": "c"},
        {"text": "\n" * 5 + "# automatically generated\n" + GOOD},
    ]
    batch = batch_of(rows)
    assert judged(rules.Limits(syntax="off"), batch) == ["generated", "generated", None, "generated", None]


def test_prose_and_data_have_rules_of_their_own() -> None:
    config = rules.Limits()
    rows = [
        {"text": (PROSE.strip() + " ") * 2, "lang": "markdown"},  # one line of more than 1,000 characters
        {"text": '{"name": "a value", "other": [1, 2, 3], "more": "text of a value"}', "lang": "json"},
        {"text": "name = 'x'\n", "lang": "toml"},
        {"text": PROSE + "See {{ name }} and [insert your name here], TODO, TBD, coming soon.\n", "lang": "markdown"},
    ]
    batch = batch_of(rows)
    assert judged(config, batch) == [None, None, None, "placeholders"]


def test_other_languages_are_parsed_by_tree_sitter() -> None:
    right = "".join(f"int add{at}(int a{at}, int b) {{\n  return a{at} + b;\n}}\n" for at in range(6))
    rows = [
        {"text": right, "lang": "c"},
        {"text": right + "".join(f"}}}}}} int ( ) ] = = {at} ;; struct {{{{ [[\n" for at in range(4)), "lang": "c"},
        {"text": GOOD, "lang": "brainfuck"},  # no grammar: kept
    ]
    batch = batch_of(rows)
    assert judged(rules.Limits(syntax="all"), batch) == [None, "syntax_error", None]
    assert judged(rules.Limits(), batch) == [None] * 3
    found = [tree(text, "c") or Tree(1, 0) for text in ("int x;\n", "int f() { if (1) { return (2 + (3)); } }\n")]
    assert [one.errors for one in found] == [0, 0]
    assert 1 < found[0].depth < found[1].depth
    assert errors("(" * 400, "c") == 1


def test_escaped_data_is_found_in_any_spelling() -> None:
    config = rules.Limits()
    data = random.Random(0).randbytes(400)
    spellings = [
        ", ".join(f"0x{byte:02x}" for byte in data).replace(", ", ","),
        "".join(f"\\x{byte:02x}" for byte in data),
        " ".join(f"{byte:02x}" for byte in data),
        "".join(f"\\u{byte:04x}" for byte in data),
    ]
    for spelling in spellings:
        lines = "\n".join(spelling[at : at + 80] for at in range(0, len(spelling), 80))
        batch = batch_of([{"text": GOOD[:400] + lines, "lang": "css"}])
        assert judged(config, batch)[0] in {"encoded_data", "few_letters"}


def test_settings_turn_rules_off(documents, run) -> None:
    items = [{"text": GOOD} | BAD[reason] for reason in ("vendored", "generated", "too_short", "syntax_error")]
    off = {"vendored": True, "generated": True, "min_lines": 0, "syntax": "off"}
    kept, _, _ = run(assess, off, documents=documents([*items, GOOD]))
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
    results = [parses(text) for text in hostile]
    assert not any(results[:2] + results[4:6])
    assert results[-1]


def test_workers_change_nothing(documents, run) -> None:
    rng = random.Random(2)
    items = [{"text": GOOD + f"# {at}\n"} | rng.choice([{}, *BAD.values()]) | {"id": str(at)} for at in range(600)]
    digests = set()
    for workers in (1, 2):
        kept, dropped, _ = run(assess, {"workers": workers}, documents=documents(items))
        digests.add(tuple(table_digest([pa.RecordBatch.from_pylist(part)]) for part in (kept, dropped)))
    assert len(digests) == 1
