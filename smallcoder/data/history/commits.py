"""Stage `commits`: what a commit says and what it does to the one file it changes, from git repositories.

`form = "documents"` writes StarCoder's text for pretraining (arXiv 2305.06161, section on formatting):
    <commit_before>CODE<commit_msg>MESSAGE<commit_after>CODE
in plain text, as our tokenizers have no such tokens. `form = "examples"` keeps only what reads like an instruction, by
the rules of CommitPackFT (OctoPack, arXiv 2308.07124, table 6), and writes `examples/` besides: the subject and the old
code as the user's turn, the new code as the answer; `lineage` names the document. Messages are judged in `messages.py`.

A commit is told by its name: one that several paths reach is taken once, from the first. Reasons: `merge`, `bot`,
`revert`, `no_file`, `several_files`, `deleted`, `moved`, `link`, `vendored`, `extension`, `generated`, those of
messages, `unreadable`, `large`, `small`, `not_text`, `unchanged`, `unknown_language`, `duplicate`. The text of a
dropped record is its message.

Streams `git log` and two `git cat-file`; memory for the names of the commits seen, about 100 bytes each, and one batch
of records. About 4,000 commits a CPU-second with git's own (perf/history.py). It shows whole files, while StarCoder
cuts most of them down to some lines around the change, and does not look for secrets or licence headers: `redact` and
`licenses` do. Documents have the language of the file but are no source code, so let `assess` not judge them.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from smallcoder.core.progress import Progress
from smallcoder.core.records import DOCUMENT, EXAMPLE, record_id
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.core.tables import Sieve, TableWriter
from smallcoder.data.history.discussion import is_bot
from smallcoder.data.history.messages import flaw, instruction, without_trailers
from smallcoder.data.history.repository import Change, Commit, Repository, generated, opened
from smallcoder.data.language import programming_language
from smallcoder.data.read import git
from smallcoder.data.read.files import batched, text_of, unwanted, writable

MOST = {"documents": 100_000, "examples": 2_500}  # characters before and after: StarCoder's; 768 tokens of CommitPackFT
LEAST = 160  # of an example: 50 tokens
PROGRAM = re.compile(r"\[bot\]|\b(?:(?:ro)?bot|ci|actions|automation)\Z", re.IGNORECASE)
BYTES = 4  # UTF-8 bytes that a character has at most

Row = dict[str, Any]


class Config(StageConfig):
    """What to read. `paths` are git sources as those of `read`: "git:FOLDER" or "git:FOLDER@REVISION"."""

    paths: list[str] = Field(min_length=1)
    form: Literal["documents", "examples"] = "documents"
    extensions: tuple[str, ...] = ()  # such as ".py"; none named means all files in a known language
    max_chars: int | None = Field(default=None, gt=0)  # of the file before and after; None: what MOST says

    @property
    def most(self) -> int:
        return self.max_chars or MOST[self.form]


@dataclass
class Judge:
    """Makes records of commits and remembers what it has seen."""

    config: Config
    seen: set[bytes] = field(default_factory=set)
    examples: list[Row] = field(default_factory=list)

    def record(
        self, repository: Repository, commit: Commit, license: str | None, source: str
    ) -> tuple[Row, str | None]:
        """The DOCUMENT row of a commit and the reason to drop it. The example that it makes goes to `examples`."""
        message = without_trailers(commit.message)
        change = commit.changes[0] if commit.files == 1 else None
        path = writable(change.path) if change else None
        row: Row = {
            "id": record_id("commits", repository.name, commit.name, path),
            "text": message,
            "repo": writable(repository.name),
            "revision": commit.name,
            "path": path,
            "license": license,
            "source": source,
            "lineage": [],
        }
        name = bytes.fromhex(commit.name)
        if name in self.seen:
            return row, "duplicate"
        self.seen.add(name)
        reason = self._before_reading(commit, message)
        if reason or change is None:
            return row, reason
        sides = _sides(repository, change, BYTES * self.config.most)
        if isinstance(sides, str):
            return row, sides
        before, after = sides
        row["lang"] = programming_language(change.path, after)
        reason = self._by_contents(before, after, row["lang"])
        if reason is None and self.config.form == "examples":
            reason = self._example(row, commit, message, sides)
        if reason is None:
            row["text"] = f"<commit_before>{before}<commit_msg>{message}<commit_after>{after}"
        return row, reason

    def _before_reading(self, commit: Commit, message: str) -> str | None:
        if commit.parents > 1:
            return "merge"
        if is_program(commit):
            return "bot"
        if commit.files != 1:
            return "several_files" if commit.files else "no_file"
        change = commit.changes[0]
        kind = {"D": "deleted", "R": "moved"}.get(change.status[0])
        if kind or not change.text:
            return kind or "link"
        if reason := unwanted(change.path, frozenset()):
            return reason
        if not change.path.endswith(self.config.extensions or ("",)):
            return "extension"
        return "generated" if generated(change.path) else flaw(message)

    def _by_contents(self, before: str, after: str, lang: str | None) -> str | None:
        if before == after or not after.strip():
            return "unchanged" if before == after else "deleted"
        if len(before) + len(after) > self.config.most:
            return "large"
        if _generated_text(after):
            return "generated"
        return None if lang else "unknown_language"

    def _example(self, row: Row, commit: Commit, message: str, sides: tuple[str, str]) -> str | None:
        before, after = sides
        if len(before) + len(after) < LEAST:
            return "small"
        subject, reason = instruction(message, row["path"], commit.name)
        if reason:
            return reason
        prompt = f"{subject}\n\n{before}" if before else subject
        identity = record_id("commits", prompt, after)
        if bytes.fromhex(identity) in self.seen:
            return "duplicate"
        self.seen.add(bytes.fromhex(identity))
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": after}]
        example = {"id": identity, "messages": messages, "tools": None, "task": "commits"}
        self.examples.append(example | {"license": row["license"], "lineage": [row["id"]]})
        return None


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents, out/dropped and, in the form "examples", out/examples.

    Facts besides the retention: `languages` of what was kept. Raises InputError for what is no repository, EmptyError
    where no commit is kept.
    """
    located = [(source, *git.located(source)) for source in dict.fromkeys(config.paths)]
    judge = Judge(config)
    languages: Counter[str] = Counter()
    examples = TableWriter(out / "examples", EXAMPLE) if config.form == "examples" else nullcontext()
    with Sieve(out, DOCUMENT) as sieve, examples as table, Progress("commits", unit="commits") as progress:
        for source, folder, revision in located:
            records = _records(judge, folder, git.commit_of(folder, revision), source)
            for batch in batched(records, lambda record: len(record[0]["text"])):
                reasons = [reason for _, reason in batch]
                sieve.put(pa.RecordBatch.from_pylist([row for row, _ in batch], schema=DOCUMENT), reasons)
                languages.update(row["lang"] for row, reason in batch if reason is None)
                progress.advance(len(batch))
                if table:
                    table.write_rows(judge.examples)
                judge.examples.clear()
        return {**sieve.close(), "languages": dict(sorted(languages.items()))}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    for source in config.paths:
        git.commit_of(*git.located(source))
    return Size(note="commits of one file")


