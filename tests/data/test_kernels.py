"""The kernels against plain Python, exact Jaccard and datasketch."""

import random
import re

import numpy as np
import pyarrow as pa
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.data.dedup import permutations
from smallcoder.data.kernels import buffers, first_match, grams, jaccard, shingle_sets, signatures
from smallcoder.data.signals import SIGNALS, signals
from tests.data.texts import WORDS, edited, exact, shingles_of


def pairs(count: int, words: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    base = [[f"w{rng.randrange(2000)}" for _ in range(words)] for _ in range(count)]
    return [(" ".join(text), edited(text, round(words * 0.12 * at / count), rng)) for at, text in enumerate(base)]


def test_buffers_read_slices_nulls_and_empty_columns() -> None:
    long = pa.array(["one two", None, "", "thrée x"], pa.large_string())
    for column in (long, long.cast(pa.string()), pa.concat_arrays([long, long]).slice(4, 4)):
        offsets, data = buffers(column)
        found = [bytes(data[offsets[row] : offsets[row + 1]]).decode() for row in range(4)]
        assert found == ["one two", "", "", "thrée x"]
    for column in (pa.array([], pa.string()), pa.array(["", None], pa.large_string())):
        offsets, data = buffers(column)
        assert len(offsets) == len(column) + 1
        assert shingle_sets(offsets, data, 5)[0].size == 0
        assert (signals(offsets, data) == 0).all()


def test_exact_jaccard_equals_python_sets() -> None:
    found = [text for pair in pairs(40, 150) for text in pair] + ["", "a b c d", "a b c d e"]
    values, bounds = shingle_sets(*buffers(pa.array(found)), 5)
    sets = [values[bounds[row] : bounds[row + 1]] for row in range(len(found))]
    assert [len(values) for values in sets] == [len(shingles_of(text)) for text in found]
    for row in range(0, len(found) - 3, 2):
        assert jaccard(sets[row], sets[row + 1]) == exact(found[row], found[row + 1])


def test_signatures_estimate_jaccard_as_well_as_datasketch() -> None:
    """Both estimates have the error of `count` independent permutations: sqrt(J (1 - J) / count)."""
    count = 110
    both = pairs(150, 120)
    truth = np.array([exact(*pair) for pair in both])
    found, shingles = signatures(
        *buffers(pa.array([text for pair in both for text in pair])), *permutations(count, 3), 5
    )
    ours = (found[0::2] == found[1::2]).mean(axis=1)
    theirs = []
    for pair in both:
        hashes = [MinHash(count, seed=3) for _ in pair]
        for one, text in zip(hashes, pair, strict=True):
            one.update_batch([b" ".join(shingle) for shingle in shingles_of(text)])
        theirs.append(hashes[0].jaccard(hashes[1]))
    expected = np.sqrt((truth * (1 - truth) / count).mean())
    assert shingles[0] == 116
    assert abs((ours - truth).mean()) < 0.01
    assert np.sqrt(((ours - truth) ** 2).mean()) < 1.25 * expected
    assert np.sqrt(((ours - np.array(theirs)) ** 2).mean()) < 1.25 * expected * np.sqrt(2)


def test_signatures_depend_on_the_set_alone() -> None:
    texts = ["a b c d e f g", "a b c d e f g a b c d e f g".replace(" a", "; a"), "g f e d c b a"]
    found, _ = signatures(
        *buffers(pa.array(["-".join(texts[0].split()), texts[0], "x y z", ""])), *permutations(32, 0), 5
    )
    assert (found[0] == found[1]).all()
    assert (found[2:] == 0xFFFFFFFF).all()


def test_grams_are_found_whatever_the_case_and_punctuation() -> None:
    wanted, _ = grams(*buffers(pa.array(["def add(first, second): return first + second"])), 7)
    ordered = np.sort(wanted)
    bits = np.zeros(1 << 10, np.bool_)
    bits[(ordered & np.uint64(1023)).astype(int)] = True
    texts = pa.array(["x = 1\n# DEF add FIRST second return\nfirst second", "def add(first, second): return", ""])
    assert (first_match(*grams(*buffers(texts), 7), ordered, bits) >= 0).tolist() == [True, False, False]


def reference_signals(text: str) -> dict[str, int]:
    def runs(pattern: str) -> tuple[int, int]:
        lengths = [len(match[0]) for match in re.finditer(pattern, text)]
        return sum(lengths), max(lengths, default=0)

    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    worded = [line.lstrip(" \t") for line in lines if WORDS.search(line.encode())]
    encoded, hexlike = runs(r"[a-zA-Z0-9+/=\n]{64,}"), runs(r"[0-9a-fA-Fxu\\, \t\n]{16,}")
    garbled = sum(char == "\ufffd" or "\x80" <= char <= "\x9f" or "\ue000" <= char <= "\uf8ff" for char in text)
    values = (
        len(text.encode()),
        len(text),
        sum(char > "\x7f" or char.isalpha() for char in text),
        sum("0" <= char <= "9" for char in text),
        garbled,
        *encoded,
        *hexlike,
        len(lines),
        max(map(len, lines), default=0),
        len(worded),
        len(set(worded)),
    )
    return dict(zip(SIGNALS, values, strict=True))


PIECES = st.sampled_from(
    [
        "x = 1\n",
        "  x = 1\n",
        "\tif ",
        "é",
        "漢",
        "\ue001",
        "\uf8ff",
        "\uf900",
        "\ufffd",
        "\x85",
        "\xa0",
        "\n",
        " ",
        "😀",
        "0x1f, " * 20,
        "QUJD" * 17,
        "ab\ncd\n" * 12,
        "\\u00e9" * 8,
        "}\n",
        "-",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=4))
def test_signals_equal_a_plain_count(texts: list[str]) -> None:
    found = signals(*buffers(pa.array(texts, pa.large_string())))
    for row, text in zip(found.tolist(), texts, strict=True):
        assert dict(zip(SIGNALS, row, strict=True)) == reference_signals(text)
