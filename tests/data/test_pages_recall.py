"""The three rounds of recalling pages of code from the web, with a judge of one rule over HTTP, on hosts held out."""

import random
from pathlib import Path
from typing import Any

import pytest

from smallcoder.core.tables import read_batches
from smallcoder.data import split
from smallcoder.data.judge import stage as judge
from smallcoder.data.pages import stage as read_pages
from smallcoder.data.quality import classifier, classify, composite, scorer
from tests.data.judges import judging
from tests.data.stages import run_stage
from tests.data.test_pages_stage import record

pytest.importorskip("transformers", reason="the extra `evaluate` is not installed")
pytest.importorskip("fastwarc", reason="the extra `pages` is not installed")
pytestmark = pytest.mark.usefixtures("one_thread")

CODE = [
    "function",
    "return",
    "loop",
    "array",
    "compile",
    "class",
    "import",
    "string",
    "index",
    "pointer",
    "stack",
    "thread",
]
TALK = [
    "garden",
    "recipe",
    "holiday",
    "match",
    "election",
    "weather",
    "fashion",
    "novel",
    "castle",
    "river",
    "market",
    "dance",
]
JUNK = [
    "login",
    "subscribe",
    "offer",
    "click",
    "banner",
    "discount",
    "signup",
    "popup",
    "tracking",
    "coupon",
    "share",
    "promo",
]


def page(rng: random.Random, about: int, clean: int) -> str:
    """A page that is about code, from 1 to 5, and clean, from 1 to 5."""
    words = [rng.choice(CODE if rng.random() < (about - 1) / 4 else TALK) for _ in range(40)]
    words += [rng.choice(JUNK) for _ in range(10 * (5 - clean))]
    rng.shuffle(words)
    sample = "<pre>for x in y:\n    print(x)</pre>" if about > 2 else ""
    return f"<nav>Menu</nav><main><p>{' '.join(words)}</p>{sample}</main>"


def grade(text: str) -> str:
    """A judge that counts words."""
    words = text.split()
    code, junk = sum(word in CODE for word in words), sum(word in JUNK for word in words)
    talk = sum(word in TALK for word in words)
    about, clean = round(1 + 4 * code / max(code + talk, 1)), max(1, 5 - round(junk / 10))
    return f'{{"code_relevance": {about}, "educational_value": {about}, "cleanliness": {clean}}}'


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    settings = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([" ".join(["", *CODE, *TALK, *JUNK])] * 20, settings)
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save(str(folder / "tokenizer.json"))
    return folder


def archive(path: Path, rng: random.Random, count: int, seeds: bool) -> Path:
    grades = [(5, rng.randint(2, 5)) if seeds else (rng.randint(1, 5), rng.randint(1, 5)) for _ in range(count)]
    pages = [page(rng, *each).encode() for each in grades]
    hosts = [f"https://{'seed' if seeds else 'host'}{at % 40}.org/{at}" for at in range(count)]
    path.write_bytes(b"".join(record(url, body) for url, body in zip(hosts, pages, strict=True)))
    return path


def test_each_round_is_more_precise(tmp_path, tokenizer) -> None:
    rng = random.Random(0)
    facts: dict[str, Any] = {}

    def run(name: str, stage: Any, config: dict[str, Any], **inputs: Path) -> Path:
        out = tmp_path / name
        facts[name] = run_stage(stage, config, inputs, out)
        return out

    seeds = archive(tmp_path / "seeds.warc", rng, 200, True)
    crawl = archive(tmp_path / "crawl.warc", rng, 900, False)
    good = run("seeds", read_pages, {"paths": [str(seeds)]}) / "documents"
    pages = run("pages", read_pages, {"paths": [str(crawl)]}) / "documents"
    sides = run("sides", split, {"heldout_share": 0.3}, documents=pages)
    with judging(grade) as server:
        config = {"model": "rules", "url": server.url, "concurrency": 4}
        truth = run("truth", judge, config, documents=sides / "heldout") / "scores"
        first = run("first", classifier, {"sample": 200}, good=good, other=sides / "train", tokenizer=tokenizer)
        once = run("once", composite, {"threshold": 50}, documents=pages, classifier=first / "classifier", truth=truth)
        recalled = run(
            "recalled", composite, {"threshold": 50}, documents=sides / "train", classifier=first / "classifier"
        )
        said = run("said", judge, config | {"sample": 400}, documents=sides / "train", more=recalled / "documents")
    second = run("second", classifier, {"high": 3.0, "low": 2.99}, documents=sides / "train", scores=said / "scores",
                 tokenizer=tokenizer)  # fmt: skip
    twice = run("twice", composite, {"threshold": 50}, documents=once / "documents", classifier=second / "classifier",
                truth=truth)  # fmt: skip
    learned = run("scorer", scorer, {"hidden": 32, "layers": 1, "heads": 2, "window": 128, "epochs": 4, "lr": 8e-3},
                  documents=sides / "train", scores=said / "scores", tokenizer=tokenizer)  # fmt: skip
    found = run(
        "found", classify, {"name": "page", "window": 128}, documents=twice / "documents", model=learned / "model"
    )
    passes = {"page": {"zero": 1.0, "passes": facts["scorer"]["threshold"], "full": 5.0}}
    run("last", composite, {"components": passes}, documents=twice / "documents", scores=found / "scores", truth=truth)
    precisions = [facts[name]["truth"]["precision"]["share"] for name in ("once", "twice", "last")]
    counts = facts["once"]["truth"]["counts"]
    share = (counts["true_positive"] + counts["false_negative"]) / sum(counts.values())
    assert share + 0.1 < precisions[0] < precisions[1], precisions
    assert precisions[2] > precisions[1] - 0.05
    assert precisions[2] > 0.8
    assert facts["last"]["truth"]["recall"]["share"] > 0.7
    assert sum(counts.values()) == facts["truth"]["records"]
    assert sum(batch.num_rows for batch in read_batches(tmp_path / "last" / "documents")) == facts["last"]["records"]
    # a classifier over tokens brings its tokenizer, and is damaged without it
    (first / "classifier" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="damaged"):
        classifier.load_classifier(first / "classifier")
