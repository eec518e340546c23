"""The text of a page of HTML: its encoding settled, its content as Markdown with code and mathematics whole.

The encoding is that of a byte order mark; UTF-8 where the bytes are valid UTF-8, whatever is declared; that of the HTTP
header, of a `meta` element, or what uchardet makes of the bytes (resiliparse), in this order, by the names of the
WHATWG standard. `scan` makes blocks of the bytes and `choose` takes those that are content.

Cost: 75 MB a CPU-second or more (perf/pages.py), linear in the bytes whatever they are. No code of a page is run, so
what its scripts would write is not there.
"""

import codecs
import re
from functools import cache
from typing import Any

import numpy as np

from smallcoder.core.errors import ToolError

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
BEYOND_ASCII = bytes(range(128, 256))
TAG = re.compile(rb"<(?:a|link)\b[^<>]{0,1000}>", re.IGNORECASE)
LICENSED = re.compile(rb"\brel\s*=\s*[\"']?[^\"'>]*\blicense\b", re.IGNORECASE)
COMMONS = re.compile(rb"creativecommons\.org/(?:licenses|publicdomain)/(by[a-z-]*|zero)/(\d\.\d)", re.IGNORECASE)
BLOCK_MARKS = 32  # bytes that a block can gain: fences with a label, indentation, line ends


def page_text(data: bytes, charset: str | None = None) -> str:
    """The content of a page as Markdown, "" where there is none, whatever the bytes; `charset` is what HTTP says.

    Raises ToolError where the encoding must be guessed and resiliparse is not installed.
    """
    from smallcoder.data.pages.choose import markdown
    from smallcoder.data.pages.scan import blocks

    html = utf8(data, charset)
    text, rows = blocks(html)
    out = np.empty(len(text) + BLOCK_MARKS * len(rows) + 8, np.uint8)
    used = markdown(np.frombuffer(html or b" ", np.uint8), text, rows, out)
    return out[:used].tobytes().decode("utf-8", "replace")


def page_license(data: bytes) -> str | None:
    """The Creative Commons licence that a page states for itself (`rel="license"`), by its SPDX name."""
    if b"creativecommons.org/" not in data:
        return None
    found: set[bytes] = set()
    for tag in TAG.findall(data):
        if LICENSED.search(tag) and (named := COMMONS.search(tag)):
            found.add(named[1].lower() + b"-" + named[2])
    if len(found) != 1:
        return None
    name = found.pop().decode()
    return "CC0-1.0" if name.startswith("zero") else f"CC-{name.upper()}" if name[0] == "b" else None


def utf8(data: bytes, charset: str | None = None) -> bytes:
    """The page in UTF-8."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").encode("utf-8", "replace")
    if b"\x1b" not in data and b"\0" not in data:  # ISO-2022 is made of ASCII, and UTF-16 may be
        try:
            data.decode()
        except UnicodeDecodeError:
            pass
        else:
            return data
    encoding = _encodings().map_encoding_to_html5(charset, False) if charset else None
    if not encoding or (encoding.lower() == "utf-8" and not _nearly_utf8(data)):
        encoding = _encodings().detect_encoding(data, from_html_meta=True)
    return _encodings().bytes_to_str(data, encoding or "utf-8", "replace").encode("utf-8", "replace")


def _nearly_utf8(data: bytes) -> bool:
    """Whether bytes that are not valid UTF-8 were meant to be: most of what is not ASCII is."""
    lost = len(data) - len(data.decode("utf-8", "ignore").encode())
    return 2 * lost < len(data) - len(data.translate(None, BEYOND_ASCII))


@cache
def _encodings() -> Any:
    try:
        from resiliparse.parse import encoding
    except ImportError:
        raise ToolError("the encoding of pages needs resiliparse", "pip install 'smallcoder[pages]'") from None
    return encoding
