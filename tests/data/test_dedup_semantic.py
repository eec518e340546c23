"""Semantic deduplication with a tiny random model: planted copies go, the rest stays, whatever the order."""

import random
from pathlib import Path

import pyarrow as pa
import pytest

from smallcoder.core.errors import InputError
from smallcoder.core.tables import table_digest

pytest.importorskip("faiss", reason="needs the extra `semantic`")
transformers = pytest.importorskip("transformers", reason="needs the extra `semantic`")

from smallcoder.data.dedup import semantic  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = [f"word{at}" for at in range(500)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights and a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("model")
    words = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["[UNK]", *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=501,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def corpus(count: int) -> tuple[list[dict], set[str]]:
    """Texts of random words, one in three with a copy in which a word or two differ; the ids of the worse of them."""
    rng = random.Random(3)
    items, worse = [], set()
    for at in range(count):
        words = rng.choices(WORDS, k=rng.randrange(60, 100))
        items.append({"text": " ".join(words), "id": f"{at:04}a", "quality": rng.choice([None, 40.0])})
        if at % 3 == 0:
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            items.append({"text": "  ".join(words), "id": f"{at:04}b", "quality": rng.choice([None, 50.0])})
            better = max(items[-2:], key=lambda item: (item["quality"] or 0, item["id"] < f"{at:04}b"))
            worse |= {item["id"] for item in items[-2:]} - {better["id"]}
    return items, worse


def test_planted_copies_go_and_the_better_one_stays(documents, run, model) -> None:
    items, worse = corpus(300)
    _, dropped, facts = run(semantic, {"cosine": 0.9985, "max_tokens": 100}, documents=documents(items), model=model)
    found = {row["id"] for row in dropped}
    assert len(found & worse) >= 0.99 * len(worse)
    assert len(found & worse) >= 0.99 * len(found)
    assert {row["reason"] for row in dropped} == {"semantic_duplicate"}
    assert facts["cells"] == 1
    assert facts["dimension"] == 32


def test_result_does_not_depend_on_the_order(documents, run, model, monkeypatch) -> None:
    monkeypatch.setattr(semantic, "BLOCK", 16)
    items, worse = corpus(150)
    digests = set()
    for order in (items, items[::-1], random.Random(1).sample(items, len(items))):
        kept, dropped, facts = run(
            semantic, {"cosine": 0.9985, "max_tokens": 100, "cells": 4}, documents=documents(order), model=model
        )
        digests.add(tuple(table_digest([pa.RecordBatch.from_pylist(part)]) for part in (kept, dropped)))
        assert facts["cells"] > 1
    assert len(digests) == 1
    assert len({row["id"] for row in dropped} & worse) >= 0.9 * len(worse)


def test_odd_texts_and_a_folder_without_a_model(documents, run, model, tmp_path) -> None:
    source = documents(["", " ", {"text": None, "id": "null"}, "word1 " * 1000, "word2", "\0\ufffe"])
    kept, dropped, _ = run(semantic, {"max_tokens": 16}, documents=source, model=model)
    assert len(kept) + len(dropped) == 6
    assert sum(not row["text"] for row in dropped) >= 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="not a model"):
        run(semantic, {}, documents=source, model=tmp_path / "empty")
