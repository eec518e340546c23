"""What a comment and its code have in common, as numbers: the features by which `consistency` judges a pair.

Words are the parts of names and of prose, in lower case and cut to a stem by a few endings, so that "Parses the
headers" meets `parse_header`. FEATURES of them say how much of the comment is found in the code and of the code's name
and parameters in the comment, what the comment names that is not there (names, numbers, quoted strings, exceptions),
and whether both speak of returning, yielding and raising. The rarer a word in the pairs that were learned from, the
more it counts.

About 5,000 pairs a CPU-second. It parses nothing, looks at the first CHARACTERS of comment and code, and knows no
synonyms: hashed crosses of the words of both, from which they could be learned, brought nothing on 6,000 pairs
(docs/log.md).
"""

import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from math import log

from smallcoder.data.pairs import Pair

CHARACTERS = 4000
WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]{2,}(?![a-z])|\d+|[a-z]")
NAME = re.compile(r"[A-Za-z_]\w*")
DEFINED = re.compile(r"\b(?:def|func|function|fn|fun|class|struct|interface|trait|sub|proc|type)\s+([A-Za-z_]\w*)")
CALLED = re.compile(r"([A-Za-z_]\w*)\s*\(")
PARAMETERS = re.compile(r"\(([^()]*)\)")
PARAMETER = re.compile(r"[*&]*([A-Za-z_]\w*)\s*(?:[:=][^,]*)?(?:,|$)")
MARKED = re.compile(
    r"`+([A-Za-z_][\w.]*)\(?\)?`+|:(?:param|parameter|arg|raises)\s+(?:\w+\s+)?(\w+):|@(?:param|throws)\s+(\w+)"
    r"|^[ \t]*(\w+)[ \t]*(?:\([^()\n]*\))?[ \t]?:[ \t]+\S",
    re.MULTILINE,
)
SHAPED = re.compile(r"\b(?:[A-Za-z]+(?:_[A-Za-z0-9]+)+|[a-z]+[A-Z]\w+|[A-Z]\w*(?:Error|Exception|Warning))\b")
QUOTED = re.compile(r"[\"']([^\"'\s]{1,30})[\"']")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
SAID = tuple(re.compile(f"(?i){word}") for word in (r"\breturn", r"\b(?:yield|iterat|generat)", r"\b(?:rais|throw)"))
DONE = tuple(map(re.compile, (r"\breturn[ \t]+[^;\s]", r"\byield\b", r"\b(?:raise|throw|panic|except|catch)\b")))
ENDINGS = ("ations", "ation", "ings", "ing", "ers", "er", "ors", "or", "ies", "ed", "es", "s", "e", "y")
_STOP = """a an and are as at be been but by can do does for from has have if in into is it its may more no not of on or
    so such than that the their them then there these they this to was we were when where which will with you your self
    def return none true false else import"""
STOP = frozenset(_STOP.split())
NOTES = ("copyright", "license", "deprecat", "noqa", "type:", "pragma", "fixme", "see ", "http")
_FEATURES = """said done ratio overlap weighted missing rarest name_found first_is_first first_in_name parameters_found
    named_found named_missing numbers_found numbers_missing quoted_found quoted_missing returns_both returns_said
    returns_done yields_both yields_said yields_done raises_both raises_said raises_done reverse runs code_like lines
    note bias"""
FEATURES = _FEATURES.split()


def stems(text: str) -> list[str]:
    """The stems of a text's words, in their order; what is empty of meaning is left out."""
    return [found for word in WORD.findall(text) if (found := stem(word.lower())) and found not in STOP]


@lru_cache(1 << 16)
def stem(word: str) -> str:
    """A word without its ending and without a doubled last letter."""
    if word in STOP:
        return ""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def features(pair: Pair, rarity: dict[str, float], unseen: float) -> list[float]:
    """The FEATURES of a pair. `rarity`: the weight of stems, `unseen` that of any other."""
    comment, code = pair.comment[:CHARACTERS], pair.code[:CHARACTERS]
    said, done = stems(comment), stems(code)
    in_code, in_comment = set(done), set(said)
    weights = {word: rarity.get(word, unseen) for word in in_comment}
    missing = [weight for word, weight in weights.items() if word not in in_code]
    total = sum(weights.values())
    name, parameters = _signature(code)
    parts = stems(name)
    names = set(NAME.findall(code))
    asked = [found for found in parameters if len(found) > 1]
    called = {found for groups in MARKED.findall(comment) for found in groups if found} | set(SHAPED.findall(comment))
    called = {part for found in called for part in found.split(".") if part.lower() not in STOP}
    numbers, quoted = set(NUMBER.findall(comment)), set(QUOTED.findall(comment))
    here = set(NUMBER.findall(code))
    verbs = [(bool(said_.search(comment)), bool(done_.search(code))) for said_, done_ in zip(SAID, DONE, strict=True)]
    return [
        log(1 + len(said)), log(1 + len(done)), log((1 + len(said)) / (1 + len(done))),
        _share(sum(word in in_code for word in in_comment), len(in_comment)),
        _share(total - sum(missing), total), log(1 + len(missing)), max(missing, default=0.0),
        _share(sum(part in in_comment for part in parts), len(parts)),
        bool(said and parts and said[0] == parts[0]), bool(said and said[0] in parts),
        _share(sum(one in comment for one in asked), len(asked)),
        _share(len(called & names), len(called)), log(1 + len(called - names)),
        _share(len(numbers & here), len(numbers)), log(1 + len(numbers - here)),
        _share(sum(one in code for one in quoted), len(quoted)), log(1 + sum(one not in code for one in quoted)),
        *(value for said_, done_ in verbs for value in (said_ and done_, said_ and not done_, done_ and not said_)),
        _share(sum(word in in_comment for word in in_code), len(in_code)),
        log(1 + len(set(pairwise(said)) & set(pairwise(done)))),
        _share(sum(not letter.isalnum() and not letter.isspace() for letter in comment), len(comment)),
        log(1 + comment.count("\n")),
        any(note in comment.lower() for note in NOTES),
        1.0,
    ]  # fmt: skip


def words_of(pair: Pair) -> set[str]:
    """The stems that a pair holds."""
    return set(stems(pair.comment[:CHARACTERS])) | set(stems(pair.code[:CHARACTERS]))


def rarities(documents: Counter[str], count: int) -> tuple[dict[str, float], float]:
    """The inverse document frequencies of stems, log((1 + count) / (1 + pairs with it)), and that of an unseen one."""
    return {word: log((1 + count) / (1 + many)) for word, many in documents.items()}, log(1 + count)


def _signature(code: str) -> tuple[str, list[str]]:
    """The name that the code defines, or else calls first, and the parameters in the parentheses behind it."""
    found = DEFINED.search(code) or CALLED.search(code)
    if not found:
        return "", []
    behind = PARAMETERS.search(code, found.end(1))
    return found[1], PARAMETER.findall(behind[1]) if behind else []


def _share(part: float, whole: float) -> float:
    """A share, 0.5 where there is nothing to take it of."""
    return part / whole if whole else 0.5
