"""The one way to get text out of a model, whichever engine runs it.

Prompts are text. Special tokens written in them (a rendered chat, an infilling prompt) are encoded as such; nothing
is put before a prompt. A completion ends at a token that ends text or turn, at a stop string, after `max_tokens`, or
where the model's context is full; a prompt that fills the context, or holds no token, gets an empty completion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from smallcoder.core.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. Temperature 0 is greedy; `top_p` keeps the likeliest tokens that together reach it.

    `samples` completions a prompt; sample s of prompt i depends on (seed, i, s) and the prompt alone.
    Raises InputError for values that mean nothing.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    samples: int = 1

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.samples < 1 or self.seed < 0:
            raise InputError(f"{self} asks for nothing", "max_tokens and samples start at 1, seed at 0")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise InputError(f"{self} is not a distribution", "temperature >= 0 and 0 < top_p <= 1")
        if "" in self.stop:
            raise InputError("a stop string is empty", "leave it out")


@dataclass(frozen=True)
class Completion:
    """`text` is without what ended it and without control tokens; `tokens` are all that were chosen, less a last
    end-of-text or end-of-turn token.

    `finish` is "length" where it was cut by `max_tokens` or the context.
    """

    text: str
    finish: Literal["stop", "length"]
    tokens: tuple[int, ...]


class Generator(Protocol):
    """An engine with a model loaded. Close it to give back the memory."""

    name: str

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.samples` completions for every prompt, in the order of the prompts."""
        ...

    def close(self) -> None: ...
