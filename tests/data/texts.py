"""Texts at a known distance, and the plain definition of their similarity."""

import random
import re

WORDS = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")


def shingles_of(text: str, size: int = 5) -> set[tuple[bytes, ...]]:
    words = WORDS.findall(text.encode())
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}


def exact(left: str, right: str) -> float:
    one, two = shingles_of(left), shingles_of(right)
    return len(one & two) / len(one | two) if one & two else 0.0


def edited(words: list[str], edits: int, rng: random.Random) -> str:
    words = list(words)
    for _ in range(edits):
        words[rng.randrange(len(words))] = f"other{rng.randrange(10**6)}"
    return " ".join(words)
