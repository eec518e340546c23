"""Stage `extend_tokenizer`: special tokens that a base model lacks, with rows of its embeddings for them.

    from = { model = "base", tokenizer = "base" }      # as `base_model` writes them

A token takes a slot that the base has reserved (`<|reserved_3|>`, `<unused7>`, `[control_21]`, ...), in the order of
ids; when these are used up, it gets a new id behind the last. The ids of all other tokens stay as they are, so ordinary
text is encoded as before. Where new ids pass the rows that the model has, rows are added up to the next `multiple`,
which matrix products are quickest with. The rows of new tokens are set to the mean of the old ones with a little noise,
so that the model's distribution over the old tokens hardly moves (Hewitt 2021, nlp.stanford.edu/~johnhew, "Initializing
New Word Embeddings"); the output matrix likewise.

Writes model/ and tokenizer/; the chat template and everything else in the tokenizer's files stay. Without its own
infilling marks, the model gets the default ones. Memory: the model in fp32, twice its embeddings.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from smallcoder.core.errors import InputError
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.tokens.vocabulary import CONTROL, IM_END, VISIBLE

if TYPE_CHECKING:
    from torch import Tensor

RESERVED = re.compile(
    r"<\|?(?:reserved|unused|extra|placeholder|dummy)[a-z_]*[0-9]+\|?>|\[(?:control|unused)_?[0-9]+\]", re.IGNORECASE
)
NOISE = 0.1  # standard deviation of a new row around the mean, as a share of that of the old rows


class Config(StageConfig):
    """`tokens`: what must be there in the end; those that are already stay what they are."""

    tokens: tuple[str, ...] = Field(default=(*CONTROL, *VISIBLE), min_length=1)
    multiple: int = Field(default=128, ge=1)
    seed: int = 0


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/model and out/tokenizer. Raises InputError for a tokenizer or a model that cannot be read."""
    from dataclasses import replace

    from smallcoder.model.hf import TOKENIZER_FILES, load_model, save_model
    from smallcoder.tokens.encode import load_encoder
    from smallcoder.tokens.fim import FILE, FimSpec
    from smallcoder.tokens.template import load_template

    tokenizer = out / "tokenizer"
    tokenizer.mkdir()
    for name in TOKENIZER_FILES:
        if (inputs["tokenizer"] / name).is_file():
            (tokenizer / name).write_bytes((inputs["tokenizer"] / name).read_bytes())
    placed = extend(tokenizer, config.tokens)
    encoder = load_encoder(tokenizer)
    if not (tokenizer / FILE).exists() and {FimSpec().prefix, FimSpec().suffix, FimSpec().middle} <= set(config.tokens):
        FimSpec().save(tokenizer)
    if IM_END in config.tokens and (template := load_template(tokenizer, encoder)).origin == "ChatML":
        (tokenizer / "chat_template.jinja").write_text(template.source, encoding="utf-8")
    decoder = load_model(inputs["model"])
    rows = decoder.config.vocab_size
    if encoder.vocab_size > rows:
        rows = -(-encoder.vocab_size // config.multiple) * config.multiple
    old = sorted(set(range(min(encoder.vocab_size, decoder.config.vocab_size))) - set(placed.values()))
    for module in (decoder.embed_tokens,) if decoder.config.tied else (decoder.embed_tokens, decoder.lm_head):
        module.weight = resized(module.weight.detach(), rows, old, sorted(placed.values()), config.seed)
    decoder.config = replace(decoder.config, vocab_size=rows)
    save_model(decoder, tokenizer, out / "model")
    added = [token for token in config.tokens if token in placed]
    return {
        "headline": f"{len(added)} tokens added, {rows - len(old) - len(added)} rows free",
        "added": {token: placed[token] for token in added},
        "vocab_size": rows,
        "family": decoder.config.family,
    }


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(bytes=inputs["model"].bytes, note=f"{len(config.tokens)} special tokens")


def extend(folder: Path, tokens: tuple[str, ...]) -> dict[str, int]:
    """Add tokens to the tokenizer in a folder; the ids of those that were not there."""
    try:
        data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        added: list[dict[str, Any]] = data.setdefault("added_tokens", [])
        vocabulary: dict[str, int] = data["model"]["vocab"]
        known = {entry["content"] for entry in added}
        missing = [token for token in dict.fromkeys(tokens) if token not in known]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no readable tokenizer ({error})", "take it from `base_model`") from None
    ids = vocabulary | {entry["content"]: entry["id"] for entry in added}
    free = sorted(id for text, id in ids.items() if RESERVED.fullmatch(text) and text not in tokens)
    first = max(ids.values()) + 1
    slots = [*free, *range(first, first + len(missing))][: len(missing)]
    placed = dict(zip(missing, slots, strict=True))
    names = {id: text for text, id in ids.items()}
    for token, id in placed.items():
        if id in names:
            vocabulary.pop(names[id], None)
        entry = {"id": id, "content": token, "single_word": False, "lstrip": False, "rstrip": False}
        entry |= {"normalized": False, "special": token not in VISIBLE}
        added[:] = [other for other in added if other["id"] != id] + [entry]
        if "added_tokens_decoder" in settings:
            settings["added_tokens_decoder"][str(id)] = {name: entry[name] for name in entry if name != "id"}
    added.sort(key=lambda entry: entry["id"])
    for name, content in (("tokenizer.json", data), ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return placed


def resized(weight: "Tensor", rows: int, old: list[int], new: list[int], seed: int) -> Any:
    """[V, D] with `rows` rows: those of `old` as they are, those of `new` and all that are added near their mean."""
    import torch

    known = weight[old]
    mean, deviation = known.mean(0), known.std(0)
    found = weight.new_empty(rows, weight.shape[1])
    found[: len(weight)] = weight[:rows]
    fresh = sorted({*new, *range(len(weight), rows)})
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(fresh), weight.shape[1], generator=generator)
    found[fresh] = mean + NOISE * deviation * noise
    return torch.nn.Parameter(found)
