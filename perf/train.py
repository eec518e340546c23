"""Training speed: our loop, the Hugging Face Trainer and TRL's SFTTrainer in turn, in tokens per CPU-second.

    python perf/train.py [--shape small|large] [--adamw] [--loader]       needs `pip install accelerate trl`

All train the same shape from the same weights on the same rows of four documents, in bf16 with torch.compile and two
threads. Ours masks documents, restarts positions and steps NorMuon and AdamW; the others read a row as one text and
step fused AdamW, as ours does too with `--adamw`. The first steps, with the compilation, are not counted. `--loader`
also says how many times faster rows are read than trained on.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset  # pyright: ignore[reportMissingImports]
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from trl.trainer.sft_config import SFTConfig  # pyright: ignore[reportMissingImports]
from trl.trainer.sft_trainer import SFTTrainer  # pyright: ignore[reportMissingImports]

from smallcoder.model.config import ModelConfig
from smallcoder.model.families import to_hf
from smallcoder.model.transformer import Decoder, initialize
from smallcoder.tokens.packed import PackedRows, PackedWriter
from smallcoder.train.batches import Sources
from smallcoder.train.config import Config
from smallcoder.train.loop import Trainer as OurTrainer
from smallcoder.train.machine import choose_machine, repeatable
from smallcoder.train.metrics import Figures
from smallcoder.train.parallel.fleet import Layout, join

CONTEXT, ROWS = 512, 4
STEPS, WARM, ROUNDS = 12, 4, 3
LOADED = 400  # batches
SHAPES = {
    "small": ModelConfig(4096, 192, 6, heads=3, kv_heads=3, head_dim=64, ffn=512, context=CONTEXT, tied=False),
    "large": ModelConfig(8192, 448, 8, heads=7, kv_heads=7, head_dim=64, ffn=1216, context=CONTEXT, tied=False),
}


def write_rows(folder: Path, vocabulary: int) -> PackedRows:
    rng = np.random.default_rng(0)
    with PackedWriter(folder, CONTEXT, np.ones(vocabulary, np.int64), padding=0) as writer:
        for _ in range(STEPS * ROWS):
            lengths = (200, 100, 150, CONTEXT + 1 - 450)
            writer.write_row([(rng.integers(0, vocabulary, n), np.ones(n, np.uint8)) for n in lengths])
        writer.close({})
    return PackedRows(folder)


class Clock(TrainerCallback):
    """CPU seconds of this process at the end of each step."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def on_step_end(self, *arguments: object, **more: object) -> None:
        self.ticks.append(time.process_time())

    def speed(self) -> float:
        return ROWS * CONTEXT / statistics.median(np.diff(self.ticks[WARM:]))


def ours(packed: PackedRows, decoder: Decoder, out: Path, optimizer: Literal["muon", "adamw"]) -> float:
    config, clock = Config(steps=STEPS, batch=ROWS, precision="bf16", compile="on", optimizer=optimizer), Clock()

    class Timed(OurTrainer):
        def _step(self) -> tuple[Figures, bool]:
            done = super()._step()
            clock.on_step_end()
            return done

    machine = choose_machine(config)
    with repeatable(machine):
        fleet = join(Layout(), machine.device)
        Timed(config, machine, fleet, decoder, packed={"packed": packed}, heldout={}, out=out).run()
    return clock.speed()


def peer(packed: PackedRows, decoder: Decoder, out: Path, trl: bool) -> float:
    model = Qwen3ForCausalLM(Qwen3Config(**to_hf(decoder.config)))
    weights = {k if k.startswith("lm_head") else f"model.{k}": v.clone() for k, v in decoder.state_dict().items()}
    model.load_state_dict(weights)
    rows = [{"input_ids": row.tolist(), "labels": row.tolist()} for row in packed.tokens[:, 1:].astype(np.int64)]
    clock = Clock()
    settings: dict[str, Any] = {
        "output_dir": str(out),
        "per_device_train_batch_size": ROWS,
        "max_steps": STEPS,
        "bf16": True,
        "use_cpu": True,
        "torch_compile": True,
        "optim": "adamw_torch_fused",
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_strategy": "no",
    }
    torch.set_num_threads(2)
    if trl:
        trainer = sft_trainer(model, rows, settings, clock)
    else:
        trainer = Trainer(model=model, args=TrainingArguments(**settings), train_dataset=rows, callbacks=[clock])  # type: ignore[arg-type]
    trainer.train()
    return clock.speed()


def sft_trainer(model: Qwen3ForCausalLM, rows: list[dict[str, Any]], settings: dict[str, Any], clock: Clock) -> Any:
    """TRL's, given rows that are tokens already; the tokenizer that it insists on is never used."""
    words = Tokenizer(WordLevel({"<e>": 0}, "<e>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<e>", pad_token="<e>", unk_token="<e>")
    config = SFTConfig(**settings, max_length=CONTEXT, gradient_checkpointing=False, packing=False)
    data = Dataset.from_list([{"input_ids": row["input_ids"]} for row in rows])
    return SFTTrainer(model, args=config, train_dataset=data, processing_class=tokenizer, callbacks=[clock])


def loader(packed: PackedRows) -> float:
    """Tokens per CPU-second of making batches alone."""
    sources, rng = Sources({"packed": packed}), np.random.default_rng(0)
    started = time.process_time()
    for _ in range(LOADED):
        rows = [(0, int(row)) for row in rng.integers(0, len(packed), ROWS)]
        sources.count(rows)
        sources.batch(rows, ROWS, "cpu")
    return LOADED * ROWS * CONTEXT / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--loader", action="store_true")
    parser.add_argument("--adamw", action="store_true")
    arguments = parser.parse_args()
    decoder = Decoder(SHAPES[arguments.shape])
    initialize(decoder, 0)
    names = ("smallcoder", "HF Trainer", "TRL SFTTrainer")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packed = write_rows(folder / "packed", decoder.config.vocab_size)
        rounds = []
        for number in range(ROUNDS):
            outs = [folder / f"{number}-{peer}" for peer in range(3)]
            for out in outs:
                out.mkdir()
            first, second, third = outs
            own = ours(packed, decoder, first, "adamw" if arguments.adamw else "muon")
            rounds.append((own, peer(packed, decoder, second, False), peer(packed, decoder, third, True)))
        read = loader(packed) if arguments.loader else None
    speeds = [statistics.median(values) for values in zip(*rounds, strict=True)]
    size = sum(weight.numel() for weight in decoder.parameters()) / 1e6
    print(f"{size:.1f}M parameters, {ROUNDS} rounds of {STEPS - WARM} steps; tokens per CPU-second, median")
    for name, speed in zip(names, speeds, strict=True):
        print(f"{name:15} {speed:8.0f}   ours {speeds[0] / speed:5.2f} times")
    if read:
        print(f"loader          {read:8.0f}   {read / speeds[0]:.0f} times what training takes")


if __name__ == "__main__":
    main()
