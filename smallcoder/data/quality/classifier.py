"""Stage `quality_classifier`: a fastText classifier (arXiv 1607.01759) that tells good code from the rest.

It passes on to a whole corpus what a costly judge said of a sample: a teacher model (as in Ling-Coder-Lite, arXiv
2503.17793, section 2.2.1), a person, a Hugging Face classifier, a bucket. Or it tells documents like those of the
table `good` from those of the table `other`: the first round of recalling pages of code from the web (section 2.3.1
there), whose second adds `good` to what a judge scored. A text becomes a line of words, or of tokens where the input
`tokenizer` is given (`words.py`); the model is a linear one over averaged word and bigram vectors, good against the
rest.

A share `heldout_share` of the rows is put aside as `split` does it, by a hash of their repository or of their words
where they have none, so that neither files of one project nor copies stand on both sides, and no large project makes up
a side. One half of it chooses the operating point and the other half alone is measured. So precision, recall and F1,
with 95% intervals, are not flattered by the choice. They hold for the mix of good and other rows among the labelled
ones, and against the judge, who may be wrong; files of one project are not independent, so intervals are somewhat too
narrow.

One thread and a fixed seed over lines in the order of their hashes: the same rows in any order give the same model byte
for byte. Memory is the model and some 400 bytes a row. It does not weigh classes and does not search for settings.
"""

import json
import mmap
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b, file_digest
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Self

import numpy as np
from pydantic import Field, model_validator

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.progress import track
from smallcoder.core.records import record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.data.quality.labels import Labelled, from_documents, from_judge, from_tables, judge_files
from smallcoder.data.quality.measure import at, curve, operating_point
from smallcoder.data.read.folder import fingerprint
from smallcoder.data.split import heldout

MODEL, SETTINGS, TOKENIZER = "model.bin", "settings.json", "tokenizer.json"
GOOD, OTHER = "__label__good", "__label__other"
MIN_COUNT = 2  # a word seen once teaches nothing
BUCKETS = 1 << 18  # for bigrams: 32 MiB of model at 32 dimensions, where fastText's own default makes 800 MB
BATCH = 1024  # lines to judge at a time
PARTS = ("train", "choose", "measure")
Array = np.ndarray[Any, Any]


