"""What `plan` says of training: sizes found wherever a recipe has them, unknown ones named, hardware reckoned with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smallcoder.core.recipe import load_recipe
from smallcoder.model.config import ModelConfig
from smallcoder.model.families import to_hf
from smallcoder.model.size import parameters
from smallcoder.plan import Training, needs, on_hardware, plan, short, trainings
from smallcoder.stages import STAGES
from smallcoder.train.cost import find_hardware

BASE = ModelConfig(vocab_size=640, width=64, layers=2, heads=2, kv_heads=1, head_dim=32, ffn=96, context=256)
RECIPE = """
[[stage]]
name = "docs"
use = "read"
paths = ["{docs}"]

[[stage]]
name = "tokenizer"
use = "tokenizer"
from = {{ documents = "docs" }}
vocab_size = 1024

[[stage]]
name = "packed"
use = "pack"
from = {{ documents = "docs", tokenizer = "tokenizer" }}
context = 128

[[stage]]
name = "pretrain"
use = "train"
from = {{ packed = "packed", tokenizer = "tokenizer" }}
steps = 100
batch = 16
batch_ramp = 10
micro_batch = 2
width = 96
recompute = true
experts = {{ count = 8, active = 2, ffn = 64, shared = 1 }}

[[stage]]
name = "more"
use = "train"
from = {{ packed = {{ a = "packed", b = "packed" }}, tokenizer = "tokenizer", model = "pretrain" }}
steps = 10

[[stage]]
name = "base"
use = "base_model"
path = "{base}"

[[stage]]
name = "wider"
use = "extend_tokenizer"
from = {{ model = "base", tokenizer = "base" }}

[[stage]]
name = "packed-base"
use = "pack"
from = {{ documents = "docs", tokenizer = "wider" }}
context = 256

[[stage]]
name = "adapt"
use = "train"
from = {{ packed = "packed-base", tokenizer = "wider", model = "wider" }}
steps = 10
processes = 4
"""


@pytest.fixture
def recipe(tmp_path) -> Path:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps(to_hf(BASE)))
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format(docs=tmp_path, base=base))
    return path


def found(recipe: Path, *overrides: str, gpus: int | None = None) -> dict[str, Training]:
    loaded, runs = load_recipe(recipe, STAGES, overrides), recipe.parent / "runs"
    return {stage.name: stage for stage in trainings(loaded, plan(loaded, runs), runs, gpus)}


def test_sizes_come_from_settings_and_checkpoints(recipe):
    stages = found(recipe)
    runs = {name: stage.run for name, stage in stages.items()}
    pretrain, more, adapt = runs["pretrain"], runs["more"], runs["adapt"]
    assert pretrain
    assert more
    assert adapt
    assert (pretrain.config.vocab_size, pretrain.config.context, pretrain.context) == (1024, 128, 128)
    assert pretrain.config.experts
    assert pretrain.config.experts.count == 8
    assert (pretrain.micro_rows, pretrain.recompute, pretrain.gpus) == (2, True, 1)
    assert 95 * 16 < pretrain.rows < 100 * 16  # the ramp
    assert more.config == pretrain.config
    assert more.rows == 40
    assert adapt.config == BASE
    assert (adapt.context, adapt.gpus, adapt.shard, adapt.micro_rows) == (256, 4, 4, 1)


def test_it_is_the_very_model_that_training_makes(recipe):
    """The shape in the plan against the stage's own."""
    from types import SimpleNamespace

    from smallcoder.train import stage

    loaded = load_recipe(recipe, STAGES)
    rows = SimpleNamespace(vocab_size=1024, context=128)
    own = stage._shape(loaded.step("pretrain").config, {"packed": rows}, None)  # pyright: ignore[reportArgumentType]
    planned = found(recipe)["pretrain"].run
    assert planned
    assert planned.config == own


def test_what_cannot_be_known_is_named(recipe):
    stages = found(recipe, "base.path=hf:somebody/some-model")
    assert stages["adapt"].run is None
    assert "unknown until base has run" in stages["adapt"].why
    assert stages["pretrain"].run
    cut = found(recipe, "adapt.parallel.replicate=3", gpus=4)["adapt"]
    assert cut.run is None
    assert "replicate 3" in cut.why


def test_numbers_in_words(recipe):
    run = found(recipe, gpus=2)["pretrain"].run
    assert run
    words = needs(run, find_hardware("h100"), 0.4, 10.0)
    assert words["GPUs"] == "2"
    size = parameters(run.config)
    assert words["parameters"] == f"{short(size.total)}, {short(size.active)} active"
    assert words["fits"] == "yes"
    assert words["cost"].startswith("$")
    tight = needs(run, find_hardware("laptop"), 0.4, None)
    assert tight["cost"] == "$0.00"
    cases = {16_801_234_567: "16.8B", 2_746_000_000: "2.75B", 870e9: "870B", 999_600: "1M", 3.2e12: "3.2T", 12: "12"}
    assert {number: short(number) for number in cases} == cases


def test_gpu_hours_come_back_as_they_were_given(recipe):
    """Of all stages together, some of which recompute."""
    stages = list(found(recipe, gpus=4).values())
    _, (head, *lines) = on_hardware(stages, "b200", 0.4, 500.0, None)
    assert head == ["", "pretrain", "more", "adapt"]
    hours = next(line[1:] for line in lines if line[0] == "GPU-hours")
    assert sum(float(cell) for cell in hours) == pytest.approx(500, abs=0.02)


LING = [
    *("tokenizer.vocab_size=126464", "packed.context=4096", "pretrain.batch=4096", "pretrain.steps=190735"),
    *("pretrain.width=2048", "pretrain.layers=28", "pretrain.heads=16", "pretrain.kv_heads=4"),
    "pretrain.experts={ count = 64, active = 6, ffn = 1408, shared = 2 }",
]


def test_ling_coder_lite_as_a_recipe(recipe):
    """arXiv 2503.17793: 16.8B parameters, 2.75B of them active, 3.2T tokens in updates of 16M."""
    run = found(recipe, *LING, gpus=64)["pretrain"].run
    assert run
    words = needs(run, find_hardware("h200"), 0.35, None)
    assert words["parameters"] == "16.8B, 2.75B active"
    assert words["tokens"].startswith("3.2T")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "smallcoder", "plan", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, env={"COLUMNS": "200", "PATH": ""})


def test_the_command(recipe):
    runs = ("--runs", str(recipe.parent / "runs"))
    plain = command(str(recipe), *runs)
    assert plain.returncode == 0, plain.stderr
    assert "GPU-hours" not in plain.stdout
    done = command(str(recipe), "--hardware", "H200", "--mfu", "0.3", "--price", "2", *runs)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(plain.stdout.rstrip())
    assert "989.4 TFLOP/s dense" in done.stdout
    assert "$2.00 an hour) at an MFU of 30.0%, assumed" in done.stdout
    assert "memory: activations" in done.stdout
    reverse = command(str(recipe), "--hardware", "laptop", "--gpu-hours", "0.001", *runs)
    assert "as 0.001 GPU-hours imply" in reverse.stdout
    wrong = command(str(recipe), "--hardware", "h2000", *runs)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "did you mean 'h200'" in wrong.stderr
