"""How a drill is worded: frames, names and constants, each with a part that training never shows.

Whether a number, letter, word or name is held out is decided by its hash, so it holds for every seed. Names are many,
lest a model learns them by heart: with six names of arguments a kind, one wrote trained names where others were asked,
and with names of functions made of 36 verbs and 42 nouns, one wrote a verb and a noun where `total` was asked.
Numbers below ten are always trained on, and every digit occurs in trained numbers at both places.
"""

import tomllib
from functools import cache
from hashlib import blake2b
from itertools import permutations
from pathlib import Path

FRAMES = (
    "Write a function `{name}({arguments})` to {do}.",
    "Write a function {name} that takes {given}. It should {do}.",
    "Define {name}({arguments}): {do}.",
    "Given {given}, {do}. Name the function {name}.",
    "Implement `{name}` for {given}: {do}.",
    "I need a function `{name}({arguments})`. It has to {do}.",
    "{Do}. Write it as {name}({arguments}).",
    "Complete def {name}({arguments}) so that it will {do}.",
    "Please write `{name}` with {given}. It must {do}.",
    "Python function {name}, taking {given}: {do}.",
    "Write {name}({arguments}) so that it can {do}.",
    "The function {name} takes {given}. Make it {do}.",
    "`{name}({arguments})` should {do}. Write it.",
    "In Python, write {name} for {given}. It is there to {do}.",
    "I want {name}({arguments}) to {do}.",
    "Help me write {name}. For {given}, {do}.",
    "Code `{name}({arguments})`: it must {do}.",
    "For {given}: {do}. Put this into a function {name}.",
    "Show me a function that will {do}. Its header is {name}({arguments}).",
    "def {name}({arguments}): {do}",
    "Finish `def {name}({arguments})`, which has to {do}.",
    "A function `{name}` gets {given}. It should {do}. Write it.",
)
UNSEEN_FRAMES = (
    "Make a function called {name} that is given {given}; it needs to {do}.",
    "Could you write {name}({arguments}) in Python? It will {do}.",
    "Your task: {do}. The function is `{name}({arguments})`.",
    "Create `{name}`. The input is {given}. Have it {do}.",
    "With {given}, the function `{name}` must {do}. Write that function.",
)
JOINTS = ("first {first}, then {second}", "{first}, then {second}", "{first} and then {second}")

GIVEN = {
    "int": ("an integer {}", "a number {}"),
    "ints": ("a list {}", "a list of numbers {}"),
    "text": ("a string {}",),
    "words": ("a list of strings {}",),
    "table": ("a dict {}",),
    "int int": ("integers {}", "two numbers {}"),
}
_WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
NAME_WORDS, PREFIXES, CONSTANT_WORDS = (tuple(_WORDS[key].split()) for key in ("names", "prefixes", "constants"))
# An argument is a letter, a noun of its kind, or a noun after a prefix: so many that a model has to copy them. Letters
# and nouns that the operations' own code uses are not among them.
LONE_LETTERS = "abefghjlmnopqrtuwz"
ARGUMENTS = {
    "int": ("number", "num", "value", "count", "size", "amount", "index", "limit", "level", "points"),
    "ints": ("values", "nums", "numbers", "items", "data", "entries", "elements", "scores", "vals", "xs", "list"),
    "text": ("text", "string", "line", "word", "name", "message", "title", "label", "phrase", "content"),
    "words": ("words", "names", "strings", "lines", "parts", "tokens", "fields", "terms", "labels", "keys"),
    "table": ("table", "mapping", "counts", "prices", "sizes", "stock", "marks", "ages", "rates", "weights"),
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def bucket(kind: str, value: object, buckets: int) -> int:
    """A stable hash of a value into 0..buckets-1."""
    return int.from_bytes(blake2b(f"{kind}/{value}".encode(), digest_size=8).digest(), "big") % buckets


@cache
def numbers(seen: bool) -> tuple[int, ...]:
    """The numbers 2..99 of one side; a fifth of those with two digits is held out."""
    return tuple(n for n in range(2, 100) if (n >= 10 and bucket("number", n, 5) == 0) != seen)


@cache
def letters(seen: bool) -> tuple[str, ...]:
    """The letters of one side."""
    return tuple(letter for letter in LETTERS if (bucket("letter", letter, 5) == 0) != seen)


@cache
def words(seen: bool) -> tuple[str, ...]:
    """The word constants of one side."""
    return tuple(word for word in CONSTANT_WORDS if (bucket("word", word, 5) == 0) != seen)


@cache
def names(words: int, seen: bool) -> tuple[str, ...]:
    """The function names of that many words on one side; a fifth is held out."""
    every = map("_".join, permutations(NAME_WORDS, words))
    return tuple(name for name in every if (bucket("name", name, 5) == 0) != seen)


@cache
def arguments(kind: str, seen: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of arguments of one kind and side: short ones, and those with a prefix."""
    short = (*LONE_LETTERS, *(noun for noun in ARGUMENTS[kind] if noun != "list"))
    long = (f"{prefix}_{noun}" for prefix in PREFIXES for noun in ARGUMENTS[kind])
    one, other = (
        tuple(name for name in names if (bucket("argument", name, 5) == 0) != seen) for names in (short, long)
    )
    return one, other
