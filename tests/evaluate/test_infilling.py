import json

import numpy as np
import pytest
import torch

from smallcoder.core.errors import EmptyError
from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.tables import TableWriter
from smallcoder.evaluate.infilling import Config, Problem, choose, code_lines, ended, per_byte, run, score, split_lines
from smallcoder.generate.protocol import Sampling
from smallcoder.model.hf import load_model
from smallcoder.tokens.encode import load_encoder
from tests.generate.tiny import SOURCES, tiny_model

CONTEXT = 128


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model", CONTEXT)


def table(folder, texts, lang="python"):
    with TableWriter(folder, DOCUMENT) as writer:
        for text in texts:
            row = dict.fromkeys(DOCUMENT.names) | {"id": record_id(text), "text": text, "lang": lang, "path": "a.py"}
            writer.write_rows([row | {"lineage": []}])
    return folder


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    return table(tmp_path_factory.mktemp("held") / "heldout", SOURCES)


def test_only_lines_of_code_are_asked():
    text = '''import os
import sys

CONSTANT_TABLE = {"a": 1}
OTHER_CONSTANT = 2
value_of_it = 3
"""A statement that is a string.

over several lines of prose
"""
def function(argument):
    """A docstring on one line."""
    # a comment of some length
    short = 1
    result = argument + value_of_it
    text = f"""several
    lines {result} of it"""
    before_a_blank = result + 1

    return result + before_a_blank
asked_last_but_three = 1
asked_last_but_two = 2
x = 1
y = 2
'''
    lines = split_lines(text)
    assert [lines[index].strip() for index in code_lines(text)] == [
        "value_of_it = 3",
        "def function(argument):",
        "result = argument + value_of_it",
        "return result + before_a_blank",
        "asked_last_but_three = 1",
    ]
    assert code_lines("def broken(:\n" * 20) == code_lines("value = 12345\r\n" * 20) == code_lines("") == []


def test_prompts_are_whole_lines_that_fit_and_tokenize_as_plain_text(model, documents):
    encoder = load_encoder(model)
    config = Config(problems=60, max_tokens=32)
    problems = choose(documents, encoder, CONTEXT, config)
    assert len(problems) == 60
    assert len({p.document for p in problems}) == sum(bool(code_lines(text)) for text in SOURCES)
    for p in problems:
        text = next(text for text in SOURCES if record_id(text) == p.document)
        assert text.split("\n")[p.number - 1] + "\n" == p.middle
        assert p.prefix + p.middle + p.suffix in text
        assert p.prefix.endswith("\n")
        parts = [encoder.encode(part) for part in (p.prefix, p.middle, p.suffix)]
        assert sum(map(len, parts)) + 3 + 32 - len(parts[1]) <= CONTEXT
        assert parts[0] + parts[1] == encoder.encode(p.prefix + p.middle)
        assert parts[1] + parts[2] == encoder.encode(p.middle + p.suffix)


def test_the_choice_ignores_the_order_of_rows(model, documents, tmp_path):
    encoder = load_encoder(model)
    config = Config(problems=20, max_tokens=32, seed=3)
    first = choose(documents, encoder, CONTEXT, config)
    assert first == choose(table(tmp_path / "other", SOURCES[::-1]), encoder, CONTEXT, config)
    assert first != choose(documents, encoder, CONTEXT, config.model_copy(update={"seed": 4}))


def test_bits_equal_those_of_one_row_at_a_time(model):
    decoder, encoder = load_model(model), load_encoder(model)
    prompts = ["def f(x):\n", "<|fim_prefix|>a = 1\n<|fim_suffix|>\n<|fim_middle|>", SOURCES[1][:150]]
    middles = ["    return x\n", "b = 2\n", "x\n"]
    found = score(decoder, encoder, prompts, middles, batch=2)
    for bits, prompt, middle in zip(found, prompts, middles, strict=True):
        start, end = encoder.encode(prompt, special=True), encoder.encode(middle)
        with torch.inference_mode():
            logs = decoder(torch.tensor([start + end]))[0].log_softmax(-1)
        expected = -sum(float(logs[len(start) + i - 1, token]) for i, token in enumerate(end)) / np.log(2)
        assert bits == pytest.approx(expected, rel=1e-5)


def test_intervals_resample_files_in_pairs():
    rng = np.random.default_rng(0)
    lines = [Problem(f"{index // 2}", "a.py", 1, "", "0123456789", "") for index in range(400)]
    base = rng.normal(30, 10, 400)
    noise = np.repeat(rng.normal(0, 2, 200), 2)  # shared by the lines of a file
    facts = per_byte({"infill": base, "no_suffix": base, "plain": base + 5 + noise}, lines, seed=1)
    assert facts["middle_bytes"] == 4000
    assert facts["bits_per_byte"]["infill"] == pytest.approx(base.sum() / 4000)
    same, plain = (facts["saved_by_infill_prompt_against"][way] for way in ("no_suffix", "plain"))
    assert same == {"bits_per_byte": 0.0, "interval": [0.0, 0.0]}
    low, high = plain["interval"]
    assert low < plain["bits_per_byte"] < high
    assert high - low == pytest.approx(2 * 1.96 * 0.2 / np.sqrt(200), rel=0.15)  # by files, not by lines
    assert facts == per_byte({"infill": base, "no_suffix": base, "plain": base + 5 + noise}, lines, seed=1)


def test_a_model_that_knows_the_line_scores_one(model, documents, tmp_path, monkeypatch):
    from smallcoder.generate.local import LocalGenerator
    from smallcoder.generate.protocol import Completion

    asked = choose(documents, load_encoder(model), CONTEXT, Config(problems=9, max_tokens=32))

    def oracle(self, prompts, sampling):
        assert sampling == Sampling(32)
        return [[Completion(p.middle + "more\n" * (i % 2), "stop", ())] for i, p in enumerate(asked)]

    monkeypatch.setattr(LocalGenerator, "generate", oracle)
    facts = run(Config(problems=9, max_tokens=32), {"documents": documents, "model": model}, tmp_path)
    assert facts["exact"]["count"] == 9
    assert facts["ended_after_one_line"] == pytest.approx(5 / 9)
    assert facts["exact"]["interval"][0] > 0.6


def test_the_stage_repeats_byte_for_byte(model, documents, tmp_path):
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        config = Config(problems=12, max_tokens=16)
        made.append(run(config, {"documents": documents, "model": model}, tmp_path / name))
    assert made[0] == made[1]
    assert (tmp_path / "a" / "samples.jsonl").read_bytes() == (tmp_path / "b" / "samples.jsonl").read_bytes()
    rows = [
        json.loads(line) for line in (tmp_path / "a" / "samples.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    ]
    assert len(rows) == made[0]["records"] == 12
    assert made[0]["bits_per_byte"]["infill"] > 0
    json.dumps(made[0])


def test_nothing_to_ask_is_an_error(model, tmp_path):
    encoder = load_encoder(model)
    marked = SOURCES[1] + "\nmark = '<|endoftext|>'\n" * 5
    for name, texts, lang in (("text", SOURCES, "markdown"), ("marks", [marked], "python"), ("short", ["x"], "python")):
        with pytest.raises(EmptyError):
            choose(table(tmp_path / name, texts, lang), encoder, CONTEXT, Config())


def test_what_counts_as_ended():
    assert ended("    x = 1\n", "stop")
    assert ended("x", "stop")
    assert not ended("x\ny\n", "stop")
    assert not ended("x", "length")
    assert not ended("\n", "stop")