class Config(StageConfig):
    """What to learn from, where to cut, and fastText's own settings under their usual names."""

    labels: str | None = None  # file or folder of rows with `text` and `label`; without it, the input `documents`
    positive: str = "high"  # the label that counts as good; any other does not
    high: float = 85.0  # of `documents`: good from this score on
    low: float = 50.0  # not good up to this one
    sample: int | None = Field(default=None, ge=1)  # good documents, and others; without it, all
    heldout_share: float = Field(default=0.2, gt=0.0, lt=1.0)
    min_precision: float | None = Field(default=None, gt=0.0, le=1.0)  # then recall is as high as it can be
    min_recall: float | None = Field(default=None, gt=0.0, le=1.0)  # then precision is; without both, F1 is
    epoch: int = Field(default=10, ge=1)
    lr: float = Field(default=0.5, gt=0.0)
    dim: int = Field(default=32, ge=1)
    word_ngrams: int = Field(default=2, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_precision is not None and self.min_recall is not None:
            raise ValueError("give min_precision or min_recall, not both")
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/classifier. Raises EmptyError where a part of the rows lacks good or other ones."""
    from smallcoder.data.quality.words import CHARACTERS, FORM

    folder = out / "classifier"
    folder.mkdir()
    if "tokenizer" in inputs:
        _copy_tokenizer(inputs["tokenizer"], folder)
    spell = speller(folder)
    with TemporaryDirectory(dir=out, prefix="scratch-") as scratch, Spool(Path(scratch) / "lines", spell) as spool:
        for row in track(_rows(config, inputs), "label", unit="rows"):
            spool.add(row)
        counts = spool.divide(config.heldout_share, config.seed)
        model = _learn(spool.read("train"), Path(scratch) / "train", config)
        judged = {part: _judged(model, spool.read(part)) for part in PARTS[1:]}
    model.save_model(str(folder / MODEL))
    threshold = operating_point(curve(*judged["choose"]), config.min_precision, config.min_recall)
    settings = {
        **{"form": FORM, "characters": CHARACTERS, "threshold": threshold, "digest": _digest(folder)},
        "learned": config.model_dump(mode="json", include={"positive", "epoch", "lr", "dim", "word_ngrams", "seed"}),
    }
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    measured, shape = at(threshold, *judged["measure"]), curve(*judged["measure"])
    shown = ", ".join(_with_interval(name, measured[name]) for name in ("precision", "recall"))
    good, rows = counts["measure"]["good"], sum(counts["measure"].values())
    return {
        "records": sum(counts["train"].values()),
        "bytes": (folder / MODEL).stat().st_size,
        "headline": f"{shown} at {threshold:.3f} on {rows} held-out rows, {good} of them good",
        "rows": counts,
        "without_words": spool.empty,
        "threshold": threshold,
        **measured,
        "average_precision": shape.average_precision,
        "curve": shape.facts(),
    }


def _with_interval(name: str, measured: dict[str, Any]) -> str:
    low, high = measured["interval"]
    return f"{name} {measured['share']:.3f} ({low:.2f} to {high:.2f})"


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    assert inputs is not None
    return Size(note=f"a model of {BUCKETS * config.dim * 4 / 2**20:.0f} MiB or more")


def outside(config: Config) -> dict[str, str]:
    """Names, sizes and times of change of labelled rows that are not a stage's."""
    if config.labels is None:
        return {}
    path = Path(config.labels).expanduser()
    judge_files(path)
    return {config.labels: fingerprint(path)}


def _rows(config: Config, inputs: Inputs) -> Iterator[Labelled]:
    documents, good, other = (inputs.get(role) for role in ("documents", "good", "other"))
    if (config.labels is not None) + (documents is not None) > 1 or not (
        config.labels or documents or (good and other)
    ):
        raise InputError(
            "a classifier learns from `labels`, documents, or good and other", "give the setting or an input"
        )
    if config.labels is not None:
        yield from from_judge(Path(config.labels).expanduser(), config.positive)
    if documents:
        yield from from_documents(documents, inputs.get("scores"), config.low, config.high, config.sample)
    yield from from_tables(good, other, config.sample)


def speller(folder: Path) -> Callable[[Sequence[str | None]], list[str]]:
    """How texts become lines for the classifier of a folder: as tokens where it holds a tokenizer, else as words."""
    from smallcoder.data.quality.words import load_tokenizer, one_line, token_lines

    path = folder / TOKENIZER
    return partial(token_lines, load_tokenizer(path)) if path.is_file() else one_line


def _copy_tokenizer(source: Path, folder: Path) -> None:
    if not (source / TOKENIZER).is_file():
        raise InputError(f"{source} holds no {TOKENIZER}", "name a tokenizer stage or a Hugging Face tokenizer")
    (folder / TOKENIZER).write_bytes((source / TOKENIZER).read_bytes())


class Spool:
    """Labelled lines on disk, read back part by part in the order of their hashes."""

    def __init__(self, path: Path, spell: Callable[[Sequence[str | None]], list[str]]) -> None:
        self._spell = spell
        self._file: IO[bytes] = path.open("w+b")
        self._lines: list[tuple[bytes, int, int, str, bool]] = []  # hash, start, size, group, good
        self._sizes: Counter[str] = Counter()  # rows by group
        self._parts: dict[str, str] = {}  # of the groups that are held out
        self.empty = 0

    def add(self, row: Labelled) -> None:
        """Keep a row as a line "LABEL words". Its group is its repository, or its words where it has none."""
        text, repo, good = row
        words = self._spell([text])[0]
        if not words:
            self.empty += 1
            return
        line = f"{GOOD if good else OTHER} {words}\n".encode()
        group = record_id("repository", repo) if repo else record_id("words", words)
        self._lines.append((blake2b(line, digest_size=16).digest(), self._file.tell(), len(line), group, good))
        self._sizes[group] += 1
        self._file.write(line)

    def divide(self, share: float, seed: int) -> dict[str, dict[str, int]]:
        """Put whole groups aside and count the rows of the parts. Raises EmptyError where one lacks a kind of row."""
        self._parts = parts(self._sizes, share, seed)
        counts = {part: {"good": 0, "other": 0} for part in PARTS}
        for *_, group, good in self._lines:
            counts[self._part(group)]["good" if good else "other"] += 1
        for part, kinds in counts.items():
            for kind, count in kinds.items():
                if not count:
                    raise EmptyError(
                        f"of {len(self._lines)} labelled rows no {kind} one is there to {part} by",
                        "label more rows of both kinds and from more repositories, or mend `positive`, `low`, `high`",
                    )
        return counts

    def _part(self, group: str) -> str:
        return self._parts.get(group, PARTS[0])

    def read(self, part: str) -> Iterator[bytes]:
        """The lines of a part. They do not depend on the order in which they were added."""
        self._file.flush()
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for _, start, size in sorted(line[:3] for line in self._lines if self._part(line[3]) == part):
                yield data[start : start + size]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def parts(sizes: Mapping[str, int], share: float, seed: int) -> dict[str, str]:
    """The groups that are held out, half of their rows to "choose" a threshold by and half to "measure" it."""
    aside = heldout(dict(sizes), share, seed) if len(sizes) > 1 else set()
    measure = heldout({name: sizes[name] for name in aside}, 0.5, seed) if len(aside) > 1 else set()
    return {name: PARTS[1 + (name in measure)] for name in aside}


LEARN = """
import json, sys, fasttext
fasttext.train_supervised(sys.argv[2], **json.loads(sys.argv[1])).save_model(sys.argv[3])
"""


def _learn(lines: Iterator[bytes], path: Path, config: Config) -> Any:
    import fasttext

    with path.open("wb") as file:
        file.writelines(lines)
    settings = {
        **{"lr": config.lr, "epoch": config.epoch, "dim": config.dim, "wordNgrams": config.word_ngrams},
        **{"minCount": MIN_COUNT, "bucket": BUCKETS, "seed": config.seed, "thread": 1, "verbose": 0},
    }
    model = path.with_suffix(".learned")
    # In a process of its own: sums came out otherwise, in their last bits, where other work had used the memory before.
    # -P: what lies in the working folder, such as a json.py, is no library.
    command = [sys.executable, "-P", "-c", LEARN, json.dumps(settings), str(path), str(model)]
    done = subprocess.run(command, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}, stderr=subprocess.PIPE)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"status {done.returncode}"]
        raise InputError(f"fastText did not learn ({said[-1][:120]})", "lower lr; too little memory also ends it")
    learned = fasttext.load_model(str(model))
    model.unlink()
    return learned


