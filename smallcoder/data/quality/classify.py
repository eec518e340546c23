"""Stage `classify`: what a Hugging Face classifier says of every document: a score, or a class with its probability.

`model`, a setting or an input, is a folder that `AutoModelForSequenceClassification` reads: config.json, safetensors,
a fast tokenizer. A head with one output is a regression and its output is the value (as of the educational scores from
0 to 5). With several, the probabilities are their softmax, the label is the likeliest class, and the value is its
probability or, where `points` gives each class a worth, the worth to be expected: the sum of probability times worth
(`points = {High = 100, Medium = 50, Low = 0}`; a class that is not named is worth 0).

A text is cut into windows of `window` tokens, the model's own marks included, and at most the first `windows` of them
are read; their probabilities, or outputs, are averaged. No window looks further than 16 characters a token.

Windows wait in a scratch file until all are known; then those of one length go through the model together. So nothing
is padded, and batches do not depend on the order of the documents: nor do the values. Memory: some 300 bytes a
document and one batch. Cost: 2 x parameters x tokens operations. It runs no code from a model folder, reads no pickled
weights, and knows no multi-label heads.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import Field

from smallcoder.core.errors import InputError, ToolError
from smallcoder.core.progress import Progress, track
from smallcoder.core.recipe import nearest
from smallcoder.core.records import SCORE
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.core.tables import TableWriter, read_batches
from smallcoder.data.read.folder import fingerprint

WIDEST = 16  # characters a token may stand for before a text is cut short
BATCH_TOKENS = 8192  # in one pass through the model
READ = 256  # documents tokenized at a time
ROWS = 1 << 16  # rows written at a time
Array = np.ndarray[Any, Any]


class Config(StageConfig):
    """`model`: its folder. `name`: what to call the score. Lengths in tokens."""

    model: str | None = None
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    window: int = Field(default=512, ge=8)  # at most; the model's own limit counts too
    windows: int = Field(default=1, ge=1)
    points: dict[str, float] = {}


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/scores. Raises InputError where the folder is no classifier that can be used as it is."""
    if (config.model is None) == ("model" not in inputs):
        raise InputError("a classifier is named by `model` or handed in as an input", "give the setting or the input")
    judge = load_judge(inputs["model"] if config.model is None else Path(config.model).expanduser(), config)
    about: list[tuple[str, str]] = []  # id and language
    with Windows(out) as windows:
        for batch in track(read_batches(inputs["documents"], ["id", "lang", "text"], READ), "tokenize"):
            row = batch.to_pydict()
            for ids, number in judge.cut([text or "" for text in row["text"]]):
                windows.add(len(about) + number, ids)
            about += zip(row["id"], (lang or "unknown" for lang in row["lang"]), strict=True)
        sums = np.zeros((len(about), judge.outputs))
        read = np.zeros(len(about), np.int64)
        with Progress(f"classify {config.name}", len(windows), "windows") as progress:
            for owners, tokens in windows.batches([id for id, _ in about]):
                np.add.at(sums, owners, judge.outputs_of(tokens))
                np.add.at(read, owners, 1)
                progress.advance(len(owners))
    found = np.where(read[:, None] > 0, sums / np.maximum(read, 1)[:, None], np.nan)
    values, labels = judge.verdicts(found)
    with TableWriter(out / "scores", SCORE) as writer:
        for start in range(0, len(about), ROWS):
            part = slice(start, start + ROWS)
            ids = [id for id, _ in about[part]]
            columns = [ids, [config.name] * len(ids), pa.array(values[part], from_pandas=True), labels[part]]
            writer.write(pa.table(columns, schema=SCORE))
    return _facts(config, [lang for _, lang in about], values, labels, read)


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """A row a document."""
    return Size(inputs["documents"].records, note=f"one {config.name} score a document")


def outside(config: Config) -> dict[str, str]:
    """What the model's folder holds: names, sizes and times of change."""
    if config.model is None or not (folder := Path(config.model).expanduser()).is_dir():
        return {}
    return {config.model: fingerprint(folder)}


def _facts(config: Config, languages: list[str], values: Array, labels: list[str | None], read: Array) -> Facts:
    known = ~np.isnan(values)
    by_language: dict[str, list[float]] = defaultdict(list)
    for lang, value in zip(languages, values.tolist(), strict=True):
        if not isnan(value):
            by_language[lang].append(value)
    counts = Counter(label for label in labels if label is not None)
    total = max(int(known.sum()), 1)
    return {
        "records": len(values),
        "headline": ", ".join(f"{label} {count / total:.0%}" for label, count in counts.most_common(4))
        or f"mean {np.mean(values[known]) if known.any() else 0:.3f}",
        "name": config.name,
        "without_text": int((~known).sum()),
        "windows": int(read.sum()),
        "labels": {label: {"records": count, "share": count / total} for label, count in sorted(counts.items())},
        "quantiles": {str(at): float(np.percentile(values[known], at)) for at in (5, 25, 50, 75, 95) if known.any()},
        "languages": {
            lang: {"records": len(found), "mean": sum(sorted(found)) / len(found)}
            for lang, found in sorted(by_language.items())
        },
    }


