"""Near-duplicate detection against brute force over exact Jaccard similarities."""

import os
import random
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from smallcoder.core.errors import EmptyError
from smallcoder.core.tables import table_digest
from smallcoder.data import dedup
from smallcoder.data.dedup import measure, near, stage
from smallcoder.data.dedup.state import State
from smallcoder.data.engine import run_filter
from smallcoder.data.kernels import LARGEST, buffers, jaccard, shingle_sets
from tests.data.texts import edited, exact


def corpus(seed: int) -> list[str]:
    """Groups of texts at all distances from a common one, and texts of their own."""
    rng = random.Random(seed)
    texts = []
    for _ in range(40):
        words = [f"w{rng.randrange(400)}" for _ in range(rng.randrange(60, 200))]
        texts.append(" ".join(words))
        texts += [edited(words, rng.randrange(0, len(words) // 20), rng) for _ in range(rng.randrange(4))]
    return texts


def test_banding_reproduces_the_published_figures() -> None:
    def found(bands: int, rows: int, similarity: float) -> float:
        return 1 - (1 - similarity**rows) ** bands

    assert [round(found(10, 11, at), 2) for at in (0.75, 0.85, 0.90)] == [0.35, 0.84, 0.98]
    for threshold in (0.5, 0.6, 0.75, 0.85, 0.95, 0.99):
        bands, rows = dedup.banding(threshold)
        assert found(bands, rows, threshold) >= 0.99
        assert bands * rows <= 128


def test_calibrated_preset_against_exact_similarities(documents, run) -> None:
    """Pairs around the threshold: at least 99% of those at or above it are found, and none below it."""
    rng = random.Random(5)
    similar, different = [], []
    while len(similar) < 600:
        words = [f"w{rng.randrange(10**6)}" for _ in range(rng.randrange(40, 160))]
        pair = (" ".join(words), edited(words, max(1, round(len(words) * rng.uniform(0.015, 0.045))), rng))
        (similar if exact(*pair) >= 0.75 else different).append(pair)
    items = [
        {"text": text, "id": f"{side}{at}"}
        for at, pair in enumerate(similar + different)
        for side, text in zip("ab", pair, strict=True)
    ]
    kept, dropped, _ = run(dedup, {}, documents=documents(items))
    found = {int(row["id"][1:]) for row in dropped}
    assert len(different) > 300
    assert sum(at < len(similar) for at in found) >= 0.99 * len(similar)
    assert max(found) < len(similar)
    assert len(kept) == 2 * (len(similar) + len(different)) - len(found)


def test_groups_are_the_components_of_all_pairs(documents, run) -> None:
    texts = list(dict.fromkeys(corpus(3)))
    groups = [{text} for text in texts]
    for i, j in combinations(range(len(texts)), 2):
        if groups[i] is not groups[j] and exact(texts[i], texts[j]) >= 0.75:
            groups[i] |= groups[j]
            groups = [groups[i] if group <= groups[i] else group for group in groups]
    expected = {max(group) for group in groups}
    kept, _, _ = run(
        dedup, {}, documents=documents([{"text": text, "id": f"{9999 - at}"} for at, text in enumerate(sorted(texts))])
    )
    assert len(expected) < len(texts) - 20
    assert {row["text"] for row in kept} == expected


def test_keeps_the_best_by_quality_stars_and_id(documents, run) -> None:
    base = " ".join(f"word{at}" for at in range(100))
    items = [
        {"text": base, "id": "b", "quality": 80.0, "stars": 1},
        {"text": base + " and more", "id": "z", "quality": 80.0, "stars": 2},
        {"text": base.replace(" ", "  \n", 3), "id": "a", "quality": 80.0},
        {"text": base, "id": "c", "quality": 79.0, "stars": 100},
        {"text": base + " or less", "id": "A", "quality": float("nan")},
        {"text": "x = 1", "id": "short"},
        {"text": "x  =\n1", "id": "also short"},
        {"text": "x = 1 ", "id": "starred", "stars": 0},
        {"text": "", "id": "void"},
        {"text": " \n", "id": "blank"},
    ]
    kept, dropped, facts = run(dedup, {}, documents=documents(items))
    assert {row["id"] for row in kept} == {"z", "starred", "blank"}
    assert {row["id"]: row["reason"].split("_")[0] for row in dropped} == {
        "a": "exact",
        "b": "near",
        "c": "exact",
        "A": "near",
        "short": "exact",
        "also short": "exact",
        "void": "exact",
    }
    assert facts["near_groups"] == 1


@pytest.mark.parametrize("preset", ["calibrated", "mify", "math"])
def test_result_depends_on_neither_order_nor_workers(preset, documents, run) -> None:
    texts = corpus(9)
    items = [{"text": text, "id": f"{at:03}"} for at, text in enumerate(texts)]
    digests = set()
    for workers, order in ((1, items), (3, items[::-1]), (2, random.Random(1).sample(items, len(items)))):
        kept, dropped, _ = run(dedup, {"preset": preset, "workers": workers}, documents=documents(order))
        digests.add(tuple(table_digest([pa.RecordBatch.from_pylist(part)]) for part in (kept, dropped)))
    assert len(digests) == 1


@pytest.mark.parametrize("preset", ["calibrated", "mify"])
def test_odd_texts_pass(preset, documents, run) -> None:
    """Null, empty, without words, one word over and over, more bytes than near matching reads."""
    big = "x = [1, 2, 3, 4]\n" * (LARGEST // 17 + 1)
    odd = ["", {"text": None, "id": "null"}, "\0" * 99, "+-*/ " * 50, "word " * 5000, "\ufffe\u2028é", big, big + "#"]
    kept, dropped, facts = run(dedup, {"preset": preset}, documents=documents(odd))
    assert len(kept) == 7
    assert [row["reason"] for row in dropped] == ["exact_duplicate"]
    assert facts["measured"]["recall"] is None


def test_an_empty_table_is_the_users_error(documents, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(EmptyError, match="no document"):
        run_filter(dedup, dedup.Config(), {"documents": documents([])}, tmp_path / "out")


def test_mify_preset_has_its_own_threshold() -> None:
    with pytest.raises(ValidationError, match=r"bands for 0\.75"):
        dedup.Config(preset="mify", jaccard=0.9)


def planted(files: int, copies: int, seed: int) -> list[str]:
    """Real Python files, and of each some copies with words replaced and a few lines cut out."""
    rng = random.Random(seed)
    texts = []
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if not 2_000 < len(text) < 30_000:
            continue
        texts.append(text)
        for _ in range(copies):
            rate = rng.uniform(0.001, 0.035)
            pieces = re.split(r"(\w+)", text)  # words are at the odd places
            pieces[1::2] = [f"w{rng.randrange(10**6)}" if rng.random() < rate else word for word in pieces[1::2]]
            lines = "".join(pieces).split("\n")
            at = rng.randrange(len(lines))
            texts.append("\n".join(lines[:at] + lines[at + rng.randrange(3) :]))
        if len(texts) >= files * (copies + 1):
            break
    return texts


@pytest.fixture(scope="module")
def real() -> tuple[list[str], dict[tuple[int, int], float]]:
    """Texts, and the exact similarity of every pair of them that shares a shingle."""
    texts = planted(60, 6, 1)
    values, bounds = shingle_sets(*buffers(pa.array(texts)), 5)
    sets = [values[bounds[row] : bounds[row + 1]] for row in range(len(texts))]
    return texts, {(i, j): jaccard(sets[i], sets[j]) for i, j in combinations(range(len(texts)), 2)}


def grouped(source: Path, scratch: Path, preset: str) -> np.ndarray:
    """Which group each row is in."""
    plan = stage._plan(dedup.Config.model_validate({"preset": preset}))
    state = State(scratch / preset)
    stage.scan(source, plan, state, 1)
    nodes, count = stage.distinct(state)
    roots, _ = near.groups(near.Corpus(source, plan, state, count, 1), np.zeros(0, np.int64))
    return roots[nodes]


def test_recall_and_precision_on_real_code(real, documents, tmp_path) -> None:
    texts, similarities = real
    source = documents([{"text": text, "id": f"{at}"} for at, text in enumerate(texts)])
    labels = grouped(source, tmp_path, "calibrated")
    true = [pair for pair, similarity in similarities.items() if similarity >= 0.75]
    assert len(true) > 500
    assert sum(similarity >= 0.6 for similarity in similarities.values()) > len(true) + 150
    assert sum(labels[i] == labels[j] for i, j in true) >= 0.99 * len(true)
    groups = list(range(len(texts)))  # the components of all true pairs: what was joined may be less, never more
    for i, j in true:
        groups = [groups[i] if group == groups[j] else group for group in groups]
    assert len(set(zip(groups, labels, strict=True))) == len(set(labels))

    published = grouped(source, tmp_path, "mify")
    expected = np.mean([1 - (1 - similarities[pair] ** 11) ** 10 for pair in true])
    found = np.mean([published[i] == published[j] for i, j in true])
    assert 0.6 < expected < found < 0.95


def test_measures_itself_as_brute_force_does(real, documents, run, tmp_path, monkeypatch) -> None:
    texts, similarities = real
    true = [pair for pair, similarity in similarities.items() if similarity >= 0.75]
    monkeypatch.setattr(measure, "SAMPLE", 10**6)
    monkeypatch.setattr(measure, "PER_BUCKET", 10**6)
    source = documents([{"text": text, "id": f"{at}"} for at, text in enumerate(texts)])
    for preset in ("calibrated", "mify"):
        labels = grouped(source, tmp_path, preset)
        _, _, facts = run(dedup, {"preset": preset}, documents=source)
        measured = facts["measured"]
        low, high = measured["interval"]
        assert low <= np.mean([labels[i] == labels[j] for i, j in true]) <= high
        joins = {pair: 1 - (1 - value**11) ** 10 for pair, value in similarities.items()}
        published = sum(joins[pair] for pair in true) / sum(joins.values())
        assert measured["precision"] == pytest.approx(1 if preset == "calibrated" else published, abs=0.05)
        assert 0.7 * len(true) < measured["pairs"] < 0.98 * len(true)
