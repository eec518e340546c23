"""Stage `markdown`: keeps Markdown that is about code, by a score of what it is made of.

Ling-Coder-Lite (arXiv 2503.17793, section 2.3.3) lets a model that was trained on web pages score Markdown for its
relevance to code. This is the cheap score before it, or instead of it:

    score = (1 - (1 - c) * (1 - w)) * (1 - l)
    c = min(1, share of the text's characters that are code / FULL_CODE): fences, indented blocks, backticks
    w = min(1, share of the prose's words that are about code / FULL_WORDS): words of `markdown.toml`, and what is
        spelt as code is: snake_case, camelCase, calls(), --options, paths/of/files, file.ext
    l = share of the lines that only lead elsewhere, above FREE_LINKS: list items that begin with a link, badges,
        images; scaled to 0..1

so either code or words about it are enough, and a list of links is not. A text with fewer than FEW_WORDS words and no
code scores 0. All figures are ours. Documents of other languages pass unscored; `scores/` holds the score of every
Markdown document that stays, under the name "code_relevance".

On 45 texts labelled by hand (tests/data/test_markdown.py) the default threshold has precision 1.0 and recall 0.95 (21
of 22). Of 370 READMEs and documents of installed packages it drops 35: licences, names, rules of conduct, badges, and
four short READMEs that are mostly links; of the six it keeps with less than 0.6, five are about the project's people.
About 10 MB a CPU-second. English words. It does not judge how well a text explains, nor what its code is: that is for a
classifier (`quality_classifier`, `classify`).
"""

import re
import tomllib
from collections import Counter
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from smallcoder.core.records import SCORE
from smallcoder.core.stage import Facts, Inputs, StageConfig, run_only
from smallcoder.data.filters import Filter, Judged

FULL_CODE, FULL_WORDS, FREE_LINKS, FEW_WORDS = 0.15, 0.16, 0.3, 10

FRONT = re.compile(r"\A---\n.*?\n---[ \t]*\n", re.DOTALL)
FENCE = re.compile(r"^[ \t>]*(`{3,9}+|~{3,9}+)[^\n]*\n(.*?)(?:^[ \t>]*\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(
    r"(?:(?<=\n\n)|\A)(?:(?: {4}|\t)(?![ \t]*(?:[-*+]|\d+\.)[ \t])[^\n]*\n?(?:[ \t]*\n(?= {4}|\t))*)+"
)
INLINE = re.compile(r"(`{1,3})([^`\n]+)\1")
TAG = re.compile(r"<!--.*?(?:-->|\Z)|<[/!]?[A-Za-z][^<>]{0,2000}>", re.DOTALL)
IMAGE = re.compile(r"!\[[^\[\]\n]{0,1000}\](?:\([^()\n]{0,2000}\)|\[[^\[\]\n]{0,200}\])")
LINK = re.compile(r"\[([^\[\]\n]{0,1000})\](?:\([^()\n]{0,2000}\)|\[[^\[\]\n]{0,200}\])|<?https?://[^\s<>)]{1,2000}>?")
DEFINITION = re.compile(r"^[ ]{0,3}\[[^\[\]\n]{1,200}\]:[ \t]*\S[^\n]*$", re.MULTILINE)
LEADS_ELSEWHERE = re.compile(r"[ \t>]*(?:[-*+]|\d{1,3}[.)]|\|)?[ \t]*[*_]{0,3}\x01")  # the mark of a link
WORD = re.compile(r"[^\W\d_][\w'-]*(?:(?:[./:]|::)[\w-]+)*(?:\(\))?|--?[a-z][\w-]+|[/~.]?(?:/[\w.-]+)+")
SPELT = re.compile(
    r"(?=\w*[a-z\d]_\w)\w+|[a-z]+[A-Z]\w*|[A-Z][a-z\d]+[A-Z]\w*|.*\(\)|--[a-z].*|[~.]?/[\w.-]+/.*|.*::.*|\w+\.\w+\.\w.*"
    r"|.*\.(?:py|js|ts|tsx|jsx|json|ya?ml|toml|md|rst|txt|cfg|ini|sh|c|h|cc|cpp|hpp|java|go|rs|rb|php|html|css|xml|so)"
)


class Config(StageConfig):
    """A Markdown document of a lower score is dropped."""

    min_score: float = Field(default=0.5, ge=0, le=1)
    workers: int = run_only(1, ge=1)


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents, out/dropped and out/scores. `markdown` of the facts: how many documents were judged."""

    def facts(retention: Facts, counts: Counter[str]) -> Facts:
        return {**retention, "markdown": counts["markdown"]}

    return Filter(partial(judge, config), facts, ("scores", SCORE))


def judge(config: Config, batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch; its rows stay as they are."""
    scores: list[dict[str, Any]] = []
    found = [row for row, lang in enumerate(batch.column("lang").to_pylist()) if lang == "markdown"]
    reasons: list[str | None] = [None] * batch.num_rows
    for row in found:
        score = relevance(batch.column("text")[row].as_py() or "")
        if score < config.min_score:
            reasons[row] = "not_about_code"
        else:
            id = batch.column("id")[row].as_py()
            scores.append({"id": id, "name": "code_relevance", "value": round(score, 4), "label": None})
    return Judged(batch, reasons, Counter(markdown=len(found)), pa.RecordBatch.from_pylist(scores, schema=SCORE))


def relevance(text: str) -> float:
    """How much a Markdown text is about code, 0 to 1."""
    code, words, links = shares(text)
    return (1 - (1 - min(1, code / FULL_CODE)) * (1 - min(1, words / FULL_WORDS))) * (1 - links)


def shares(text: str) -> tuple[float, float, float]:
    """The share of code in the characters, of words about code in the prose's, and of lines that lead elsewhere."""
    text = FRONT.sub("", text.replace("\r\n", "\n"))
    size = 0

    def take(found: re.Match[str]) -> str:
        nonlocal size
        size += len("".join((found[2] if found.re is not INDENTED else found[0]).split()))
        return "\n"

    text = INDENTED.sub(take, FENCE.sub(take, text))
    text = TAG.sub(" ", DEFINITION.sub("", text))
    text = LINK.sub(lambda found: "\x01" + (found[1] or ""), IMAGE.sub("\x01", text))
    lines = [line for line in text.split("\n") if line.strip(" \t|*-=#>")]
    away = sum(LEADS_ELSEWHERE.match(line) is not None for line in lines)
    inline = sum(len(found[2]) for found in INLINE.finditer(text))
    known = _about()
    words = WORD.findall(INLINE.sub(" ", text))
    about = sum(word.lower() in known or SPELT.fullmatch(word) is not None for word in words)
    rest = len("".join(text.split()))
    if not rest + size or (len(words) < FEW_WORDS and not size):
        return 0.0, 0.0, 0.0
    links = max(0.0, away / len(lines) - FREE_LINKS) / (1 - FREE_LINKS) if lines else 0.0
    return (size + inline) / (rest + size), about / len(words) if words else 0.0, links


@cache
def _about() -> frozenset[str]:
    table = tomllib.loads(files("smallcoder.data").joinpath("markdown.toml").read_text("utf-8"))
    return frozenset(table["about"].split())
