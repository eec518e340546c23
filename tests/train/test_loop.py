"""The loop end to end on a tiny model: it learns, it repeats, and a killed run ends like one left alone."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from smallcoder.core.errors import EmptyError, InputError, ToolError, TrainingError
from smallcoder.model.hf import load_model
from smallcoder.tokens.packed import PackedRows
from smallcoder.train.launch.job import Job, Work
from smallcoder.train.launch.stopping import PreemptedError
from smallcoder.train.machine import MEMORY, choose_machine, repeatable
from smallcoder.train.stage import Config, run
from tests.train.tiny import RUN, TINY, VOCABULARY, digest, inputs, kill_and_resume, lines_of, train, write_rows


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


def test_a_mixture_of_experts_learns_and_leaves_none_out(folder, tmp_path):
    experts = {"count": 6, "active": 2, "ffn": 24, "shared": 1}
    facts = train(folder, tmp_path / "out", steps=150, experts=experts)
    assert facts["train_loss"] < 1.0
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert any(1 <= line.get("busiest_expert", 0) <= 3 for line in lines)  # of 6, two at a time
    assert 6 * min(map(min, facts["expert_loads"])) > 0.1  # of an even share
    decoder = load_model(tmp_path / "out" / "model")
    assert decoder.config.experts is not None
    assert decoder.config.family == "bailing_moe"


def test_a_model_goes_on_from_a_model(folder, tmp_path):
    train(folder, tmp_path / "base", steps=150)
    (tmp_path / "tuned").mkdir()
    config = Config(steps=1, batch=2, threads=1, compile="off", muon_lr=1e-6, adam_lr=1e-6)
    facts = run(config, inputs(folder, model=tmp_path / "base" / "model"), tmp_path / "tuned")
    assert facts["heldout_curve"][0][1] < 1.0
    with pytest.raises(InputError, match="width"):
        run(Config(steps=1, width=32), inputs(folder, model=tmp_path / "base" / "model"), tmp_path / "tuned")


def test_threads_of_the_moment_do_not_matter(folder, tmp_path):
    settings = {"steps": 12, "compile": "off", **TINY, "threads": 2}
    command = [sys.executable, "-c", RUN, folder, tmp_path / "one", json.dumps(settings)]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    train(folder, tmp_path / "three", **settings)
    torch.set_num_threads(before)
    assert digest(tmp_path / "one") == digest(tmp_path / "three")


def test_a_killed_run_ends_like_one_left_alone(folder, tmp_path):
    settings = {"steps": 150, "compile": "off", "checkpoint_every": 7, "eval_every": 50, **TINY}
    train(folder, tmp_path / "whole", **settings)
    assert kill_and_resume(folder, tmp_path / "killed", settings, kills=2, seed=time.time_ns()) > 0
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("interruptible")
def test_a_run_told_to_stop_ends_at_a_checkpoint_and_the_next_goes_on(folder, tmp_path, monkeypatch, capfd, number):
    settings = {"steps": 40, "checkpoint_every": 1000, "eval_every": 50}
    train(folder, tmp_path / "whole", **settings)
    signalled(monkeypatch, number, 20)
    with pytest.raises(PreemptedError, match=r"^training was stopped, at a checkpoint -> run the same command again"):
        train(folder, tmp_path / "stopped", **settings)
    assert ("Ctrl-C once more ends at once" in capfd.readouterr().err) == (number == signal.SIGINT)
    assert len(lines_of(tmp_path / "stopped")) == 20
    train(folder, tmp_path / "stopped", **settings)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")


@pytest.mark.usefixtures("interruptible")
def test_a_second_ctrl_c_ends_a_run_at_once(folder, tmp_path, monkeypatch):
    signalled(monkeypatch, signal.SIGINT, 20, 20)
    with pytest.raises(KeyboardInterrupt):
        train(folder, tmp_path / "out", steps=40)
    assert len(lines_of(tmp_path / "out")) == 19


def signalled(monkeypatch, number, *steps):
    """Have this process get a signal in the middle of some steps, once each."""
    from smallcoder.train import loop

    real, calls, left = loop.language_model, [], list(steps)

    def interrupted(*arguments):
        calls.append(1)
        while left and left[0] == len(calls):
            os.kill(os.getpid(), number)
            left.pop(0)
        return real(*arguments)

    monkeypatch.setattr(loop, "language_model", interrupted)


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


def test_settings_that_lack_what_they_look_at_are_refused(folder, tmp_path):
    with pytest.raises(ValidationError, match="micro_batch"):
        Config(steps=9, batch_ramp=4)
    (tmp_path / "out").mkdir()
    without = {name: path for name, path in inputs(folder).items() if name != "heldout"}
    with pytest.raises(InputError, match="held-out"):
        run(Config(steps=9, samples=1), without, tmp_path / "out")


def test_a_folder_that_a_job_of_slurm_may_hold_is_not_trained_in(folder, tmp_path, monkeypatch):
    Job(tmp_path / "out/state/launch").offer(Work("a:b", {}, 2, 1))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="may still be at work"):
        train(folder, tmp_path / "out", steps=3)


def test_the_batch_grows_as_it_is_told(folder, tmp_path):
    facts = train(folder, tmp_path / "out", batch=6, micro_batch=2, batch_ramp=6, steps=10)
    assert facts["epochs"] == pytest.approx((2 + 2 + 2 + 4 + 6 + 6 + 4 * 6) / 50, abs=0.05)
    assert len(lines_of(tmp_path / "out")) == 11


def test_the_callers_settings_are_put_back():
    before = settings()
    with repeatable(choose_machine(Config(steps=1, threads=before[0] + 1))):
        assert settings() == (before[0] + 1, True, False)
    assert settings() == before


def settings():
    deterministic = torch.are_deterministic_algorithms_enabled()
    return torch.get_num_threads(), deterministic, MEMORY.fill_uninitialized_memory


@pytest.mark.parametrize("more", [{"micro_batch": 2}, {"micro_batch": 3}, {"recompute": True}])
def test_an_update_cut_into_parts_or_computed_twice_is_the_same_update(folder, tmp_path, more):
    settings = {
        "batch": 5,
        "steps": 6,
        "precision": "fp32",
        "z_loss": 1e-3,
        "experts": {"count": 4, "active": 2, "ffn": 8},
    }
    settings["expert_balance"] = 0.0  # a loss of each part by itself
    train(folder, tmp_path / "whole", **settings)
    train(folder, tmp_path / "other", **(settings | more))
    for one, other in zip(lines_of(tmp_path / "whole"), lines_of(tmp_path / "other"), strict=True):
        for name, value in one.items():
            if name != "busiest_expert" or "recompute" in more:
                assert value == pytest.approx(other[name], rel=2e-4), name


def test_sources_are_mixed_measured_and_counted(folder, tmp_path):
    write_rows(tmp_path / "text", 9, 3)
    write_rows(tmp_path / "text-heldout", 4, 4)
    (tmp_path / "out").mkdir()
    config = Config(steps=40, compile="off", eval_every=20, **TINY, mixture={"code": 3, "text": 1})
    roles = {
        "packed.code": folder / "packed",
        "packed.text": tmp_path / "text",
        "heldout.code": folder / "heldout",
        "heldout.text": tmp_path / "text-heldout",
        "tokenizer": folder / "tokenizer",
    }
    facts = run(config, roles, tmp_path / "out")
    assert facts["epochs_by_source"] == pytest.approx({"code": 60 / 50, "text": 20 / 9}, abs=0.12)
    assert [step for step, _ in facts["heldout_curves"]["text"]] == [20, 40]
    means = [bits for curve in facts["heldout_curves"].values() for _, bits in curve]
    assert min(means) < facts["heldout_curve"][-1][1] < max(means)


def test_samples_are_written_down(folder, tmp_path, monkeypatch):
    from smallcoder.train import stage

    monkeypatch.setattr(stage, "_decode", lambda tokenizer: lambda ids: " ".join(map(str, ids)))
    train(folder, tmp_path / "out", steps=150, samples=2, eval_every=75)
    first, last = (line["samples"] for line in lines_of(tmp_path / "out") if "samples" in line)
    assert len(first) == len(last) == 2
    prompt, answer = (list(map(int, last[0][part].split())) for part in ("prompt", "answer"))
    assert answer[0] == (prompt[-1] + 1) % (VOCABULARY - 1)  # what it has learned


def test_losses_that_stay_no_numbers_end_the_run(folder, tmp_path, monkeypatch):
    from smallcoder.train import loop

    real = loop.language_model
    monkeypatch.setattr(
        loop, "language_model", lambda *a: (found := real(*a))._replace(value=found.value * float("inf"))
    )
    with pytest.raises(TrainingError, match="learning rates"):
        train(folder, tmp_path / "out", steps=60, eval_rows=2)


def test_damaged_rows_and_a_lack_of_memory_are_named(folder, tmp_path):
    from smallcoder.train.machine import enough_memory

    write_rows(tmp_path / "damaged", 4, 0)
    tokens = np.load(tmp_path / "damaged" / "tokens.npy", mmap_mode="r+")
    tokens[2, 5] = 60_000
    tokens.flush()
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"^row 2 of 'packed' holds the token 60000, .* damaged"):
        run(Config(steps=9, compile="off", **TINY), inputs(folder, packed=tmp_path / "damaged"), tmp_path / "out")
    with pytest.raises(TrainingError, match="micro_batch"), enough_memory():
        torch.empty(1 << 60)


def test_a_stage_goes_on_with_the_moments_and_rows_of_the_one_before(folder, tmp_path):
    constant = {"schedule": {"warmup": 0, "decay": "constant"}, "keep_optimizer": True}
    train(folder, tmp_path / "whole", steps=40, **(TINY | constant))
    train(folder, tmp_path / "first", steps=25, **(TINY | constant))
    (tmp_path / "then").mkdir()
    roles = inputs(folder, model=tmp_path / "first" / "model", optimizer=tmp_path / "first" / "optimizer")
    config = Config(steps=15, batch=2, threads=1, compile="off", **constant)
    facts = run(config, roles, tmp_path / "then")
    straight = [line["loss"] for line in lines_of(tmp_path / "whole") if "loss" in line]
    cut = [line["loss"] for out in ("first", "then") for line in lines_of(tmp_path / out) if "loss" in line]
    assert cut == straight
    assert facts["epochs"] == 0.6
    whole, then = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "then"))
    assert whole == then
    train(folder, tmp_path / "again", steps=25, **(TINY | constant))
    for path in (tmp_path / "first" / "optimizer").rglob("*"):
        if path.is_file():
            other = tmp_path / "again" / path.relative_to(tmp_path / "first")
            assert path.read_bytes() == other.read_bytes(), path.name


def test_adamw_alone_learns_too(folder, tmp_path):
    facts = train(folder, tmp_path / "out", steps=150, optimizer="adamw")
    assert facts["train_loss"] < 1.0
    assert max(line.get("lr", 0) for line in lines_of(tmp_path / "out")) == Config(steps=1).adam_lr


def test_tensorboard_draws_what_the_file_holds(folder, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # pyright: ignore

    train(folder, tmp_path / "out", steps=6, tensorboard=str(tmp_path / "drawn"))
    drawn = EventAccumulator(str(tmp_path / "drawn")).Reload()
    losses = [line["loss"] for line in lines_of(tmp_path / "out") if "loss" in line]
    assert [event.value for event in drawn.Scalars("loss")] == pytest.approx(losses)
    assert "tokens_per_second" in drawn.Tags()["scalars"]
    assert not [path for path in (tmp_path / "out").rglob("*") if "events" in path.name]
