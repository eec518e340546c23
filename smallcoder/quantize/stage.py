"""Stage `gguf`: the model as f16 and Q8_0 files for llama.cpp, and how far their answers are those of the original.

The comparison: greedy answers of llama.cpp with each file and of our own fp32 engine, to the same prompts. Greedy
decoding is the strictest form of it: once one token differs, all that follow may. Prompts are problems where given,
in the model's chat template; else beginnings of Python code.

It measures agreement, not quality: a quality figure for the files takes the `evaluate` stage's benchmarks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from smallcoder.core.records import record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig

if TYPE_CHECKING:
    from smallcoder.generate.protocol import Generator, Sampling
    from smallcoder.tokens.encode import Encoder

KINDS = ("f16", "q8_0")
CODE = (  # what is asked where no problems are given
    "def add(a, b):\n",
    "def is_even(number: int) -> bool:\n    ",
    "class Stack:\n    def __init__(self):\n",
    "import os\nimport sys\n\n\ndef main():\n",
    "for index in range(10):\n    print(",
    'def read_lines(path):\n    """Read a file."""\n',
    "try:\n    value = int(text)\nexcept ",
    "    def __repr__(self):\n        return ",
    "if __name__ == ",
    "with open(path) as file:\n    ",
    "def fibonacci(n):\n    if n < 2:\n",
    "numbers = [1, 2, 3]\ntotal = ",
    "from typing import ",
    "@dataclass\nclass Point:\n    x: ",
    "while queue:\n    item = queue.",
    "assert len(",
)


class Config(StageConfig):
    prompts: int = Field(default=64, ge=1)  # of the problems, at most
    max_tokens: int = Field(default=48, ge=1)  # of each answer


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    model = inputs["model"].bytes
    size = model and round(model * (16 + 8.5) / 32)  # bits a weight of the two files; the model's own have 32
    return Size(None, size, f"{len(KINDS)} files, {config.prompts} answers compared")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    from smallcoder.generate.llamacpp import LlamaCppGenerator
    from smallcoder.generate.local import LocalGenerator
    from smallcoder.generate.protocol import Sampling
    from smallcoder.quantize.gguf import write_gguf

    folder = out / "gguf"
    folder.mkdir()
    sampling = Sampling(config.max_tokens)
    original = LocalGenerator(inputs["model"])
    prompts = _prompts(inputs, config, original.encoder)
    weights = sum(weight.numel() for weight in original.decoder.parameters())
    wanted = _answers(original, prompts, sampling)
    facts: dict[str, Any] = {"prompts": len(prompts), "max_tokens": config.max_tokens, "weights": weights, "files": {}}
    for kind in KINDS:
        path = folder / f"model-{kind}.gguf"
        write_gguf(inputs["model"], path, kind)
        size = path.stat().st_size
        found = _answers(LlamaCppGenerator(path), prompts, sampling)
        facts["files"][kind] = {"bytes": size, "bits_per_weight": 8 * size / weights, **agreement(wanted, found)}
    q8 = facts["files"]["q8_0"]
    facts["bytes"] = sum(file["bytes"] for file in facts["files"].values())
    facts["headline"] = f"{q8['same_tokens']:.1%} of Q8_0's greedy tokens are the original's"
    return facts


def _prompts(inputs: Inputs, config: Config, encoder: "Encoder") -> list[str]:
    """Prompts in an order that depends on their problems' ids alone."""
    if "problems" not in inputs:
        return list(CODE[: config.prompts])
    from smallcoder.core.tables import read_table
    from smallcoder.tokens.template import load_template

    ask = load_template(inputs["model"], encoder).ask
    rows = read_table(inputs["problems"], ("id", "prompt")).to_pylist()
    rows.sort(key=lambda row: record_id("gguf", row["id"]))
    return [ask(row["prompt"]) for row in rows[: config.prompts]]


def _answers(engine: "Generator", prompts: Sequence[str], sampling: "Sampling") -> list[tuple[int, ...]]:
    try:
        return [row[0].tokens for row in engine.generate(prompts, sampling)]
    finally:
        engine.close()


def agreement(wanted: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> dict[str, float]:
    """How alike two lists of token sequences are.

    same_sequences: share of pairs that are equal. same_tokens: places with the same token in both, as a share of the
    longer sequences' places. common_prefix: mean number of tokens before the first difference.
    """
    pairs = list(zip(wanted, found, strict=True))
    assert pairs
    same = sum(a == b for left, right in pairs for a, b in zip(left, right, strict=False))
    places = sum(max(len(left), len(right)) for left, right in pairs)
    return {
        "same_sequences": sum(tuple(left) == tuple(right) for left, right in pairs) / len(pairs),
        "same_tokens": same / places if places else 1.0,
        "common_prefix": sum(common_prefix(left, right) for left, right in pairs) / len(pairs),
    }


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading tokens in which two sequences agree."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(left), len(right)))