def outside(config: Config) -> dict[str, str]:
    """The commits that the revisions name."""
    return {source: git.commit_of(*git.located(source)) for source in config.paths}


def _records(judge: Judge, folder: Path, commit: str, source: str) -> Iterator[tuple[Row, str | None]]:
    with opened(folder) as repository:
        license = repository.license(commit)
        for found in repository.log(commit):
            yield judge.record(repository, found, license, source)


def _sides(repository: Repository, change: Change, most: int) -> tuple[str, str] | str:
    """The file's text before and after, "" where it was not there; or the reason why they are not shown."""
    texts: list[str] = []
    for name in (change.before, change.after):
        if name is None:
            texts.append("")
            continue
        about = repository.about(name)
        if about is None:
            return "unreadable"
        if about[1] > most:
            return "large"
        data = repository.blob(name)
        if data is None:
            return "unreadable"
        text, reason = text_of(data)
        if reason == "not_text" or text is None:
            return "not_text"
        texts.append(text)
    return texts[0], texts[1]


def is_program(commit: Commit) -> bool:
    """Whether a program is the author. A name of several words is a person's, unless its last one says otherwise."""
    named = PROGRAM.search(commit.author) if " " in commit.author else is_bot(commit.author)
    return bool(named) or "[bot]" in commit.email


def _generated_text(text: str) -> bool:
    from smallcoder.data.rules import HEAD

    return re.match(HEAD, text, re.IGNORECASE) is not None
