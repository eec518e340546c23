"""Stage `judge`: a language model grades a sample of documents; its grades are scores, and labels to learn from.

The judge is any server that speaks the OpenAI protocol (`client.py`), the question one of `questions.toml` or of a
file of yours. `out/scores` holds one row a document: the least of its grades under the name of the question, so that a
page counts as good only where it is on every scale (Ling-Coder-Lite, arXiv 2503.17793, section 2.3.1, asks for 3 of 5
and in the end for 5, and does not say how its three scales are joined). `out/grades` holds every grade under
"question.scale".

The sample is drawn by a hash of the seed and the id, so that it does not depend on the order of the documents; of the
optional input `more`, as many again. Answers that do not say the grades are counted and give no row. Answers are kept
in the folder `cache`, outside the run, so that a rerun and other recipes pay nothing for them: leave it out and they
live in the stage's own state, which a kill leaves and the end of the stage drops.

Cost: a request a document, of `characters` of text. Memory: the sample.
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from heapq import nsmallest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from smallcoder.core.errors import EmptyError
from smallcoder.core.manifest import STATE
from smallcoder.core.progress import track
from smallcoder.core.records import SCORE
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import TableWriter, read_batches
from smallcoder.data.judge.client import Judge, Server
from smallcoder.data.judge.question import Question, load_question

ROLES = ("documents", "more")


class Config(StageConfig):
    """Who is asked what, and of how many documents. The model's name is part of a stage's identity, its address not."""

    question: str = "page"
    model: str
    url: str = run_only("http://127.0.0.1:8080/v1")
    key: str | None = run_only(None)  # the name of an environment variable
    sample: int = Field(default=10_000, ge=1)  # of each input
    characters: int = Field(default=8_000, ge=100)  # of a text
    max_tokens: int = Field(default=1024, ge=1)
    temperature: float = Field(default=0.0, ge=0.0)
    seed: int = 0
    timeout: float = run_only(120.0, gt=0)  # seconds
    concurrency: int = run_only(8, ge=1)
    cache: str | None = run_only(None)

    @field_validator("url")
    @classmethod
    def _without_a_password(cls, url: str) -> str:
        if urlsplit(url).username or urlsplit(url).password or urlsplit(url).query:
            raise ValueError("name the key's environment variable in `key`; a URL is written into manifests")
        return url


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/scores and out/grades. Raises InputError where the judge does not answer, EmptyError where no answer
    counts.

    Facts: how many were asked, answered without a grade; how often each grade was given. They are the same whatever
    came out of the cache.
    """
    question = load_question(config.question)
    name = config.question.rpartition("#")[2]
    texts = sample(config, inputs)
    server = Server(
        config.url, config.model, config.key, config.max_tokens, config.temperature, config.seed, config.timeout
    )
    cache = Path(config.cache).expanduser() if config.cache else out / STATE
    counts: Counter[str] = Counter()
    with (
        Judge(server, cache, config.concurrency) as judge,
        TableWriter(out / "scores", SCORE) as scores,
        TableWriter(out / "grades", SCORE) as grades,
    ):
        asked = (question.messages(text[: config.characters], lang) for _, lang, text in texts)
        for (id, _, _), answer in zip(texts, track(judge.answers(asked), f"judge {name}", len(texts)), strict=True):
            found = question.read(answer)
            counts["unparsable"] += found is None
            if found is None:
                continue
            scores.write_rows([_row(id, name, min(found))])
            rows = [_row(id, f"{name}.{scale}", value) for scale, value in zip(question.scales, found, strict=True)]
            grades.write_rows(rows)
            counts.update(f"{scale} {value}" for scale, value in zip(question.scales, found, strict=True))
            counts[f"least {min(found)}"] += 1
        facts = _facts(question, len(texts), counts)
    if not facts["records"]:
        raise EmptyError(f"none of {len(texts)} answers says the grades", "try a larger max_tokens or another model")
    return facts


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """A row for every document of the sample that is answered."""
    known = [inputs[role].records for role in ROLES if role in inputs]
    most = sum(min(config.sample, config.sample if count is None else count) for count in known)
    return Size(most, note=f"at most, from {config.model}")


def sample(config: Config, inputs: Inputs) -> list[tuple[str, str | None, str]]:
    """Ids, languages and texts of the documents to judge, by id. Raises EmptyError for none."""
    chosen: dict[str, tuple[str | None, str]] = {}
    for role in ROLES:
        if role in inputs:
            drawn = nsmallest(config.sample, _drawn(inputs[role], config.seed, config.characters))
            chosen.update((id, (lang, text)) for _, id, lang, text in drawn)
    if not chosen:
        raise EmptyError("there is no text to judge", "check the stage that its documents come from")
    return [(id, *chosen[id]) for id in sorted(chosen)]


def _drawn(folder: Path, seed: int, characters: int) -> Iterator[tuple[bytes, str, str, str]]:
    for batch in read_batches(folder, ["id", "lang", "text"]):
        for row in batch.to_pylist():
            if row["text"] and row["text"].strip():
                mark = blake2b(f"{seed}\0{row['id']}".encode(), digest_size=16).digest()
                yield mark, row["id"], row["lang"] or "", row["text"][:characters]


def _row(id: str, name: str, value: int) -> dict[str, Any]:
    return {"id": id, "name": name, "value": float(value), "label": None}


def _facts(question: Question, asked: int, counts: Counter[str]) -> Facts:
    marks = range(question.low, question.high + 1)
    shown = {name: {str(mark): counts[f"{name} {mark}"] for mark in marks} for name in ("least", *question.scales)}
    answered = sum(shown["least"].values())
    return {
        "records": answered,
        "headline": ", ".join(f"{mark}: {count / max(answered, 1):.0%}" for mark, count in shown["least"].items()),
        "asked": asked,
        "unparsable": counts["unparsable"],
        "grades": shown,
    }
