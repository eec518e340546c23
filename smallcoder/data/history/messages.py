"""What makes a commit message worth keeping: the rules of CommitPack and CommitPackFT.

CommitPack (OctoPack, arXiv 2308.07124, appendix, table 5) keeps nearly every message of a change to one file;
CommitPackFT (table 6) only subjects that read like instructions. Rules that are ours are marked so. The imperative
verbs are a list of our own in the manner of the paper's table 7. The words are in `words.toml`. English only.
"""

import re
import tomllib
from functools import cache
from importlib.resources import files

SHORT, LONG = 5, 10_000  # characters of a message in CommitPack
SHORT_SUBJECT, LONG_SUBJECT, FEW_WORDS = 10, 1000, 4  # in CommitPackFT a subject has more, fewer, and more words
BUMPS_KEPT = 10  # one in so many
PREFIXES = 2  # such as "[core] parser: ", that are taken off

HASHES = re.compile(r"(?=\S*\d)[a-f0-9]{4,}(?:-[a-f0-9]+)*|v?\d+\.\d+\.\d+\S*")
NUMBERED = re.compile(r"\b(?:issue|bug|feature)\s*\d+|[a-f0-9]{40}", re.IGNORECASE)
REFERENCE = re.compile(
    r"(?i:\b(?:fix(?:e[sd])?|close[sd]?|resolve[sd]?|refs?|see|issues?|bug|ticket|gh|pr|and|for|to|ported from)\b|"
    r"(?<![\w/-])[\w/-]*#\d+|#\d+|\b[a-z][a-z\d]+-\d+\b|\d+|[^\w\s])"
)
REVERT = re.compile(r"\A\s*(?i:revert(?:s|ed|ing)?)\b|^This reverts commit \w", re.MULTILINE)
SKIP_CI = re.compile(r"\[(?:skip ci|ci skip)\]", re.IGNORECASE)
PULL = re.compile(r"(?<!\s)\s*\(#\d+\)\s*\Z")  # what squashing a pull request adds; ours: CommitPackFT drops these
PREFIX = re.compile(r"\A(?:\[[^\[\]\s]+\]|[^\s]+:)\s+")
SUFFIX = re.compile(r"(?<!\s)\s+\[[^\[\]\s]+\]\Z")
BUMP = re.compile(r"(?:Bump|Set version|Update version)")
TRAILER = re.compile(
    r"[A-Za-z-]+-by: |(?:Change-Id|git-svn-id|Reviewed-on|Cc|CC|PiperOrigin-RevId|Differential Revision|BUG|R|Link"
    r"|Signed-Off-By|Fixes|Closes|Refs?|See-also|Acked-By|Tested-By): ?"
)


def flaw(message: str) -> str | None:
    """Why a message says too little for pretraining (CommitPack), or None. It is stripped and has no trailers."""
    lower = message.lower()
    if lower.startswith("merge"):
        return "merge"
    if REVERT.search(message):
        return "revert"
    if len(message) < SHORT or lower in words("empty"):
        return "short_message"
    if len(message) > LONG:
        return "long_message"
    if HASHES.fullmatch(lower):
        return "noise"
    return None if REFERENCE.sub("", message).strip() else "issue_reference"


def instruction(message: str, path: str, commit: str) -> tuple[str, str | None]:
    """The subject of a message as an instruction, and by which of CommitPackFT's rules it is none.

    `path` is that of the changed file and `commit` the commit's name, whose first digits decide which of the many
    "Bump ..." stay.
    """
    subject = message.partition("\n")[0].strip()
    if len(subject) >= LONG_SUBJECT:
        return subject, "long_message"
    subject = PULL.sub("", SKIP_CI.sub("", subject).strip())
    for _ in range(PREFIXES):
        subject = SUFFIX.sub("", PREFIX.sub("", subject))
    lower = subject.lower()
    said = lower.split()
    stem = path.rpartition("/")[2].partition(".")[0]
    if len(subject) <= SHORT_SUBJECT or len(said) <= FEW_WORDS:
        return subject, "short_message"
    if "#" in subject or NUMBERED.search(subject):
        return subject, "issue_reference"
    if any(word in lower for word in words("noise")) or HASHES.fullmatch(said[0]):
        return subject, "noise"
    if "thanks to" in lower and "for" in said:
        return subject, "noise"
    if not subject[0].isupper():
        return subject, "not_capitalized"
    if said[0] not in words("verbs"):
        return subject, "not_imperative"
    if stem and re.search(rf"\b{re.escape(stem)}\b", subject):
        return subject, "names_file"
    if BUMP.match(subject) and int(commit[:8], 16) % BUMPS_KEPT:
        return subject, "version_bump"
    return subject, None


def without_trailers(message: str) -> str:
    """The message without the lines at its end that name people, reviews and systems of tracking."""
    lines = message.strip().split("\n")
    while len(lines) > 1 and (not lines[-1].strip() or TRAILER.match(lines[-1])):
        lines.pop()
    return "\n".join(line.rstrip() for line in lines)


@cache
def words(name: str) -> frozenset[str]:
    """A list of `words.toml`."""
    found = tomllib.loads(files("smallcoder.data.history").joinpath("words.toml").read_text("utf-8"))[name]
    return frozenset(found.split() if isinstance(found, str) else found)
