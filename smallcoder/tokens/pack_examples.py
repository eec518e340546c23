"""Stage `pack_examples`: conversations to packed rows (`packed.py`); only what the assistant says is a target.

One example is one piece, as the tokenizer's own chat template renders it (`template.py`), so a model from outside keeps
its format; its targets are the assistant's turns and the token that ends each. An example is never cut: one that does
not fit a row, has no assistant message, or needs what the template cannot show (tool schemas, other roles, another
order of turns) is left out and counted with its reason.

It does not repeat or weigh examples: the training loop counts epochs, and `more` is simply added to `examples`.
"""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.tokens.pack_documents import BYTES_PER_TOKEN, sizes

if TYPE_CHECKING:
    from smallcoder.tokens.template import ChatTemplate


class Config(StageConfig):
    context: int = Field(default=512, ge=32, le=1 << 20)
    seed: int = 0


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    tables = [size for role, size in inputs.items() if role != "tokenizer"]
    if not all(size.bytes for size in tables):
        return Size()
    tokens = sum(size.bytes or 0 for size in tables) / BYTES_PER_TOKEN
    return Size(round(tokens / config.context), round(5 * tokens), f"{tokens / 1e6:.1f}M tokens")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    from smallcoder.core.progress import Progress
    from smallcoder.core.tables import read_batches
    from smallcoder.tokens.encode import load_encoder
    from smallcoder.tokens.packing import Pieces, pack
    from smallcoder.tokens.sample import draw
    from smallcoder.tokens.template import load_template

    encoder = load_encoder(inputs["tokenizer"])
    template = load_template(inputs["tokenizer"], encoder)
    kept: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    with Pieces(out) as pieces, Progress("tokenize", unit="examples") as progress:
        for role in sorted(set(inputs) - {"tokenizer"}):
            for batch in read_batches(inputs[role], ("id", "messages", "tools", "task")):
                for row in batch.to_pylist():
                    ids, targets, reason = tokenize(row, template, config.context + 1)
                    if reason:
                        dropped[reason] += 1
                    else:
                        kept[row["task"] or ""] += 1
                        pieces.add(draw(config.seed, role, row["id"]), ids, targets)
                progress.advance(batch.num_rows)
        counts = {
            "examples": kept.total(),
            "tasks": dict(sorted(kept.items())),
            "dropped": dict(sorted(dropped.items())),
            "template": template.origin,
        }
        meta = pack(pieces, out / "packed", encoder, counts, context=config.context, seed=config.seed)
    return sizes(meta, out / "packed")


def tokenize(row: dict[str, Any], template: "ChatTemplate", capacity: int) -> tuple[list[int], list[int], str]:
    """Ids and targets of one EXAMPLE row, and the reason to leave it out ("" to keep it)."""
    from smallcoder.tokens.chat import ROLES
    from smallcoder.tokens.template import RefusedError

    messages = row["messages"] or []
    if any(message["role"] not in ROLES or message["content"] is None for message in messages):
        return [], [], "message"
    try:
        tools = json.loads(row["tools"]) if row["tools"] else None
    except ValueError:
        return [], [], "tools"
    if row["tools"] and not template.shows_tools:
        return [], [], "tools"
    if not any(message["role"] == "assistant" for message in messages):
        return [], [], "no_answer"
    try:
        ids, targets = template.encode(messages, tools)
    except RefusedError as reason:
        return [], [], str(reason)
    return ids, targets, "too_long" if len(ids) > capacity else ""
