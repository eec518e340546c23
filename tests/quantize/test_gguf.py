import gguf
import numpy as np
import pytest
from gguf.quants import dequantize
from safetensors.torch import load_file, save_file

from smallcoder.core.errors import InputError
from smallcoder.core.records import PROBLEM
from smallcoder.core.tables import TableWriter
from smallcoder.generate.llamacpp import LlamaCppGenerator, context_length
from smallcoder.generate.local import LocalGenerator
from smallcoder.generate.protocol import Sampling
from smallcoder.model.config import Experts
from smallcoder.quantize.gguf import write_gguf
from smallcoder.quantize.stage import CODE, Config, agreement, run
from smallcoder.tokens.encode import ODD_TEXT, load_encoder
from tests.generate.tiny import SOURCES, tiny_model


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    """The stage's output and facts, on the built-in prompts."""
    out = tmp_path_factory.mktemp("gguf")
    return out, run(Config(max_tokens=12), {"model": model}, out)


@pytest.fixture(scope="module")
def engine(written):
    engine = LlamaCppGenerator(written[0] / "gguf" / "model-f16.gguf", slots=4)
    yield engine
    engine.close()


def test_weights_come_back(model, written):
    original = load_file(model / "model.safetensors")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, 2)
    for kind, step in (("f16", 2**-10), ("q8_0", 1 / 127)):
        tensors = {t.name: t for t in gguf.GGUFReader(written[0] / "gguf" / f"model-{kind}.gguf").tensors}
        assert len(tensors) == len(original)
        for name, weight in original.items():
            stored = tensors[names.get_name(name, try_suffixes=(".weight",)) or name]
            found = dequantize(stored.data, stored.tensor_type).reshape(weight.shape)
            assert stored.tensor_type.name == ("F32" if weight.ndim == 1 else kind.upper())
            np.testing.assert_allclose(found, weight.numpy(), rtol=0, atol=0.57 * step * float(weight.abs().max()))


def test_the_same_model_gives_the_same_bytes(model, written, tmp_path):
    write_gguf(model, tmp_path / "again.gguf", "q8_0")
    assert (tmp_path / "again.gguf").read_bytes() == (written[0] / "gguf" / "model-q8_0.gguf").read_bytes()


def test_rows_that_do_not_fill_blocks_stay_f16(tmp_path):
    model = tiny_model(tmp_path / "odd", ffn=72)
    write_gguf(model, tmp_path / "odd.gguf", "q8_0")
    types = {t.name: t.tensor_type.name for t in gguf.GGUFReader(tmp_path / "odd.gguf").tensors}
    assert types["blk.0.ffn_down.weight"] == "F16"
    assert types["blk.0.ffn_up.weight"] == "Q8_0"
    engine = LlamaCppGenerator(tmp_path / "odd.gguf", slots=2)
    local = LocalGenerator(model)
    prompts = [source[:start] for source in SOURCES[:4] for start in (40, 90)]
    ours, theirs = ([found[0].tokens[0] for found in made.generate(prompts, Sampling(1))] for made in (local, engine))
    assert sum(a == b for a, b in zip(ours, theirs, strict=True)) >= 6  # of 8: eight bits round
    engine.close()


def test_llama_cpp_tokenizes_as_we_do(model, engine):
    encoder = load_encoder(model)
    for text in [*ODD_TEXT, *SOURCES]:
        assert engine.tokenize(text, special=True) == encoder.encode(text, special=True)
    marked = (
        "<|im_start|>user\nx = 12_345  # λ\r\n\t\t y<|im_end|>\n<|im_start|>assistant\n<|fim_prefix|>a<|endoftext|>"
    )
    assert engine.tokenize(marked, special=True) == encoder.encode(marked, special=True)
    assert engine.tokenize("<|im_end|>") == encoder.encode("<|im_end|>")


def test_f16_answers_as_the_original(written):
    out, facts = written
    assert sorted(path.name for path in (out / "gguf").iterdir()) == ["model-f16.gguf", "model-q8_0.gguf"]
    assert facts["prompts"] == len(CODE)
    assert facts["files"]["f16"]["same_tokens"] > 0.7  # an untrained model has near ties; one changes all that follows
    assert facts["files"]["q8_0"]["common_prefix"] > 2
    assert facts["files"]["q8_0"]["bytes"] < facts["files"]["f16"]["bytes"]


