"""A tiny model's training, as other tests ask for it: rows to learn from, runs, and runs that are killed."""

import json
import multiprocessing
import random
import signal
import time
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np

from smallcoder.tokens.packed import PackedWriter
from smallcoder.train.stage import Config, run

VOCABULARY = 64
CONTEXT = 32
TINY: dict[str, Any] = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "ffn": 48, "batch": 2, "threads": 1} | {
    "schedule": {"warmup": 3}
}
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


def inputs(folder, **more):
    return {name: folder / name for name in ("packed", "heldout", "tokenizer")} | more


def train(folder, out, **settings):
    out.mkdir(exist_ok=True)
    config = Config(**({"steps": 30, "compile": "off", **TINY} | settings))
    return run(config, inputs(folder), out)


def digest(out):
    names = ["metrics.jsonl", "model/model.safetensors"]
    return [sha256((out / name).read_bytes()).hexdigest() for name in names]


def lines_of(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def kill_and_resume(folder, out, settings, kills, seed):
    """Kill the run with SIGKILL once its metrics file has reached each of `kills` random steps; finish it."""
    rng = random.Random(seed)
    aims = sorted(rng.sample(range(1, settings["steps"]), kills))
    killed = sum(killed_when(partial(reached, out, aim), folder, out, settings) for aim in aims)
    train(folder, out, **settings)
    return killed


def reached(out, lines):
    """Whether a run has written so many lines of metrics."""
    path = out / "metrics.jsonl"
    return path.exists() and path.read_bytes().count(b"\n") >= lines


def killed_when(condition, folder, out, settings):
    """Train in a process of its own until it ends or the condition holds; whether it had to be killed.

    A launcher is a fork, as it only waits; what computes must not be one.
    """
    launcher = settings.get("processes", 1) > 1
    start = multiprocessing.get_context("fork").Process if launcher else multiprocessing.get_context("spawn").Process
    process = start(target=train, args=(folder, out), kwargs=settings)
    process.start()
    while process.is_alive() and not condition():
        time.sleep(0.001)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL
