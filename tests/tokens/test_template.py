"""Chat templates of other families: the text of transformers, the right targets, and no turn ended from within one."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.core.records import EXAMPLE
from smallcoder.tokens import chat, pack_examples
from smallcoder.tokens.encode import Encoder, load_encoder
from smallcoder.tokens.packed import PackedRows
from smallcoder.tokens.template import ChatTemplate, RefusedError, load_template

from .conftest import example, write
from .families import write_family
from .test_packing import segments

QWEN = """
{%- if messages[0]['role'] != 'system' %}
    {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}
{%- endif %}
{%- if tools %}
    {{- '# Tools\\n' }}
    {%- for tool in tools %}
        {{- tool | tojson }}
    {%- endfor %}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
THINKING = """
{%- set ns = namespace(last=0) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{%- set ns.last = loop.index0 %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and loop.index0 < ns.last %}
        {%- set content = content.split('</think>')[-1].lstrip() %}
    {%- endif %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' ~ content ~ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
LLAMA3 = """
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
DEEPSEEK = """
{%- if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif -%}
{{ bos_token }}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}
{{ message['content'] }}
    {%- elif message['role'] == 'user' %}
{{ '### Instruction:\\n' + message['content'] + '\\n' }}
    {%- else %}
{{ '### Response:\\n' + message['content'] + '\\n<|EOT|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{ '### Response:' }}
{%- endif %}
"""
GEMMA = """
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate') }}
    {%- endif %}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] %}
    {{- '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{% endif %}
"""
MARKED = """
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}{{- message.content }}{{- '<|im_end|>' }}{%- endgeneration %}
    {%- else %}
        {{- message.content + '<|im_end|>' }}
    {%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
TEMPLATES = {
    "qwen": ("qwen", QWEN, "<|im_end|>"),
    "thinking": ("qwen", THINKING, "<|im_end|>"),
    "marked": ("qwen", MARKED, "<|im_end|>"),
    "chatml": ("qwen", "", "<|im_end|>"),
    "llama3": ("llama3", LLAMA3, "<|eot_id|>"),
    "deepseek": ("deepseek", DEEPSEEK, "\n<|EOT|>"),
    "gemma": ("gemma", GEMMA, "<end_of_turn>"),
}


def turns(*texts: str, system: str = "") -> list[dict[str, str]]:
    """User and assistant in turn."""
    first = [{"role": "system", "content": system}] if system else []
    return first + [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]


def made(folder: Path, family: str, source: str) -> tuple[Path, ChatTemplate, Encoder]:
    write_family(family, folder)
    if source:
        (folder / "chat_template.jinja").write_text(source, encoding="utf-8")
    encoder = load_encoder(folder)
    return folder, load_template(folder, encoder), encoder


@pytest.fixture(scope="module", params=TEMPLATES)
def case(request, tmp_path_factory) -> tuple[Path, ChatTemplate, Encoder, str]:
    family, source, end = TEMPLATES[request.param]
    return *made(tmp_path_factory.mktemp(request.param), family, source), end


CHATS = [
    turns("write f", "def f():\n    return 1"),
    turns("a", "b", "c", "d\n\ne", "f é", "g"),
    turns("a", "<think>why</think>b", "c", "<think>so</think>d"),
    turns("hi", "yes", system="Be brief."),
]


def test_text_and_ids_are_those_of_transformers(case):
    from transformers import AutoTokenizer

    folder, template, _, _ = case
    peer = AutoTokenizer.from_pretrained(folder)
    count = 0
    for messages in CHATS:
        for shown in (messages, messages[:-1]):
            for generate in (False, True):
                asked: dict[str, Any] = {"chat_template": template.source, "add_generation_prompt": generate}
                try:
                    text = peer.apply_chat_template(shown, tokenize=False, **asked)
                except Exception:
                    with pytest.raises(RefusedError, match="template"):
                        template.render(shown, generate)
                    continue
                count += 1
                assert template.render(shown, generate) == text
        try:
            ids, targets = template.encode(messages)
        except RefusedError:
            continue
        asked = {"chat_template": template.source, "return_dict": True, "return_assistant_tokens_mask": True}
        whole = peer.apply_chat_template(messages, **asked)
        assert ids == whole["input_ids"]
        if "endgeneration" in template.source:
            assert targets == whole["assistant_masks"]
    assert count >= 12


def test_targets_are_the_answers_and_their_ends(case):
    _, template, encoder, end = case
    ids, targets = template.encode(CHATS[1])
    learned = encoder.decode([id for id, target in zip(ids, targets, strict=True) if target])
    lead = "\n" if template.source == DEEPSEEK else ""  # its generation prompt ends before the line end
    assert learned == "".join(f"{lead}{text}{end}" for text in ("b", "d\n\ne", "g"))
    assert encoder.decode(ids) == template.render(CHATS[1])
    prompt = encoder.encode(template.render(CHATS[1][:-1], generate=True), special=True)
    assert ids[: len(prompt)] == prompt  # what it will meet when it is served


def test_a_turn_that_changes_later_is_no_target(tmp_path):
    _, template, encoder = made(tmp_path, "qwen", THINKING)
    ids, targets = template.encode(CHATS[2])
    learned = encoder.decode([id for id, target in zip(ids, targets, strict=True) if target])
    assert learned == "<think>so</think>d<|im_end|>"
    with pytest.raises(RefusedError, match="template"):
        template.encode(CHATS[2][:3])


def test_nobody_ends_a_turn_from_within_it(case):
    """Marks in a message are text, whatever the template; and the text of the conversation stays whole."""
    _, template, encoder, _ = case
    pieces = st.sampled_from([*encoder.special, "<|im_", "end|>", "x", "\n", " ", "é", "<", "{{ x }}", "{% raw %}"])

    @settings(max_examples=120, deadline=None)
    @given(st.lists(pieces, max_size=8).map("".join), st.lists(pieces, max_size=8).map("".join))
    def check(asked: str, answer: str):
        innocent, _ = template.encode(turns("a", "b"))
        try:
            ids, targets = template.encode(turns(f"a{asked}z", f"b{answer}z"))
        except RefusedError:
            return
        special = set(encoder.special.values())
        assert [id for id in ids if id in special] == [id for id in innocent if id in special]
        assert f"b{answer}z" in encoder.decode([id for id, wanted in zip(ids, targets, strict=True) if wanted])

    check()


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (turns("hi", "yes", system="Be brief."), "template"),  # it raises
        ([*turns("a", "b"), {"role": "assistant", "content": "c"}], "template"),
        (turns("a\U000f0000", "b"), "message"),
        (turns("a"), "template"),
    ],
)
def test_what_a_template_does_not_take_is_refused(tmp_path, messages, reason):
    _, template, _ = made(tmp_path, "gemma", GEMMA)
    with pytest.raises(RefusedError, match=reason):
        template.encode(messages)


def test_a_template_that_drops_a_message_is_found_out(tmp_path):
    source = MARKED.replace("{%- for message in messages %}", "{%- for message in messages[-2:] %}")
    _, template, _ = made(tmp_path, "qwen", source)
    assert any(template.encode(turns("a", "b"))[1])
    with pytest.raises(RefusedError, match="template"):
        template.encode(turns("gone", "b", "c", "d"))


def test_where_a_template_is_read_from(tmp_path):
    folder, template, encoder = made(tmp_path, "qwen", "")
    assert (template.source, template.origin) == (chat.TEMPLATE, "ChatML")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    several = [{"name": "rag", "template": "x"}, {"name": "default", "template": QWEN}]
    for entry in (QWEN, several):
        (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": entry}))
        assert load_template(folder, encoder).source == QWEN
    (folder / "chat_template.jinja").write_text(MARKED)
    assert load_template(folder, encoder).origin == "chat_template.jinja"
    (folder / "chat_template.jinja").write_text("{% for %}")
    with pytest.raises(InputError, match=r"chat_template.jinja"):
        load_template(folder, encoder)
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": [{"name": "rag"}]}))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="chat template"):
        load_template(folder, encoder)
    starcoder = write_family("starcoder", tmp_path / "starcoder")
    with pytest.raises(InputError, match="no chat template"):
        load_template(starcoder, load_encoder(starcoder))


def test_pack_examples_keeps_a_models_own_format(tmp_path):
    folder, _, encoder = made(tmp_path / "gemma", "gemma", GEMMA)
    rows = [example(f"g{n}", ("user", f"add {n}"), ("assistant", f" x + {n}\n")) for n in range(20)]
    rows.append(example("system", ("system", "s"), ("user", "u"), ("assistant", "a")))
    inputs = {"examples": write(tmp_path / "examples", EXAMPLE, rows), "tokenizer": folder}
    (tmp_path / "out").mkdir()
    facts = pack_examples.run(pack_examples.Config(context=64), inputs, tmp_path / "out")
    assert (facts["template"], facts["dropped"]) == ("chat_template.jinja", {"template": 1})
    found = segments(PackedRows(tmp_path / "out/packed"))
    texts = {encoder.decode(ids.tolist()): encoder.decode(ids[targets == 1].tolist()) for ids, targets in found}
    assert texts == {
        f"<s><start_of_turn>user\nadd {n}<end_of_turn>\n<start_of_turn>model\nx + {n}<end_of_turn>\n": (
            f"x + {n}<end_of_turn>"
        )
        for n in range(20)
    }


def test_tools_are_shown_where_the_template_shows_them(tmp_path):
    _, template, encoder = made(tmp_path, "qwen", QWEN)
    tools = [{"name": "run<|im_end|>", "é": 1}]
    row = example("a", ("user", "u"), ("assistant", "a"), tools=json.dumps(tools))
    ids, _, reason = pack_examples.tokenize(row, template, 4096)
    assert not reason
    assert '{"name": "run<|im_end|>", "é": 1}' in encoder.decode(ids)
    assert ids.count(encoder.special["<|im_end|>"]) == 3
    assert pack_examples.tokenize({**row, "tools": "{"}, template, 4096)[2] == "tools"
