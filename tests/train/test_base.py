"""A checkpoint of every family goes on: its tokenizer, infilling and chat stay, and transformers reads the result."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from smallcoder.core.errors import InputError
from smallcoder.core.records import DOCUMENT
from smallcoder.model.families import FAMILIES
from smallcoder.tokens import pack_documents
from smallcoder.tokens.encode import load_encoder
from smallcoder.tokens.fim import load_fim
from smallcoder.tokens.train import learn, save
from smallcoder.tokens.vocabulary import SPECIAL_SLOTS
from smallcoder.train import base, stage
from smallcoder.train.schedule import Schedule
from tests.tokens.conftest import document_rows, write

VOCAB = 600
BAR = "\uff5c"
QWEN = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>")
STAR = ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<file_sep>")
DEEPSEEK = tuple(f"<{BAR}{name}{BAR}>" for name in ("end▁of▁sentence", "fim▁begin", "fim▁hole", "fim▁end"))
# What a family's tokenizer calls its end of text and its marks, and the prompt that follows from them.
MARKS = {
    "llama": ((*DEEPSEEK, "<|EOT|>"), f"<{BAR}fim▁begin{BAR}>P<{BAR}fim▁hole{BAR}>S<{BAR}fim▁end{BAR}>"),
    "qwen2": (QWEN, "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
    "qwen3": (QWEN, "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
    "starcoder2": (STAR, "<fim_prefix>P<fim_suffix>S<fim_middle>"),
    "granite": (STAR, "<fim_prefix>P<fim_suffix>S<fim_middle>"),
    "gemma": (("<eos>", *QWEN[1:4], "<|file_separator|>"), "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
    "mistral": (("</s>", "[PREFIX]", "[SUFFIX]"), "[SUFFIX]S[PREFIX]P"),
}


def checkpoint(family: str, folder: Path, more: tuple[str, ...] = ()) -> Path:
    """A random model as transformers saves it, with a byte-level tokenizer that has the family's special tokens."""
    from tokenizers import AddedToken
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    marks, _ = MARKS[family]
    tokenizer = learn([row["text"] for row in document_rows()[:20]], VOCAB - 40)
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False) for mark in (*marks, *more)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=marks[0], pad_token=marks[0])
    fast.chat_template = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
    fast.save_pretrained(folder)
    sizes = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 128}
    sizes |= {"head_dim": 8} if FAMILIES[family].sized_heads else {}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **sizes)).save_pretrained(folder)
    return folder


def taken(path: Path, out: Path) -> dict:
    out.mkdir()
    return base.run(base.Config(path=str(path)), {}, out)


@pytest.mark.parametrize("family", MARKS)
def test_a_checkpoint_goes_on_and_stays_what_it_was(family, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = checkpoint(family, tmp_path / "source")
    facts = taken(source, tmp_path / "base")
    assert facts["family"] == family
    assert facts["fills_in_the_middle"]
    tokenizer = tmp_path / "base" / "tokenizer"
    fim = load_fim(tokenizer)
    assert fim.prompt("P", "S") == MARKS[family][1]
    assert fim.stop[0] == MARKS[family][0][0]
    documents = write(tmp_path / "documents", DOCUMENT, document_rows()[:12])
    (tmp_path / "packed").mkdir()
    settings = pack_documents.Config(context=96, fim_rate=0.5)
    pack_documents.run(settings, {"documents": documents, "tokenizer": tokenizer}, tmp_path / "packed")
    (tmp_path / "trained").mkdir()
    inputs = {"packed": tmp_path / "packed" / "packed", "tokenizer": tokenizer, "model": tmp_path / "base" / "model"}
    small = stage.Config(
        threads=1,
        steps=8,
        batch=8,
        schedule=Schedule(warmup=2),
        muon_lr=0.01,
        adam_lr=0.003,
        embedding_lr=0.003,
        compile="off",
    )
    trained = stage.run(small, inputs, tmp_path / "trained")
    losses = [loss for _, loss in trained["loss_curve"]]
    assert losses[-1] < losses[0]
    model = tmp_path / "trained" / "model"
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (model / name).read_bytes() == (source / name).read_bytes()
    assert load_fim(model) == fim
    loaded: Any = AutoModelForCausalLM.from_pretrained(model)
    assert loaded.config.model_type == family
    ids = AutoTokenizer.from_pretrained(model)("def f(x):\n    return x\n")["input_ids"]
    assert ids == load_encoder(model).encode("def f(x):\n    return x\n")
    assert loaded.generate(torch.tensor([ids]), max_new_tokens=4, do_sample=False).shape[1] <= len(ids) + 4


def test_rows_of_another_tokenizer_are_refused(tmp_path):
    """Of equal size, so that nothing else would notice."""
    documents = write(tmp_path / "documents", DOCUMENT, document_rows()[:12])
    made = {}
    for name, texts in (("one", ["alpha beta gamma "] * 9), ("other", ["def f(x): return x"] * 9)):
        made[name] = tmp_path / name
        save(learn(texts, 512 - SPECIAL_SLOTS), 512, made[name])
    (tmp_path / "packed").mkdir()
    pack_documents.run(
        pack_documents.Config(context=64), {"documents": documents, "tokenizer": made["one"]}, tmp_path / "packed"
    )
    packed = tmp_path / "packed" / "packed"
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="another tokenizer"):
        stage.run(stage.Config(steps=1), {"packed": packed, "tokenizer": made["other"]}, tmp_path / "out")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    source = checkpoint("qwen2", tmp_path / "source")
    fields = json.loads((source / "config.json").read_text())
    for number, change in enumerate(({"vocab_size": 500}, {"hidden_size": 64}, {"model_type": "mamba"})):
        (source / "config.json").write_text(json.dumps(fields | change))
        with pytest.raises(InputError):
            taken(source, tmp_path / str(number))
    with pytest.raises(InputError):
        taken(tmp_path / "nothing", tmp_path / "out")
