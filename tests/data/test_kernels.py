"""The kernels against plain Python, exact Jaccard and datasketch."""

import random
import re

import numpy as np
import pyarrow as pa
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.data.clean import clean
from smallcoder.data.dedup import permutations
from smallcoder.data.kernels import (
    FNV,
    LARGEST,
    SEED,
    buffers,
    grams,
    jaccard,
    shingle_sets,
    signatures,
    text_keys,
    word_hashes,
)
from smallcoder.data.plain import plain_rows
from tests.data.texts import edited, exact, shingles_of


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


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["a", "Z_9", "é", "long" * 9, " ", "\n", "--", "\\"]), max_size=30).map("".join))
def test_hashes_of_words_are_those_of_plain_fnv(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    out = np.full(len(data) // 2 + 3, 7, np.uint64)
    count = word_hashes(data, out[:-1])
    expected = []
    for word in re.findall(rb"[\w\x80-\xff]+", text.encode()):
        value = int(SEED)
        for byte in word:
            value = ((value ^ byte) * int(FNV)) % (1 << 64)
        expected.append(value)
    assert out[:count].tolist() == expected
    assert out[-1] == 7  # nothing is written past the room


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*"ab \t\n\r\x0c\x7fé’日", "\n\n\n", "\x85", "\ufeff", "Ã©", "\u202e"]), max_size=20).map(
        "".join
    )
)
def test_a_plain_row_is_clean_but_for_a_header(text: str) -> None:
    plain = plain_rows(*buffers(pa.array([text], pa.large_string())))[0]
    assert not plain or clean(text) == text
    if text.isascii() and clean(text) == text:
        assert plain or text in ("", "\n")


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


def test_signatures_are_the_minima_of_the_family() -> None:
    """Across the blocks of a long text, at every length of the last one."""
    a, b = permutations(7, 1)
    texts = [" ".join(f"w{at % 5000}" for at in range(count)) for count in (5, 6, 36, 37, 2052, 2053, 5000)]
    found, counts = signatures(*buffers(pa.array(texts)), a, b, 5)
    values, bounds = shingle_sets(*buffers(pa.array(texts)), 5)
    for row, text in enumerate(texts):
        hashes = (values[bounds[row] : bounds[row + 1]] >> np.uint64(32)).astype(np.uint32)
        assert counts[row] == len(text.split()) - 4
        assert (found[row] == (a * hashes[:, None] + b).min(axis=0)).all()


def test_a_huge_text_has_no_shingles_and_costs_no_memory_for_them() -> None:
    texts = pa.array(["a b c d e f " * (LARGEST // 12 + 1), "a b c d e f"], pa.large_string())
    _, counts = signatures(*buffers(texts), *permutations(4, 0), 5)
    assert counts.tolist() == [0, 2]
    assert shingle_sets(*buffers(texts), 5)[1].tolist() == [0, 0, 2]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab \n\t\r\x0b\x0c\x1f\x00é"), max_size=40), min_size=1, max_size=12))
def test_texts_have_one_key_if_they_differ_in_white_space_alone(texts: list[str]) -> None:
    keys = text_keys(*buffers(pa.array(texts, pa.large_string())))
    assert len({tuple(key) for key in keys.tolist()}) == len({tuple(text.split()) for text in texts})
    apart = text_keys(*buffers(pa.array([f" \n{text.replace(' ', '  ')}\t" for text in texts], pa.large_string())))
    assert (apart == keys).all()


def test_keys_tell_texts_that_differ_in_a_byte() -> None:
    base = "x = some_function(first, second)\n"
    texts = [base[:at] + byte + base[at + 1 :] for at in range(len(base)) if base[at] not in " \n" for byte in "#$%&"]
    texts += [base + "a" * count for count in range(64)] + ["\0" * count for count in range(64)]
    keys = text_keys(*buffers(pa.array(texts, pa.large_string())))
    assert len(np.unique(keys[:, 0])) == len(np.unique(keys[:, 1])) == len(set(texts))


def test_grams_are_found_whatever_the_case_and_punctuation() -> None:
    wanted, _ = grams(*buffers(pa.array(["def add(first, second): return first + second"])), 7)
    texts = pa.array(["x = 1\n# DEF add FIRST second return\nfirst second", "def add(first, second): return", ""])
    hashes, bounds = grams(*buffers(texts), 7)
    found = [np.isin(hashes[bounds[row] : bounds[row + 1]], wanted).any() for row in range(3)]
    assert found == [True, False, False]
