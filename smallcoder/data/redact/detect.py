"""From anchors to findings: each kind of anchor has one detector that reads the text around it and decides.

A finding is a span of bytes, its type, and what is the same in all places where the same secret stands. Where two
overlap, the one whose anchor kind comes first in `RANK` wins: a password in a URL is not the local part of an address.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from smallcoder.data.redact import anchors, harmless
from smallcoder.data.redact.patterns import (
    AWS_SECRET,
    AZURE_CLIENT,
    BARE,
    CARD,
    COUNTRY,
    CUT_KEY,
    EMAIL,
    INTERNATIONAL,
    IPV4,
    IPV6,
    KEY_MATERIAL,
    NATIONAL,
    PRIVATE_KEY,
    QUOTED,
    TELEGRAM,
    TOKENS,
    URL_USER,
)

# Languages whose values need no quotes, so that a bare word behind a telling name is its value.
BARE_LANGS = {
    "yaml",
    "ini",
    "toml",
    "properties",
    "dotenv",
    "env",
    "shell",
    "bash",
    "dockerfile",
    "xml",
    "conf",
    "text",
}
LONGEST_KEY = 20_000  # bytes; an RSA key of 16,384 bits has 13,000
LINE = 120  # bytes looked at on both sides of a number
PHONE_NEAR = re.compile(rb"phone|\btel|\bfax|mobile|\bcell|call|contact|whatsapp|hotline|dial", re.IGNORECASE)
CARD_NEAR = re.compile(rb"card|credit|debit|visa|master|amex|\bpan\b|payment|[\"']\Z", re.IGNORECASE)
USER_OF_URL = re.compile(rb"://[^\s/\"'<>]*\Z")
HEX = re.compile(rb"[0-9a-fA-F]+")
PUBLIC = re.compile(rb"public[_-]?key[_-]?token[\"' \t]*\Z", re.IGNORECASE)  # of .NET assemblies: a hash
AMERICAN = re.compile(rb"1[2-9]\d\d[2-9]\d{6}")
CONNECTION = re.compile(rb";[ \t]*(?:password|pwd)[ \t]*\Z", re.IGNORECASE)  # "Server=db;User=a;Password=..."
DATE = re.compile(rb"\d{4}-\d\d-\d\d")
_TOKEN_PATTERNS = [token.pattern() for token in TOKENS]


@dataclass(frozen=True, slots=True)
class Finding:
    """text[start:end] is a secret of the type. `bare`: a number that must stay one, as nothing quotes it."""

    start: int
    end: int
    type: str
    secret: bytes
    bare: bool = False
    pieces: tuple[tuple[int, int], ...] = ()  # only these spans are the secret; they get one placeholder together


def detect(text: bytes, places: Iterable[tuple[int, int]], lang: str | None) -> list[Finding]:
    """The findings at the anchors (place, kind) of a text, in order and apart from each other."""
    found: list[tuple[int, Finding]] = []
    for at, kind in places:
        rank, detector = RANK[min(kind, anchors.TOKEN)]
        found += [(rank, finding) for finding in detector(text, at, kind, lang)]
    kept: list[Finding] = []
    covered = bytearray(len(text) if found else 0)
    for _, finding in sorted(found, key=lambda item: (item[0], item[1].start, -item[1].end)):
        if 1 not in covered[finding.start : finding.end]:
            covered[finding.start : finding.end] = b"\1" * (finding.end - finding.start)
            kept.append(finding)
    return sorted(kept, key=lambda finding: finding.start)


def _before(text: bytes, at: int) -> bytes:
    """What stands before `at` in its line, no more than LINE bytes."""
    return text[max(0, at - LINE, text.rfind(b"\n", max(0, at - LINE), at) + 1) : at]


def _after(text: bytes, at: int) -> bytes:
    end = text.find(b"\n", at, at + LINE)
    return text[at : end if end >= 0 else at + LINE]


def _email(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    match = EMAIL.match(text, at)
    if not match or match["top"] not in (match["top"].lower(), match["top"].upper()):
        return
    if text[match.end() : match.end() + 1] == b"(" or text[at - 1 : at] in (b"%", b"$", b"}"):
        return  # a method, a template
    if USER_OF_URL.search(_before(text, at)):
        return
    if not harmless.harmless_email(match["local"], match["domain"]):
        start, end = match.span()
        if text[start - 1 : start] == b"<" and text[end : end + 1] == b">":
            start, end = start - 1, end + 1  # the placeholder brings its own
        yield Finding(start, end, "email", match[0].lower())


def _url(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    match = URL_USER.match(text, at)
    if not match:
        return
    user, password, host = match["user"], match["password"], match["host"].lower()
    names = host.split(b".")
    if len(names) > 1 and (names[-1] in harmless.RESERVED_TOPS or names[-2] == b"example"):
        return
    if password is None:
        web = text[max(0, at - 5) : at].lower().endswith((b"http", b"https"))  # elsewhere a user is only a login
        if web and harmless.looks_random(user, 20):
            yield Finding(*match.span("user"), "token", user)
    elif password.lower() != user.lower() and not harmless.harmless_password(password, user):
        yield Finding(*match.span("password"), "password", password)


def _token(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    token = TOKENS[kind - anchors.TOKEN]
    match = _TOKEN_PATTERNS[kind - anchors.TOKEN].match(text, at)
    if not match:
        return
    start, end = match.span()
    body = match[0][len(token.prefix) :].lstrip(b" +")
    if token.service == "http":
        start = end - len(body)
    if token.prefix.lower() == b"basic":
        accepted = _is_basic(body)
    else:
        accepted = not harmless.is_fiction(body) and len(set(body)) > 7
        if token.service in {"openai", "http"}:  # what else could be words
            accepted = accepted and harmless.looks_random(body, token.least)
    if not accepted:
        return
    yield Finding(start, end, "token", text[start:end])
    if token.service == "aws":
        near = AWS_SECRET.search(text, end, end + LINE)
        if near and not HEX.fullmatch(near[0]) and harmless.looks_random(near[0], 40):
            yield Finding(*near.span(), "secret", near[0])


def _is_basic(body: bytes) -> bool:
    """RFC 7617: the base64 form of user:password."""
    try:
        plain = b64decode(body + b"=" * (-len(body) % 4), validate=True)
    except (Error, ValueError):
        return False
    user, colon, password = plain.partition(b":")
    return bool(colon and user) and plain.isascii() and not harmless.harmless_password(password, user)


def _telegram(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    if (match := TELEGRAM.match(text, at)) and not harmless.is_fiction(match[0][-33:]):
        yield Finding(*match.span(), "token", match[0])


def _azure_client(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    if match := AZURE_CLIENT.match(text, at):
        yield Finding(*match.span(), "token", match[0])


def _named(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    """A value behind a telling name."""
    quoted = QUOTED.match(text, at)
    match = quoted or BARE.match(text, at)
    if not match or PUBLIC.search(_before(text, at)):
        return
    value = match["value"]
    type = "password" if kind == anchors.PASSWORD else "secret"
    if not harmless.looks_random(value):
        given = quoted or lang in BARE_LANGS or CONNECTION.search(_before(text, at))
        if type == "secret" or text[at : at + 1] == b"," or not given:
            return
        if harmless.harmless_password(value, _before(text, at)[-40:]):
            return
    yield Finding(*match.span("value"), type, value)


def _ipv4(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    match = IPV4.match(text, at)
    if match and text[at - 1 : at] != b".":
        before, after = _before(text, at), _after(text, match.end())
        if not harmless.harmless_ipv4(match[0], before, after):
            yield Finding(*match.span(), "ipv4", match[0])


def _ipv6(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    match = IPV6.match(text, at)
    if match and text[at - 1 : at] != b":" and not harmless.harmless_ipv6(match[0], _after(text, match.end())):
        yield Finding(*match.span(), "ipv6", match[0].lower())


def _phone(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    world = text[at] == ord("+")
    match = INTERNATIONAL.match(text, at) if world else NATIONAL.match(text, at)
    if not match or _follows_number(text, at):
        return
    number, before = match[0], _before(text, at)
    digits = bytes(byte for byte in number if 48 <= byte <= 57)
    if world:
        if not 9 <= len(digits) <= 15 or not COUNTRY.match(digits) or DATE.search(number) or number.count(b".") == 1:
            return
        if digits.startswith(b"1") and not AMERICAN.fullmatch(digits):
            return
        signed = len(digits) == len(number) - 1 and before.rstrip(b" ")[-1:] in b"=(,[:+-*/"
    else:
        signed = match["sep"] in (b" ", b".")
    if signed and not PHONE_NEAR.search(before):
        return  # a number with a sign, figures in columns, a version
    if not harmless.harmless_phone(digits):
        yield Finding(*match.span(), "phone", digits[-10:])


def _card(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    match = CARD.match(text, at)
    if not match or _follows_number(text, at):
        return
    digits = bytes(byte for byte in match[0] if 48 <= byte <= 57)
    solid = len(digits) == len(match[0])
    if harmless.harmless_card(digits) or (solid and not CARD_NEAR.search(_before(text, at))):
        return
    yield Finding(*match.span(), "card", digits, bare=solid and text[at - 1 : at] not in (b"'", b'"'))


def _follows_number(text: bytes, at: int) -> bool:
    return re.search(rb"\d[-. ,/]?\Z|[.#\w-]\Z", text[max(0, at - 2) : at]) is not None


def _private_key(text: bytes, at: int, kind: int, lang: str | None) -> Iterator[Finding]:
    match = PRIVATE_KEY.match(text, at)
    if not match:
        return
    begin = match.end()
    end = text.find(b"-----END", begin, begin + LONGEST_KEY)
    if end < 0:  # cut off: as far as it looks like a key
        cut = CUT_KEY.match(text, begin)
        end = cut.end() if cut else begin
    body = text[begin:end]
    pieces = tuple((begin + run.start(), begin + run.end()) for run in KEY_MATERIAL.finditer(body))
    material = b"".join(text[start:stop] for start, stop in pieces)
    if len(material) >= 64 and len(set(material)) > 20:
        if not re.search(rb"[\"'`]", body):
            pieces = ((pieces[0][0], pieces[-1][1]),)  # nothing but the key: it goes as a whole
        yield Finding(begin, end, "private_key", material, pieces=pieces)


Detector = Callable[[bytes, int, int, str | None], Iterator[Finding]]
RANK: dict[int, tuple[int, Detector]] = {
    kind: (rank, detector)
    for rank, (kind, detector) in enumerate(
        [
            (anchors.PRIVATE_KEY, _private_key),
            (anchors.URL, _url),
            (anchors.TOKEN, _token),
            (anchors.TELEGRAM, _telegram),
            (anchors.AZURE_CLIENT, _azure_client),
            (anchors.PASSWORD, _named),
            (anchors.SECRET, _named),
            (anchors.EMAIL, _email),
            (anchors.IPV4, _ipv4),
            (anchors.IPV6, _ipv6),
            (anchors.CARD, _card),
            (anchors.PHONE, _phone),
        ]
    )
}
