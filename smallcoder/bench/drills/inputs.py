"""Hidden tests: random inputs, kept where they tell the right program from its near neighbours.

Values lie around a problem's own constants as often as not, so that "greater than" and "at least" come apart. The
expected results are computed by our own reference; inputs on which it fails, or says much, are passed over, so a test
never asks what an operation does where it makes no sense (the largest element of an empty list).
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from smallcoder.bench.drills.wording import CONSTANT_WORDS, LETTERS
from smallcoder.bench.grade import same

CANDIDATES = 80
TESTS = (6, 14)  # at least, at most
LARGEST_ARGUMENT = 400
LONGEST_RESULT = 600  # characters of repr

Call = Callable[..., Any]
Test = tuple[tuple[Any, ...], Any]


class Maker:
    """Makes arguments around a problem's constants: numbers, and strings to weave into texts and keys.

    `most` bounds integers; `distinct` means no ties: no equal elements, no two strings of one length.
    """

    def __init__(self, rng: Random, numbers: Sequence[int], strings: Sequence[str], most: int, distinct: bool) -> None:
        self._rng = rng
        self._strings = strings
        self._most = min(most, LARGEST_ARGUMENT)
        self._distinct = distinct
        self._spots = [spot for k in numbers for spot in (k - 1, k, k, k + 1, 2 * k)]
        near = (length for k in numbers if k < 30 for length in (k - 1, k, k + 1, k + 5))
        self._lengths = [0, 1, 2, 3, 4, 5, 6, 8, *near]

    def arguments(self, kinds: Sequence[str]) -> tuple[Any, ...]:
        """One value of each kind."""
        make = {"int": self._int, "ints": self._ints, "text": self._text, "words": self._words, "table": self._table}
        return tuple(make[kind]() for kind in kinds)

    def _int(self) -> int:
        if self._spots and self._rng.random() < 0.5:
            return min(self._rng.choice(self._spots), self._most)
        return self._rng.randint(0, min(self._most, self._rng.choice((3, 12, 60, LARGEST_ARGUMENT))))

    def _ints(self) -> list[int]:
        length = self._rng.choice(self._lengths)
        if self._distinct:
            return self._rng.sample(range(-60, 180), length)
        pool = [self._rng.randint(-60, self._rng.choice((20, 180))) for _ in range(self._rng.choice((3, 40)))]
        sources = [pool, pool, pool, self._spots or pool, self._spots or pool]
        return [self._rng.choice(self._rng.choice(sources)) for _ in range(length)]

    def _word(self) -> str:
        rng = self._rng
        word = rng.choice(self._strings) if self._strings and rng.random() < 0.3 else rng.choice(CONSTANT_WORDS)
        if rng.random() < 0.4:
            word += rng.choice((*self._strings, *CONSTANT_WORDS, *LETTERS, str(rng.randint(0, 99))))
        return rng.choice((word, word, word, word.title(), word.upper(), word[::-1]))

    def _text(self) -> str:
        rng = self._rng
        text = " ".join(self._word() for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 6))))
        if self._strings and rng.random() < 0.5:
            string = rng.choice(self._strings)
            text = rng.choice((string + text, text + string, text + string + text))
        if rng.random() < 0.15:
            text += text[::-1]
        return text.strip()

    def _words(self) -> list[str]:
        rng = self._rng
        length = rng.randint(0, 6)
        found = [self._word() if rng.random() < 0.6 else self._long() for _ in range(length)]
        if self._distinct:
            return list({len(word): word for word in found}.values())
        return found + [rng.choice(found) for _ in range(rng.choice((0, 0, 2))) if found]

    def _long(self) -> str:
        length = self._rng.choice(self._lengths)
        return "".join(self._word() for _ in range(length))[:length]

    def _table(self) -> dict[str, int]:
        rng = self._rng
        keys = rng.sample(self._strings, rng.randint(0, len(self._strings)))
        keys += [self._word() for _ in range(rng.randint(0, 6))]
        rng.shuffle(keys)
        spots = sorted({*self._spots, *rng.sample(range(-60, 180), 8)})
        return dict(zip(dict.fromkeys(keys), rng.sample(spots, min(len(spots), len(keys))), strict=False))


def choose(call: Call, rivals: Sequence[Call], candidates: Sequence[tuple[Any, ...]]) -> list[Test] | None:
    """Tests on which every rival differs from `call` at least once; None where the candidates hold no such set."""
    alive = list(rivals)
    tests: list[Test] = []
    seen: set[str] = set()  # arguments
    results: set[str] = set()
    for arguments in candidates:
        expected = outcome(call, arguments)
        if expected is None or len(repr(expected)) > LONGEST_RESULT or repr(arguments) in seen:
            continue
        seen.add(repr(arguments))
        left = [rival for rival in alive if same(outcome(rival, arguments), expected)]
        new = repr(expected) not in results
        if len(left) < len(alive) or len(tests) < TESTS[0] or (new and len(results) < 2):
            tests.append((arguments, expected))
            results.add(repr(expected))
        alive = left
        enough = len(tests) >= TESTS[0] and len(results) > 1
        if enough and not alive:
            return tests
        if len(tests) == TESTS[1]:
            break
    return None


def outcome(call: Call, arguments: tuple[Any, ...]) -> Any:
    """What one of our own programs returns, None where it fails."""
    try:
        return call(*arguments)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, AttributeError, KeyError):
        return None
