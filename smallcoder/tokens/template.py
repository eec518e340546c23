"""A tokenizer's own chat template: conversations as its model meets them, and what of them it is to learn.

Templates are Jinja, rendered in a sandbox with what transformers offers them (huggingface.co/docs/transformers,
"Chat templates"), but for the date: a template that asks for today gets that of Llama's own default. Targets are the
assistant's turns, each with the special token that ends it. A template with `{% generation %}` marks says where they
are. With any other, a turn begins where the conversation before it ends with its generation prompt, and ends where the
conversation up to it ends; both texts must be beginnings of the whole. Some templates change earlier turns when more
follow (Qwen3's drops their thoughts); such a turn is no target, and a conversation without any is refused.

What a model meets when it is served is a prompt, tokenized on its own, then the tokens of its answer; so a turn's text
is tokenized apart from what stands before it. Of the special tokens only the visible ones (`<think>`, `<tool_call>`,
...) may stand in a message; any other mark written there stays plain text, so nobody can end a turn from within it.

Cost: two renderings a turn, about 50 microseconds with tokenizing. It knows text alone, no images.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from smallcoder.core.errors import InputError
from smallcoder.tokens.chat import TEMPLATE, Message
from smallcoder.tokens.encode import Encoder
from smallcoder.tokens.layout import token_text
from smallcoder.tokens.vocabulary import IM_END, IM_START, VISIBLE

# Private characters: inside a mark that is to stay text, and around what the assistant generates.
GUARD, OPEN, CLOSE = "\U000f0000", "\U000f0001", "\U000f0002"
TODAY = datetime(2024, 7, 26)
NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class RefusedError(Exception):
    """This conversation cannot be shown, or holds nothing to learn, for the reason given in one word."""


class ChatTemplate:
    """Renders and encodes conversations with one tokenizer; `load_template` makes it.

    source: the template's text. origin: the file that it is from, or "ChatML".
    """

    def __init__(self, source: str, origin: str, encoder: Encoder, names: Mapping[str, str]) -> None:
        self.source = source
        self.origin = origin
        self._encoder = encoder
        self._names = dict(names)
        self._generation = re.search(r"\{%-?\s*generation\b", source) is not None
        self._template = _compile(source, origin)
        self._marks = _one_of(encoder.special)
        self._hidden = _one_of(encoder.special.keys() - set(VISIBLE))

    @property
    def shows_tools(self) -> bool:
        return re.search(r"\btools\b", self.source) is not None

    def render(self, messages: Sequence[Message], generate: bool = False, tools: list[Any] | None = None) -> str:
        """The conversation as text; with `generate` it ends where the assistant's next answer begins.

        Raises RefusedError where the template does not take these messages.
        """
        return _without(self._render(messages, generate, tools), OPEN + CLOSE)

    def ask(self, text: str) -> str:
        """A conversation of one question, up to where its answer begins. Raises InputError where none can begin so."""
        try:
            return self.render([{"role": "user", "content": text}], generate=True)
        except RefusedError:
            raise InputError(
                f"{self.origin} takes no conversation that begins with a user's turn",
                "copy it again from the checkpoint",
            ) from None

    def encode(self, messages: Sequence[Message], tools: list[Any] | None = None) -> tuple[list[int], list[int]]:
        """Ids of the conversation and, for each, 1 where the model is to predict it and 0 elsewhere.

        Raises RefusedError, whose text is "message" (it has characters that we use ourselves) or "template" (it does
        not take these messages, drops one, or does not tell where one of the assistant's turns is).
        """
        guarded, tools = self._guarded(list(messages)), self._guarded(tools)
        whole = self._render(guarded, False, tools)
        if any(message["content"].strip() not in whole for message in guarded if message["role"] in ("system", "user")):
            raise RefusedError("template")
        text, turns = _generated(whole) if self._generation else (whole, self._turns(whole, guarded, tools))
        if not turns:
            raise RefusedError("template")
        ids: list[int] = []
        targets: list[int] = []
        at = 0
        for start, end in [*(self._with_its_end(text, turn) for turn in turns), (len(text), len(text))]:
            for part, target in ((text[at:start], 0), (text[start:end], 1)):
                found = self._tokens(part)
                ids += found
                targets += [target] * len(found)
            at = end
        return ids, targets

    def _render(self, messages: Sequence[Message], generate: bool, tools: list[Any] | None) -> str:
        from jinja2 import TemplateError

        try:
            return self._template.render(
                messages=messages, tools=tools or None, add_generation_prompt=generate, **self._names
            )
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise RefusedError("template") from error

    def _guarded(self, value: Any) -> Any:
        """The same data, with a character inside each mark that is to stay text."""
        if isinstance(value, str):
            if GUARD in value or OPEN in value or CLOSE in value:
                raise RefusedError("message")
            return self._hidden.sub(lambda mark: mark[0][0] + GUARD + mark[0][1:], value)
        if isinstance(value, dict):
            return {name: self._guarded(part) for name, part in value.items()}
        return [self._guarded(part) for part in value] if isinstance(value, list) else value

    def _turns(self, whole: str, messages: Sequence[Message], tools: list[Any] | None) -> list[tuple[int, int]]:
        """Where the assistant's turns are, those that cannot be told left out."""
        turns = []
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            try:
                before = self._render(messages[:number], True, tools)
                after = self._render(messages[: number + 1], False, tools)
            except RefusedError:
                continue
            if whole.startswith(before) and whole.startswith(after) and len(before) < len(after):
                turns.append((len(before), len(after)))
        return turns

    def _with_its_end(self, text: str, turn: tuple[int, int]) -> tuple[int, int]:
        """A turn up to the special token that ends it, be it within, before some white space, or right behind."""
        start, end = turn
        inside = [mark.end() for mark in self._hidden.finditer(text, start, end)]
        if inside and not text[inside[-1] : end].strip():
            return start, inside[-1]
        following = self._hidden.match(text, end)
        return start, following.end() if following else end

    def _tokens(self, text: str) -> list[int]:
        ids = []
        for number, part in enumerate(self._marks.split(text)):
            if number % 2:
                ids.append(self._encoder.special[part])
            elif part:
                ids += self._encoder.encode(_without(part, GUARD))
        return ids


def load_template(folder: Path, encoder: Encoder) -> ChatTemplate:
    """The chat template of a tokenizer folder; ChatML where it has none but has ChatML's marks.

    Raises InputError where there is none, or none that Jinja reads.
    """
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        file = folder / "chat_template.jinja"
        if file.is_file():
            source, origin = file.read_text(encoding="utf-8"), file.name
        else:
            source, origin = _default(settings.get("chat_template")), "tokenizer_config.json"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the chat template of {folder} cannot be read ({error})", "copy its files again") from None
    if not source:
        if not {IM_START, IM_END} <= encoder.special.keys():
            raise InputError(
                f"the tokenizer of {folder} has no chat template",
                "copy chat_template.jinja from the model's instruct version, or add ChatML's marks: extend_tokenizer",
            )
        source, origin = TEMPLATE, "ChatML"
    names = {name: settings[name] for name in NAMES if settings.get(name)}
    return ChatTemplate(source, origin, encoder, {name: token_text(token) for name, token in names.items()})


def _default(found: Any) -> str | None:
    """A template, or of several with names the one for conversations."""
    return {entry["name"]: entry["template"] for entry in found}["default"] if isinstance(found, list) else found


def _one_of(marks: Iterable[str]) -> re.Pattern[str]:
    """One group that matches any of them, the longest first; nothing where there are none."""
    longest = sorted(marks, key=lambda mark: (-len(mark), mark))
    return re.compile("(" + ("|".join(map(re.escape, longest)) or r"(?!)") + ")")


def _without(text: str, characters: str) -> str:
    return text.translate(dict.fromkeys(map(ord, characters)))


def _generated(whole: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without the signs of what is generated, and where that was."""
    text, turns = "", []
    for part in re.split(f"{OPEN}(.*?){CLOSE}", whole, flags=re.DOTALL):
        text += part
        turns.append((len(text) - len(part), len(text)))
    return text, [turn for turn in turns[1::2] if turn[0] < turn[1]]


def _compile(source: str, origin: str) -> Any:
    """The template, with what transformers gives to templates."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %} ... {% endgeneration %}`: the text between, with signs around it."""

        tags = {"generation"}

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("signed"), [], [], body).set_lineno(line)

        def signed(self, caller: Any) -> str:
            return OPEN + caller() + CLOSE

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def to_json(value: Any, ensure_ascii: bool = False, **settings: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **settings)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": TODAY.strftime}
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise InputError(f"{origin} is no chat template ({error})", "copy it again from the checkpoint") from None