class Windows:
    """A scratch file of token windows, each of some document; it has no name and is gone with the process."""

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._owners = array("Q")
        self._lengths = array("I")

    def add(self, owner: int, ids: list[int]) -> None:
        self._file.write(np.array(ids, np.uint32).tobytes())
        self._owners.append(owner)
        self._lengths.append(len(ids))

    def batches(self, names: list[str]) -> Iterator[tuple[Array, Array]]:
        """Owners [B] and tokens [B, T] of windows of one length, the longest first, by the name of their owner."""
        if not self._lengths:
            return
        self._file.flush()
        tokens = np.memmap(self._file, np.uint32, mode="r")
        owners, lengths = np.asarray(self._owners), np.asarray(self._lengths).astype(np.int64)
        starts = np.cumsum(lengths) - lengths
        order = sorted(range(len(lengths)), key=lambda at: (-lengths[at], names[owners[at]], at))
        first = 0
        while first < len(order):
            length = int(lengths[order[first]])
            most = max(1, BATCH_TOKENS // length)
            chosen = [at for at in order[first : first + most] if lengths[at] == length]
            first += len(chosen)
            yield owners[chosen], np.stack([tokens[starts[at] : starts[at] + length] for at in chosen]).astype(np.int64)

    def __len__(self) -> int:
        return len(self._lengths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()


@dataclass(frozen=True)
class Judge:
    """A model with its tokenizer, and how to read its outputs. A regression has no classes."""

    model: Any
    tokenizer: Any
    window: int
    windows: int
    classes: tuple[str, ...]
    worth: tuple[float, ...] | None  # of each class; None: the value is the probability of the likeliest

    @property
    def outputs(self) -> int:
        return max(1, len(self.classes))

    def cut(self, texts: list[str]) -> Iterator[tuple[list[int], int]]:
        """The windows of texts, each with the number of its text. A text of white space only has none."""
        spoken = [index for index, text in enumerate(texts) if text.strip()]
        if not spoken:
            return
        room = WIDEST * self.window * self.windows
        encoded = self.tokenizer(
            [texts[index][:room] for index in spoken],
            truncation=True,
            max_length=self.window,
            return_overflowing_tokens=True,
        )
        taken: Counter[int] = Counter()
        for ids, at in zip(encoded["input_ids"], encoded["overflow_to_sample_mapping"], strict=True):
            taken[at] += 1
            if ids and taken[at] <= self.windows:
                yield ids, spoken[at]

    def outputs_of(self, tokens: Array) -> Array:
        """Probabilities of the classes, or the one output of a regression, float64 [B, outputs]."""
        import torch

        with torch.inference_mode():
            logits = self.model(input_ids=torch.from_numpy(tokens).to(self.model.device)).logits.double()
            return (logits.softmax(-1) if self.classes else logits).cpu().numpy()

    def verdicts(self, found: Array) -> tuple[Array, list[str | None]]:
        """Value and label of every row of averaged outputs; NaN and None for a row of NaN."""
        if not self.classes:
            return found[:, 0], [None] * len(found)
        best = np.where(np.isnan(found), -1.0, found).argmax(axis=1)
        values = found.max(axis=1) if self.worth is None else found @ np.array(self.worth)
        labels = [None if gap else self.classes[at] for at, gap in zip(best, np.isnan(values), strict=True)]
        return values, labels


def load_judge(folder: Path, config: Config) -> Judge:
    """Load a model folder. Raises InputError where it is no trained classifier, ToolError without transformers."""
    model, tokenizer = _load(folder)
    settings = model.config
    if settings.problem_type == "multi_label_classification":
        raise InputError(f"{folder} gives several labels at once", "name a model with one label or a regression")
    classes = tuple(settings.id2label[at] for at in range(settings.num_labels)) if settings.num_labels > 1 else ()
    for name in config.points:
        if name not in classes:
            raise InputError(f"{folder} knows no class {name!r}", nearest(name, classes))
    limits = (config.window, tokenizer.model_max_length, getattr(settings, "max_position_embeddings", None))
    window = min(limit for limit in limits if limit and limit > 0)
    worth = tuple(config.points.get(name, 0.0) for name in classes) if config.points else None
    return Judge(model, tokenizer, window, config.windows, classes, worth)


def _load(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer, on a GPU where there is one."""
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        raise ToolError("transformers is not installed", "pip install 'smallcoder[evaluate]'") from None
    for name in ("config.json", "tokenizer.json"):  # without the latter some tokenizers come with no vocabulary at all
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no {name}", "name a Hugging Face classifier with a fast tokenizer")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model, notes = AutoModelForSequenceClassification.from_pretrained(
            folder, **local, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:  # transformers, safetensors and tokenizers agree on no type for a damaged folder
        detail = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"{folder} is no classifier that transformers can read ({detail})", "copy it again") from None
    if missing := sorted(notes["missing_keys"]):
        raise InputError(f"{folder} has no weights for {missing[0]}", "name a model trained as a classifier")
    if model.config.pad_token_id is None:
        model.config.pad_token_id = -1  # decoders ask where the padding begins: nothing is padded here
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer
