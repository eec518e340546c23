"""The one table of stages: the word a recipe `use`s -> the module that does it.

To add a stage: write a module with `Config` and `run` (see `core/stage.py`) and add its row here. Raise `version`
when the same settings and inputs would now give another result.
"""

from smallcoder.core.stage import Stage

STAGES: dict[str, Stage] = {
    "read": Stage("smallcoder.data.read.stage", version=3),
    "licenses": Stage("smallcoder.data.licenses.stage", inputs=("documents",)),
    "provenance": Stage("smallcoder.data.provenance", inputs=("documents",)),
    "clean": Stage("smallcoder.data.clean", version=3, inputs=("documents",)),
    "redact": Stage("smallcoder.data.redact.stage", version=2, inputs=("documents",)),
    "toxic": Stage("smallcoder.data.toxic", inputs=("documents",)),
    "language": Stage("smallcoder.data.natural", inputs=("documents",)),
    "text": Stage("smallcoder.data.text", inputs=("documents",), optional=("math",)),
    "assess": Stage("smallcoder.data.assess", inputs=("documents",)),
    "pairs": Stage("smallcoder.data.pairs", inputs=("documents",)),
    "quality_classifier": Stage("smallcoder.data.quality.classifier", optional=("documents", "scores")),
    "classify": Stage("smallcoder.data.quality.classify", inputs=("documents",)),
    "quality": Stage(
        "smallcoder.data.quality.composite",
        inputs=("documents",),
        optional=("classifier", "scores", "more_scores", "perplexity"),
    ),
    "dedup": Stage("smallcoder.data.dedup", version=2, inputs=("documents",)),
    "semantic_dedup": Stage("smallcoder.data.dedup.semantic", inputs=("documents", "model")),
    "decontaminate": Stage(
        "smallcoder.data.decontaminate", version=2, inputs=("documents", "problems"), optional=("model",)
    ),
    "tally": Stage("smallcoder.data.tally", inputs=("documents",), optional=("tokenizer",)),
    "split": Stage("smallcoder.data.split", version=2, inputs=("documents",)),
    "docstrings": Stage("smallcoder.data.docstrings", inputs=("documents",)),
    "benchmarks": Stage("smallcoder.bench.public.stage"),
    "drills": Stage("smallcoder.bench.drills.stage", version=2),
    "tokenizer": Stage("smallcoder.tokens.train", inputs=("documents",), optional=("examples",)),
    "pack": Stage(
        "smallcoder.tokens.pack_documents", version=2, inputs=("documents", "tokenizer"), optional=("spans",)
    ),
    "pack_examples": Stage("smallcoder.tokens.pack_examples", inputs=("examples", "tokenizer"), optional=("more",)),
    "train": Stage(
        "smallcoder.train.stage",
        version=2,
        inputs=("packed", "tokenizer"),
        optional=("heldout", "model"),
        resumable=True,
    ),
    "evaluate": Stage("smallcoder.evaluate.problems", inputs=("problems", "model"), resumable=True),
    "perplexity": Stage("smallcoder.evaluate.perplexity", inputs=("documents", "model")),
    "infilling": Stage("smallcoder.evaluate.infilling", inputs=("documents", "model")),
    "gguf": Stage("smallcoder.quantize.stage", inputs=("model",), optional=("problems",)),
}
