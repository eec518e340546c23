"""Licence policies: TOML files that say which licences may be trained on.

    unknown = "drop"                       # or "keep": where no licence is known
    allow = ["MIT", "BSD-*"]               # left out: every licence that is not denied
    deny = ["CC-BY-NC-*", "GPL-3.0-only"]

    [repositories]                         # what a person has found out, instead of what the table says
    "some-package" = "Apache-2.0"
    [sources]                              # the same for all documents of a source
    "path/to/our/own/code" = "LicenseRef-Ours"

Entries are SPDX identifiers, `LicenseRef-NAME`, either of them `WITH` an exception, or patterns with `*`. Of an SPDX
expression, OR takes the best side, AND the worst. An exception only adds permissions, so `X WITH E` is judged as X
unless it is listed itself. A name written out goes before a pattern, and a denial before an allowance of the same kind.
Shipped: `permissive` (the default) and `any`. A policy is no legal advice, and none about how licences combine.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import Any

from smallcoder.core.errors import InputError
from smallcoder.core.recipe import nearest
from smallcoder.data.licenses.expressions import evaluate, identifiers, normal_form

SHIPPED = Path(__file__).parent / "policies"
KEYS = ("unknown", "allow", "deny", "repositories", "sources")
ALLOWED, UNLISTED, DENIED = range(3)  # from best to worst, as `evaluate` wants it
REASONS = {ALLOWED: None, UNLISTED: "license_not_allowed", DENIED: "license_denied"}


@dataclass(frozen=True)
class Policy:
    """A policy ready to judge. `exact` and `patterns` (in order, lower case) hold judgements, `rest` that of others."""

    keeps_unknown: bool
    exact: Mapping[str, int]
    patterns: tuple[tuple[str, int], ...]
    rest: int
    repositories: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    _known: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)

    def reason(self, license: str | None) -> str | None:
        """Why to drop what is under a licence: `license_unknown`, `license_denied`, `license_not_allowed`; None keeps.

        A text that is no SPDX expression is an unknown licence.
        """
        if license is None:
            return None if self.keeps_unknown else "license_unknown"
        if license not in self._known:
            judgement = evaluate(license, self._judge)
            self._known[license] = self.reason(None) if judgement is None else REASONS[judgement]
        return self._known[license]

    def _judge(self, license: str) -> int:
        plain = license.partition(" WITH ")[0]
        for name in (license, plain):
            if name in self.exact:
                return self.exact[name]
        lower = plain.lower()
        return next((judgement for pattern, judgement in self.patterns if fnmatchcase(lower, pattern)), self.rest)


def load_policy(name: str) -> Policy:
    """The shipped policy of that name, or the one of a TOML file. Raises InputError for what is wrong in it."""
    path, data, digest = read_toml(name, SHIPPED, "policy")
    unknown = sorted(set(data) - set(KEYS))
    if unknown:
        raise InputError(f"{path}: unknown key {unknown[0]!r}", nearest(unknown[0], KEYS))
    if data.get("unknown", "drop") not in ("drop", "keep"):
        raise InputError(f"{path}: unknown = {data['unknown']!r} is not valid", 'it is "drop" or "keep"')
    allow, deny = (_entries(path, key, data.get(key, [])) for key in ("allow", "deny"))
    judged = [(entry, DENIED) for entry in deny] + [(entry, ALLOWED) for entry in allow]
    return Policy(
        keeps_unknown=data.get("unknown", "drop") == "keep",
        exact={entry: judgement for entry, judgement in reversed(judged) if "*" not in entry},
        patterns=tuple((entry, judgement) for entry, judgement in judged if "*" in entry),
        rest=UNLISTED if "allow" in data else ALLOWED,
        repositories=_settled(path, "repositories", data),
        sources=_settled(path, "sources", data),
        digest=digest,
    )


def read_toml(name: str, shipped: Path, kind: str) -> tuple[str, dict[str, Any], str]:
    """A TOML file that ships under a plain name, or another's: how to call it, its data and a digest of its contents.

    Raises InputError where there is none, or one that is no TOML.
    """
    names = sorted(path.stem for path in shipped.glob("*.toml"))
    try:
        path = shipped / f"{name}.toml" if name in names else Path(name).expanduser()
        content = path.read_bytes()
        data = tomllib.loads(content.decode("utf-8"))
    except (OSError, ValueError, RuntimeError) as error:  # a RuntimeError is of a home that is not there
        if isinstance(error, (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError)):
            raise InputError(f"{name} is not TOML: {error}", "mend that line") from None
        raise InputError(f"there is no {kind} {name!r}", nearest(name, [*names, "the path of a TOML file"])) from None
    return name, data, blake2b(content, digest_size=8).hexdigest()


def _entries(path: str, key: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InputError(f"{path}: {key} must be a list of names", f'for example {key} = ["MIT", "BSD-*"]')
    return [_entry(path, key, entry) for entry in value]


def _entry(path: str, key: str, entry: str) -> str:
    """An entry of a list in its normal form; a pattern in lower case."""
    if "*" in entry:
        pattern = entry.lower()
        names = (name.lower() for name in identifiers())
        if pattern.startswith("licenseref-") or any(fnmatchcase(name, pattern) for name in names):
            return pattern
    else:
        form = normal_form(entry)
        if form and " AND " not in form and " OR " not in form:
            return form
        if form:
            raise InputError(f"{path}: {key} has the expression {entry!r}", "list each licence by itself")
    raise InputError(f"{path}: {key} has {entry!r}, which is no SPDX licence", _remedy(entry, identifiers()))


def _settled(path: str, key: str, data: Mapping[str, Any]) -> dict[str, str]:
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise InputError(f"{path}: {key} must be a table", f'for example [{key}] and below it "name" = "MIT"')
    settled = {}
    for name, license in table.items():
        form = normal_form(license) if isinstance(license, str) else None
        if form is None:
            remedy = _remedy(license, identifiers()) if isinstance(license, str) else 'write "name" = "MIT"'
            raise InputError(f"{path}: the licence of {name!r}, {license!r}, is no SPDX expression", remedy)
        settled[name] = form
    return settled


def _remedy(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else "write its SPDX identifier, or LicenseRef-NAME for one without"
