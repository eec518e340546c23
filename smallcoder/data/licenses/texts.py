"""Licences that texts state: LICENSE files, and the SPDX header of a single file.

A LICENSE file is known by words that no other licence shares, near its opening; the licence that comes first counts, as
what follows is most often the notices of bundled parts. Where that settles nothing, `scan` is asked if it is installed.
A header is `SPDX-License-Identifier: EXPRESSION` in any comment style (SPDX 3.0.1, annex "Using SPDX short identifiers
in source files"; REUSE 3.3). Costs microseconds a text. Notices in prose at the top of a source file are not read.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from smallcoder.data.licenses.expressions import BSD, all_of
from smallcoder.data.licenses.scan import scan

OPENING = 4000  # characters of a LICENSE file in which its licence must show
FILE_BYTES = 200_000  # read of a LICENSE file: the longest have a megabyte of bundled notices

# What the opening of a licence text says, in the words that no other licence shares.
TEXTS = (
    ("Apache-2.0", "apache license version 2.0"),
    ("MIT", "permission is hereby granted free of charge to any person obtaining a copy"),
    (BSD, "redistribution and use in source and binary forms"),
    ("ISC", "permission to use copy modify and/or distribute this software for any purpose"),
    ("ISC", "permission to use copy modify and distribute this software for any purpose"),
    ("MPL-2.0", "mozilla public license version 2.0"),
    ("AGPL-3.0-only", "gnu affero general public license version 3"),
    ("LGPL-3.0-only", "gnu lesser general public license version 3"),
    ("LGPL-2.1-only", "gnu lesser general public license version 2.1"),
    ("GPL-3.0-only", "gnu general public license version 3"),
    ("GPL-2.0-only", "gnu general public license version 2"),
    ("BSL-1.0", "boost software license - version 1.0"),
    ("EPL-2.0", "eclipse public license - v 2.0"),
    ("PSF-2.0", "python software foundation license version 2"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("WTFPL", "do what the fuck you want to public license"),
    ("CC0-1.0", "cc0 1.0 universal"),
    ("CC-BY-4.0", "attribution 4.0 international creative commons"),
    ("CC-BY-SA-4.0", "attribution-sharealike 4.0 international creative commons"),
)
# Words that change the terms of a licence they are added to: the text is none of the above then.
RIDERS = re.compile(r"commons clause|for good not evil|non-?commercial|academic (?:use|purposes) only|evaluation only")

TAG = "SPDX-License-Identifier"
HEAD_LINES = 20
HEAD_CHARACTERS = 4000
STATEMENT = re.compile(TAG + r"[\"']?[ \t]*:[ \t]*(.*)")
COMMENT_END = re.compile(r"\*/|-->|\*\)|#\}|[%?]>|\"|'|`|\\|<br")


def license_of_files(files: Iterable[str | Path]) -> str | None:
    """What the licence files of one repository say together, None if nothing known. Texts, or paths to read."""
    texts = (_read(file) if isinstance(file, Path) else file[:FILE_BYTES] for file in files)
    return all_of(license_of_text(text) or scan(text) for text in texts)


def license_of_text(text: str) -> str | None:
    """The licence a text opens with, None if it is none of the usual ones or has terms added to it."""
    text = re.sub(r"[\s,#*=\"'“”]+", " ", text[:OPENING].lower())
    found = [(text.find(phrase), license) for license, phrase in TEXTS]
    first = min((hit for hit in found if hit[0] >= 0), default=None)
    if first is None or RIDERS.search(text):
        return None
    if first[1] == "MIT" and "to deal with the software" in text:
        return "NCSA"
    if first[1] == "ISC" and "provided that the above" not in text:
        return "0BSD"
    if first[1] != BSD:
        return first[1]
    if "all advertising materials mentioning" in text:
        return "BSD-4-Clause"
    third = re.search(r"neither the names? of|may not be used to endorse|without specific prior written", text)
    return "BSD-3-Clause" if third else "BSD-2-Clause"


def header_statements(text: str) -> list[str]:
    """The expressions that SPDX headers in the first `HEAD_LINES` lines of a file state, as they are written there."""
    if TAG not in text[:HEAD_CHARACTERS]:
        return []
    lines = text[:HEAD_CHARACTERS].splitlines()[:HEAD_LINES]
    return [_statement(match[1]) for line in lines for match in STATEMENT.finditer(line)]


def _statement(rest: str) -> str:
    """What stands between the tag and the end of the comment or string that holds it."""
    rest = COMMENT_END.split(rest.lstrip("\"'"), maxsplit=1)[0]
    rest = re.sub(r"[^\w+()]+$", "", rest)
    return rest.removesuffix(")") if rest.count(")") > rest.count("(") else rest


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
