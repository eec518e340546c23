"""Licences from metadata, texts and headers, and SPDX expressions against a slow, obvious reading."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smallcoder.data.licenses import all_of, license_of_files, license_of_text, normal_form, package_license
from smallcoder.data.licenses.declared import CLASSIFIERS, NAMES, declared_license
from smallcoder.data.licenses.expressions import LONGEST, evaluate, identifiers
from smallcoder.data.licenses.texts import FILE_BYTES, HEAD_LINES, TEXTS, header_statements

MIT = "The MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software"
BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted"
BSD3 = BSD + "\n\nNeither the name of the copyright holder"
APACHE = "                                 Apache License\n                           Version 2.0, January 2004\n"
NAMES_USED = ("MIT", "Apache-2.0", "GPL-2.0-only", "LicenseRef-Own", "GPL-2.0-only WITH Classpath-exception-2.0")


@pytest.fixture(autouse=True)
def without_scanner(monkeypatch):
    """These tests speak of the phrases alone, whether scancode is installed or not."""
    monkeypatch.setattr("smallcoder.data.licenses.texts.scan", lambda text: None)


@pytest.mark.parametrize(
    ("expression", "name", "classifiers", "texts", "expected"),
    [
        ("mit and MPL-2.0", "MIT", ["MIT License"], [], "MIT AND MPL-2.0"),
        ("LicenseRef-Secret", None, ["MIT License"], [], "LicenseRef-Secret"),
        ("see LICENSE", None, ["MIT License"], [], "MIT"),
        (None, "Apache License, Version 2.0", [], [], "Apache-2.0"),
        (None, "Apache 2.0 License", [], [], "Apache-2.0"),
        (None, "BSD 3-Clause", [], [], "BSD-3-Clause"),
        (None, "ISC License", [], [], "ISC"),
        (None, "GPL v2.0+", [], [], "GPL-2.0-or-later"),
        (None, "MIT/Apache-2.0", [], [], "Apache-2.0 OR MIT"),
        (None, "BSD", ["BSD License"], [BSD3], "BSD-3-Clause"),
        (None, "BSD", ["BSD License"], [], "LicenseRef-BSD"),
        (None, MIT, [], [], "MIT"),
        (None, "see the file", ["Python Software Foundation License"], [], "PSF-2.0"),
        (None, None, ["MIT License", "Mozilla Public License 2.0 (MPL 2.0)"], [], "MIT AND MPL-2.0"),
        (None, None, ["Boost Software License 1.0 (BSL-1.0)"], [], "BSL-1.0"),
        (None, "Dual License", [], [MIT, BSD], "BSD-2-Clause AND MIT"),
        (None, "proprietary", ["Other/Proprietary License"], [], None),
        (None, None, ["MIT License", "Other/Proprietary License"], [], None),
        (None, None, ["OSI Approved", "MIT License"], [], "MIT"),
        (None, None, [], ["All rights reserved."], None),
        (None, "x" * 5000, [], [], None),
    ],
)
def test_package_license(expression, name, classifiers, texts, expected) -> None:
    assert package_license(expression, name, classifiers, texts) == expected


def test_every_name_in_the_tables_is_an_expression() -> None:
    for license in {*CLASSIFIERS.values(), *NAMES.values(), *(license for license, _ in TEXTS)}:
        assert normal_form(license) == license
    for name, license in identifiers().items():
        assert declared_license(name) == declared_license(name.lower()) == license


def test_license_of_text_takes_what_comes_first() -> None:
    assert license_of_text(f"# {BSD3}\n\nThis also bundles: GNU General Public License version 3") == "BSD-3-Clause"
    assert license_of_text("GNU LESSER GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007") == "LGPL-3.0-only"
    assert license_of_text(APACHE) == license_of_text("Licensed under the Apache License, Version 2.0") == "Apache-2.0"
    assert license_of_text("") is None


def test_terms_added_to_a_usual_text_make_it_unknown() -> None:
    assert license_of_text(f'"Commons Clause" License Condition v1.0\n{APACHE}') is None
    assert license_of_text(f"{MIT}\nThe Software shall be used for Good, not Evil.") is None
    assert license_of_text(f"{MIT}\n... to deal with the Software without restriction") == "NCSA"
    isc = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"
    assert license_of_text(isc) == "0BSD"
    assert license_of_text(f"{isc}, provided that the above copyright notice") == "ISC"


def test_license_of_files_reads_texts_and_paths(tmp_path) -> None:
    long = tmp_path / "LICENSE"
    long.write_bytes(MIT.encode() + b"\xff\0" * FILE_BYTES + BSD.encode())
    assert license_of_files([long, APACHE, tmp_path / "missing", tmp_path, ""]) == "Apache-2.0 AND MIT"
    assert license_of_files([]) is None


@pytest.mark.parametrize(
    "line",
    [
        "# SPDX-License-Identifier: MIT OR Apache-2.0",
        "// SPDX-License-Identifier: MIT OR Apache-2.0\r",
        "/* SPDX-License-Identifier: MIT OR Apache-2.0 */",
        " * Copyright A Person. SPDX-License-Identifier: MIT OR Apache-2.0.",
        "<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->",
        "<!--SPDX-License-Identifier: MIT OR Apache-2.0--><p>text</p>",
        "-- SPDX-License-Identifier: MIT OR Apache-2.0",
        "; SPDX-License-Identifier: MIT OR Apache-2.0",
        "% SPDX-License-Identifier:MIT OR Apache-2.0",
        "(* SPDX-License-Identifier: MIT OR Apache-2.0 *)",
        "{- SPDX-License-Identifier: MIT OR Apache-2.0 -}",
        "dnl SPDX-License-Identifier: MIT OR Apache-2.0",
        ".. SPDX-License-Identifier: MIT OR Apache-2.0",
        "{# SPDX-License-Identifier: MIT OR Apache-2.0 #}",
        "REM SPDX-License-Identifier:  MIT OR Apache-2.0",
        '"""SPDX-License-Identifier: MIT OR Apache-2.0"""',
        '  "SPDX-License-Identifier": "MIT OR Apache-2.0",',
        "<%-- SPDX-License-Identifier: (MIT OR Apache-2.0) --%>",
        "/* (SPDX-License-Identifier: MIT OR Apache-2.0) */ int x;",
    ],
)
def test_headers_in_every_comment_style(line: str) -> None:
    statements = header_statements(f"#!/bin/sh\n\n{line}\ncode()\n")
    assert [normal_form(statement) for statement in statements] == ["Apache-2.0 OR MIT"]


def test_headers_stand_at_the_top_and_are_never_read_in_part() -> None:
    tag = "SPDX-License-Identifier"
    assert header_statements("x\n" * HEAD_LINES + f"# {tag}: MIT") == []
    assert header_statements(f"# {tag}: MIT\n# {tag}: ISC") == ["MIT", "ISC"]
    for rest in ("MIT, GPL-2.0-only", "MIT and some words", "MIT & ISC", "{license}", "", "$Id$", "MIT (", "'"):
        assert [normal_form(text) for text in header_statements(f"# {tag}: {rest}")] == [None]


def trees() -> st.SearchStrategy:
    """Expressions as nested tuples (operator, left, right) over a few names."""
    return st.recursive(
        st.sampled_from(NAMES_USED), lambda inner: st.tuples(st.sampled_from(["AND", "OR"]), inner, inner), max_leaves=8
    )


def written(tree, tight: bool = False) -> str:
    """A tree as text; brackets only where AND would tear an OR apart, and around every OR on the right."""
    if isinstance(tree, str):
        return tree
    operator, left, right = tree
    text = f"{written(left, operator == 'AND')} {operator} {written(right, True)}"
    return f"({text})" if tight else text


def true(tree, accepted: set[str]) -> bool:
    if isinstance(tree, str):
        return tree in accepted
    operator, left, right = tree
    return (all if operator == "AND" else any)([true(left, accepted), true(right, accepted)])


WORLDS = [{name for name, here in zip(NAMES_USED, bits, strict=True) if here} for bits in product((0, 1), repeat=5)]


def worlds(expression: str) -> list[bool]:
    """For every set of accepted licences, whether an expression is met by it."""
    return [evaluate(expression, lambda name, world=world: name not in world) == 0 for world in WORLDS]


@settings(deadline=None)
@given(trees(), trees())
def test_expressions_mean_what_they_say_in_any_form(first, second) -> None:
    text, other = written(first), written(second)
    form = normal_form(text)
    assert form
    assert worlds(text) == worlds(form) == [true(first, world) for world in WORLDS]
    assert normal_form(form) == form == normal_form(written(swapped(first)))
    both = all_of([text, other])
    assert both
    assert worlds(both) == [true(first, world) and true(second, world) for world in WORLDS]
    assert all_of([other, text, text, None]) == both == normal_form(both)
    assert all_of([text, "no licence"]) is None


def swapped(tree):
    """The same terms in another order."""
    return tree if isinstance(tree, str) else (tree[0], swapped(tree[2]), swapped(tree[1]))


tokens = st.lists(st.sampled_from([*"()+/*", "MIT", "AND", "or", "WITH", "LLVM-exception"])).map(" ".join)


@settings(deadline=None)
@given(st.text(max_size=60) | tokens)
@example("()")
@example("(" * 3000)
@example("MIT WITH")
@example("MIT AND " * 400 + "MIT")
@example("MIT" + "\0")
@example("\ud800")
def test_hostile_expressions_never_raise(text: str) -> None:
    form = normal_form(text)
    assert form is None or normal_form(form) == form
    assert (evaluate(text, lambda name: 0) == 0) == (form is not None) or len(text) > LONGEST
    declared_license(text)
    header_statements(f"SPDX-License-Identifier: {text}")


def test_joining_stays_exact_where_it_is_too_long_to_simplify() -> None:
    many = [f"LicenseRef-{at:03} OR MIT" for at in range(100)]
    joined = all_of(many)
    assert joined
    assert len(joined) > LONGEST
    assert evaluate(joined, lambda name: name != "MIT") == 0
    assert evaluate(joined, lambda name: name != "LicenseRef-001") == 1
