"""Bits per byte are those of a plain transformers loop, whatever the order and the company of a document."""

import random

import numpy as np
import pytest
import torch

from smallcoder.core.records import DOCUMENT
from smallcoder.core.tables import TableWriter, read_batches, table_digest
from smallcoder.evaluate import perplexity
from tests.generate.tiny import SOURCES, tiny_model

transformers = pytest.importorskip("transformers")
CONTEXT = 128


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model", CONTEXT)


def table(folder, texts):
    with TableWriter(folder, DOCUMENT) as writer:
        rows = [{"id": id, "text": text, "lang": "python" if len(id) < 3 else None} for id, text in texts]
        writer.write_rows([dict.fromkeys(DOCUMENT.names) | {"lineage": []} | row for row in rows])
    return folder


def run(model, documents, out, **config):
    out.mkdir()
    facts = perplexity.run(perplexity.Config(**config), {"documents": documents, "model": model}, out)
    return {row["id"]: row for batch in read_batches(out / "perplexity") for row in batch.to_pylist()}, facts


@pytest.mark.parametrize("limit", [40, 1024])
def test_bits_match_a_plain_transformers_loop(model, tmp_path, limit):
    texts = [
        text[start : start + size]
        for text in SOURCES
        if len(text) > 400
        for start, size in ((0, 3000), (200, 90), (50, 9))
    ]
    documents = table(tmp_path / "documents", [(str(at), text) for at, text in enumerate(texts)])
    found, facts = run(model, documents, tmp_path / "out", tokens=limit)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    reference = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    bits, sizes = 0.0, 0
    for at, text in enumerate(texts):
        ids = tokenizer.encode(text, add_special_tokens=False)[: min(limit, CONTEXT)]
        with torch.no_grad():
            loss = reference(torch.tensor([ids]), labels=torch.tensor([ids])).loss
        size = len(text.encode()) if len(tokenizer.encode(text)) == len(ids) else len(tokenizer.decode(ids).encode())
        size -= len(tokenizer.decode(ids[:1]).encode())
        total = float(loss) * (len(ids) - 1) / np.log(2)
        assert found[str(at)] == {
            **{"id": str(at), "name": "bits_per_byte", "label": None},
            "value": pytest.approx(total / size, rel=1e-5),
        }
        bits, sizes = bits + total, sizes + size
    assert facts["bits_per_byte"] == pytest.approx(bits / sizes, rel=1e-5)
    assert facts["scored_bytes"] == sizes
    assert facts["cut_short"] == sum(len(tokenizer.encode(text)) > min(limit, CONTEXT) for text in texts)


def test_order_changes_nothing_and_hostile_text_is_no_trouble(model, tmp_path):
    odd = ["", "\n", "\0", "x" * 1_000_000, " " * 1_000_000, "\n" * 5000, "<|endoftext|>", "\U0001f600" * 9, "é"]
    rng = random.Random(0)
    cuts = [text[at : at + rng.randrange(1, 600)] for text in SOURCES for at in range(0, len(text), 700)]
    texts = [(str(at), text) for at, text in enumerate([*odd, *cuts])]
    results = []
    for turn in range(2):
        random.Random(turn).shuffle(texts)
        found, facts = run(model, table(tmp_path / f"in{turn}", texts), tmp_path / f"out{turn}")
        results.append((table_digest(read_batches(tmp_path / f"out{turn}" / "perplexity")), facts, found))
    assert results[0] == results[1]
    _, facts, found = results[0]
    assert len(found) == len(texts)
    assert found["0"]["value"] is found["1"]["value"] is None
    assert facts["scored"] == sum(row["value"] is not None for row in found.values())
    assert all(row["value"] is None or 0 < row["value"] < 1000 for row in found.values())
    assert sum(part["records"] for part in facts["languages"].values()) == facts["scored"]
    assert sorted(path.name for path in (tmp_path / "out0").iterdir()) == ["perplexity"]


def test_no_document_long_enough_is_no_error(model, tmp_path):
    found, facts = run(model, table(tmp_path / "in", [("a", ""), ("b", "x")]), tmp_path / "out")
    assert [row["value"] for row in found.values()] == [None, None]
    assert facts["scored"] == facts["tokens"] == 0
