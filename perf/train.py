"""Training speed: our loop and the Hugging Face Trainer in turn, in tokens per CPU-second.

    python perf/train.py        needs `pip install accelerate` for the Trainer

Both train the same shape (width 192, 6 layers, 4,096 tokens) from the same weights on the same rows of four documents
each, 4 x 512 tokens a step, bf16 products, two threads, compiled. Ours keeps documents apart and steps Muon; the
Trainer reads the rows as one text and steps fused AdamW. The first steps, with the compilation, are not counted.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM, Trainer, TrainerCallback, TrainingArguments

from smallcoder.model.config import ModelConfig
from smallcoder.model.families import to_hf
from smallcoder.model.transformer import Decoder, initialize
from smallcoder.tokens.packed import PackedRows, PackedWriter
from smallcoder.train.loop import Trainer as OurTrainer
from smallcoder.train.machine import choose_machine, repeatable
from smallcoder.train.stage import Config

VOCABULARY, CONTEXT, ROWS = 4096, 512, 4
STEPS, WARM, ROUNDS = 12, 4, 3
SHAPE = ModelConfig(
    VOCABULARY, width=192, layers=6, heads=3, kv_heads=3, head_dim=64, ffn=512, context=CONTEXT, tied=False
)


def write_rows(folder: Path) -> PackedRows:
    rng = np.random.default_rng(0)
    with PackedWriter(folder, CONTEXT, np.ones(VOCABULARY, np.int64), padding=0) as writer:
        for _ in range(STEPS * ROWS):
            lengths = (200, 100, 150, CONTEXT + 1 - 450)
            writer.write_row([(rng.integers(0, VOCABULARY, n), np.ones(n, np.uint8)) for n in lengths])
        writer.close({})
    return PackedRows(folder)


class Clock:
    """CPU seconds of this process at the end of each step."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def tick(self) -> None:
        self.ticks.append(time.process_time())

    def speed(self) -> float:
        return ROWS * CONTEXT / statistics.median(np.diff(self.ticks[WARM:]))


def ours(packed: PackedRows, decoder: Decoder, out: Path) -> float:
    config = Config(steps=STEPS, batch=ROWS, precision="bf16", compile="on")
    clock = Clock()

    class Timed(OurTrainer):
        def _step(self, metrics: BinaryIO) -> float:
            loss = super()._step(metrics)
            clock.tick()
            return loss

    machine = choose_machine(config)
    with repeatable(machine):
        Timed(config, machine, decoder, packed, None, out=out).run()
    return clock.speed()


def theirs(packed: PackedRows, decoder: Decoder, out: Path) -> float:
    model = Qwen3ForCausalLM(Qwen3Config(**to_hf(decoder.config)))
    weights = {k if k.startswith("lm_head") else f"model.{k}": v.clone() for k, v in decoder.state_dict().items()}
    model.load_state_dict(weights)
    rows = [{"input_ids": row, "labels": row} for row in packed.tokens[:, 1:].astype(np.int64)]
    clock = Clock()

    class Timed(TrainerCallback):
        def on_step_end(self, *arguments: object, **more: object) -> None:
            clock.tick()

    arguments = TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=ROWS,
        max_steps=STEPS,
        bf16=True,
        use_cpu=True,
        torch_compile=True,
        optim="adamw_torch_fused",
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
    )
    torch.set_num_threads(2)
    Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[Timed()]).train()  # type: ignore[arg-type]
    return clock.speed()


def main() -> None:
    decoder = Decoder(SHAPE)
    initialize(decoder, 0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packed = write_rows(folder / "packed")
        rounds = []
        for number in range(ROUNDS):
            out = folder / str(number)
            out.mkdir()
            rounds.append((ours(packed, decoder, out), theirs(packed, decoder, out)))
    fast, slow = (statistics.median(values) for values in zip(*rounds, strict=True))
    print(f"{ROUNDS} rounds of {STEPS - WARM} steps; tokens per CPU-second, median")
    print(f"smallcoder {fast:8.0f}\nHF Trainer {slow:8.0f}\nratio      {fast / slow:8.2f}")


if __name__ == "__main__":
    main()
