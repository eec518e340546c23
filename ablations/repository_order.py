"""Cross-file completion, held out: a model trained on repositories in order against one trained on single files.

    smallcoder run recipes/ablations/repository-order.toml --runs build/seed-7
    python ablations/repository_order.py build/seed-7/repository-order [RUN with other seeds ...]

Asked are lines that use a name which a file of the same repository declares at its top level and which the file at hand
imports: bits per byte of the line, after the lines above it, with what the file imports before them (as much as half of
the context holds) and without. Differences come with a paired bootstrap interval of 95% that resamples repositories.
"""

import argparse
import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from smallcoder.core.records import record_id
from smallcoder.core.tables import read_batches
from smallcoder.evaluate.infilling import score, split_lines
from smallcoder.model.hf import load_model
from smallcoder.tokens.encode import Encoder, load_encoder
from smallcoder.tokens.marked import Spans

DECLARED = re.compile(r"^(?:class|def|async def) +(\w{4,})|^([A-Z_]{4,}) *=", re.MULTILINE)
IMPORT = re.compile(r"\s*(?:from|import)\b")
WORD = re.compile(r"\w+")
PER_FILE = 2  # lines, at most
LONGEST = 64  # tokens of a line
RESAMPLES = 10_000


@dataclass(frozen=True)
class Line:
    """One line to complete. `above`: heading and lines over it; `imported`: what the file imports."""

    repository: str
    imported: str
    above: str
    text: str


def lines(run: Path, encoder: Encoder, context: int) -> list[Line]:
    """The lines that are asked, the same for every model of a run."""
    found = []
    spans = Spans(run / "importing" / "spans")
    for batch in read_batches(run / "importing" / "documents"):
        for row in batch.to_pylist():
            marks = [place for place in spans.of(row["id"]) if place[2] == "mark"]
            data = row["text"].encode()
            start, last = marks[1][0], marks[-1][0]
            imported, own = data[start:last].decode(), data[last:].decode()
            if row["lang"] == "python" and sum(map(row["text"].count, encoder.special)) == len(marks):
                texts = data[:start].decode(), imported, own
                found += _of_file(row["repo"], texts, encoder, context)
    return found


def _of_file(repo: str, texts: tuple[str, str, str], encoder: Encoder, context: int) -> list[Line]:
    """`texts`: the repository's heading, what the file imports, the file itself."""
    name, imported, own = texts
    declared = {first or second for first, second in DECLARED.findall(imported)}
    parts = split_lines(own)
    lengths = [len(ids) for ids in encoder.encode_batch(parts)]
    asked, names = [], set()
    for at, part in enumerate(parts):
        if IMPORT.match(part):
            names |= declared & set(WORD.findall(part))
        elif names & set(WORD.findall(part)) and at > 5 and 4 <= lengths[at] <= LONGEST and part.endswith("\n"):
            asked.append(at)
    asked.sort(key=lambda at: record_id(repo, own, str(at)))
    room = context // 2 - LONGEST - 32
    tokens = list(accumulate(len(ids) for ids in encoder.encode_batch(split_lines(imported))))
    # The last whole lines of what is imported that fit; what is imported last was placed nearest.
    cut = bisect_left(tokens, tokens[-1] - room) + 1 if tokens and tokens[-1] > room else 0
    shown = "".join(split_lines(imported)[cut:])
    found = []
    for at in asked[:PER_FILE]:
        sizes = list(accumulate(reversed(lengths[1:at])))
        above = parts[0] + "".join(parts[max(1, at - bisect_left(sizes, room)) : at])
        found.append(Line(repo, name + shown, name + above, parts[at]))
    return found


def interval(saved: np.ndarray, sizes: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Bits per byte saved, and its 95% interval over repositories."""
    names, number = np.unique(groups, return_inverse=True)
    bits, size = np.bincount(number, saved), np.bincount(number, sizes)
    drawn = np.random.default_rng(0).integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.percentile(bits[drawn].sum(1) / size[drawn].sum(1), [2.5, 97.5])
    return bits.sum() / size.sum(), low, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    sums: dict[tuple[str, str], list[np.ndarray]] = {}
    sizes, groups = [], []
    for run in parser.parse_args().runs:
        encoder = load_encoder(run / "files-model" / "model")
        models = {arm: load_model(run / f"{arm}-model" / "model") for arm in ("files", "ordered")}
        asked = lines(run, encoder, models["files"].config.context)
        sizes.append([len(line.text.encode()) for line in asked])
        groups.append([line.repository for line in asked])
        for arm, decoder in models.items():
            # A name stands once, before what is imported.
            with_imports = [line.imported + line.above[line.above.index("<|file_sep|>") :] for line in asked]
            for way, prompts in (("alone", [line.above for line in asked]), ("after imports", with_imports)):
                bits = score(decoder, encoder, prompts, [line.text for line in asked], batch=8)
                sums.setdefault((arm, way), []).append(bits)
                total = bits.sum() / sum(sizes[-1])
                print(
                    f"{run.parent.name}: {arm:8} {way:14} {total:.4f} bits per byte of {len(asked)} lines", flush=True
                )
    size, group = np.concatenate(sizes), np.concatenate(groups)
    every = {key: np.concatenate(values) for key, values in sums.items()}

    def show(title: str, first: tuple[str, str], second: tuple[str, str]) -> None:
        mean, low, high = interval(every[first] - every[second], size, group)
        print(f"{title}: {mean:+.4f} bits per byte saved ({low:+.4f} to {high:+.4f}), {len(set(group))} repositories")

    show("order, asked after imports", ("files", "after imports"), ("ordered", "after imports"))
    show("order, asked alone", ("files", "alone"), ("ordered", "alone"))
    show("imports shown to the model of files", ("files", "alone"), ("files", "after imports"))
    show("imports shown to the ordered model", ("ordered", "alone"), ("ordered", "after imports"))


if __name__ == "__main__":
    main()
