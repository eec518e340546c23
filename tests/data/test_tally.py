"""Counts by repository, language, licence and bucket add up, in any order; tokens are near those of the tokenizer."""

import json
import random
import tomllib
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.tables import read_batches
from smallcoder.data import tally
from smallcoder.data.tally import Tally, bucket


def rows(count: int) -> list[dict]:
    rng = random.Random(0)
    words = ["alpha", "beta", "gamma", "été", "x", "=", "1"]
    return [
        {
            "id": f"{at:032x}",
            "text": " ".join(rng.choices(words, k=rng.randint(1, 80))),
            "lang": rng.choice(["python", "c", None]),
            "repo": rng.choice(["a", "b", None]),
            "license": rng.choice(["MIT", None]),
            "quality": rng.choice([None, 90.0, 85.0, 60.0, 10.0]),
        }
        for at in range(count)
    ]


@pytest.fixture
def tokenizer(tmp_path):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        ["alpha beta gamma été"] * 9, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet)
    )
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    return folder


def test_counts_add_up_whatever_the_order(documents) -> None:
    made = rows(300)
    facts = []
    for order in (made, made[::-1]):
        counted = Tally()
        for batch in read_batches(documents(order), batch_rows=64):
            counted.add(batch)
        facts.append(counted.facts())
    assert facts[0] == facts[1]
    found = facts[0]
    assert found["bytes"] == sum(len(row["text"].encode()) for row in made)
    for part in ("languages", "licenses", "buckets"):
        assert sum(row["bytes"] for row in found[part].values()) == found["bytes"]
        assert sum(row["records"] for row in found[part].values()) == found["records"] == 300
        assert sum(row["characters"] for row in found[part].values()) == sum(len(row["text"]) for row in made)
    assert set(found["languages"]) == {"c", "python", "unknown"}
    assert found["buckets"]["high"]["records"] == sum((row["quality"] or 0) >= 85 for row in made)
    assert found["without_repository"] == sum(row["repo"] is None for row in made)
    assert {row["repo"] for row in found["top"]} == {"a", "b"}
    assert "tokens" not in found


def test_buckets() -> None:
    assert [bucket(score) for score in (100, 85, 84.9, 65, 0, None, float("nan"))] == [
        "high", "high", "medium", "medium", "low", "unjudged", "unjudged",
    ]  # fmt: skip
    shipped = tomllib.loads(Path(tally.__file__).with_name("thresholds.toml").read_text("utf-8"))
    assert (shipped["high"], shipped["medium"]) == (tally.HIGH, tally.MEDIUM)


def test_tokens_are_estimated_from_a_sample(documents, tokenizer, tmp_path) -> None:
    made = rows(4000)
    facts = tally.run(tally.Config(), {"documents": documents(made), "tokenizer": tokenizer}, tmp_path)["contents"]
    encode = Tokenizer.from_file(str(tokenizer / "tokenizer.json")).encode
    exact = sum(len(encode(row["text"])) for row in made)
    assert facts["tokens"] == pytest.approx(exact, rel=0.02)
    for part in ("languages", "licenses", "buckets"):
        assert sum(row["tokens"] for row in facts[part].values()) == pytest.approx(facts["tokens"], abs=5)
    assert json.loads((tmp_path / "contents.json").read_text("utf-8")) == facts


def test_without_a_sample_or_documents(documents, tokenizer, tmp_path) -> None:
    few = [row for row in rows(9) if tally.crc32(row["id"].encode()) % tally.SAMPLED]
    facts = tally.run(tally.Config(), {"documents": documents(few[:1]), "tokenizer": tokenizer}, tmp_path)["contents"]
    assert facts["tokens"] is None
    with pytest.raises(EmptyError):
        tally.run(tally.Config(), {"documents": documents([])}, tmp_path)
    with pytest.raises(InputError, match="tokenizer"):
        tally.run(tally.Config(), {"documents": documents(few), "tokenizer": tmp_path}, tmp_path)
