"""Registry families, what they inherit, and registries that say nothing usable."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.data import provenance
from smallcoder.data.licenses.policy import load_policy
from smallcoder.data.provenance import ancestry, choose, families, load_registry

REGISTRY = """
[[dataset]]
name = "raw"
origin = "The  Web"
license = "ODC-By-1.0"
quality = 1
[[dataset]]
name = "clean"
derived_from = ["raw"]
license = "ODC-By-1.0"
quality = 3
[[dataset]]
name = "other crawl"
origin = "the web"
license = "CC0-1.0"
quality = 2
[[dataset]]
name = "far away"
derived_from = ["clean"]
license = "per document"
[[dataset]]
name = "code"
license = "per document"
[[dataset]]
name = "stolen"
license = "LicenseRef-Secret"
quality = 9
[[dataset]]
name = "laundered"
derived_from = ["stolen", "code"]
license = "MIT"
quality = 9
[[dataset]]
name = "talk"
license = "MIT"
generated_by = "closed-1"
terms_allow_training = false
[[dataset]]
name = "rewritten talk"
derived_from = ["talk"]
license = "MIT"
generated_by = "open-1"
terms_allow_training = true
[[dataset]]
name = "nobody knows"
[[dataset]]
name = "from the unknown"
derived_from = ["nobody knows"]
license = "MIT"
"""
SOURCES = ["raw", "clean", "other crawl", "far away", "code", "stolen", "laundered", "talk", "rewritten talk"]
SOURCES += ["nobody knows", "from the unknown"]


@pytest.fixture
def registry(tmp_path: Path):
    def write(text: str | bytes) -> str:
        path = tmp_path / "registry.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


def test_families_and_reasons(documents, run, registry) -> None:
    table = documents([{"text": f"{at} {name}\n" * 5, "source": name} for name in SOURCES for at in range(3)])
    kept, dropped, facts = run(provenance, {"registry": registry(REGISTRY)}, documents=table)
    assert {row["source"] for row in kept} == {"clean", "code", "from the unknown"}
    assert {row["source"]: row["reason"] for row in dropped} == {
        "raw": "same_origin",
        "other crawl": "same_origin",
        "far away": "same_origin",
        "stolen": "license_not_allowed",
        "laundered": "license_not_allowed",
        "talk": "model_terms",
        "rewritten talk": "model_terms",
        "nobody knows": "license_unknown",
    }
    assert {row["name"]: row["because"] for row in facts["datasets"] if row["because"]} == {
        "raw": "clean",
        "other crawl": "clean",
        "far away": "clean",
        "stolen": "stolen",
        "laundered": "stolen",
        "talk": "talk",
        "rewritten talk": "talk",
        "nobody knows": "nobody knows",
    }
    sizes = {name: sum(5 * len(f"{at} {name}\n") for at in range(3)) for name in SOURCES}
    saved = sum(sizes[name] for name in ("raw", "other crawl", "far away"))
    (family,) = facts["families"]
    assert family == {
        "origins": ["origin: the web"],
        "kept": ["clean"],
        "dropped": ["far away", "other crawl", "raw"],
        "bytes": saved + sizes["clean"],
        "saved_bytes": saved,
        "saved_share": saved / (saved + sizes["clean"]),
    }
    assert facts["saved"] == {"bytes": saved, "share": saved / sum(sizes.values())}


def test_settings_name_sources_and_a_policy(documents, run, registry) -> None:
    table = documents([{"text": "a\n", "source": "path/1"}, {"text": "b\n", "source": "path/2"}, "c\n"])
    config = {
        "registry": registry(REGISTRY),
        "policy": "any",
        "datasets": {"path/1": "stolen", "path/2": "stolen", "": "nobody knows"},
    }
    kept, dropped, facts = run(provenance, config, documents=table)
    assert (len(kept), dropped) == (3, [])
    assert [(row["name"], row["records"]) for row in facts["datasets"]] == [("nobody knows", 1), ("stolen", 2)]


def test_ties_go_by_size_then_name(registry) -> None:
    text = "".join(f'[[dataset]]\nname = "{name}"\norigin = "o"\nlicense = "MIT"\n' for name in "abcd")
    sets = load_registry(registry(text + 'bytes = 7\n[[dataset]]\nname = "e"\nlicense = "MIT"\n'))
    standings = ancestry(sets, load_policy("permissive"))

    def best(**sizes: int) -> list[str]:
        return [name for name, verdict in choose(sets, standings, sizes).items() if not verdict.reason]

    assert best(a=1, b=2, c=2, e=1) == ["b", "e"]
    assert best(a=1, b=2, c=3) == ["c"]
    assert best(a=1, b=6, d=1) == ["d"]  # the registry's size goes before what is here of it


def test_a_mixture_shuts_out_only_what_it_shares(registry) -> None:
    text = table(name='"x"', license='"MIT"', quality=1) + table(name='"y"', license='"MIT"', quality=3)
    text += table(name='"xy"', license='"MIT"', quality=2, derived_from='["x", "y"]')
    mixed = load_registry(registry(text))
    verdicts = choose(mixed, ancestry(mixed, load_policy("permissive")), {"x": 1, "y": 1, "xy": 1})
    assert {name for name in verdicts if not verdicts[name].reason} == {"x", "y"}
    (family,) = families(verdicts, {"x": 1, "y": 1, "xy": 2})
    assert (family["kept"], family["dropped"], family["saved_share"]) == (["x", "y"], ["xy"], 0.5)


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_what_is_kept_shares_nothing_and_what_is_dropped_does(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"d{at}" for at in range(12)]
    sets = {
        name: provenance.Dataset(
            name,
            origin=rng.choice([None, None, "o1", "o2"]),
            derived_from=tuple(rng.sample(names[:at], min(at, rng.choice([0, 0, 1, 2])))),
            license=rng.choice(["MIT", "MIT", "MIT", "GPL-3.0-only", None]),
            quality=rng.choice([0.0, 1.0]),
        )
        for at, name in enumerate(names)
    }
    policy = load_policy("permissive")
    standings = ancestry(sets, policy)
    sizes = {name: rng.choice([1, 2]) for name in rng.sample(names, 9)}
    verdicts = choose(sets, standings, sizes)
    assert verdicts == choose(sets, standings, dict(reversed(sizes.items())))

    def ends(name: str) -> set[str]:
        own = {f"origin: {sets[name].origin}"} if sets[name].origin else set()
        return own.union(*(ends(parent) for parent in sets[name].derived_from)) or {name}

    def denied(name: str) -> bool:
        return sets[name].license == "GPL-3.0-only" or any(denied(parent) for parent in sets[name].derived_from)

    rank = {name: (-sets[name].quality, -sizes[name], name) for name in sizes}
    kept = [name for name in sizes if not verdicts[name].reason]
    for name in sizes:
        assert standings[name].origins == ends(name)
        assert (verdicts[name].reason == "license_not_allowed") == denied(name)
        sharing = [other for other in kept if other != name and ends(other) & ends(name)]
        if name in kept:
            assert not sharing
        elif verdicts[name].reason == "same_origin":
            best = min(sharing, key=rank.__getitem__)
            assert verdicts[name].because == best
            assert rank[best] < rank[name]
    members = [name for family in families(verdicts, sizes) for name in family["kept"] + family["dropped"]]
    assert len(members) == len(set(members))
    assert {name for name in sizes if verdicts[name].reason == "same_origin"} <= set(members)


def test_the_shipped_registry() -> None:
    sets = load_registry("public")
    standings = ancestry(sets, load_policy("permissive"))
    assert standings["meta-math/MetaMathQA"].reason == "model_terms"
    assert standings["nvidia/OpenMathInstruct-2"].origins == {"openai/gsm8k", "hendrycks/competition_math"}
    assert provenance.Config().identity()["registry"]


def table(**fields) -> str:
    return "[[dataset]]\n" + "".join(f"{key} = {value}\n" for key, value in ({"name": '"a"'} | fields).items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no data set"),
        ("dataset = 3", "names no data set"),
        ("dataset = [1]", "names no data set"),
        ("[[datset]]\n", "did you mean 'dataset'"),
        ("[[dataset]]\n", "is named None"),
        (table(name='" "'), "is named"),
        (table(licence='"MIT"'), "did you mean 'license'"),
        (table(license='"My own"'), "write an SPDX expression"),
        (table(license="1"), "it must be a str"),
        (table(quality='"high"'), "int or float"),
        (table(quality="nan"), "finite"),
        (table(quality="true"), "int or float"),
        (table(bytes="-1"), "from 0 up"),
        (table(bytes="1.5"), "it must be a int"),
        (table(origin='""'), "it must be a str"),
        (table(derived_from='"b"'), "it must be a list"),
        (table(derived_from="[1]"), "list names"),
        (table(derived_from='["a"]'), "in a circle: a -> a"),
        (table(generated_by='"m"'), "only one of"),
        (table(terms_allow_training="false"), "only one of"),
        (table() + table(), "two data sets are named 'a'"),
        (table(derived_from='["bookz"]') + table(name='"books"'), "did you mean 'books'"),
        (table(derived_from='["b"]') + table(name='"b"', derived_from='["a"]'), "in a circle: "),
        ("[[dataset]\n", "is not TOML"),
        (b"\xff", "is not TOML"),
    ],
)
def test_hostile_registries(registry, text, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_registry(registry(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_line_of_descent(registry) -> None:
    text = table(name='"d0"') + "".join(table(name=f'"d{at}"', derived_from=f'["d{at - 1}"]') for at in range(1, 3000))
    assert ancestry(load_registry(registry(text)), load_policy("any"))["d2999"].origins == {"d0"}


def test_errors(documents, run, registry) -> None:
    path = registry(REGISTRY)
    with pytest.raises(InputError, match="did you mean 'clean'"):
        run(provenance, {"registry": path}, documents=documents([{"text": "x", "source": "cleen"}]))
    with pytest.raises(InputError, match="without a source"):
        run(provenance, {"registry": path}, documents=documents(["x"]))
    with pytest.raises(InputError, match="there is no registry"):
        run(provenance, {"registry": "missing.toml"}, documents=documents(["x"]))
    with pytest.raises(EmptyError):
        run(provenance, {"registry": path}, documents=documents([{"text": "x", "source": "talk"}]))
