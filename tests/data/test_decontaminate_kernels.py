"""The lexer and the search against plain definitions of both."""

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.data.decontaminate import kernels, lexer
from smallcoder.data.decontaminate.measure import renamed
from smallcoder.data.kernels import buffers
from smallcoder.data.language import _aliases, named
from smallcoder.data.lexicon import FEATURES, SLASHES, language_numbers

NONE = np.zeros(0, np.uint64)
CODE = '''import os

def weigh(items, limit=1_0):
    """What they weigh."""
    best = {}  # by name
    for item in items:
        if item.name not in best and len(item.name) > limit:
            best[item.name] = item.weight * 2.5
    return [best[name] for name in sorted(best, key=len)], f"{limit}", 'left'
'''
SAME = {
    "quotes": CODE.replace("'left'", '"left"'),
    "comments": CODE.replace("  # by name", "").replace('    """What they weigh."""\n', "    # A note.\n\n"),
    "indentation": CODE.replace("    ", "\t"),
    "line ends": CODE.replace("\n", "\r\n"),
    "wrapped": CODE.replace(" and len(", " \\\n  and len(").replace("items, limit=1_0)", "\n  items,\nlimit=1_0,\n)"),
    "names": renamed(CODE),
    "spaces": CODE.replace(" = ", "=").replace("(", "( "),
}
OTHER = {
    "pattern of names": CODE.replace("best[item.name] = item.weight", "best[limit.name] = limit.weight"),
    "attribute": CODE.replace("weight", "height"),
    "number": CODE.replace("2.5", "2.6"),
    "string": CODE.replace("left", "right"),
    "function": CODE.replace("sorted", "list"),
}


def columns(texts: list[str], slashed: bool = False):
    return (*buffers(pa.array(texts, pa.large_string())), np.full(len(texts), slashed))


def code_grams(text: str, size: int = 12, slashed: bool = False) -> list[int]:
    return kernels.grams(columns([text], slashed), size, True, kernels.ANY, (NONE, NONE))[0].tolist()


def test_code_is_the_same_in_any_layout_and_under_any_names() -> None:
    expected = code_grams(CODE)
    assert len(expected) > 60
    for name, text in SAME.items():
        assert text != CODE
        assert code_grams(text) == expected, name
    for name, text in OTHER.items():
        assert code_grams(text) != expected, name
    assert code_grams("if a:\n  b()\nc()\n", 4) != code_grams("if a:\n  b()\n  c()\n", 4)


def test_comments_of_both_styles() -> None:
    c = "int f(int a) {\n  // one 'quote\n  return a / 2; /* two\n */ }\n"
    assert code_grams(c, 4, True) == code_grams("int f(int b) { return b/2 }", 4, True)
    assert code_grams("x = a // b\n", 4) != code_grams("x = a\n", 4)
    for text, slashed, said in (
        (CODE, False, '"""What they weigh."""# by name'),
        (c, True, "// one 'quote/* two\n */"),
    ):
        data = np.frombuffer(text.encode(), np.uint8)
        assert data[lexer.comments(data, slashed)].tobytes().decode() == said


NAMES = st.sampled_from(["a", "b", "c", "(", "+", "1"])


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, max_size=60), st.integers(1, 12))
def test_rolled_n_grams_tell_what_plain_ones_tell(words: list[str], size: int) -> None:
    def plain(at: int) -> tuple:
        gram, last, out = words[at : at + size], {}, []
        for place, word in enumerate(gram):
            out.append(place - last.get(word, place) if word.isalpha() else word)
            last[word] = place
        return tuple(out)

    rolled = code_grams(" ".join(words), size)
    expected = [plain(at) for at in range(len(words) - size + 1)]
    assert len(rolled) == len(expected)
    pairs = set(zip(rolled, expected, strict=True))
    assert len(pairs) == len(set(rolled)) == len(set(expected))


def test_words_are_the_same_wherever_a_text_is_cut_to_be_read() -> None:
    rng = random.Random(2)
    for words in (4000, 4095, 4096, 5000, 9000):
        text = [rng.choice(["x", "Word", "é", "y" * rng.randrange(1, 99)]) for _ in range(words)]
        texts = [" ".join(text), "\\n".join(text), "".join(text) + " end", " " * 9000 + text[0] * 40_000 + " b"]
        hashes, bounds, counts = kernels.grams(columns(texts), 1, False, kernels.ANY, (NONE, NONE))
        assert counts.tolist() == [words, words, 2, 2]
        assert hashes[bounds[0] : bounds[1]].tolist() == hashes[bounds[1] : bounds[2]].tolist()


def test_search_finds_what_a_plain_search_finds() -> None:
    rng = random.Random(1)
    texts = [" ".join(f"w{rng.randrange(6)}" for _ in range(rng.randrange(80))) for _ in range(60)]
    passages = [" ".join(f"w{rng.randrange(6)}" for _ in range(rng.randrange(4, 12))) for _ in range(30)]
    size, gap = 3, 4

    def grams(text: str) -> list[tuple[str, ...]]:
        words = text.split()
        return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]

    def best(text: str, passage: str) -> int:
        wanted, stretch, last, most = set(grams(passage)), set(), -99, 0
        for at, gram in enumerate(grams(text)):
            if gram in wanted:
                stretch = (stretch if at - last <= gap else set()) | {gram}
                last, most = at, max(most, len(stretch))
        return most

    hashes, bounds, _ = kernels.grams(columns(passages), size, False, kernels.ANY, (NONE, NONE))
    sets = [np.unique(hashes[start:end]) for start, end in pairwise(bounds)]
    flat = np.concatenate(sets)
    numbers = np.repeat(np.arange(len(sets), dtype=np.int32), [len(each) for each in sets])
    order = np.argsort(flat, kind="stable")
    names, starts = np.unique(flat[order], return_index=True)
    need = np.array([max(1, len(each) // 2) for each in sets], np.int32)
    bounds = np.append(starts, len(flat)).astype(np.int64)
    index = kernels.Index(size, False, gap, *kernels.lookup(names), names, bounds, numbers[order], need)
    found, (tokens, _) = kernels.search(columns(texts), (index,))
    assert tokens.tolist() == [len(text.split()) for text in texts]
    expected = {
        (0, row, number, best(text, passage))
        for row, text in enumerate(texts)
        for number, passage in enumerate(passages)
        if best(text, passage) >= need[number]
    }
    assert {tuple(line) for line in found.tolist()} == expected
    assert len(found) == len(expected) > 20


def test_slashed_languages_are_named_as_in_the_tables_of_documents() -> None:
    assert {word: named(word) for word in lexer.SLASHED} == {word: word for word in lexer.SLASHED}
    known = sorted(set(_aliases().values()))
    features = FEATURES[language_numbers([*known])]
    assert {word for word, bits in zip(known, features, strict=True) if bits & SLASHES} <= lexer.SLASHED
