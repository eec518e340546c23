"""The one table of stages: the word a recipe `use`s -> the module that does it.

To add a stage: write a module with `Config` and `run` (see `core/stage.py`) and add its row here. Raise `version`
when the same settings and inputs would now give another result.
"""

from smallcoder.core.stage import Stage

STAGES: dict[str, Stage] = {
    "read": Stage("smallcoder.data.read.stage"),
    "clean": Stage("smallcoder.data.clean", inputs=("documents",)),
    "rules": Stage("smallcoder.data.rules", inputs=("documents",)),
    "dedup": Stage("smallcoder.data.dedup", inputs=("documents",)),
    "decontaminate": Stage("smallcoder.data.decontaminate", inputs=("documents", "problems")),
    "split": Stage("smallcoder.data.split", inputs=("documents",)),
    "docstrings": Stage("smallcoder.data.docstrings", inputs=("documents",)),
    "drills": Stage("smallcoder.bench.drills.stage", version=2),
    "tokenizer": Stage("smallcoder.tokens.train", inputs=("documents",), optional=("examples",)),
    "pack": Stage("smallcoder.tokens.pack_documents", inputs=("documents", "tokenizer")),
    "pack_examples": Stage("smallcoder.tokens.pack_examples", inputs=("examples", "tokenizer"), optional=("more",)),
    "train": Stage(
        "smallcoder.train.stage", inputs=("packed", "tokenizer"), optional=("heldout", "model"), resumable=True
    ),
    "evaluate": Stage("smallcoder.evaluate.problems", inputs=("problems", "model"), resumable=True),
    "infilling": Stage("smallcoder.evaluate.infilling", inputs=("documents", "model")),
    "gguf": Stage("smallcoder.quantize.stage", inputs=("model",), optional=("problems",)),
}
