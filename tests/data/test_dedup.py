"""Near-duplicate detection against brute force over exact Jaccard similarities."""

import random
from itertools import combinations

import pyarrow as pa
import pytest
from pydantic import ValidationError

from smallcoder.core.tables import table_digest
from smallcoder.data import dedup
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
    expected = {max(group, key=lambda text: (len(text), text)) for group in groups}
    kept, _, _ = run(
        dedup, {}, documents=documents([{"text": text, "id": f"{9999 - at}"} for at, text in enumerate(sorted(texts))])
    )
    assert len(expected) < len(texts) - 20
    assert {row["text"] for row in kept} == expected


def test_keeps_the_longest_then_the_smallest_id(documents, run) -> None:
    base = " ".join(f"word{at}" for at in range(100))
    items = [
        {"text": base, "id": "b"},
        {"text": base + " and more", "id": "z"},
        {"text": base.replace(" ", "  \n", 3), "id": "a"},
        {"text": base, "id": "c"},
        {"text": "x = 1", "id": "short"},
        {"text": "x  =\n1", "id": "also short"},
        {"text": "", "id": "void"},
    ]
    kept, dropped, facts = run(dedup, {}, documents=documents(items))
    assert {row["id"] for row in kept} == {"z", "also short", "void"}
    reasons = {row["id"]: row["reason"] for row in dropped}
    assert reasons == {
        "a": "near_duplicate",
        "b": "exact_duplicate",
        "c": "exact_duplicate",
        "short": "exact_duplicate",
    }
    assert facts["near_groups"] == 1


@pytest.mark.parametrize("preset", ["calibrated", "mify"])
def test_result_depends_on_neither_order_nor_workers(preset, documents, run) -> None:
    texts = corpus(9)
    items = [{"text": text, "id": f"{at:03}"} for at, text in enumerate(texts)]
    digests = set()
    for workers, order in ((1, items), (3, items[::-1]), (2, random.Random(1).sample(items, len(items)))):
        kept, dropped, _ = run(dedup, {"preset": preset, "workers": workers}, documents=documents(order))
        digests.add(tuple(table_digest([pa.RecordBatch.from_pylist(part)]) for part in (kept, dropped)))
    assert len(digests) == 1


def test_mify_preset_has_its_own_threshold() -> None:
    with pytest.raises(ValidationError, match=r"bands for 0\.75"):
        dedup.Config(preset="mify", jaccard=0.9)
