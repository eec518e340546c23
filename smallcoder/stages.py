"""The one table of stages: the word a recipe `use`s -> the module that does it.

To add a stage: write a module with `Config` and `run` or `as_filter` (see `core/stage.py`) and add its row here. Raise
`version` when the same settings and inputs would now give another result.
"""

from smallcoder.core.stage import Stage

STAGES: dict[str, Stage] = {
    "read": Stage("smallcoder.data.read.stage", version=4),
    "licenses": Stage("smallcoder.data.licenses.stage", inputs=("documents",)),
    "read_pages": Stage("smallcoder.data.pages.stage"),
    "notebooks": Stage("smallcoder.data.notebooks", inputs=("documents",)),
    "commits": Stage("smallcoder.data.history.commits"),
    "events": Stage("smallcoder.data.history.events"),
    "provenance": Stage("smallcoder.data.provenance", inputs=("documents",), whole=True),
    "clean": Stage("smallcoder.data.clean", version=3, inputs=("documents",)),
    "redact": Stage("smallcoder.data.redact.stage", version=3, inputs=("documents",)),
    "toxic": Stage("smallcoder.data.toxic", inputs=("documents",)),
    "language": Stage("smallcoder.data.natural", inputs=("documents",)),
    "text": Stage("smallcoder.data.text", inputs=("documents",), optional=("math",)),
    "markdown": Stage("smallcoder.data.markdown", inputs=("documents",)),
    "assess": Stage("smallcoder.data.assess", inputs=("documents",), optional=("repositories",)),
    "pairs": Stage("smallcoder.data.pairs", inputs=("documents",)),
    "judge": Stage("smallcoder.data.judge.stage", inputs=("documents",), optional=("more",), resumable=True),
    "consistency": Stage("smallcoder.data.consistency", inputs=("documents", "scores"), whole=True),
    "quality_classifier": Stage(
        "smallcoder.data.quality.classifier",
        version=2,
        optional=("documents", "scores", "good", "other", "tokenizer"),
    ),
    "scorer": Stage("smallcoder.data.quality.scorer", inputs=("documents", "scores"), optional=("tokenizer",)),
    "classify": Stage("smallcoder.data.quality.classify", inputs=("documents",), optional=("model",)),
    "quality": Stage(
        "smallcoder.data.quality.composite",
        inputs=("documents",),
        optional=("classifier", "scores", "more_scores", "perplexity", "truth"),
    ),
    "dedup": Stage("smallcoder.data.dedup", version=2, inputs=("documents",), whole=True),
    "semantic_dedup": Stage("smallcoder.data.dedup.semantic", inputs=("documents", "model"), whole=True),
    "decontaminate": Stage(
        "smallcoder.data.decontaminate", version=3, inputs=("documents", "problems"), optional=("model",)
    ),
    "tally": Stage("smallcoder.data.tally", inputs=("documents",), optional=("tokenizer",)),
    "split": Stage("smallcoder.data.split", version=2, inputs=("documents",)),
    "repositories": Stage("smallcoder.repos.stage", inputs=("documents",)),
    "middles": Stage("smallcoder.repos.middles", inputs=("documents",)),
    "docstrings": Stage("smallcoder.data.docstrings", inputs=("documents",)),
    "benchmarks": Stage("smallcoder.bench.public.stage"),
    "drills": Stage("smallcoder.bench.drills.stage", version=2),
    "tokenizer": Stage("smallcoder.tokens.train", inputs=("documents",), optional=("examples",)),
    "pack": Stage(
        "smallcoder.tokens.pack_documents", version=3, inputs=("documents", "tokenizer"), optional=("spans",)
    ),
    "pack_examples": Stage(
        "smallcoder.tokens.pack_examples", version=2, inputs=("examples", "tokenizer"), optional=("more",)
    ),
    "base_model": Stage("smallcoder.train.base"),
    "extend_tokenizer": Stage("smallcoder.train.extend", inputs=("model", "tokenizer")),
    "train": Stage(
        "smallcoder.train.stage",
        version=4,
        inputs=("packed", "tokenizer"),
        optional=("heldout", "model", "optimizer"),
        several=("packed", "heldout"),
        resumable=True,
    ),
    "execute": Stage("smallcoder.evaluate.execution", inputs=("documents",)),
    "evaluate": Stage("smallcoder.evaluate.problems", version=2, inputs=("problems", "model"), resumable=True),
    "perplexity": Stage("smallcoder.evaluate.perplexity", inputs=("documents", "model")),
    "infilling": Stage("smallcoder.evaluate.infilling", inputs=("documents", "model")),
    "gguf": Stage("smallcoder.quantize.stage", inputs=("model",), optional=("problems",)),
}
