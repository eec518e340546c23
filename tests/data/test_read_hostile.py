"""Whatever the bytes: every source ends in rows that can be written, each kept or with a reason, or in one line."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.data.read.files import SourceFile, decode, load
from tests.data.reading import CODE, rows_of
from tests.data.test_read_archives import METADATA, MIT, every_archive
from tests.data.test_read_tables import RECORDS, every_format

TREE = {f"top/{at}.py": f"{CODE}# {at}\n".encode() for at in range(9)} | {
    "top/LICENSE": MIT.encode(), "top/PKG-INFO": METADATA.encode(), "top/" + "long/" * 40 + "x.py": CODE.encode(),
}  # fmt: skip
SOUND = every_archive(TREE) | {f"a.{kind}": data for kind, data in every_format(RECORDS).items()}
SOUND["a.whl"] = SOUND["x.zip"]


@pytest.fixture(autouse=True)
def _without_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged licence texts would be put to it, and it takes its time."""
    monkeypatch.setattr("smallcoder.data.licenses.texts.scan", lambda text: None)


def outcome(name: str, data: bytes) -> int:
    """The number of rows, -1 for a one-line error, -2 for one of several lines; anything else fails."""
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / name).write_bytes(data)
        return len(rows_of(str(folder / name), max_bytes=4000))
    except InputError as error:
        return -1 if "\n" not in str(error) else -2
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", sorted(SOUND))
def test_damaged_bytes(name: str) -> None:
    sound = SOUND[name]
    whole = outcome(name, sound)
    assert whole >= 10
    rng = random.Random(name)
    for _ in range(25):
        data = bytearray(sound)
        for _ in range(rng.choice([1, 1, 2, 30])):
            at = rng.randrange(len(data))
            action = rng.randrange(4)
            if action == 0:
                data[at] = rng.randrange(256)
            elif action == 1:
                data[at : at + 8] = rng.choice([b"\xff" * 8, bytes(8), rng.randbytes(8)])
            elif action == 2:
                del data[at : at + rng.randrange(600)]
            else:
                data[at:at] = rng.randbytes(rng.randrange(600))
            if not data:
                break
        assert outcome(name, bytes(data)) >= -1
    for size in (0, 1, 20, 3000):
        assert outcome(name, rng.randbytes(size)) >= -1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_text_or_a_reason(data: bytes) -> None:
    row, reason = load(SourceFile("x", "r", None, "x.py", None, "s", data=data), 200)
    if reason is None:
        assert row["text"].strip()
    (row["text"] or "").encode()


@pytest.mark.parametrize(
    "codec",
    ["undefined", "unicode_escape", "utf-7", "punycode", "idna", "rot13", "zip", "base64", "hex", "mbcs", "a" * 999],
)
def test_no_declared_codec_is_trusted(codec: str) -> None:
    for body in (b"\\ud800\xff", b"+2AA-\xff", b"\xff" * 9, b"a" * 500_000 + b"-\xff" + b"z9" * 200_000):
        text = decode(f"# coding: {codec}\n".encode() + body)
        assert text is None or text.encode()


@pytest.mark.parametrize("encoding", ["\0", "\ud800", "", "utf_8\0", "no.such", "unicode_escape", "undefined"])
def test_no_named_encoding_is_trusted(encoding: str) -> None:
    text = decode(b"\\ud800 text", encoding)
    assert text in {None, "\\ud800 text"}


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_deep_and_odd_values(kind: str) -> None:
    odd = [
        '{"text": ' + "[" * 90_000,
        '{"text": ' + '{"a":' * 90_000,
        '{"text": NaN}',
        '{"text": {}}',
        '{"text": "\\u0000"}',
    ]
    odd += [
        '{"text": "a", "stars": NaN}',
        '{"text": "a", "stars": 1e400}',
        '{"text": "a", "stars": "1e400"}',
        '{"": 1}',
    ]
    for line in odd:
        assert outcome(f"a.{kind}", line.encode()) >= -1
