"""The stage `middles`, with what `pack` makes of its table."""

import pytest

from smallcoder.core.errors import EmptyError
from smallcoder.core.manifest import digests
from smallcoder.core.records import DOCUMENT
from smallcoder.core.tables import read_table
from smallcoder.repos.middles import Config, run
from tests.tokens.conftest import document_rows, write


def test_every_span_is_a_stretch_of_its_document(tmp_path):
    rows = document_rows()
    table = write(tmp_path / "documents", DOCUMENT, rows)
    made = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        out.mkdir()
        facts = run(Config(workers=workers), {"documents": table}, out)
        made.append((facts, digests(out)))
    assert made[0] == made[1]
    spans = read_table(tmp_path / "1" / "spans").to_pylist()
    assert set(facts["kinds"]) == {"body", "block", "statement", "expression"}
    texts = {row["id"]: row["text"].encode() for row in rows}
    order = [row["id"] for row in rows]
    places = [(order.index(span["id"]), span["start"]) for span in spans]
    assert places == sorted(places)
    for span in spans:
        assert texts[span["id"]][span["start"] : span["end"]].decode().strip()


def test_texts_without_syntax_are_an_error(tmp_path):
    table = write(tmp_path / "documents", DOCUMENT, [row | {"lang": "text"} for row in document_rows()[:3]])
    with pytest.raises(EmptyError):
        run(Config(), {"documents": table}, tmp_path)
