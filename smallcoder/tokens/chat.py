"""ChatML, the chat format of our own models: `<|im_start|>ROLE\\nCONTENT<|im_end|>\\n` for each message.

`TEMPLATE` is the Jinja form that goes with every model, `render` the same in Python; a test holds them equal. A model
from outside keeps its own format: `template.py` reads the template that comes with any tokenizer, ours too.

It renders no tool schemas.
"""

from collections.abc import Mapping, Sequence

from smallcoder.tokens.vocabulary import IM_END, IM_START

ROLES = ("system", "user", "assistant", "tool")
Message = Mapping[str, str]

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def render(messages: Sequence[Message], generate: bool = False) -> str:
    """The conversation as text; with `generate` it ends where the assistant's next answer begins."""
    turns = [f"{IM_START}{message['role']}\n{message['content']}{IM_END}\n" for message in messages]
    return "".join(turns) + (f"{IM_START}assistant\n" if generate else "")
