"""A tiny transformer learns a judge's scores, is measured on hosts it has not seen, and is what `classify` reads."""

import random
from pathlib import Path

import pytest

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.records import SCORE
from smallcoder.core.tables import TableWriter
from smallcoder.data.quality import classify, scorer
from tests.data.conftest import rows

pytest.importorskip("transformers", reason="the extra `evaluate` is not installed")
pytestmark = pytest.mark.usefixtures("one_thread")

CODE = ["def", "return", "class", "import", "self", "print", "for", "lambda"]
PROSE = ["sale", "shop", "price", "login", "cookie", "today", "news", "game"]
TINY = {"hidden": 32, "layers": 1, "heads": 2, "window": 32, "epochs": 5, "lr": 1e-2}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["?", *CODE, *PROSE, *map(str, range(10))]
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save(str(folder / "tokenizer.json"))
    return folder


def corpus(count=400, seed=0):
    """Texts with a share of words of code, their score from 1 to 5 by that share, and hosts."""
    rng = random.Random(seed)
    for at in range(count):
        score = rng.randint(1, 5)
        words = [rng.choice(CODE if rng.random() < (score - 1) / 4 else PROSE) for _ in range(30)]
        yield {"id": f"{at}", "text": " ".join(words), "repo": f"host{rng.randrange(60)}.org"}, float(score)


def scored(tmp_path, pairs, name="page"):
    with TableWriter(tmp_path / "scores", SCORE) as writer:
        writer.write_rows([{"id": row["id"], "name": name, "value": value, "label": None} for row, value in pairs])
    return tmp_path / "scores"


def train(out, config, **inputs):
    out.mkdir()
    return scorer.run(scorer.Config(**config), inputs, out)


def test_it_learns_and_classify_reads_it(tmp_path, documents, tokenizer) -> None:
    pairs = list(corpus())
    scores = scored(tmp_path, pairs)
    facts = train(
        tmp_path / "a", TINY, documents=documents([row for row, _ in pairs]), scores=scores, tokenizer=tokenizer
    )
    assert facts["spearman"] > 0.8
    assert facts["mean_absolute_error"] < 0.7 * facts["mean_absolute_error_of_the_mean"]
    assert facts["precision"]["share"] > 0.8
    assert facts["recall"]["share"] > 0.8
    assert sum(facts["counts"].values()) == sum(facts["rows"]["measure"].values()) >= 20
    assert sum(sum(part.values()) for part in facts["rows"].values()) == len(pairs)
    again = train(
        tmp_path / "b", TINY, documents=documents([row for row, _ in pairs[::-1]]), scores=scores, tokenizer=tokenizer
    )
    assert again == facts
    files = [{path.name: path.read_bytes() for path in (tmp_path / run / "model").iterdir()} for run in "ab"]
    assert files[0] == files[1]
    out = tmp_path / "classified"
    out.mkdir()
    fresh = list(corpus(60, seed=1))
    given = {"documents": documents([row for row, _ in fresh]), "model": tmp_path / "a" / "model"}
    classify.run(classify.Config(name="page"), given, out)
    said = {row["id"]: row["value"] for row in rows(out / "scores")}
    assert sum(abs(said[row["id"]] - value) for row, value in fresh) / len(fresh) < 1.0
    with pytest.raises(InputError, match="handed in"):
        classify.run(classify.Config(name="page", model="x"), given, out)
    more = train(tmp_path / "c", TINY | {"model": str(tmp_path / "a" / "model"), "epochs": 1, "lr": 1e-4},
                 documents=given["documents"], scores=scored(tmp_path / "fresh", fresh))  # fmt: skip
    assert more["mean_absolute_error"] < 1.0


def test_what_cannot_be_learned_from_is_refused(tmp_path, documents, tokenizer) -> None:
    pairs = [(row, 5.0) for row, _ in corpus(40)]
    texts, scores = documents([row for row, _ in pairs]), scored(tmp_path, pairs)
    with pytest.raises(EmptyError, match="no other one"):
        train(tmp_path / "one", TINY, documents=texts, scores=scores, tokenizer=tokenizer)
    with pytest.raises(InputError):
        train(tmp_path / "none", TINY, documents=texts, scores=scores)
    with pytest.raises(InputError):
        train(tmp_path / "model", TINY | {"model": str(tmp_path)}, documents=texts, scores=scores)
    with pytest.raises(InputError):
        train(tmp_path / "tokenizer", TINY, documents=texts, scores=scores, tokenizer=tmp_path)
    with pytest.raises(ValueError, match="multiple"):
        scorer.Config(hidden=30, heads=4)
