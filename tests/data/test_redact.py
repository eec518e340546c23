"""Redaction on planted secrets in real files, its look-alikes, its promises, and hostile text."""

import ast
import random
import sysconfig
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.tables import table_digest
from smallcoder.data.redact import stage
from smallcoder.data.redact.anchors import BLOCK, TOKEN, find_anchors
from smallcoder.data.redact.patterns import TOKENS
from smallcoder.data.redact.redactor import redact
from tests.data.planted import TOKENS as FORMS
from tests.data.planted import Draw, Plant, decoys, secrets

FILES = 150


def library() -> list[str]:
    """Some files of the standard library."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")) + sorted(
        path
        for folder in ("json", "http", "email", "logging")
        for path in Path(sysconfig.get_path("stdlib"), folder).glob("*.py")
    )
    return [path.read_text(encoding="utf-8") for path in paths[:FILES]]


def planted(text: str, plants: list[Plant]) -> str:
    """The text with the plants' lines before top-level definitions, in turn, or at its end."""
    lines = text.rstrip("\n").split("\n")
    places = [at for at, line in enumerate(lines) if line.startswith(("def ", "class ")) and at and not lines[at - 1]]
    places.append(len(lines))
    for number, plant in enumerate(plants):
        lines.insert(places[-1 - number % len(places)], plant.line)
    return "\n".join(lines) + "\n"


def parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except SyntaxError:
            return False
    return True


def test_planted_secrets_are_found_and_look_alikes_left() -> None:
    rng = random.Random(21)
    plants = secrets(rng, 14) + decoys(rng, 14)
    assert sum(plant.type is not None for plant in plants) >= 500
    rng.shuffle(plants)
    texts = library()
    assert len(texts) > 50
    hits: Counter[str] = Counter()
    misses: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    wrong = []
    for at, text in enumerate(texts):
        mine = plants[at :: len(texts)]
        full = planted(text, mine)
        result, _ = redact(full, "python")
        assert parses(result) or not parses(full)
        assert redact(result, "python") == (result, Counter())
        for plant in mine:
            gone = result.count(plant.value) < full.count(plant.value)
            if plant.type:
                (hits if gone else misses)[plant.type] += 1
            elif gone:
                alarms[plant.kind] += 1
            if gone != bool(plant.type):
                wrong.append((plant.kind, plant.line))
    by_type = {type: hits[type] / (hits[type] + misses[type]) for type in sorted({*hits, *misses})}
    precision = hits.total() / (hits.total() + alarms.total())
    recall = hits.total() / (hits.total() + misses.total())
    report = f"precision {precision:.4f} {dict(alarms)}, recall {recall:.4f} {by_type}\n{wrong}"
    print(report)
    assert precision >= 0.95, report
    assert recall >= 0.95, report
    assert min(by_type.values()) >= 0.9, report


def test_tokens_need_nothing_around_them() -> None:
    found = set()
    draw = Draw(random.Random(3))
    for kind, make in FORMS.items():
        value = make(draw)
        if kind == "bearer":
            value = "Bearer " + value
        result, counts = redact(f"x = '{value}'\n")
        assert counts.total() == 1, (kind, value, result)
        found.add(kind.split()[0])
    assert len(found & {token.service for token in TOKENS}) >= 15


def test_the_special_prefix_wins_and_look_alike_numbers_are_no_fiction() -> None:
    for at, token in enumerate(TOKENS):
        text = token.prefix + b"a1B2" * 60
        found = find_anchors(np.array([0, len(text)]), np.frombuffer(text, np.uint8))
        assert TOKEN + at in found[:, 2].tolist(), token.service
    assert redact("call me: (415) 550-8274 or (415) 555-0142\n")[1] == {"phone": 1}
    text, _ = redact('host = "[2001:db8::1]:80"; peer = "2600:1f18:22::5"\n')
    assert "::1]" in text
    assert 'peer = "2001:db8::1"' not in text


