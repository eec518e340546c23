"""Scores of a Hugging Face classifier are those of a plain loop over its windows, and odd folders are refused."""

import json
import random

import numpy as np
import pytest

from smallcoder.core.errors import InputError
from smallcoder.core.tables import read_batches, table_digest
from smallcoder.data.quality import classify
from tests.data.conftest import rows
from tests.data.test_quality import HOSTILE

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = [f"w{at}" for at in range(60)]
CLASSES = {0: "High", 1: "Low", 2: "Medium"}


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(marks + WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), marks, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=32, **names)


def bert(folder, **settings):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = transformers.BertConfig(
        vocab_size=64, max_position_embeddings=32, initializer_range=0.5, **sizes, **settings
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def qwen(folder, **settings):
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = transformers.Qwen3Config(
        vocab_size=64, max_position_embeddings=64, num_key_value_heads=2, head_dim=8, **sizes, **settings
    )
    transformers.Qwen3ForSequenceClassification(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def texts(count=60):
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randrange(1, 90))) for _ in range(count)]


def plainly(folder, text, window, windows):
    """Mean output of the first windows of one text, one window at a time, with transformers alone."""
    tokens = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ids = tokens.encode(text, add_special_tokens=False)
    found = []
    for start in range(0, len(ids), window - 2)[:windows]:
        with torch.no_grad():
            logits = model(torch.tensor([[2, *ids[start : start + window - 2], 3]])).logits[0].double()
        found.append(logits if len(logits) == 1 else logits.softmax(-1))
    return torch.stack(found).mean(0).numpy()


def run(out, config, documents):
    out.mkdir()
    facts = classify.run(classify.Config(**config), {"documents": documents}, out)
    return {row["id"]: row for row in rows(out / "scores")}, facts


@pytest.mark.parametrize(("window", "windows"), [(512, 1), (16, 1), (16, 3)])
def test_class_probabilities_match_a_plain_loop(documents, tmp_path, window, windows):
    folder = bert(tmp_path / "model", id2label=CLASSES, label2id={name: at for at, name in CLASSES.items()})
    some = texts(25)
    source = documents([{"id": str(at), "text": text, "lang": "go"} for at, text in enumerate(some)])
    config = {"model": str(folder), "name": "domain", "window": window, "windows": windows}
    plain, facts = run(tmp_path / "plain", config, source)
    worth, _ = run(tmp_path / "worth", config | {"points": {"High": 100, "Medium": 50}}, source)
    for at, text in enumerate(some):
        expected = plainly(folder, text, min(window, 32), windows)
        assert plain[str(at)] == {
            **{"id": str(at), "name": "domain", "label": CLASSES[int(expected.argmax())]},
            "value": pytest.approx(expected.max(), abs=1e-5),
        }
        assert worth[str(at)]["value"] == pytest.approx(expected @ [100, 0, 50], abs=1e-3)
    assert sum(part["records"] for part in facts["labels"].values()) == 25
    assert facts["languages"]["go"]["records"] == 25
    assert sorted(path.name for path in (tmp_path / "plain").iterdir()) == ["scores"]


@pytest.mark.parametrize("make", [bert, qwen])
def test_a_regression_matches_a_plain_loop(documents, tmp_path, make):
    folder = make(tmp_path / "model", num_labels=1)
    some = texts(12)
    found, facts = run(tmp_path / "out", {"model": str(folder), "name": "edu"}, documents(some))
    by_text = {row["text"]: row["id"] for row in rows(documents(some))}
    for text in some:
        row = found[by_text[text]]
        assert row["value"] == pytest.approx(float(plainly(folder, text, 32, 1)[0]), abs=1e-4)
        assert row["label"] is None
    assert facts["labels"] == {}
    assert facts["windows"] == 12


def test_order_changes_nothing_and_hostile_text_is_no_trouble(documents, tmp_path):
    folder = bert(tmp_path / "model", num_labels=1)
    odd = [text.encode("utf-8", "replace").decode() for text in HOSTILE] + ["[SEP] [PAD] [CLS]", "w1 " * 300_000]
    items = [{"id": f"{at}", "text": text} for at, text in enumerate([*odd, *texts(300)])]
    results = []
    for turn in range(2):
        random.Random(turn).shuffle(items)
        found, facts = run(
            tmp_path / f"out{turn}", {"model": str(folder), "name": "edu", "windows": 2}, documents(items)
        )
        results.append((table_digest(read_batches(tmp_path / f"out{turn}" / "scores")), facts, found))
    assert results[0] == results[1]
    _, facts, found = results[0]
    assert len(found) == len(items)
    assert {id for id, row in found.items() if row["value"] is None} == {"0", "1", "3", "7"}
    assert facts["without_text"] == 4
    assert all(row["value"] is None or np.isfinite(row["value"]) for row in found.values())


def test_odd_folders_are_refused(tmp_path):
    good = bert(tmp_path / "good", num_labels=2)

    def refused(folder, match, **config):
        with pytest.raises(InputError, match=match):
            classify.load_judge(folder, classify.Config(model=str(folder), name="edu", **config))

    refused(tmp_path / "missing", r"no config\.json")
    refused(good, "no class 'High'", points={"High": 1.0})
    many = bert(tmp_path / "many", num_labels=2, problem_type="multi_label_classification")
    refused(many, "several labels")
    headless = tmp_path / "headless"
    transformers.BertModel.from_pretrained(good).save_pretrained(headless)
    tokenizer().save_pretrained(headless)
    refused(headless, "no weights for classifier")
    weights = bert(tmp_path / "cut", num_labels=2) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    refused(weights.parent, "no classifier that transformers can read")
    bare = bert(tmp_path / "bare", num_labels=2)
    for path in bare.glob("tokenizer*"):
        path.unlink()
    refused(bare, r"no tokenizer\.json")
    (bert(tmp_path / "json", num_labels=2) / "config.json").write_text(json.dumps({"model_type": "none"}))
    refused(tmp_path / "json", "no classifier that transformers can read")
    assert classify.outside(classify.Config(model=str(good), name="edu"))
