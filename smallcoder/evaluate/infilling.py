"""Stage `infilling`: can the model fill a missing line of files it has not seen, and does the code below help it?

A problem is one line of a held-out Python file, with indentation and line end; the model is shown the lines above and
below it, as many as its context holds. Lines are code (no comments, no strings over several lines), are not short, and
stand before a line that is not blank. The choice goes by hashes: the first line of every file, then the second, ...

Two measures. Exact match: the first line of the greedy completion, white space at both ends aside, is the missing
one; with Wilson's 95% interval. Bits per byte of the missing line, teacher-forced, when asked in three ways: with the
suffix (the model's infilling prompt), with an empty suffix (the same prompt), and as plain text from left to right
(the prefix alone, no marks). The line is tokenized by itself, so all three score the same tokens; since it begins
after a line end and the next line is not blank, these are also the tokens of plain text. Differences between ways
come with a paired bootstrap 95% interval that resamples files (Efron and Tibshirani 1993, percentile interval).

Cost: one forward pass over problems x 3 prompts, and one generation. It does not run the code: another line may do
as well, so exact match understates; and files of one repository are not independent, so intervals are a little narrow.
"""

import ast
import json
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from smallcoder.core.errors import EmptyError
from smallcoder.core.records import record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.core.tables import read_batches

if TYPE_CHECKING:
    import numpy as np

    from smallcoder.model.transformer import Decoder
    from smallcoder.tokens.encode import Encoder

MIN_CHARACTERS = 10  # of a line, spaces aside
MIN_ABOVE = 5  # lines of the file before the missing one
MIN_BELOW = 3
PREFIX_SHARE = 2 / 3  # of the context that is left for what surrounds the line
MARKS = 4  # special tokens of a prompt and its end
RESAMPLES = 2000
SHOWN = 5
WAYS = ("infill", "no_suffix", "plain")


class Config(StageConfig):
    problems: int = Field(default=300, ge=1)  # lines, at most
    max_tokens: int = Field(default=64, ge=8)  # of a completion; longer lines are not asked
    seed: int = 0


