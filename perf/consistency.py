"""How well the consistency filter tells planted pairs of comment and code apart, against fastText on the same pairs.

    python perf/consistency.py [PAIRS]

Pairs are cut from installed packages. Half of them stay; of the others a third each gets the comment of any other
pair, that of another pair of the same file, or its own comment with a fault: a word turned into its opposite, a number
or a name changed. (What has nothing to change gets any other's comment.) A quarter of the packages is held out; the
threshold is that of the best F1 on them, for both, so the figures are a little too good for both.

Printed are average precision, precision, recall and F1 of "consistent", and the share of each kind that is kept.
fastText is trained as `quality_classifier` does, on words of comment and code that say which of the two they come
from.
"""

import random
import re
import sys
import sysconfig
import tempfile
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import fasttext
import numpy as np

from smallcoder.data import pairs as rules
from smallcoder.data.consistency import Labelled, fit
from smallcoder.data.pairs import Pair, pairs
from smallcoder.data.quality.classifier import BUCKETS, GOOD, MIN_COUNT, OTHER
from smallcoder.data.quality.measure import at, curve, operating_point
from smallcoder.data.quality.words import one_line

MOST = 800  # pairs of a package
KINDS = ("real", "far", "near", "wrong")
_OPPOSITES = """add remove first last true false minimum maximum min max start end read write increase decrease before
    after left right open close get set encode decode enable disable lower upper create delete append pop load save
    parent child input output source target include exclude row column width height server client request
    response key value"""
WORDS = _OPPOSITES.split()
OPPOSITE = {word: WORDS[at ^ 1] for at, word in enumerate(WORDS)}
NAMES = ("handler", "buffer", "index", "options", "session", "record", "weight", "payload")

Row = tuple[str, str, Pair]  # package, kind, pair


def main(count: int = 8000) -> None:
    rows = planted(count)
    sides = {True: [], False: []}
    for row in rows:
        sides[blake2b(row[0].encode(), digest_size=1).digest()[0] % 4 == 0].append(row)
    train, test = sides[False], sides[True]
    print(f"{len(train)} pairs to learn from, {len(test)} of other packages: " + ", ".join(
        f"{sum(row[1] == kind for row in test)} {kind}" for kind in KINDS))  # fmt: skip
    start = time.process_time()
    model = fit([Labelled("", package, pair, kind == "real") for package, kind, pair in train], 1.0)
    print(f"fitted in {time.process_time() - start:.1f} CPU-s")
    start = time.process_time()
    shares = model.probabilities([pair for _, _, pair in test])
    print(f"{len(test) / (time.process_time() - start):.0f} pairs a CPU-second")
    report("smallcoder", shares, test)
    report("fastText", by_fasttext(train, test), test)


def report(name: str, shares: Any, test: list[Row]) -> None:
    truth, kinds = np.array([kind == "real" for _, kind, _ in test]), np.array([kind for _, kind, _ in test])
    found = curve(shares, truth)
    threshold = operating_point(found, None, None)
    measured = at(threshold, shares, truth)
    shown = ", ".join(f"{what} {measured[what]['share']:.3f}" for what in ("precision", "recall", "f1"))
    kept = ", ".join(f"{kind} {(shares[kinds == kind] >= threshold).mean():.3f}" for kind in KINDS)
    print(f"{name:10} average precision {found.average_precision:.3f}, {shown}; kept: {kept}")


def by_fasttext(train: list[Row], test: list[Row]) -> Any:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "lines"
        lines = (f"{GOOD if kind == 'real' else OTHER} {line(pair)}\n" for _, kind, pair in train)
        path.write_text("".join(lines), encoding="utf-8")
        settings = {"lr": 0.5, "epoch": 10, "dim": 32, "wordNgrams": 2, "minCount": MIN_COUNT, "bucket": BUCKETS}
        model = fasttext.train_supervised(str(path), **settings, thread=1, verbose=0)
        labels, shares = model.predict([line(pair) for _, _, pair in test], k=2)
    return np.array([dict(zip(*each, strict=True)).get(GOOD, 0.0) for each in zip(labels, shares, strict=True)])


def line(pair: Pair) -> str:
    """The words of comment and code, each with a mark of where it stands."""
    said, done = one_line([pair.comment, pair.code])
    return " ".join([*(f"c_{word}" for word in said.split()), *(f"k_{word}" for word in done.split())])


def planted(count: int) -> list[Row]:
    rng = random.Random(0)
    found = real(count, rng)
    by_file: dict[str, list[Pair]] = {}
    for _, path, pair in found:
        by_file.setdefault(path, []).append(pair)
    rows: list[Row] = []
    for number, (package, path, pair) in enumerate(found):
        kind = "real" if number % 2 else rng.choice(KINDS[1:])
        comment: str | None = pair.comment
        if kind == "wrong":
            comment = faulty(pair, rng)
        elif kind == "near":
            comment = rng.choice(by_file[path]).comment
        if kind != "real" and comment in (None, pair.comment):
            kind = "far"
        if kind == "far":
            comment = rng.choice(found)[2].comment
        rows.append((package, kind, Pair(comment or "", pair.code, pair.text)))
    return rows


def real(count: int, rng: random.Random) -> list[tuple[str, str, Pair]]:
    """Package, file and pair of installed packages, without their tests."""
    root, limits = Path(sysconfig.get_path("purelib")), rules.Config()
    files = [path for path in sorted(root.rglob("*.py")) if "test" not in path.as_posix()]
    rng.shuffle(files)
    found: list[tuple[str, str, Pair]] = []
    sizes: dict[str, int] = {}
    for path in files:
        inside = path.relative_to(root)
        text = path.read_text("utf-8", "replace")
        if len(found) >= count or sizes.get(inside.parts[0], 0) > MOST or len(text) > 200_000:
            continue
        good = [
            pair for pair in pairs(text, "python") if not any(fails(pair, limits) for fails in rules.RULES.values())
        ]
        sizes[inside.parts[0]] = sizes.get(inside.parts[0], 0) + len(good[:40])
        found += [(inside.parts[0], inside.as_posix(), pair) for pair in good[:40]]
    return found


def faulty(pair: Pair, rng: random.Random) -> str | None:
    """The comment with one fault, None where there is nothing to change."""
    comment = pair.comment
    words = [found for found in re.finditer(r"[A-Za-z]+", comment) if found[0].lower() in OPPOSITE]
    numbers = list(re.finditer(r"(?<![\w.])\d+(?![\w.])", comment))
    names = sorted(
        name for name in set(re.findall(r"[A-Za-z_]\w{2,}", pair.code)) if re.search(rf"\b{name}\b", comment)
    )
    ways = ["word"] * bool(words) + ["number"] * bool(numbers) + ["name"] * bool(names)
    way = rng.choice(ways) if ways else None
    if way == "name":
        return re.sub(rf"\b{rng.choice(names)}\b", rng.choice(NAMES), comment)
    if way is None:
        return None
    found = rng.choice(words if way == "word" else numbers)
    new = OPPOSITE[found[0].lower()] if way == "word" else str(int(found[0]) + rng.randint(1, 9))
    return comment[: found.start()] + (new.capitalize() if found[0][0].isupper() else new) + comment[found.end() :]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