def test_the_protocol_is_the_same_as_that_of_the_local_engine(model, written, engine):
    local = LocalGenerator(model)
    prompts = ["def f(x):\n", "", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "x\n" * 500]
    ours, theirs = (made.generate(prompts, Sampling(3)) for made in (local, engine))
    assert ours[1] == theirs[1]  # nothing was asked
    assert ours[3] == theirs[3]  # no room for an answer
    for made, answers in ((local, ours), (engine, theirs)):  # random weights have ties that f16 breaks otherwise
        assert len(answers[0][0].tokens) == 3
        for completion in (answers[0][0], answers[2][0]):  # the token that ends an answer is no part of it
            assert not {load_encoder(model).token_id("<|im_end|>")} & set(completion.tokens)
        text = answers[0][0].text
        stop = next(character for character in text[1:] if character.isascii())
        stopped = made.generate(prompts[:1], Sampling(3, stop=(stop,)))[0][0].text
        assert stopped == text[: text.index(stop)]
    drawn = Sampling(8, temperature=1.0, samples=3, seed=2)
    alone = LlamaCppGenerator(written[0] / "gguf" / "model-f16.gguf", slots=1)
    first = alone.generate(prompts[:1], drawn)
    assert first == alone.generate(prompts[:1], drawn)
    alone.close()
    assert len({completion.tokens for completion in first[0]}) == 3


def test_problems_are_asked_as_a_chat(model, tmp_path):
    rows = [dict.fromkeys(PROBLEM.names, "{}") | {"id": f"p{i}", "prompt": f"Add {i}."} for i in range(9)]
    for name, order in (("a", rows), ("b", rows[::-1])):
        with TableWriter(tmp_path / name / "problems", PROBLEM) as table:
            table.write_rows(order)
    made = []
    for name in ("a", "b"):
        (tmp_path / name / "out").mkdir()
        inputs = {"model": model, "problems": tmp_path / name / "problems"}
        made.append(run(Config(prompts=4, max_tokens=4), inputs, tmp_path / name / "out"))
    assert made[0]["prompts"] == 4
    assert made[0] == made[1]


def test_agreement_counts():
    assert agreement([(1, 2, 3), (4,)], [(1, 2, 3), (4,)]) == {
        "same_sequences": 1.0,
        "same_tokens": 1.0,
        "common_prefix": 2.0,
    }
    assert agreement([(1, 2, 3, 4), ()], [(1, 9, 3), ()]) == {
        "same_sequences": 0.5,
        "same_tokens": 0.5,
        "common_prefix": 0.5,
    }


def test_what_cannot_be_written_or_read_is_refused(tmp_path, model):
    with pytest.raises(InputError, match=r"no config\.json"):
        write_gguf(tmp_path, tmp_path / "x.gguf", "f16")
    huge = tiny_model(tmp_path / "huge")
    weights = load_file(huge / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    save_file(weights, huge / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="f16 cannot hold"):
        write_gguf(huge, tmp_path / "x.gguf", "f16")
    (tmp_path / "not.gguf").write_bytes(b"GGUF\0 nothing here")
    with pytest.raises(InputError, match="GGUF"):
        context_length(tmp_path / "not.gguf")
    with pytest.raises(InputError, match="GGUF"):
        LlamaCppGenerator(tmp_path / "missing.gguf")


def test_a_mixture_of_experts_answers_as_the_original(tmp_path):
    """llama.cpp turns other pairs and routes by its own code; its answers are ours."""
    model = tiny_model(tmp_path / "mixed", experts=Experts(count=8, active=3, ffn=64, shared=2))
    write_gguf(model, tmp_path / "mixed.gguf", "f16")
    engine, local = LlamaCppGenerator(tmp_path / "mixed.gguf", slots=4), LocalGenerator(model)
    ours, theirs = ([row[0].tokens for row in made.generate(CODE, Sampling(12))] for made in (local, engine))
    engine.close()
    assert (
        agreement(ours, theirs)["same_tokens"] > 0.75
    )  # but for a near tie, and what follows it; a wrong one has none
