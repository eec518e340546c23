"""Makes drills: training examples, and problems of four splits that hold out what training never shows.

In every held-out problem the function name, the names of the arguments and all constants never occur in training.
On top of that each split holds out one thing, and takes the rest from what training shows:

    wording     the frame around the operation
    phrasing    the phrasing of the operation itself
    pairs       the pair of operations, in either order; each is trained on alone and in other pairs
    families    the operation

Everything follows from the seed; which side a constant, a name or a pair is on follows from hashes alone, so no seed
trains on what another one holds out. 17,000 examples take about two seconds, 1,200 problems about five.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from string import Template
from typing import Any

from smallcoder.bench.drills import wording
from smallcoder.bench.drills.inputs import CANDIDATES, Maker, Test, choose
from smallcoder.bench.drills.operations import Operation, trained, untrained
from smallcoder.bench.problem import Problem
from smallcoder.core.records import record_id

BENCHMARK = "drills"
SPLITS = ("wording", "phrasing", "pairs", "families")
PAIR_SHARE = 0.5  # of training examples
NAME_LENGTHS = (1, 2, 2)  # words of a function's name, drawn from these
SPARE: dict[str, Any] = {"k": 7, "m": 9, "c": "e", "w": "red"}  # constants of a rival where a drill has none
MIDDLE = "result"  # the name of what the first of two operations gives

Pair = tuple[Operation, Operation]
Constants = dict[str, Any]


@dataclass(frozen=True)
class Drill:
    """One drill: a prompt, the function that answers it, and the parts both were made from."""

    prompt: str
    answer: str
    name: str
    frame: str
    phrasings: tuple[str, ...]
    arguments: tuple[str, ...]
    operations: tuple[Operation, ...]
    constants: tuple[Constants, ...]  # one for each operation

    def call(self, *arguments: Any) -> Any:
        """What the answer computes."""
        value = _apply(self.operations[0], self.constants[0], *arguments)
        return _apply(self.operations[1], self.constants[1], value) if len(self.operations) == 2 else value


def compose(
    operations: tuple[Operation, ...], phrasings: tuple[str, ...], frame: str, rng: Random, seen: bool
) -> Drill:
    """A drill of one or two operations, with names and constants of one side drawn by `rng`."""
    first = operations[0]
    kinds = " ".join(first.takes)
    arguments = tuple(rng.sample(rng.choice(wording.arguments(first.takes[0], seen)), len(first.takes)))
    constants = tuple(_draw(operation, rng, seen) for operation in operations)
    shown = [{key: _literal(value) for key, value in drawn.items()} for drawn in constants]
    places = dict(zip("ab", arguments, strict=False))
    done = [Template(text).substitute(places, **drawn) for text, drawn in zip(phrasings, shown, strict=True)]
    do = done[0] if len(done) == 1 else rng.choice(wording.JOINTS).format(first=done[0], second=done[1])
    pool = wording.names(rng.choice(NAME_LENGTHS), seen)
    name = rng.choice(pool)
    while name in arguments:
        name = rng.choice(pool)
    prompt = frame.format(
        name=name,
        arguments=", ".join(arguments),
        given=rng.choice(wording.GIVEN[kinds]).format(" and ".join(arguments)),
        do=do,
        Do=do[0].upper() + do[1:],
    )
    if len(operations) == 1:
        lines = first.lines(arguments, shown[0])
    else:
        step = first.expression(arguments[0], shown[0])
        lines = [f"{MIDDLE} = {step}", *operations[1].lines((MIDDLE,), shown[1])]
    answer = f"def {name}({', '.join(arguments)}):\n" + "\n".join("    " + line for line in lines)
    return Drill(prompt, answer, name, frame, phrasings, arguments, operations, constants)


def _draw(operation: Operation, rng: Random, seen: bool) -> Constants:
    numbers = [number for number in wording.numbers(seen) if number <= operation.most]
    drawn = sorted(rng.sample(numbers, 2)) if "m" in operation.constants else [rng.choice(numbers)]
    values = dict(zip("km", drawn, strict=False))
    values |= {"c": rng.choice(wording.letters(seen)), "w": rng.choice(wording.words(seen))}
    return {name: values[name] for name in operation.constants}


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@cache
def pairs(seen: bool) -> tuple[Pair, ...]:
    """All pairs of different trained operations that fit together, of one side. A sixth is held out."""
    halves = [operation for operation in trained() if operation.is_expression]
    return tuple(
        (first, second)
        for first in halves
        for second in halves
        if first != second and (first.gives,) == second.takes and len(first.takes) == 1
        if (wording.bucket("pair", sorted((first.name, second.name)), 6) == 0) != seen
    )


def training(seed: int, count: int) -> Iterator[Drill]:
    """`count` different training drills: half are pairs. Operations, phrasings and pairs take turns."""
    rng = Random(f"drills/training/{seed}")
    singles = _deck(rng, [(operation, text) for operation in trained() for text in operation.seen])
    doubles = _deck(rng, list(pairs(True)))
    frames = _deck(rng, list(wording.FRAMES))
    prompts: set[str] = set()
    while len(prompts) < count:
        if rng.random() < PAIR_SHARE:
            pair = next(doubles)
            drill = compose(pair, tuple(rng.choice(half.seen) for half in pair), next(frames), rng, seen=True)
        else:
            operation, text = next(singles)
            drill = compose((operation,), (text,), next(frames), rng, seen=True)
        if drill.prompt not in prompts:
            prompts.add(drill.prompt)
            yield drill


def _deck(rng: Random, cards: list[Any]) -> Iterator[Any]:
    """The cards again and again, newly shuffled each time."""
    while True:
        yield from rng.sample(cards, len(cards))


def problems(seed: int, per_split: int) -> list[Problem]:
    """`per_split` held-out problems of each split, with their hidden tests."""
    return [problem for split in SPLITS for problem in _split(split, seed, per_split)]


def _split(split: str, seed: int, count: int) -> list[Problem]:
    rng = Random(f"drills/{split}/{seed}")
    deck = _deck(rng, list(pairs(False) if split == "pairs" else untrained() if split == "families" else trained()))
    found: dict[str, Problem] = {}
    while len(found) < count:
        card = next(deck)
        operations = card if isinstance(card, tuple) else (card,)
        phrasings = tuple(rng.choice(half.unseen if split == "phrasing" else half.seen) for half in operations)
        frame = rng.choice(wording.UNSEEN_FRAMES if split == "wording" else wording.FRAMES)
        drill = compose(operations, phrasings, frame, rng, seen=False)
        problem = as_problem(drill, split, rng)
        if problem and problem.prompt not in {known.prompt for known in found.values()}:
            found[problem.id] = problem
    return list(found.values())


def as_problem(drill: Drill, split: str, rng: Random) -> Problem | None:
    """The drill with hidden tests; None where no test tells it from a neighbour, such as a pair whose halves cancel."""
    kinds = drill.operations[0].takes
    numbers = [value for drawn in drill.constants for value in drawn.values() if isinstance(value, int)]
    strings = [value for drawn in drill.constants for value in drawn.values() if isinstance(value, str)]
    most = min(operation.most_argument for operation in drill.operations)
    maker = Maker(rng, numbers, strings, most, any(operation.distinct for operation in drill.operations))
    tests = choose(drill.call, rivals(drill), [maker.arguments(kinds) for _ in range(CANDIDATES)])
    if tests is None:
        return None
    family = "+".join(operation.name for operation in drill.operations)
    meta = {"family": family, "frame": drill.frame, "phrasings": list(drill.phrasings)}
    return Problem(
        id=record_id(BENCHMARK, split, drill.prompt),
        benchmark=BENCHMARK,
        split=split,
        prompt=drill.prompt,
        entry_point=drill.name,
        reference=drill.answer,
        tests=_tests(tests),
        meta=meta,
    )


def _tests(tests: list[Test]) -> str:
    return json.dumps({"inputs": [repr(test[0]) for test in tests], "expected": [repr(test[1]) for test in tests]})


def rivals(drill: Drill) -> list[Callable[..., Any]]:
    """Programs that must fail the drill's tests: neighbours of each operation, constants off by one, half a pair."""
    wrong: list[Callable[..., Any]] = [lambda *arguments: arguments[0]]
    for place, operation in enumerate(drill.operations):
        constants = drill.constants[place]
        wrong += [_with(drill, place, other, constants) for other in _neighbours(operation) if other != operation]
        for key, value in constants.items():
            shifted = [value - 1, value + 1] if isinstance(value, int) else [value + "s"]
            wrong += [_with(drill, place, operation, {**constants, key: other}) for other in shifted]
    if len(drill.operations) == 2:
        wrong += [
            lambda argument, half=half: _apply(drill.operations[half], drill.constants[half], argument)
            for half in (0, 1)
        ]
    return wrong


@cache
def _neighbours(operation: Operation) -> tuple[Operation, ...]:
    return tuple(
        other for other in trained() + untrained() if (other.takes, other.gives) == (operation.takes, operation.gives)
    )


def _apply(operation: Operation, constants: Constants, *arguments: Any) -> Any:
    if any(isinstance(argument, int) and argument > operation.most_argument for argument in arguments):
        raise ValueError(f"{operation.name} would take too long")
    return operation.call(*arguments, **{name.upper(): value for name, value in (SPARE | constants).items()})


def _with(drill: Drill, place: int, operation: Operation, constants: Constants) -> Callable[..., Any]:
    """The drill's program with another operation or constants in one place."""

    def wrong(*arguments: Any) -> Any:
        if len(drill.operations) == 1:
            return _apply(operation, constants, *arguments)
        if place == 0:
            return _apply(drill.operations[1], drill.constants[1], _apply(operation, constants, *arguments))
        return _apply(operation, constants, _apply(drill.operations[0], drill.constants[0], *arguments))

    return wrong
