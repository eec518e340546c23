"""The stage `licenses`: which licence each document ends with, what is dropped, and what the facts say."""

import random
from pathlib import Path

import pytest

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.data.licenses import all_of, normal_form, stage
from smallcoder.data.licenses.declared import declared_license
from smallcoder.data.licenses.policy import load_policy
from smallcoder.data.licenses.texts import header_statements

TAG = "SPDX-License-Identifier: "


def settled(rows) -> dict[str, str | None]:
    return {row["repo"]: row["license"] for row in rows}


def test_header_and_repository(documents, run) -> None:
    kept, dropped, facts = run(
        stage,
        {},
        documents=documents(
            [
                {"repo": "plain", "license": "mit", "text": "x = 1\n"},
                {"repo": "free text", "license": "Apache License, Version 2.0", "text": "x = 2\n"},
                {"repo": "agrees", "license": "MIT OR GPL-3.0-only", "text": f"# {TAG}MIT\n"},
                {"repo": "added", "license": None, "text": f"# {TAG}ISC\n"},
                {"repo": "both free", "license": "MIT", "text": f"# {TAG}Apache-2.0\n"},
                {"repo": "file is not", "license": "MIT", "text": f"// {TAG}GPL-2.0\n"},
                {"repo": "repository is not", "license": "GPL-2.0-only", "text": f"// {TAG}MIT\n"},
                {"repo": "unreadable", "license": "MIT", "text": f"# {TAG}{{license}}\n"},
                {"repo": "nothing", "license": None, "text": "x = 3\n"},
                {"repo": "odd", "license": "Custom", "text": "é = 4\n"},
            ]
        ),
    )
    assert settled(kept) == {
        "plain": "MIT",
        "free text": "Apache-2.0",
        "agrees": "MIT",
        "added": "ISC",
        "both free": "Apache-2.0 AND MIT",
    }
    assert settled(dropped) == {
        "file is not": "GPL-2.0-only AND MIT",
        "repository is not": "GPL-2.0-only AND MIT",
        "unreadable": None,
        "nothing": None,
        "odd": None,
    }
    assert {row["repo"]: row["reason"] for row in dropped} == {
        "file is not": "license_not_allowed",
        "repository is not": "license_not_allowed",
        "unreadable": "license_unknown",
        "nothing": "license_unknown",
        "odd": "license_unknown",
    }
    assert facts["headers"] == {
        "agrees": {"records": 1, "bytes": 31},
        "added": {"records": 1, "bytes": 31},
        "conflicts": {"records": 3, "bytes": 38 + 36 + 32},
        "unreadable": {"records": 1, "bytes": 37},
    }
    assert facts["conflicts"]["GPL-2.0-only in MIT"] == {"records": 1, "bytes": 36}
    assert facts["unreadable"] == {"Custom": {"records": 1, "bytes": 7}}
    assert facts["unknown"] == {"repositories": 3, "records": 3, "bytes": 37 + 6 + 7}
    assert facts["licenses"]["kept"]["Apache-2.0 AND MIT"] == {"records": 1, "bytes": 38}
    assert facts["licenses"]["dropped"]["GPL-2.0-only AND MIT"] == {"records": 2, "bytes": 36 + 32}
    for side, total in (("kept", facts["bytes"]), ("dropped", facts["bytes_in"] - facts["bytes"])):
        assert sum(row["bytes"] for row in facts["licenses"][side].values()) == total


def test_a_policy_of_ones_own(documents, run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'unknown = "keep"\ndeny = ["GPL-*"]\n[repositories]\n"known to us" = "MIT"\n"never met" = "MIT"\n'
        '[sources]\n"lab" = "LicenseRef-Lab"\n'
    )
    table = documents(
        [
            {"repo": "known to us", "license": "GPL-3.0-only", "text": "a\n"},
            {"repo": "any", "license": None, "text": "b\n"},
            {"repo": "lab", "license": "GPL-3.0-only", "source": "lab", "text": "c\n"},
            {"repo": "gpl", "license": "GPL-3.0-or-later", "text": "d\n"},
            {"repo": "kept out", "license": None, "source": "lab", "text": f"# {TAG}GPL-2.0-only\n"},
        ]
    )
    kept, dropped, facts = run(stage, {"policy": str(path)}, documents=table)
    assert settled(kept) == {"known to us": "MIT", "any": None, "lab": "LicenseRef-Lab"}
    assert {row["repo"]: row["reason"] for row in dropped} == dict.fromkeys(["gpl", "kept out"], "license_denied")
    assert facts["unused_in_policy"] == ["never met"]
    every, none, _ = run(stage, {"policy": "any"}, documents=table)
    assert (len(every), none) == (5, [])


def test_long_names_of_a_policy_are_told_apart(documents, run, tmp_path: Path) -> None:
    met, unmet = 300 * "a" + "/met", 300 * "a" + "/unmet"
    path = tmp_path / "mine.toml"
    path.write_text(f'unknown = "keep"\n[repositories]\n"{met}" = "MIT"\n"{unmet}" = "MIT"\n')
    _, _, facts = run(stage, {"policy": str(path)}, documents=documents([{"repo": met, "text": "a\n"}]))
    assert facts["unused_in_policy"] == [unmet]


def test_identity_is_what_the_policy_says(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text('allow = ["MIT"]')
    second.write_text('allow = ["MIT"]')
    identity = stage.Config(policy=str(first)).identity()
    assert identity == stage.Config(policy=str(second)).identity() != stage.Config().identity()
    second.write_text('allow = ["ISC"]')
    assert identity != stage.Config(policy=str(second)).identity()


def test_errors(documents, run) -> None:
    with pytest.raises(InputError, match="did you mean 'permissive'"):
        run(stage, {"policy": "permissve"}, documents=documents(["x"]))
    with pytest.raises(EmptyError):
        run(stage, {}, documents=documents([{"text": "x", "license": None}]))


def test_against_a_plain_reading_of_random_rows(documents, run) -> None:
    rng = random.Random(5)
    licenses = [None, "MIT", "Apache 2.0", "GPL-3.0-only", "MIT OR GPL-2.0", "nonsense", "a\tb\nc", " "]
    headers = ["", f"# {TAG}MIT\n", f"/* {TAG}GPL-2.0+ */\n", f"{TAG}{TAG}MIT\n", f"{TAG}\n", "ü" * 3990 + f"{TAG}MIT"]
    texts = ["\n" * lines + header + "x\n" for lines in (0, 30) for header in headers]
    items = [{"repo": str(at), "license": rng.choice(licenses), "text": rng.choice(texts)} for at in range(700)]
    items.append({"repo": "null", "license": "MIT", "text": None, "id": "null"})
    policy = load_policy("permissive")
    expected = {}
    for item in items:
        forms = [normal_form(text) for text in header_statements(item["text"] or "")]
        license = None if None in forms else all_of([*forms, declared_license(item["license"] or "")])
        expected[item["repo"]] = (license, policy.reason(license))
    kept, dropped, facts = run(stage, {}, documents=documents(items))
    assert {row["repo"]: (row["license"], row.get("reason")) for row in kept + dropped} == expected
    assert facts["records_in"] == len(items)
