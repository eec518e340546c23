"""Licences: which SPDX expression a package or a licence file states, and whether an expression is permissive.

Sources are tried from the most to the least exact: an SPDX expression, the short free text of a metadata field, a
classifier, the opening of a licence text. What none of them settles stays unknown (None): guessing is for people.
Costs microseconds a repository. It does not read licence headers of single files and knows only common licences.
"""

import re
from collections.abc import Iterable, Sequence

# Permissive in the sense of the Blue Oak Council's list, with the Python family and public-domain dedications.
_PERMISSIVE = (
    "0BSD AFL-3.0 Apache-1.1 Apache-2.0 Artistic-2.0 BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent "
    "BSD-3-Clause BSD-3-Clause-Clear BSL-1.0 bzip2-1.0.6 CC0-1.0 CNRI-Python curl FTL HPND ICU ISC LicenseRef-BSD "
    "Libpng MIT MIT-0 MIT-CMU MS-PL NCSA PIL PostgreSQL PSF-2.0 Python-2.0 Python-2.0.1 TCL Unicode-3.0 "
    "Unicode-DFS-2016 Unlicense UPL-1.0 W3C WTFPL X11 Zlib ZPL-2.1"
)
_OTHERS = (
    "AGPL-3.0-only AGPL-3.0-or-later BSD-4-Clause CC-BY-4.0 CC-BY-SA-4.0 CDDL-1.0 EPL-1.0 EPL-2.0 EUPL-1.2 "
    "GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only "
    "LGPL-3.0-or-later MPL-1.1 MPL-2.0"
)
PERMISSIVE, OTHERS = frozenset(_PERMISSIVE.split()), frozenset(_OTHERS.split())
EXCEPTIONS = frozenset(["LLVM-exception", "Classpath-exception-2.0", "GCC-exception-3.1"])
BSD = "LicenseRef-BSD"  # "BSD" without saying which: permissive in all its usual forms, exact in none

# The trove classifiers in use that name one licence. "BSD License" and "GPL" name several.
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "BSD License": BSD,
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "University of Illinois/NCSA Open Source License": "NCSA",
    "Zope Public License": "ZPL-2.1",
    "zlib/libpng License": "Zlib",
}

# Free text of a metadata field, reduced by `_key`.
NAMES = {
    "apache": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache2.0": "Apache-2.0",
    "apachesoftware": "Apache-2.0",
    "apachesoftware2.0": "Apache-2.0",
    "asl2.0": "Apache-2.0",
    "bsd": BSD,
    "bsdstyle": BSD,
    "2clausebsd": "BSD-2-Clause",
    "bsd2clause": "BSD-2-Clause",
    "simplifiedbsd": "BSD-2-Clause",
    "3clausebsd": "BSD-3-Clause",
    "bsd3": "BSD-3-Clause",
    "bsd3clause": "BSD-3-Clause",
    "modifiedbsd": "BSD-3-Clause",
    "newbsd": "BSD-3-Clause",
    "expat": "MIT",
    "mitexpat": "MIT",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "mozillapublic2.0": "MPL-2.0",
    "psf": "PSF-2.0",
    "pythonsoftwarefoundation": "PSF-2.0",
    "publicdomain": "Unlicense",
} | {re.sub(r"[^a-z0-9.+]", "", name.lower()): name for name in PERMISSIVE | OTHERS}

# What the opening of a licence text says, in the words that no other licence shares.
TEXTS = (
    ("Apache-2.0", "apache license version 2.0"),
    ("MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"),
    (BSD, "redistribution and use in source and binary forms"),
    ("ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"),
    ("ISC", "permission to use, copy, modify, and distribute this software for any purpose"),
    ("MPL-2.0", "mozilla public license version 2.0"),
    ("AGPL-3.0-only", "gnu affero general public license version 3"),
    ("LGPL-3.0-only", "gnu lesser general public license version 3"),
    ("LGPL-2.1-only", "gnu lesser general public license version 2.1"),
    ("GPL-3.0-only", "gnu general public license version 3"),
    ("GPL-2.0-only", "gnu general public license version 2"),
    ("BSL-1.0", "boost software license - version 1.0"),
    ("PSF-2.0", "python software foundation license version 2"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("CC0-1.0", "cc0 1.0 universal"),
)
OPENING = 4000


def package_license(
    expression: str | None, name: str | None, classifiers: Sequence[str], texts: Iterable[str]
) -> str | None:
    """The SPDX expression of a Python distribution, None when its metadata does not settle it.

    `expression`: License-Expression; `name`: License; `classifiers`: the last words of "License ::" classifiers;
    `texts`: its licence files, read only if all the others fail to name one licence.
    """
    if expression and is_expression(expression):
        return expression
    named = named_license(name) if name else None
    classified = [CLASSIFIERS[word] for word in classifiers if word in CLASSIFIERS]
    found = named if named and named != BSD else " AND ".join(dict.fromkeys(classified)) or named
    if found and BSD not in found:
        return found
    read = all_of(license_of_text(text) for text in texts)
    return read or found


def named_license(name: str) -> str | None:
    """What a free-text licence field says: an expression, a usual name or a whole licence text."""
    name = name.strip()
    if "\n" in name or len(name) > 120:
        return license_of_text(name)
    return name if is_expression(name) else NAMES.get(_key(name))


def license_of_text(text: str) -> str | None:
    """The licence a text opens with, None if it is none of the usual ones."""
    text = re.sub(r"[\s,#*=]+", " ", text[:OPENING].lower())
    found = [(text.find(phrase.replace(",", "")), spdx) for spdx, phrase in TEXTS]
    first = min((hit for hit in found if hit[0] >= 0), default=None)
    if first is None:
        return None
    if first[1] != BSD:
        return first[1]
    if "all advertising materials mentioning" in text:
        return "BSD-4-Clause"
    third = re.search(r"neither the names? of|may not be used to endorse|without specific prior written", text)
    return "BSD-3-Clause" if third else "BSD-2-Clause"


def all_of(licenses: Iterable[str | None]) -> str | None:
    """One expression that asks for every licence given: the cautious reading of several licence files."""
    return " AND ".join(dict.fromkeys(sorted(spdx for spdx in licenses if spdx))) or None


def is_expression(text: str) -> bool:
    """Whether a text is an SPDX expression over identifiers known here."""
    return _evaluate(text, PERMISSIVE | OTHERS)


def is_permissive(expression: str) -> bool:
    """Whether the terms can be met by a permissive choice: any side of OR, every side of AND. Malformed: False."""
    return _evaluate(expression, PERMISSIVE)


def _evaluate(expression: str, accepted: frozenset[str]) -> bool:
    tokens = re.findall(r"[()]|[^\s()]+", expression)[::-1]

    def either() -> bool:
        value = both()
        while tokens and tokens[-1].upper() == "OR":
            tokens.pop()
            value = both() or value
        return value

    def both() -> bool:
        value = single()
        while tokens and tokens[-1].upper() == "AND":
            tokens.pop()
            value = single() and value
        return value

    def single() -> bool:
        token = tokens.pop() if tokens else ""
        if token == "(":
            value = either()
            return bool(tokens) and tokens.pop() == ")" and value
        if tokens and tokens[-1].upper() == "WITH":
            tokens.pop()
            return bool(tokens) and tokens.pop() in EXCEPTIONS and token in accepted
        return token in accepted

    return bool(tokens) and either() and not tokens


def _key(name: str) -> str:
    name = re.sub(r"\b(licen[sc]es?|licensed|the|version|v(?=\d))\b", "", name.lower())
    return re.sub(r"[^a-z0-9.+]", "", name)
