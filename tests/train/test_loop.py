"""The loop end to end on a tiny model: it learns, it repeats, and a killed run ends like one left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from hashlib import sha256

import numpy as np
import pytest
import torch

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.model.hf import load_model
from smallcoder.tokens.packed import PackedRows, PackedWriter
from smallcoder.train.machine import choose_machine, repeatable
from smallcoder.train.stage import Config, run

VOCABULARY = 64
CONTEXT = 32
TINY = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "ffn": 48, "batch": 2, "warmup": 3, "threads": 1}
RUN = (
    "import sys, json, pathlib\nfrom smallcoder.train.stage import Config, run\nfolder = pathlib.Path(sys.argv[1])\n"
    "out = pathlib.Path(sys.argv[2]); out.mkdir(exist_ok=True)\n"
    "inputs = {name: folder / name for name in ('packed', 'heldout', 'tokenizer')}\n"
    "run(Config(**json.loads(sys.argv[3])), inputs, out)\n"
)


def write_rows(folder, rows, seed):
    """Rows of segments that count up from a random start: what follows a token is certain, except at a start."""
    rng = np.random.default_rng(seed)
    sizes = np.array([1] * (VOCABULARY - 1) + [0])
    with PackedWriter(folder, CONTEXT, sizes, padding=VOCABULARY - 1) as writer:
        for _ in range(rows):
            lengths = [int(n) for n in rng.integers(4, 14, 2)]
            starts = rng.integers(0, VOCABULARY - 1, 2)
            segments = [
                ((start + np.arange(n)) % (VOCABULARY - 1), np.ones(n, np.uint8))
                for start, n in zip(starts, lengths, strict=True)
            ]
            writer.write_row(segments)
        writer.close({})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("train")
    write_rows(made / "packed", 50, 0)
    write_rows(made / "heldout", 7, 1)
    (made / "tokenizer").mkdir()
    tokens = [{"content": "<|endoftext|>", "id": VOCABULARY - 1}]
    (made / "tokenizer" / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    return made


def inputs(folder, **more):
    return {name: folder / name for name in ("packed", "heldout", "tokenizer")} | more


def train(folder, out, **settings):
    out.mkdir(exist_ok=True)
    config = Config(**({"steps": 30, "compile": "off", **TINY} | settings))
    return run(config, inputs(folder), out)


def digest(out):
    names = ["metrics.jsonl", "model/model.safetensors"]
    return [sha256((out / name).read_bytes()).hexdigest() for name in names]


def test_it_learns_and_says_so_in_exact_bits(folder, tmp_path):
    facts = train(folder, tmp_path / "out", steps=150, eval_rows=5, eval_every=50)
    last = facts["heldout_curve"][-1]
    assert [step for step, _ in facts["heldout_curve"]] == [50, 100, 150]
    assert facts["loss_curve"][0] == [1, pytest.approx(np.log(64), abs=0.2)]  # 64 tokens, all alike before it learns
    assert last[1] < 1.0
    assert facts["train_loss"] < 1.0
    assert facts["skipped_steps"] == 0
    assert facts["epochs"] == 6
    packed, nats = PackedRows(folder / "heldout"), 0.0
    decoder = load_model(tmp_path / "out" / "model")
    for row in range(5):  # each document on its own, unpacked and in fp32
        segments, tokens = packed.segments[row], packed.tokens[row]
        for number in range(2):
            own = torch.tensor(tokens[segments == number].astype(np.int64))[None]
            with torch.no_grad():
                nats += torch.nn.functional.cross_entropy(decoder(own)[0, :-1], own[0, 1:], reduction="sum").item()
    expected = nats / np.log(2) / facts["heldout_bytes"]
    assert abs(last[1] - expected) < 0.02  # bf16 products


def test_a_mixture_of_experts_learns_and_stays_balanced(folder, tmp_path):
    experts = {"count": 6, "active": 2, "ffn": 24, "shared": 1}
    facts = train(folder, tmp_path / "out", steps=150, experts=experts)
    assert facts["train_loss"] < 1.0
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-2]["busiest_expert"] < 2.0  # of 6, two at a time: 3 would be the same two always
    decoder = load_model(tmp_path / "out" / "model")
    assert decoder.config.experts is not None
    assert decoder.config.family == "bailing_moe"


def test_a_model_goes_on_from_a_model(folder, tmp_path):
    train(folder, tmp_path / "base", steps=150)
    (tmp_path / "tuned").mkdir()
    config = Config(steps=1, batch=2, compile="off", muon_lr=1e-6, adam_lr=1e-6)
    facts = run(config, inputs(folder, model=tmp_path / "base" / "model"), tmp_path / "tuned")
    assert facts["heldout_curve"][0][1] < 1.0
    with pytest.raises(InputError, match="width"):
        run(Config(steps=1, width=32), inputs(folder, model=tmp_path / "base" / "model"), tmp_path / "tuned")


def test_threads_of_the_moment_do_not_matter(folder, tmp_path):
    settings = json.dumps({"steps": 12, "compile": "off", **TINY, "threads": 2})
    for name, threads in (("one", "1"), ("three", "3")):
        subprocess.run(
            [sys.executable, "-c", RUN, folder, tmp_path / name, settings],
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": threads},
        )
    assert digest(tmp_path / "one") == digest(tmp_path / "three")


def kill_and_resume(folder, out, settings, kills, seed):
    """Kill the run with SIGKILL once its metrics file has reached each of `kills` random steps; finish it."""
    rng = random.Random(seed)
    command = [sys.executable, "-c", RUN, folder, out, json.dumps(settings)]
    killed = 0
    for aim in sorted(rng.sample(range(1, settings["steps"]), kills)):
        process = subprocess.Popen(command)
        while process.poll() is None:
            path = out / "metrics.jsonl"
            if path.exists() and path.read_bytes().count(b"\n") >= aim:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
                break
            time.sleep(0.001)
    subprocess.run(command, check=True)
    return killed


def test_a_killed_run_ends_like_one_left_alone(folder, tmp_path):
    settings = {"steps": 150, "compile": "off", "checkpoint_every": 7, "eval_every": 50, **TINY}
    train(folder, tmp_path / "whole", **settings)
    assert kill_and_resume(folder, tmp_path / "killed", settings, kills=2, seed=time.time_ns()) > 0
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_compiled_run_ends_like_one_left_alone(folder, tmp_path):
    settings = {"steps": 200, "compile": "on", "checkpoint_every": 7, "eval_every": 50, **TINY}
    train(folder, tmp_path / "whole", **settings)
    assert kill_and_resume(folder, tmp_path / "killed", settings, kills=3, seed=time.time_ns()) > 0
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")


def test_steps_without_finite_gradients_are_skipped_and_counted(folder, tmp_path, monkeypatch):
    from smallcoder.train import loop

    real, calls = loop.language_model, []

    def broken(*arguments):
        calls.append(1)
        loss = real(*arguments)
        return loss._replace(value=loss.value * float("nan")) if len(calls) == 9 else loss

    monkeypatch.setattr(loop, "language_model", broken)
    facts = train(folder, tmp_path / "out", steps=20, eval_rows=2)
    assert facts["skipped_steps"] == 1
    assert all(weight.isfinite().all() for weight in load_model(tmp_path / "out" / "model").parameters())


def test_rows_that_do_not_fit_are_refused(folder, tmp_path):
    write_rows(tmp_path / "none", 0, 0)
    with pytest.raises(EmptyError):
        run(Config(steps=1), inputs(folder, packed=tmp_path / "none"), tmp_path)
    with pytest.raises(InputError):
        run(Config(steps=1), inputs(folder, packed=tmp_path / "missing"), tmp_path)


def test_the_callers_threads_are_put_back():
    before = torch.get_num_threads()
    with repeatable(choose_machine(Config(steps=1, threads=before + 1))):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
