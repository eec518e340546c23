"""Policies: the shipped ones, one of one's own, and files that say nothing usable."""

import json
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.data.licenses import normal_form
from smallcoder.data.licenses.policy import load_policy

MINE = """
unknown = "keep"
allow = ["MIT", "bsd-*", "LicenseRef-*", "GPL-2.0-only WITH Classpath-exception-2.0", "GPL-3.0-only"]
deny = ["GPL-*", "BSD-4-Clause", "LicenseRef-Secret"]
[repositories]
"a/b" = "mit or isc"
[sources]
ours = "LicenseRef-Ours"
"""


@pytest.fixture
def policy(tmp_path: Path):
    def load(text: str | bytes):
        path = tmp_path / "policy.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_policy(str(path))

    return load


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
        ("CC-BY-4.0", True),
        ("CC-BY-NC-4.0", False),
        ("LicenseRef-BSD", True),
        ("LicenseRef-Own", False),
        ("", False),
        ("MIT AND", False),
        ("(MIT", False),
        ("MIT MIT", False),
        ("Apache-2.0 WITH", False),
    ],
)
def test_the_default_policy(expression: str, expected: bool) -> None:
    """Any side of OR, every side of AND, and nothing malformed."""
    assert (load_policy("permissive").reason(normal_form(expression)) is None) is expected


def test_a_second_judge_calls_every_allowed_licence_permissive() -> None:
    index = json.loads(files("license_expression").joinpath("data/scancode-licensedb-index.json").read_text())
    categories = {entry["spdx_license_key"]: entry["category"] for entry in index}
    ours = set(load_policy("permissive").exact) - {"LicenseRef-BSD"}
    assert {categories[license] for license in ours} == {"Permissive", "Public Domain"}


@pytest.mark.parametrize(
    ("license", "expected"),
    [
        ("MIT", None),
        ("BSD-3-Clause", None),
        ("BSD-4-Clause", "license_denied"),  # a name before a pattern
        ("GPL-2.0-only", "license_denied"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", None),
        ("GPL-2.0-only WITH Autoconf-exception-2.0", "license_denied"),
        ("MIT WITH LLVM-exception", None),
        ("GPL-3.0-only", None),
        ("Apache-2.0", "license_not_allowed"),
        ("Apache-2.0 AND GPL-2.0-only", "license_denied"),
        ("Apache-2.0 OR GPL-2.0-only", "license_not_allowed"),
        ("GPL-2.0-only OR MIT", None),
        ("LicenseRef-Anything", None),
        ("LicenseRef-Secret", "license_denied"),
        (None, None),
        ("no expression", None),  # unknown
    ],
)
def test_reasons(policy, license: str | None, expected: str | None) -> None:
    assert policy(MINE).reason(license) == expected


def test_settled_licences_are_in_normal_form(policy) -> None:
    mine = policy(MINE)
    assert (mine.repositories, mine.sources) == ({"a/b": "ISC OR MIT"}, {"ours": "LicenseRef-Ours"})


def test_without_a_list_what_is_not_denied_is_allowed(policy) -> None:
    only_denies = policy('deny = ["AGPL-*"]')
    assert only_denies.reason("GPL-3.0-only") is None
    assert only_denies.reason("AGPL-3.0-or-later OR AGPL-1.0-only") == "license_denied"
    assert only_denies.reason(None) == "license_unknown"
    everything = load_policy("any")
    assert {everything.reason(license) for license in (None, "GPL-3.0-only", "LicenseRef-X")} == {None}
    assert policy("allow = []").reason("MIT") == "license_not_allowed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('allow = ["Apache2.0"]', "did you mean 'Apache-2.0'"),
        ('allow = ["GLP-*"]', "no SPDX licence"),
        ('deny = ["MIT AND ISC"]', "list each licence by itself"),
        ('allow = ["Classpath-exception-2.0"]', "no SPDX licence"),
        ('allow = "MIT"', "list of names"),
        ("allow = [1]", "list of names"),
        ('alow = ["MIT"]', "did you mean 'allow'"),
        ('unknown = "maybe"', '"drop" or "keep"'),
        ("unknown = [[[]]]", '"drop" or "keep"'),
        ('[repositories]\n"a/b" = "free"', "no SPDX expression"),
        ('[repositories]\n"a/b" = 1', "no SPDX expression"),
        ('[[repositories]]\nname = "a/b"', "must be a table"),
        ("allow = [", "is not TOML"),
        (b"\xff\xfe\0", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        ("a = 1\na = 2", "is not TOML"),
    ],
)
def test_hostile_policies(policy, text, message: str) -> None:
    with pytest.raises(InputError) as caught:
        policy(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["permisive", "none.toml", "/", "\0", "", "~nobody-here/p.toml"])
def test_missing_policies(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load_policy(name)
    assert "there is no policy" in str(caught.value)
    assert ("did you mean 'permissive'" in str(caught.value)) == (name == "permisive")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["MIT", "keep", "GPL-*", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["unknown", "allow", "deny", "repositories", "sources"]), values))
def test_any_data_is_a_policy_or_an_input_error(data) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smallcoder.data.licenses.policy.read_toml", lambda *_: ("P", data, ""))
        with suppress(InputError):
            assert load_policy("P").reason("MIT") in {None, "license_denied", "license_not_allowed"}
