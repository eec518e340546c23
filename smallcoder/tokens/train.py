"""Stage `tokenizer`: a byte-level BPE learned from a sample of documents, with every special token in place.

The sample is spread over the repositories (`sample.py`) and sorted by id; examples, where given, add the words of the
conversations to come. Learning is `tokenizers`' BPE (Sennrich et al. 2016, arXiv 1508.07909, on bytes), which counts
exactly and breaks ties by id, so it gives the same merges every time: about 1 s per 4 MB of code. The vocabulary has
exactly `vocab_size` entries, the rows of a model's embedding, of which the last 64 are special or reserved; a sample
that has fewer words to give is refused. The folder loads with transformers' AutoTokenizer, and in llama.cpp as
pre-tokenizer "qwen2".

It does not extend the vocabulary of another model (`extend_tokenizer` does).
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from smallcoder.core.errors import EmptyError
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.tokens.vocabulary import CONTROL, END_OF_TEXT, SPECIAL, SPECIAL_SLOTS, SPLIT, VISIBLE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from smallcoder.tokens.encode import Encoder

LONGEST = 10


class Config(StageConfig):
    vocab_size: int = Field(default=4096, ge=512, le=1 << 20, multiple_of=64)  # special tokens included
    sample_bytes: int = Field(default=8_000_000, gt=0)  # of documents
    example_bytes: int = Field(default=1_000_000, gt=0)  # of examples, where there are some
    fim_order: Literal["psm", "spm"] = "psm"  # the order of infilling prompts (`fim`); llama.cpp's /infill asks psm
    seed: int = 0


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(config.vocab_size, note=f"{config.vocab_size:,} tokens")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    from smallcoder.tokens.encode import load_encoder

    documents = _documents(inputs["documents"], config)
    examples = _examples(inputs["examples"], config) if "examples" in inputs else []
    tokenizer = learn([text for _, text in documents] + examples, config.vocab_size - SPECIAL_SLOTS)
    learned = tokenizer.get_vocab_size()
    _refuse_spare(learned, config, sum(len(text.encode()) for _, text in documents))
    save(tokenizer, config.vocab_size, out / "tokenizer", config.fim_order)
    encoder = load_encoder(out / "tokenizer")
    measures = _measure(encoder, documents, examples)
    return {
        "records": encoder.vocab_size,
        "headline": f"{encoder.vocab_size:,} tokens, {measures['bytes_per_token']:.2f} bytes a token",
        "vocab_size": encoder.vocab_size,
        "merges": learned - 256,
        "encoder": "fastokens" if encoder.fast else "tokenizers",
        **measures,
    }


def _refuse_spare(learned: int, config: Config, size: int) -> None:
    """Raises EmptyError where the sample has too few words for the vocabulary that was asked for."""
    if learned < config.vocab_size - SPECIAL_SLOTS:
        most = (learned + SPECIAL_SLOTS) // 64 * 64
        raise EmptyError(
            f"{size / 1e6:,.1f} MB of documents give a vocabulary of {learned + SPECIAL_SLOTS:,} tokens at most, not "
            f"{config.vocab_size:,}",
            f"set vocab_size = {most}, or give it more: documents, sample_bytes (now {config.sample_bytes:,})",
        )


def _documents(folder: Path, config: Config) -> list[tuple[str, str]]:
    """(language, text) of the chosen documents, by id."""
    from smallcoder.core.tables import read_batches
    from smallcoder.tokens.sample import choose_documents

    chosen = choose_documents(folder, config.sample_bytes, config.seed) or set()
    rows = []
    for batch in read_batches(folder, ("id", "lang", "text")):
        columns = (batch.column(name).to_pylist() for name in ("id", "lang", "text"))
        rows += [(id, lang or "unknown", text) for id, lang, text in zip(*columns, strict=True) if id in chosen]
    return [(lang, text) for _, lang, text in sorted(rows)]


def _examples(folder: Path, config: Config) -> list[str]:
    """The contents of chosen examples, one text each, by id; as many of each task as fit."""
    from smallcoder.core.tables import read_table
    from smallcoder.tokens.sample import spread

    texts, rows = {}, []
    for row in read_table(folder, ("id", "messages", "task")).to_pylist():
        texts[row["id"]] = "\n".join(message["content"] or "" for message in row["messages"])
        rows.append((row["id"], row["task"], len(texts[row["id"]].encode())))
    return [texts[id] for id in sorted(spread(rows, config.example_bytes, config.seed))]


def learn(texts: Sequence[str], size: int) -> "Tokenizer":
    """A byte-level BPE of 256 bytes and at most `size - 256` merges, without special tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), letters])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save(tokenizer: "Tokenizer", vocab_size: int, folder: Path, fim_order: Literal["psm", "spm"] = "psm") -> None:
    """Add the special tokens and write the folder in Hugging Face layout, with the chat template and the FimSpec.

    What the tokenizer lacks of `vocab_size` is filled up with reserved tokens.
    """
    from tokenizers import AddedToken

    from smallcoder.tokens.chat import TEMPLATE
    from smallcoder.tokens.fim import FimSpec

    slots = SPECIAL_SLOTS - len(CONTROL) - len(VISIBLE)
    spare = vocab_size - SPECIAL_SLOTS - tokenizer.get_vocab_size()
    names = [*(f"<|reserved_{slots + number}|>" for number in range(spare)), *SPECIAL]
    tokenizer.add_tokens([AddedToken(name, special=name not in VISIBLE, normalized=False) for name in names])
    assert tokenizer.get_vocab_size() == vocab_size
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {"eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT, "additional_special_tokens": list(CONTROL)}
    settings = {
        **roles,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "bos_token": None,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    for name, data in (("tokenizer_config.json", settings), ("special_tokens_map.json", roles)):
        (folder / name).write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    FimSpec(order=fim_order).save(folder)


def _measure(encoder: "Encoder", documents: list[tuple[str, str]], examples: list[str]) -> dict[str, Any]:
    """Compression of the sample, all of it and by language, and the longest tokens."""
    size: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for (lang, text), ids in zip(documents, encoder.encode_batch([text for _, text in documents]), strict=True):
        size[lang] += len(text.encode())
        tokens[lang] += len(ids)
    words = [encoder.decode([id]) for id in range(encoder.vocab_size) if encoder.token_sizes[id]]
    return {
        "documents": len(documents),
        "examples": len(examples),
        "sample_bytes": size.total(),
        "example_bytes": sum(len(text.encode()) for text in examples),
        "bytes_per_token": size.total() / tokens.total(),
        "by_language": {
            lang: {"bytes": size[lang], "bytes_per_token": size[lang] / tokens[lang]} for lang in sorted(size)
        },
        "longest_tokens": sorted(words, key=lambda word: (-len(word.encode()), word))[:LONGEST],
    }
