"""ChatML, the chat format of our own models: `<|im_start|>ROLE\\nCONTENT<|im_end|>\\n` for each message.

`TEMPLATE` goes with every model of ours. A model from outside keeps its own format: `template.py` reads the template
that comes with any tokenizer, ours too.

It renders no tool schemas.
"""

from collections.abc import Mapping

ROLES = ("system", "user", "assistant", "tool")
Message = Mapping[str, str]

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
