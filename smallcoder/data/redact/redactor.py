"""Puts placeholders in the place of secrets.

`<TYPE_N>` for all but addresses: N counts the secrets of the type in the order of the file, and the same secret has
the same placeholder in all its places. Where `<` opens a tag or redirects, brackets are square. An IP address becomes
one of the documentation ranges (RFC 5737: 192.0.2.1, ...; RFC 3849: 2001:db8::1, ...; private ones after 762), so that
what parses an address still can; figures outside quotes become zeros, so that a number stays a number. Placeholders and
documentation addresses that the text has already are not given out again.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import count

import numpy as np
import pyarrow as pa

from smallcoder.data.kernels import buffers
from smallcoder.data.redact.anchors import find_anchors
from smallcoder.data.redact.detect import Finding, detect

SQUARE = {"html", "xml", "svg", "vue", "svelte", "jsp", "markdown", "shell", "bash", "fish", "powershell", "dockerfile"}
ROUNDS = 4
NETS = (b"192.0.2", b"198.51.100", b"203.0.113")
FIGURE = re.compile(rb"\d")


def redact(text: str, lang: str | None = None) -> tuple[str, Counter[str]]:
    """The text without its secrets, and how many places of each type were changed. Twice is the same as once."""
    data = text.encode()
    offsets, values = buffers(pa.array([text], pa.large_string()))
    changed, counts = redact_row(data, find_anchors(offsets, values)[:, 1:], lang)
    return changed.decode(), counts


def redact_row(data: bytes, places: np.ndarray, lang: str | None) -> tuple[bytes, Counter[str]]:
    """The same for UTF-8 bytes whose anchors are known: places int64 [n, 2] of byte and kind.

    A secret may hide another that it overlaps, so the result is looked at again until nothing is found.
    """
    counts: Counter[str] = Counter()
    names: dict[tuple[str, bytes], bytes] = {}
    for _ in range(ROUNDS):
        findings = detect(data, map(tuple, places.tolist()), lang) if len(places) else []
        if not findings:
            break
        counts.update(finding.type for finding in findings)
        data = _replaced(data, findings, names, lang)
        places = find_anchors(np.array([0, len(data)]), np.frombuffer(data, np.uint8))[:, 1:]
    return data, counts


def _replaced(data: bytes, findings: list[Finding], names: dict[tuple[str, bytes], bytes], lang: str | None) -> bytes:
    taken = set(names.values())
    fresh = {type: _fresh(data, type, lang, taken) for type in {finding.type for finding in findings}}
    out: list[bytes] = []
    done = 0
    for finding in findings:
        key = (finding.type, finding.secret)
        if finding.bare:
            name = FIGURE.sub(b"0", data[finding.start : finding.end])
        else:
            name = names[key] = names.get(key) or next(fresh[finding.type])
        for at, (start, end) in enumerate(finding.pieces or ((finding.start, finding.end),)):
            out += (data[done:start], b"" if at else name)
            done = end
    return b"".join((*out, data[done:]))


def _fresh(data: bytes, type: str, lang: str | None, taken: set[bytes]) -> Iterator[bytes]:
    """Placeholders of a type that neither stand in the text nor are taken."""
    heads = {_placeholder(type, 254 * net + 1, lang).rstrip(b"0123456789>]") for net in range(len(NETS))}
    present = {
        name for head in heads if head in data for name in re.findall(re.escape(head) + rb"[0-9a-f]+[>\]]?", data)
    }
    present |= {name.rstrip(b">]") for name in present}  # the bracket may be the text's: [2001:db8::1]
    return (
        name for number in count(1) if (name := _placeholder(type, number, lang)) not in taken and name not in present
    )


def _placeholder(type: str, number: int, lang: str | None) -> bytes:
    if type == "ipv4":
        net, host = divmod(number - 1, 254)
        if net < len(NETS):
            return b"%s.%d" % (NETS[net], host + 1)
        return b"10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)
    if type == "ipv6":
        return b"2001:db8::%x" % number
    return (b"[%s_%d]" if lang in SQUARE else b"<%s_%d>") % (type.upper().encode(), number)
