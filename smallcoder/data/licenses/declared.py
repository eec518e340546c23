"""Licences that metadata declare: SPDX expressions, usual names in free text, trove classifiers.

Sources are tried from the most to the least exact. What none of them settles stays unknown (None): guessing is for
people. Costs microseconds a repository.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from smallcoder.data.licenses.expressions import BSD, all_of, identifiers, normal_form
from smallcoder.data.licenses.texts import license_of_files, license_of_text

LONGEST_NAME = 120  # characters; a licence field that holds more is the text of a licence

# Trove classifiers that name one licence other than by the SPDX identifier in brackets at their end.
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
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
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "University of Illinois/NCSA Open Source License": "NCSA",
    "Zope Public License": "ZPL-2.1",
    "zlib/libpng License": "Zlib",
}
# Free text of a licence field, reduced by `_key`. The SPDX identifiers themselves are added by `_names`.
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
    "odcby": "ODC-By-1.0",  # the Hugging Face hub's tags for data sets leave these versions out
    "pddl": "PDDL-1.0",
    "psf": "PSF-2.0",
    "pythonsoftwarefoundation": "PSF-2.0",
    "publicdomain": "Unlicense",
}


EMPTY = ("OSI Approved", "DFSG approved")  # classifiers that name no licence


def package_license(
    expression: str | None, name: str | None, classifiers: Sequence[str], texts: Iterable[str]
) -> str | None:
    """The SPDX expression of a Python distribution, None when its metadata does not settle it.

    `expression`: License-Expression; `name`: License; `classifiers`: the last words of "License ::" classifiers;
    `texts`: its licence files, read only if all the others fail to name one licence.
    """
    stated = normal_form(expression or "")
    if stated:
        return stated
    named = declared_license(name) if name else None
    classified = [_classified(each) for each in classifiers if each not in EMPTY]
    found = named if named and named != BSD else (None if None in classified else all_of(classified)) or named
    if found and BSD not in found:
        return found
    return license_of_files(texts) or found


@lru_cache(1 << 14)
def declared_license(name: str) -> str | None:
    """What a free-text licence field says: an expression, a usual name or a whole licence text. None if unclear."""
    name = name.strip()
    if "\n" in name or len(name) > LONGEST_NAME:
        return normal_form(name) or license_of_text(name)
    # A slash is "or" in Cargo.toml before 2018, and so in the metadata of many packages.
    return normal_form(name) or normal_form(name.replace("/", " OR ")) or _names().get(_key(name))


def _classified(classifier: str) -> str | None:
    if classifier in CLASSIFIERS:
        return CLASSIFIERS[classifier]
    in_brackets = re.search(r"\(([^()]+)\)$", classifier)
    return normal_form(in_brackets[1]) if in_brackets else normal_form(classifier)


@cache
def _names() -> dict[str, str]:
    return {_key(name): license for name, license in identifiers().items()} | NAMES


def _key(name: str) -> str:
    name = re.sub(r"\b(?:(?:licen[sc]es?|licensed|the|version)\b|v(?=\d))", "", name.lower())
    return re.sub(r"[^a-z0-9.+]", "", name)
