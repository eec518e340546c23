"""What a text is, by its address and its words: its domain, its kind, and whether its source is mathematics.

Mify-Coder (arXiv 2512.23747, section 3.2) removes from its text what comes from the sources of its mathematics, by URL,
and sorts text by domain and by type of document with two classifiers. Here the tables of `kinds.toml` do it without a
model: the kind by host and path where these tell, else by phrases; the domain by the site, else by the share of
telling words. Under 0.4 milliseconds a document, whatever its length; 75 MB a CPU-second on documentation.

The words are English. What shows too little of anything is `other` and `general`. Where a trained classifier is at
hand it will do better on text without an address.
"""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any

URL = re.compile(r"\s*(?:https?:)?//(?:[^/@\s]*@)?([^/?#\s:]+)(?::\d*)?([^?#\s]*)(?:\?([^#\s]*))?", re.IGNORECASE)
INDEX = re.compile(r"/(?:index|default)\.(?:html?|php|aspx?)$|/+$")
TRACKING = re.compile(r"(?:utm_\w+|fbclid|gclid)(?:=|$)")
WORD = re.compile(r"[a-z]{3,20}")
MARKS = re.compile(r"\n[\W_]+")  # what stands before the first word of a line
HEAD = 5000  # characters whose words are looked at
PHRASES = 2  # different ones that are needed for a kind; ours
TELLING = 0.015  # share of telling words that is needed for a domain; ours
OTHER, GENERAL, MATH = "other", "general", "math"


@dataclass(frozen=True)
class Address:
    """Where a document was found on the web. The host is in lower case, without "www."."""

    host: str
    path: str
    query: str

    def page(self) -> int:
        """A 64-bit name of the page, the same whatever the scheme, the index file and what tracks its readers."""
        query = "&".join(sorted(part for part in self.query.split("&") if part and not TRACKING.match(part)))
        name = f"{self.host}{INDEX.sub('', self.path)}?{query}".encode("utf-8", "replace")
        return int.from_bytes(blake2b(name, digest_size=8).digest())

    def on(self, sites: frozenset[str]) -> bool:
        """Whether it lies on one of the sites: hosts with all below them, or hosts and up to two steps of a path."""
        labels, steps = self.host.split("."), [step for step in self.path.lower().split("/") if step][:2]
        hosts = (".".join(labels[at:]) for at in range(len(labels)))
        return any("/".join([host, *steps[:depth]]) in sites for host in hosts for depth in range(len(steps) + 1))


def address(*fields: str | None) -> Address | None:
    """The URL that the first field with one begins with. Of a DOCUMENT the fields are `path`, `repo` and `source`."""
    for field in fields:
        if field and "//" in field and (found := URL.match(field)):
            return Address(found[1].lower().strip(".").removeprefix("www."), found[2], found[3] or "")
    return None


def math_sources() -> frozenset[str]:
    """The sites that are about mathematics and nothing else."""
    return frozenset(_table()["math_sources"])


def kinds() -> list[str]:
    """All that `kind` can answer."""
    return [*_places(), OTHER]


def domains() -> list[str]:
    """All that `domain` can answer."""
    return [*_words(), GENERAL]


def kind(url: Address | None, path: str | None, text: str) -> str:
    """The type of a document: by its address, else by its path in a repository, else by its phrases."""
    place = (f"{url.host}{url.path}/" if url else f"/{path or ''}/").lower()[:500]
    for name, pattern in _places().items():
        if pattern.search(place):
            return name
    head = MARKS.sub("\n", "\n" + text[:HEAD].lower())
    scores = {name: sum(phrase in head for phrase in phrases) for name, phrases in _phrases().items()}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= PHRASES else OTHER


def domain(url: Address | None, text: str) -> str:
    """The subject of a document: `math` by its site, else `math`, `computing`, `science` or `general` by its words."""
    if url and url.on(math_sources()):
        return MATH
    words = WORD.findall(text[:HEAD].lower())
    scores = Counter(map(_domain_of, words))
    best = max(sorted(_words()), key=lambda name: scores[name])
    return best if scores[best] > TELLING * len(words) else GENERAL


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("smallcoder.data").joinpath("kinds.toml").read_text("utf-8"))


@cache
def _places() -> dict[str, re.Pattern[str]]:
    return {
        name: re.compile("|".join(patterns).replace("@", r"(?:^|\.)")) for name, patterns in _table()["places"].items()
    }


@cache
def _phrases() -> dict[str, list[str]]:
    return {name: [phrase.replace("^", "\n") for phrase in phrases] for name, phrases in _table()["phrases"].items()}


@cache
def _words() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(words.replace("*", r"\w*").replace(" ", "|")) for name, words in _table()["words"].items()}


@lru_cache(1 << 16)
def _domain_of(word: str) -> str | None:
    """The domain that a word tells of."""
    return next((name for name, pattern in _words().items() if pattern.fullmatch(word)), None)
