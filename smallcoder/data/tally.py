"""Stage `tally`, and what other stages count with: repositories, languages, licences and quality of a table.

Counts are records, UTF-8 bytes and characters by language, by licence and by bucket of quality. With a tokenizer,
tokens are estimated: one document in `SAMPLED`, chosen by a hash of its id, is encoded up to `MOST` characters, and
its tokens a byte stand for its language. Encoding is nearly all of the cost then, 20 to 30 MB of documents a
CPU-second; without it about 500 MB. Memory for the names of the repositories.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.progress import track
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig
from smallcoder.core.tables import read_batches

TOP = 50
HIGH, MEDIUM = 85.0, 65.0  # bounds of the buckets, those of thresholds.toml
SAMPLED = 16
MOST = 20_000
UNKNOWN, ALL = "unknown", ""
LAST = "\U0010ffff"  # what is not known, behind all that is
UNSAID = (LAST, LAST)


class Config(StageConfig):
    """Nothing to set."""


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Write out/contents.json, which the facts hold as `contents`. Raises EmptyError for an empty table."""
    tally = Tally(inputs.get("tokenizer"))
    columns = ("id", "text", "lang", "repo", "revision", "license", "quality")
    for batch in track(read_batches(inputs["documents"], columns), "tally", unit="batches"):
        tally.add(batch)
    contents = tally.facts()
    if not contents["records"]:
        raise EmptyError("there is no document to count", "look at what the stages before have dropped")
    (out / "contents.json").write_text(json.dumps(contents, indent=1), "utf-8")
    return {"contents": contents}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(note="one small file")


class Cell(NamedTuple):
    """What documents are told apart by. `bucket` is high, medium or low quality, or unjudged."""

    language: str
    license: str
    bucket: str


@dataclass
class Amount:
    """How much there is of something, and the part of it whose tokens were counted."""

    records: int = 0
    bytes: int = 0
    characters: int = 0
    sampled_bytes: int = 0
    sampled_tokens: int = 0

    def __iadd__(self, other: "Amount") -> "Amount":
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


@dataclass
class Tally:
    """Counts documents by repository, language, licence and quality. One without a repository counts apart.

    `tokenizer` is a tokenizer's folder in Hugging Face layout; with it the facts hold tokens too.
    """

    tokenizer: Path | None = None
    records: Counter[str | None] = field(default_factory=Counter)
    bytes: Counter[str | None] = field(default_factory=Counter)
    cells: defaultdict[Cell, Amount] = field(default_factory=lambda: defaultdict(Amount))
    about: dict[str | None, tuple[str, str]] = field(default_factory=dict)  # first revision and licence by alphabet

    def __post_init__(self) -> None:
        self._encode = _encoder(self.tokenizer) if self.tokenizer else None

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a DOCUMENT batch."""
        sizes, lengths = (
            pc.call_function(name, [batch.column("text")]).to_pylist() for name in ("binary_length", "utf8_length")
        )
        names = ("repo", "revision", "license", "lang", "quality")
        columns = (batch.column(name).to_pylist() for name in names)
        rows = zip(*columns, sizes, lengths, strict=True)
        for at, (repo, revision, license, language, quality, size, length) in enumerate(rows):
            self.records[repo] += 1
            self.bytes[repo] += size or 0
            self.about[repo] = min(self.about.get(repo, UNSAID), (revision or LAST, license or LAST))
            cell = Cell(language or UNKNOWN, license or UNKNOWN, bucket(quality))
            amount = self.cells[cell]
            amount.records += 1
            amount.bytes += size or 0
            amount.characters += length or 0
            if self._encode and crc32(str(batch.column("id")[at]).encode()) % SAMPLED == 0:
                sample = (batch.column("text")[at].as_py() or "")[:MOST]
                amount.sampled_bytes += len(sample.encode())
                amount.sampled_tokens += self._encode(sample)

    def __iadd__(self, other: "Tally") -> "Tally":
        """Count what another counted, with the same tokenizer or none."""
        self.records.update(other.records)
        self.bytes.update(other.bytes)
        for cell, amount in other.cells.items():
            held = self.cells[cell]
            held += amount
        for repo, known in other.about.items():
            self.about[repo] = min(self.about.get(repo, UNSAID), known)
        return self

    def facts(self) -> dict[str, Any]:
        """`repositories`, `records`, `bytes`, `without_repository`, and the `top` repositories by bytes.

        `languages`, `licenses` and `buckets` hold records, bytes and characters by name. With a tokenizer each has
        `tokens`, and there is a `tokens` for all; these are None where no document was sampled.
        """
        ranked = sorted((repo for repo in self.bytes if repo), key=lambda repo: (-self.bytes[repo], repo))
        top = []
        for repo in ranked[:TOP]:
            revision, license = (None if name == LAST else name for name in self.about[repo])
            counts = {"records": self.records[repo], "bytes": self.bytes[repo]}
            top.append({"repo": repo, "revision": revision, "license": license, **counts})
        densities = self._densities() if self._encode else None
        facts = {
            "repositories": len(ranked),
            "records": self.records.total(),
            "bytes": self.bytes.total(),
            "without_repository": self.records[None],
            "languages": self._by("language", densities),
            "licenses": self._by("license", densities),
            "buckets": self._by("bucket", densities),
            "top": top,
        }
        return facts | {"tokens": self._amount(self.cells, densities)["tokens"]} if densities else facts

    def _by(self, name: str, densities: dict[str, float] | None) -> dict[str, dict[str, int | None]]:
        """Amounts by one of a cell's names, in the order of the alphabet."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(getattr(cell, name), []).append(cell)
        return {group: self._amount(groups[group], densities) for group in sorted(groups)}

    def _amount(self, cells: Iterable[Cell], densities: dict[str, float] | None) -> dict[str, int | None]:
        """Records, bytes and characters of some cells, and tokens where their density is known."""
        whole = _total(self.cells[cell] for cell in cells)
        found: dict[str, int | None] = {name: getattr(whole, name) for name in ("records", "bytes", "characters")}
        if densities:
            sizes: Counter[str] = Counter()
            for cell in cells:
                sizes[cell.language] += self.cells[cell].bytes
            tokens = sum(size * densities.get(language, densities[ALL]) for language, size in sorted(sizes.items()))
            found["tokens"] = round(tokens) if densities[ALL] else None
        return found

    def _densities(self) -> dict[str, float]:
        """Tokens a byte of what was sampled, by language and of ALL; 0 where nothing was."""
        samples: dict[str, Amount] = {ALL: Amount()}
        for cell, amount in self.cells.items():
            for name in (cell.language, ALL):
                held = samples.setdefault(name, Amount())
                held += amount
        return {
            name: amount.sampled_tokens / (amount.sampled_bytes or 1)
            for name, amount in samples.items()
            if amount.sampled_bytes or name == ALL
        }


def bucket(quality: float | None) -> str:
    """The bucket of a score of 0 to 100: high, medium, low, or unjudged where there is none."""
    if quality is None or quality != quality:  # noqa: PLR0124 - NaN
        return "unjudged"
    return "high" if quality >= HIGH else "medium" if quality >= MEDIUM else "low"


def _total(amounts: Iterable[Amount]) -> Amount:
    total = Amount()
    for amount in amounts:
        total += amount
    return total


def _encoder(folder: Path) -> Any:
    """A function that counts the tokens of a text."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"{folder} holds no tokenizer that can be read", "name a tokenizer's folder") from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))
