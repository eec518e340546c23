"""What a judge is asked, and how its answer is read: strictly, since a guess would be a label like any other.

An answer counts where its last JSON object has every scale of the question as a whole number within the scale's ends
(true and false where these are 0 and 1); for a question with one scale also where it is nothing but that number or
word. What comes before the object is left alone, so that a judge may reason first.
"""

import json
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from smallcoder.core.errors import InputError
from smallcoder.core.recipe import nearest

TAIL = 1 << 15  # characters at an answer's end that are looked at
DECODER = json.JSONDecoder()
WORDS = {"true": 1, "false": 0, "yes": 1, "no": 0}


@dataclass(frozen=True)
class Question:
    """The messages to send and the scales to get back, each from `low` to `high`."""

    system: str
    prompt: str
    scales: tuple[str, ...]
    low: int
    high: int

    def messages(self, text: str, lang: str | None) -> list[dict[str, str]]:
        """The messages about one text, as the chat protocol has them."""
        prompt = self.prompt.replace("{lang}", lang or "").replace("{text}", text)
        return [{"role": "system", "content": self.system}, {"role": "user", "content": prompt.strip("\n")}]

    def read(self, answer: str) -> tuple[int, ...] | None:
        """The grades of an answer in the order of the scales; None where it does not say them."""
        bare = answer.strip().strip(".").lower()
        found: Any = None
        if len(self.scales) == 1 and len(bare) <= 5:
            found = {self.scales[0]: WORDS.get(bare) if self.high == 1 else int(bare) if bare.isdecimal() else None}
        return self._grades(found or _last_object(answer))

    def _grades(self, found: Any) -> tuple[int, ...] | None:
        if not isinstance(found, dict):
            return None
        grades: list[int] = []
        for scale in self.scales:
            value = found.get(scale)
            if isinstance(value, bool) and (self.low, self.high) == (0, 1):
                value = int(value)
            if type(value) is not int or not self.low <= value <= self.high:
                return None
            grades.append(value)
        return tuple(grades)


def _last_object(answer: str) -> Any:
    """The last JSON object of a text, None without one. An object inside another is no object of the text."""
    answer = answer[-TAIL:]
    found, at = None, answer.find("{")
    while at >= 0:
        try:
            found, end = DECODER.raw_decode(answer, at)
        except (ValueError, RecursionError):  # a brace of the prose
            end = at + 1
        at = answer.find("{", end)
    return found


def load_question(name: str) -> Question:
    """A question of `questions.toml` by its name, or FILE.toml#NAME. Raises InputError for what cannot be asked."""
    path, mark, inner = name.rpartition("#")
    try:
        data = Path(path).expanduser().read_text("utf-8") if mark else _own().read_text("utf-8")
        table = tomllib.loads(data)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is no file of questions ({error})", "write it like data/judge/questions.toml"
        ) from None
    if inner not in table:
        raise InputError(f"there is no question {inner!r}", nearest(inner, table))
    try:
        row = table[inner]
        question = Question(
            str(row["system"]), str(row["prompt"]), tuple(row["scales"]), int(row["low"]), int(row["high"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the question {inner!r} lacks {error}", "give system, prompt, scales, low and high") from None
    if "{text}" not in question.prompt or not question.scales or question.low >= question.high:
        raise InputError(f"the question {inner!r} cannot be asked", "it needs {text}, a scale, and low below high")
    return question


def _own() -> Any:
    return files("smallcoder.data.judge").joinpath("questions.toml")