@dataclass(frozen=True)
class Problem:
    """A missing line, with its line end, and the whole lines around it that fit the context. `number` is from 1."""

    document: str
    path: str
    number: int
    prefix: str
    middle: str
    suffix: str


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    assert inputs
    return Size(config.problems, note=f"up to {config.problems} lines")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    from smallcoder.core.intervals import wilson
    from smallcoder.generate.local import LocalGenerator
    from smallcoder.generate.protocol import Sampling
    from smallcoder.tokens.fim import load_fim

    engine = LocalGenerator(inputs["model"])
    problems = choose(inputs["documents"], engine.encoder, engine.decoder.config.context, config)
    fim = load_fim(inputs["model"])
    prompts = [fim.prompt(problem.prefix, problem.suffix) for problem in problems]
    completions = [row[0] for row in engine.generate(prompts, Sampling(config.max_tokens, seed=config.seed))]
    exact = [first_line(c.text) == p.middle.strip() for c, p in zip(completions, problems, strict=True)]
    asked = {
        "infill": prompts,
        "no_suffix": [fim.prompt(problem.prefix, "") for problem in problems],
        "plain": [problem.prefix for problem in problems],
    }
    middles = [problem.middle for problem in problems]
    bits = {way: score(engine.decoder, engine.encoder, asked[way], middles) for way in WAYS}
    share = sum(exact) / len(exact)
    rows = [
        {
            **{"document": p.document, "path": p.path, "line": p.number},
            **{"prefix": p.prefix, "suffix": p.suffix, "middle": p.middle},
            **{"completion": c.text, "finish": c.finish, "exact": hit},
            "bits": {way: round(float(bits[way][index]), 3) for way in WAYS},
        }
        for index, (p, c, hit) in enumerate(zip(problems, completions, exact, strict=True))
    ]
    with (out / "samples.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
    measured = per_byte(bits, problems, config.seed)
    with_suffix, without = measured["bits_per_byte"]["infill"], measured["bits_per_byte"]["plain"]
    return {
        "records": len(problems),
        "headline": f"{share:.1%} of lines exact, {with_suffix:.3f} bits/byte with the suffix, {without:.3f} without",
        "files": len({problem.document for problem in problems}),
        "exact": {"count": sum(exact), "share": share, "interval": wilson(share, len(exact))},
        "ended_after_one_line": sum(ended(c.text, c.finish) for c in completions) / len(completions),
        **measured,
        "samples": rows[:SHOWN],
    }


def first_line(text: str) -> str:
    """What of a completion is compared: its first line without the white space around it."""
    return text.split("\n", 1)[0].strip()


def ended(text: str, finish: str) -> bool:
    """Whether the model itself stopped after one line."""
    return finish == "stop" and text.rstrip("\n").count("\n") == 0 and text.strip() != ""


def choose(documents: Path, encoder: "Encoder", context: int, config: Config) -> list[Problem]:
    """The problems, in an order that depends on the documents' ids and the seed alone. Raises EmptyError for none."""
    chosen = nsmallest(config.problems, _ranked(documents, encoder, context, config), key=lambda pair: pair[0])
    if not chosen:
        raise EmptyError("no held-out line can be asked", "hold out more Python files, or give the model more context")
    return [problem for _, problem in chosen]


def _ranked(
    documents: Path, encoder: "Encoder", context: int, config: Config
) -> Iterator[tuple[tuple[int, str], Problem]]:
    """Every line that can be asked, with its place in the choice: (round in its file, hash)."""
    room = context - config.max_tokens - MARKS
    room_above = int(room * PREFIX_SHARE)
    for batch in read_batches(documents, ("id", "lang", "path", "text")):
        for row in batch.to_pylist():
            if row["lang"] != "python" or any(mark in row["text"] for mark in encoder.special):
                continue  # a mark in the text would be read as one
            lines = split_lines(row["text"])
            lengths = [len(ids) for ids in encoder.encode_batch(lines)]
            keyed = sorted((record_id(str(config.seed), row["id"], str(i)), i) for i in code_lines(row["text"]))
            rank = 0
            for key, i in keyed:
                above = _fitting(lengths[i - 1 :: -1], room_above)
                below = _fitting(lengths[i + 1 :], room - room_above)
                if above and below and lengths[i] <= config.max_tokens:
                    prefix, suffix = "".join(lines[i - above : i]), "".join(lines[i + 1 : i + 1 + below])
                    yield (rank, key), Problem(row["id"], row["path"] or "", i + 1, prefix, lines[i], suffix)
                    rank += 1


def _fitting(lengths: Sequence[int], room: int) -> int:
    """How many leading lengths sum to at most `room`."""
    return bisect_right(list(islice(accumulate(lengths), room + 1)), room)


def code_lines(text: str) -> list[int]:
    """Indices of the lines of a Python file that can be asked; none where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    lines = split_lines(text)
    if "\r" in text or "\f" in text:  # other line ends: the parser would count otherwise
        return []
    prose = set()  # strings over several lines, and strings that are statements
    for node in ast.walk(tree):
        within = node.value if isinstance(node, ast.Expr) else node
        if isinstance(within, ast.Constant | ast.JoinedStr) and not isinstance(getattr(within, "value", ""), int):
            first, last = within.lineno - 1, (within.end_lineno or within.lineno) - 1
            if isinstance(node, ast.Expr) or last > first:
                prose.update(range(first, last + 1))
    return [
        index
        for index in range(MIN_ABOVE, len(lines) - MIN_BELOW)
        if index not in prose
        and len("".join(lines[index].split())) >= MIN_CHARACTERS
        and not lines[index].lstrip().startswith("#")
        and lines[index + 1].strip()
    ]


def split_lines(text: str) -> list[str]:
    """Lines with their ends; unlike `str.splitlines` only "\\n" ends one."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def score(
    decoder: "Decoder", encoder: "Encoder", prompts: Sequence[str], middles: Sequence[str], batch: int = 64
) -> "np.ndarray":
    """Bits that the model needs for each middle after its prompt, [len(prompts)]."""
    import numpy as np
    import torch
    from torch.nn.functional import cross_entropy, linear

    starts = [encoder.encode(prompt, special=True) for prompt in prompts]
    ends = [encoder.encode(middle) for middle in middles]
    order = sorted(range(len(prompts)), key=lambda index: (len(starts[index]) + len(ends[index]), index))
    bits = np.zeros(len(prompts))
    device = decoder.embed_tokens.weight.device
    for first in range(0, len(order), batch):
        part = order[first : first + batch]
        rows = [torch.tensor(starts[index] + ends[index]) for index in part]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        with torch.inference_mode():
            hidden = decoder.hidden(tokens)  # causal, so padding on the right changes nothing
            for place, index in enumerate(part):
                begin, end = len(starts[index]), len(rows[place])
                logits = linear(hidden[place, begin - 1 : end - 1], decoder.output_weight)
                nats = cross_entropy(logits, tokens[place, begin:end], reduction="sum")
                bits[index] = float(nats) / np.log(2)
    return bits


def per_byte(bits: "dict[str, np.ndarray]", problems: Sequence[Problem], seed: int) -> dict[str, Any]:
    """Bits per byte of each way to ask, and what infilling saves against the others, with intervals over files."""
    import numpy as np

    names = {name: index for index, name in enumerate(dict.fromkeys(problem.document for problem in problems))}
    files = np.array([names[problem.document] for problem in problems])
    sizes = np.bincount(files, [len(problem.middle.encode()) for problem in problems])
    sums = {way: np.bincount(files, values) for way, values in bits.items()}
    drawn = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    saved = {}
    for way in WAYS[1:]:
        difference = sums[way] - sums[WAYS[0]]
        resampled = difference[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
        low, high = np.percentile(resampled, [2.5, 97.5])
        saved[way] = {"bits_per_byte": float(difference.sum() / sizes.sum()), "interval": [float(low), float(high)]}
    return {
        "middle_bytes": int(sizes.sum()),
        "bits_per_byte": {way: float(values.sum() / sizes.sum()) for way, values in sums.items()},
        "saved_by_infill_prompt_against": saved,
    }