def test_placeholders_are_typed_numbered_and_stay_in_place() -> None:
    text = (
        "# By A <first.one@kolen.net>, B <second@dorvik.org> and First.One@kolen.net\n"
        'HOSTS = ["93.184.216.34", "93.184.216.35", "93.184.216.34", "127.0.0.1", "192.0.2.1"]\n'
        'URL = "postgres://app:Kol3nDor9@db.kolen.net/x"; password = b"Kol3nDor9"\n'
        "CARD_NUMBER = 4539578763621486\n"
    )
    result, counts = redact(text, "python")
    assert result == (
        "# By A <EMAIL_1>, B <EMAIL_2> and <EMAIL_1>\n"
        'HOSTS = ["192.0.2.2", "192.0.2.3", "192.0.2.2", "127.0.0.1", "192.0.2.1"]\n'
        'URL = "postgres://app:<PASSWORD_1>@db.kolen.net/x"; password = b"<PASSWORD_1>"\n'
        "CARD_NUMBER = 0000000000000000\n"
    )
    assert counts == {"email": 3, "ipv4": 3, "password": 2, "card": 1}
    assert redact(result, "python") == (result, Counter())
    assert redact("mail second@dorvik.org", "markdown")[0] == "mail [EMAIL_1]"


def test_private_keys_lose_their_body_and_stay_strings() -> None:
    key = Draw(random.Random(5)).private_key("RSA PRIVATE KEY")
    rows = "\n".join(f'    b"{line}\\n"' for line in key.split("\n"))
    for source in (f'K = """{key}\n"""\n', "K = '" + key.replace("\n", "\\n") + "'\n", f"K = (\n{rows}\n)\n"):
        result, counts = redact(source, "python")
        assert counts == {"private_key": 1}
        assert result.count("<PRIVATE_KEY_1>") == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no half of an escape is left
            value = ast.literal_eval(result[4:])
        assert not any(line in str(value) for line in key.split("\n")[1:-1])


@pytest.mark.parametrize("lang", ["yaml", "shell", "ini"])
def test_bare_values_where_the_language_has_them(lang: str) -> None:
    text = "db_password: {0}\nDB_PASSWORD={0}\ntoken=$TOKEN\npassword: changeme\n".format("winter2019!x")
    result, counts = redact(text, lang)
    assert counts == {"password": 2}
    assert "winter2019" not in result
    assert redact("password = winter2019x\n", "python")[1] == {}


OTHERS = {
    ("php", "$a = ['password' => 'Gr33nApple!7'];"): "$a = ['password' => '<PASSWORD_1>'];",
    ("xml", "<password>Gr33nApple!7</password>"): "<password>[PASSWORD_1]</password>",
    ("csharp", '"Server=db;Pwd=Gr33nApple!7;Encrypt=1"'): '"Server=db;Pwd=<PASSWORD_1>;Encrypt=1"',
    ("go", 'dbPass := "Gr33nApple!7"'): 'dbPass := "<PASSWORD_1>"',
    ("shell", "export API_KEY=k3y9dJw8fhQ2mZp7Lx4v"): "export API_KEY=[SECRET_1]",
    ("javascript", "const apiKey = `k3y9dJw8fhQ2mZp7Lx4v`;"): "const apiKey = `<SECRET_1>`;",
    ("javascript", "h = {Authorization: `Bearer ${token}`};"): "h = {Authorization: `Bearer ${token}`};",
}


@pytest.mark.parametrize(("lang", "text"), OTHERS)
def test_other_languages_stay_what_they_are(lang: str, text: str) -> None:
    assert redact(text, lang)[0] == OTHERS[lang, text]


def test_stage_changes_texts_counts_and_drops_only_on_request(documents, run) -> None:
    lists = "".join(f"person{at}@kolen{at}.net\n" for at in range(30))
    items = ["x = 1\n", "# by first@kolen.net\n", {"text": lists, "lang": "text"}]
    kept, dropped, facts = run(stage, {}, documents=documents(items))
    assert [row["text"] for row in kept][:2] == ["x = 1\n", "# by <EMAIL_1>\n"]
    assert "<EMAIL_30>" in kept[2]["text"]
    assert not dropped
    assert facts["redacted"] == {"documents": 2, "email": 31}
    kept, dropped, _ = run(stage, {"max_redactions": 20}, documents=documents(items))
    assert [row["reason"] for row in dropped] == ["personal_data"]
    assert "@" not in dropped[0]["text"]