def _judged(model: Any, lines: Iterator[bytes]) -> tuple[Array, Array]:
    """Probabilities and truths of labelled lines."""
    shares, truths = [], []
    while chunk := [line.decode().rstrip("\n").split(" ", 1) for line in islice(lines, BATCH)]:
        shares.append(_probabilities(model, [words for _, words in chunk]))
        truths.append(np.array([label == GOOD for label, _ in chunk]))
    return np.concatenate(shares), np.concatenate(truths)


@dataclass(frozen=True)
class Classifier:
    """A trained classifier and its operating point."""

    model: Any
    threshold: float
    spell: Callable[[Sequence[str | None]], list[str]]

    def probabilities(self, texts: Sequence[str | None]) -> Array:
        """The probability that each text is good, float64; NaN for a text without words."""
        return _probabilities(self.model, self.spell(texts))


def load_classifier(folder: Path) -> Classifier:
    """Read the folder that the stage wrote. Raises InputError where it is missing, damaged or of another version."""
    import fasttext

    from smallcoder.data.quality.words import CHARACTERS, FORM

    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        whole = settings["digest"] == _digest(folder)  # fastText itself may crash on a damaged file
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no classifier ({error})", "name a quality_classifier stage") from None
    if not whole or settings.get("form") != FORM or settings.get("characters") != CHARACTERS:
        raise InputError(f"the classifier of {folder} is damaged or of another version", "train it again")
    return Classifier(fasttext.load_model(str(folder / MODEL)), float(settings["threshold"]), speller(folder))


def _probabilities(model: Any, lines: list[str]) -> Array:
    found = np.full(len(lines), np.nan)
    spoken = [index for index, line in enumerate(lines) if line]
    labels, shares = model.predict([lines[index] for index in spoken], k=2) if spoken else ([], [])
    for index, names, values in zip(spoken, labels, shares, strict=True):
        share = dict(zip(names, values, strict=True)).get(GOOD)
        if share is not None:
            found[index] = min(max(float(share), 0.0), 1.0)  # fastText adds 1e-5 to keep from 0
    return found


def _digest(folder: Path) -> str:
    """Of the model, and of the tokenizer where there is one."""
    digest = blake2b(digest_size=16)
    for path in (folder / MODEL, folder / TOKENIZER):
        if path == folder / MODEL or path.is_file():
            with path.open("rb") as file:
                file_digest(file, lambda: digest)
    return digest.hexdigest()
