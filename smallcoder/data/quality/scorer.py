"""Stage `scorer`: a small transformer learns the scores that a judge gave to a sample of documents.

The last round of Ling-Coder-Lite's recall of pages (arXiv 2503.17793, section 2.3.1), where DistilRoBERTa is
fine-tuned on a language model's scores: a regression head with one output, by the mean squared error. It starts from
the Hugging Face directory that `model` names, or from nothing: then an encoder of ModernBERT's kind (arXiv 2412.13663)
of `hidden` x `layers` is made for the input `tokenizer`, whose head averages all tokens. The output's bias begins at
the mean score. A text counts with its first `window` tokens. AdamW, the rate rising for a tenth of the steps and
falling to nothing.

What is written is a model that `classify` reads, whose score `quality` weighs. As in `quality_classifier`, whole
repositories or hosts are held out, one half to choose the operating point by, above which a document counts as good,
the other half to measure it on. The facts hold the mean absolute error, that of always saying the mean, and Spearman's
correlation too.

Cost: 6 x parameters x tokens x epochs operations. On one machine with one number of threads the same rows in any order
give the same model; sums of other threads or devices differ in their last bits. It does not search for settings.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from smallcoder.core.errors import EmptyError, InputError, ToolError
from smallcoder.core.progress import Progress
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.data.quality.classifier import PARTS, TOKENIZER, parts
from smallcoder.data.quality.labels import valued
from smallcoder.data.quality.measure import at, curve, operating_point
from smallcoder.data.read.folder import fingerprint

WIDEST = 16  # characters a token may stand for before a text is cut short
WARM = 0.1  # share of the steps in which the rate rises
FEED_FORWARD = 3  # widths, half of it the gate's
Array = np.ndarray[Any, Any]


class Config(StageConfig):
    """What to start from and how to learn; `hidden`, `layers` and `heads` are for a model made here."""

    model: str | None = None
    hidden: int = Field(default=128, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    window: int = Field(default=512, ge=8)  # tokens
    batch: int = Field(default=32, ge=1)  # texts
    epochs: int = Field(default=3, ge=1)
    lr: float = Field(default=5e-4, gt=0.0)  # for a model made here; a trained one wants a tenth
    good: float = 3.0  # the score from which a document counts as good
    heldout_share: float = Field(default=0.2, gt=0.0, lt=1.0)
    min_precision: float | None = Field(default=None, gt=0.0, le=1.0)  # as in `quality_classifier`
    min_recall: float | None = Field(default=None, gt=0.0, le=1.0)
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_precision is not None and self.min_recall is not None:
            raise ValueError("give min_precision or min_recall, not both")
        if self.hidden % (2 * self.heads):
            raise ValueError("hidden must be an even multiple of heads")
        return self


@dataclass(frozen=True)
class Rows:
    """Token ids and scores of a part of the rows."""

    ids: list[list[int]]
    values: Array

    def batches(self, order: Array, size: int) -> Iterator[tuple[Any, Any, Any]]:
        """Ids [B, T], mask [B, T] and scores [B] of rows in an order."""
        import torch

        for first in range(0, len(order), size):
            chosen = [self.ids[at] for at in order[first : first + size]]
            ids = torch.zeros(len(chosen), max(map(len, chosen)), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for line, marks, each in zip(ids, mask, chosen, strict=True):
                line[: len(each)] = torch.tensor(each)
                marks[: len(each)] = 1
            yield ids, mask, torch.from_numpy(self.values[order[first : first + size]]).float()


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/model. Raises EmptyError where a part lacks good or other rows, InputError where nothing can learn."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model, tokenizer = _start(config, inputs)
        texts = _texts(config, inputs)
        rows = {part: _rows(config, tokenizer, texts[part]) for part in PARTS}
        _learn(config, model, rows["train"])
        found = {part: _scores(config, model, rows[part]) for part in PARTS[1:]}
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    values = {part: rows[part].values for part in PARTS}
    threshold = operating_point(
        curve(found["choose"], values["choose"] >= config.good), config.min_precision, config.min_recall
    )
    measured = at(threshold, found["measure"], values["measure"] >= config.good)
    shape = curve(found["measure"], values["measure"] >= config.good)
    error = np.abs(found["measure"] - values["measure"]).mean()
    shown = f"precision {measured['precision']['share']:.3f}, recall {measured['recall']['share']:.3f}"
    return {
        "records": len(values["train"]),
        "headline": f"{shown} at {threshold:.2f}, error {error:.2f}, on {len(values['measure'])} held-out rows",
        "rows": {part: _counts(values[part] >= config.good) for part in PARTS},
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "threshold": threshold,
        **measured,
        "mean_absolute_error": float(error),
        "mean_absolute_error_of_the_mean": float(np.abs(values["train"].mean() - values["measure"]).mean()),
        "spearman": _spearman(found["measure"], values["measure"]),
        "average_precision": shape.average_precision,
        "curve": shape.facts(),
    }


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(note="a small transformer with a regression head")


def outside(config: Config) -> dict[str, str]:
    """What the folder of the model to start from holds."""
    if config.model is None or not (folder := Path(config.model).expanduser()).is_dir():
        return {}
    return {config.model: fingerprint(folder)}


def _texts(config: Config, inputs: Inputs) -> dict[str, list[tuple[str, float]]]:
    """Texts and scores of every part, by the hash of the text: their order in the table does not matter."""
    rows = []
    for _, text, repo, value in valued(inputs["documents"], inputs["scores"]):
        head = text[: WIDEST * config.window]
        mark = blake2b(head.encode("utf-8", "replace"), digest_size=16).digest()
        rows.append((mark, f"repository {repo}" if repo else f"text {mark.hex()}", head, value))
    sides = parts(Counter(group for _, group, _, _ in rows), config.heldout_share, config.seed)
    found: dict[str, list[tuple[str, float]]] = {part: [] for part in PARTS}
    for _, group, text, value in sorted(rows):
        found[sides.get(group, PARTS[0])].append((text, value))
    for part in PARTS:
        kinds = {value >= config.good for _, value in found[part]}
        if kinds != {True, False}:
            lacking = "other" if True in kinds else "good"
            raise EmptyError(
                f"of {len(rows)} scored documents no {lacking} one is there to {part} by",
                "have more documents judged, from more repositories, or mend `good`",
            )
    return found


def _rows(config: Config, tokenizer: Any, texts: list[tuple[str, float]]) -> Rows:
    cut = tokenizer([text for text, _ in texts], truncation=True, max_length=config.window)["input_ids"]
    return Rows([ids or [0] for ids in cut], np.array([value for _, value in texts]))


def _learn(config: Config, model: Any, rows: Rows) -> None:
    import torch

    heads = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part.out_features == 1]
    if heads and heads[-1].bias is not None:
        torch.nn.init.constant_(heads[-1].bias, float(rows.values.mean()))
    steps = config.epochs * -(-len(rows.ids) // config.batch)
    optimizer = torch.optim.AdamW(model.parameters(), config.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_rate, steps))
    random = np.random.default_rng(config.seed)
    model.train()
    with Progress("score", steps, "steps") as progress:
        for _ in range(config.epochs):
            for ids, mask, values in rows.batches(random.permutation(len(rows.ids)), config.batch):
                found = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits[:, 0]
                loss = torch.nn.functional.mse_loss(found.float(), values.to(model.device))
                if not torch.isfinite(loss):
                    raise InputError("the scorer does not learn: its loss is no number", "lower lr")
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                progress.advance(1, f"loss {loss.item():.3f}")


def _rate(steps: int, step: int) -> float:
    """The share of the learning rate in a step."""
    rise = max(1, round(WARM * steps))
    return min((step + 1) / rise, (steps - step) / max(1, steps - rise))


def _scores(config: Config, model: Any, rows: Rows) -> Array:
    """What the model says of rows, float64, in their order."""
    import torch

    model.eval()
    with torch.inference_mode():
        order = np.arange(len(rows.ids))
        found = [model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits[:, 0].double().cpu()
                 for ids, mask, _ in rows.batches(order, config.batch)]  # fmt: skip
    return torch.cat(found).numpy()


def _start(config: Config, inputs: Inputs) -> tuple[Any, Any]:
    """Model and tokenizer, on a GPU where there is one. No code of a folder is run."""
    try:
        import torch
        from transformers import (
            AutoModelForSequenceClassification,
            AutoTokenizer,
            ModernBertConfig,
            ModernBertForSequenceClassification,
            PreTrainedTokenizerFast,
        )
        from transformers.utils import logging
    except ImportError:
        raise ToolError("transformers is not installed", "pip install 'smallcoder[evaluate]'") from None
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if (config.model is None) == ("tokenizer" not in inputs):
        raise InputError("a scorer starts from `model`, or from a tokenizer", "give the setting or the input")
    if config.model is None:
        path = inputs["tokenizer"] / TOKENIZER
        if not path.is_file():
            raise InputError(f"{path.parent} holds no {TOKENIZER}", "name a tokenizer stage")
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path), model_max_length=config.window)
        settings = ModernBertConfig(
            vocab_size=len(tokenizer), hidden_size=config.hidden, intermediate_size=FEED_FORWARD * config.hidden // 2,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, max_position_embeddings=config.window,
            pad_token_id=0, bos_token_id=None, eos_token_id=None, cls_token_id=None, sep_token_id=None,
            classifier_pooling="mean",
        )  # fmt: skip
        settings.num_labels, settings.problem_type = 1, "regression"
        model: Any = ModernBertForSequenceClassification(settings)
    else:
        folder, local = Path(config.model).expanduser(), {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, **local, model_max_length=config.window)
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, **local, use_safetensors=True, dtype=torch.float32, num_labels=1, problem_type="regression",
                ignore_mismatched_sizes=True,
            )  # fmt: skip
        except Exception as error:  # transformers, safetensors and tokenizers agree on no type for a damaged folder
            detail = (str(error).splitlines() or [type(error).__name__])[0][:160]
            raise InputError(f"{folder} cannot learn to score ({detail})", "name a Hugging Face encoder") from None
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def _counts(good: Array) -> dict[str, int]:
    return {"good": int(good.sum()), "other": int((~good).sum())}


def _spearman(a: Array, b: Array) -> float:
    """The correlation of ranks, ties sharing their mean rank; 0 where one side is constant."""

    def ranks(values: Array) -> Array:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[inverse]

    one, other = ranks(a), ranks(b)
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else 0.0
