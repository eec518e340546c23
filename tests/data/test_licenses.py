"""Licences from metadata and texts."""

import pytest

from smallcoder.data.licenses import is_permissive, license_of_text, package_license

MIT = "The MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software"
BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted"
BSD3 = BSD + "\n\nNeither the name of the copyright holder"


@pytest.mark.parametrize(
    ("expression", "name", "classifiers", "texts", "expected"),
    [
        ("MPL-2.0 AND MIT", "MIT", ["MIT License"], [], "MPL-2.0 AND MIT"),
        ("LicenseRef-Secret", None, ["MIT License"], [], "MIT"),
        (None, "Apache License, Version 2.0", [], [], "Apache-2.0"),
        (None, "Apache 2.0 License", [], [], "Apache-2.0"),
        (None, "BSD 3-Clause", [], [], "BSD-3-Clause"),
        (None, "ISC License", [], [], "ISC"),
        (None, "BSD", ["BSD License"], [BSD3], "BSD-3-Clause"),
        (None, "BSD", ["BSD License"], [], "LicenseRef-BSD"),
        (None, MIT, [], [], "MIT"),
        (None, "see the file", ["Python Software Foundation License"], [], "PSF-2.0"),
        (None, None, ["MIT License", "Mozilla Public License 2.0 (MPL 2.0)"], [], "MIT AND MPL-2.0"),
        (None, "Dual License", [], [MIT, BSD], "BSD-2-Clause AND MIT"),
        (None, "proprietary", ["Other/Proprietary License"], [], None),
        (None, None, [], ["All rights reserved."], None),
    ],
)
def test_package_license(expression, name, classifiers, texts, expected) -> None:
    assert package_license(expression, name, classifiers, texts) == expected


def test_license_of_text_takes_what_comes_first() -> None:
    assert license_of_text(f"# {BSD3}\n\nThis also bundles: GNU General Public License version 3") == "BSD-3-Clause"
    assert license_of_text("GNU LESSER GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007") == "LGPL-3.0-only"
    assert license_of_text("") is None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("(MIT OR GPL-2.0-only) AND Apache-2.0 WITH LLVM-exception", True),
        ("MIT OR GPL-2.0-only AND GPL-3.0-only", True),
        ("MIT AND (GPL-2.0-only OR GPL-3.0-only)", False),
        ("", False),
        ("MIT AND", False),
        ("(MIT", False),
        ("MIT MIT", False),
        ("Apache-2.0 WITH", False),
    ],
)
def test_is_permissive(expression: str, expected: bool) -> None:
    assert is_permissive(expression) is expected