def test_anchors_stay_where_they_are_across_the_blocks_of_a_text() -> None:
    text = b'password = "x7Gk2pQz9w"\nwrite to jane.roe@siemens.com, call +49 30 12345678 or 10.20.77.3\n'
    found = find_anchors(np.array([0, len(text)]), np.frombuffer(text, np.uint8))
    assert len(found) > 3
    for shift in range(BLOCK - len(text) - 1, BLOCK + 2):
        data = np.frombuffer(b" " * shift + text, np.uint8)
        assert (find_anchors(np.array([0, len(data)]), data) == found + np.array([0, shift, 0])).all()


def test_a_table_without_a_single_candidate_stays_as_it_is(documents, run) -> None:
    kept, dropped, facts = run(stage, {}, documents=documents(["x\n", ""]))
    assert [row["text"] for row in kept] == ["x\n", ""]
    assert not dropped
    assert facts["redacted"] == {}


def test_workers_and_neighbours_change_nothing(documents, run) -> None:
    rng = random.Random(4)
    plants = secrets(rng, 8)
    items = [{"text": planted("x = 1\n", rng.sample(plants, 3)), "id": str(at)} for at in range(300)]
    digests = set()
    for workers in (1, 2):
        kept, _, _ = run(stage, {"workers": workers}, documents=documents(items))
        digests.add(table_digest([pa.RecordBatch.from_pylist(kept)]))
    assert len(digests) == 1
    assert [row["text"] for row in kept] == [redact(item["text"], "python")[0] for item in items]


PIECES = [plant.value for plant in secrets(random.Random(9), 1)] + [
    plant.value for plant in decoys(random.Random(9), 1)
]
MARKS = [
    " ",
    "\n",
    "'",
    '"',
    "@",
    ":",
    "=",
    "//",
    "<",
    ">",
    ".",
    "-",
    "_",
    "\\",
    "password = ",
    "é",
    "+",
    "(",
    "\\n",
    ",",
]


@pytest.mark.parametrize("letter", ["é", "क", "𐀀"])
def test_an_address_longer_than_one_can_be_is_not_cut_within_a_character(letter: str) -> None:
    for width in range(30):
        redact("x = '" + 40 * letter + width * "a" + "@mail.bagridor.de'")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES + MARKS) | st.text(max_size=4), max_size=12))
def test_twice_is_once_whatever_the_text(parts: list[str]) -> None:
    text = "".join(parts).encode("utf-8", "ignore").decode()
    once, counts = redact(text)
    assert redact(once) == (once, Counter())
    assert bool(counts) == (once != text)


def test_hostile_text_takes_no_time_and_never_raises() -> None:
    hostile = ["@" * 10_000, "a@" * 20_000, "1." * 20_000, "+1" * 20_000, "+" + "1" * 20_000 + "a", "password=" * 5_000]
    hostile += [
        "://a:" * 5_000 + "@",
        "-----BEGIN PRIVATE KEY-----" + "n" * 40_000,
        "eyJ" * 10_000,
        "password = '" + "\\" * 9_999,
    ]
    hostile += [
        "2a00:" * 9_000,
        "Bearer " * 5_000,
        "1234 " * 9_000,
        "\0\udcff".encode("utf-8", "ignore").decode() * 9_000,
        "",
    ]
    hostile += [
        "x@" + "a-" * 9_000,
        "x@" + "a." * 9_000 + "com",
        "(415" * 9_000,
        "xoxb-" * 9_000,
        "password: str = " * 4_000,
    ]
    for text in hostile:
        once, _ = redact(text)
        assert redact(once)[0] == once
