"""Conversations as text and as ids: ChatML, `<|im_start|>ROLE\\nCONTENT<|im_end|>\\n` for each message.

`TEMPLATE` is the Jinja form that goes with every model, `render` the same in Python; a test holds them equal.
`encode` gives what a model meets when it is served: a prompt up to `assistant\\n`, tokenized on its own, then the
answer's tokens. Of the special tokens only the visible ones (`<think>`, `<tool_call>`, ...) may stand in a message;
any other mark written there stays plain text, so nobody can end a turn from within it.

It renders no tool schemas.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smallcoder.tokens.encode import Encoder
from smallcoder.tokens.vocabulary import IM_END, IM_START, VISIBLE

ROLES = ("system", "user", "assistant", "tool")
Message = Mapping[str, str]
_VISIBLE = re.compile("(" + "|".join(VISIBLE) + ")")

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Span:
    """A stretch of a rendered conversation. `mark`: it is one special token; `target`: the model is to write it."""

    text: str
    mark: bool
    target: bool


def spans(messages: Sequence[Message]) -> list[Span]:
    """The conversation in stretches that are tokenized one by one. Targets: each assistant's content and <|im_end|>."""
    found = []
    for message in messages:
        role, content = message["role"], message["content"]
        own = role == "assistant"
        found.append(Span(IM_START, True, False))
        if own:
            found += [Span(f"{role}\n", False, False), *_content(content, True)]
        else:
            found += _content(f"{role}\n{content}", False)
        found += [Span(IM_END, True, own), Span("\n", False, False)]
    return found


def _content(text: str, target: bool) -> list[Span]:
    return [Span(part, part in VISIBLE, target) for part in _VISIBLE.split(text) if part]


def render(messages: Sequence[Message], generate: bool = False) -> str:
    """The conversation as text; with `generate` it ends where the assistant's next answer begins."""
    return "".join(span.text for span in spans(messages)) + (f"{IM_START}assistant\n" if generate else "")


def encode(messages: Sequence[Message], encoder: Encoder) -> tuple[list[int], list[int]]:
    """Ids of the conversation and, for each, 1 where the model is to predict it and 0 elsewhere."""
    ids: list[int] = []
    targets: list[int] = []
    for span in spans(messages):
        part = [encoder.token_id(span.text)] if span.mark else encoder.encode(span.text)
        ids += part
        targets += [int(span.target)] * len(part)
    return ids, targets
