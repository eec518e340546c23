"""Stage `licenses`: settles the licence of every document and drops what the policy does not let in.

A document's licence is what its repository states (its row), or what the policy says of the repository or source
instead, joined by AND with what the file's own SPDX header states. So a header settles a file of a repository that
states nothing, and where the two conflict both stand in the row and both must be allowed: a header speaks for its
file (SPDX, REUSE), but the changes a project made to a file that it took from elsewhere may be under the project's
licence. A header that is no SPDX expression leaves the licence unknown. The column then holds the normal form of the
expression, or null.

Run it before `clean`, which takes the headers away. One pass; 2 GB a CPU-second besides reading and writing;
memory for the distinct licences and the names of repositories without one. It reads no LICENSE file (`read` does) and
no notice in prose; it does not look for code that was copied without its header.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.stage import Facts, Inputs, StageConfig
from smallcoder.data.filters import Filter, Judged
from smallcoder.data.licenses.declared import declared_license
from smallcoder.data.licenses.expressions import all_of, normal_form
from smallcoder.data.licenses.policy import Policy, load_policy
from smallcoder.data.licenses.scan import PACKAGE, REMEDY, scanner
from smallcoder.data.licenses.texts import HEAD_CHARACTERS, TAG, header_statements

HEADERS = ("agrees", "added", "conflicts", "unreadable")
NO_SCANNER = f"none: {PACKAGE} is not installed, so LICENSE files are known by usual phrases only -> {REMEDY}"
NAMELESS = "(none)"
SHOWN = 100  # rows of a table in the facts; the rest is summed up
LONGEST = 200  # characters of a name there
COLUMNS = ("license", "repo", "source")


class Config(StageConfig):
    """`policy`: "permissive", "any" or the path of a policy file (`policy.py` describes it)."""

    policy: str = "permissive"

    def identity(self) -> dict[str, Any]:
        """A policy is what it says, wherever it lies."""
        return {"policy": load_policy(self.policy).digest}


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped. Raises InputError for a wrong policy."""
    policy = load_policy(config.policy)
    return Filter(partial(judge, policy), partial(_facts, config, policy))


def _facts(config: Config, policy: Policy, retention: Facts, counts: Counter[str]) -> Facts:
    tables: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for key, count in counts.items():
        table, name, unit = key.split("\t")
        tables[table][name][unit] = count
    named = {*policy.repositories, *policy.sources}
    return {
        **retention,
        "policy": config.policy,
        "scanner": scanner() or NO_SCANNER,
        "licenses": {"kept": _largest(tables["kept"]), "dropped": _largest(tables["dropped"])},
        "unknown": {"repositories": len(tables["without"].keys() - {NAMELESS}), **_sum(tables["without"].values())},
        "unreadable": _largest(tables["unreadable"]),  # what rows state that is no licence known here
        "headers": {name: _sum([tables["headers"][name]]) for name in HEADERS},
        "conflicts": _largest(tables["conflicts"]),
        "unused_in_policy": sorted(name for name in named if _word(name) not in tables["settled"]),
    }


def judge(policy: Policy, batch: pa.RecordBatch) -> Judged:
    """Settle and judge the licences of a DOCUMENT batch."""
    texts = batch.column("text")
    sizes = pc.call_function("binary_length", [texts]).to_pylist()
    stated = _headers(texts)
    rows = zip(*(batch.column(name).to_pylist() for name in COLUMNS), sizes, strict=True)
    licenses: list[str | None] = []
    reasons: list[str | None] = []
    counts: Counter[str] = Counter()

    def count(table: str, name: str | None, size: int) -> None:
        key = f"{table}\t{_word(name)}\t"
        counts[key + "records"] += 1
        counts[key + "bytes"] += size

    for row, (declared, repo, source, size) in enumerate(rows):
        weight = size or 0
        by_policy = policy.repositories.get(repo) or policy.sources.get(source)
        if by_policy:
            count("settled", repo if repo in policy.repositories else source, weight)
        repository = by_policy or (declared_license(declared) if declared else None)
        if declared and not repository:
            count("unreadable", declared, weight)
        license, header = settle(stated.get(row, []), repository)
        if header:
            count("headers", header, weight)
        if header == "conflicts":
            count("conflicts", f"{all_of(map(normal_form, stated[row]))} in {repository}", weight)
        reason = policy.reason(license)
        count("dropped" if reason else "kept", license or "unknown", weight)
        if license is None:
            count("without", repo, weight)
        licenses.append(license)
        reasons.append(reason)
    position = batch.schema.get_field_index("license")
    return Judged(batch.set_column(position, "license", pa.array(licenses, pa.string())), reasons, counts)


def settle(stated: list[str], repository: str | None) -> tuple[str | None, str | None]:
    """The licence of a file and how its header relates to its repository's: agrees, added, conflicts or unreadable.

    `stated` are the header's expressions as they are written; without any the relation is None.
    """
    if not stated:
        return repository, None
    forms = [normal_form(statement) for statement in stated]
    if None in forms:
        return None, "unreadable"
    header = all_of(forms)
    both = all_of([header, repository])
    if repository is None:
        return both, "added"
    return both, "agrees" if both in (header, repository) else "conflicts"


def _headers(texts: pa.Array) -> dict[int, list[str]]:
    """Row -> what its SPDX header states, for the rows that have one."""
    from smallcoder.data.kernels import buffers

    offsets, data = buffers(texts)
    tags = [match.start() for match in re.finditer(TAG.encode(), data.data[offsets[0] : offsets[-1]])]
    rows = pa.array(np.unique(np.searchsorted(offsets - offsets[0], tags, side="right") - 1))
    heads = pc.call_function("utf8_slice_codeunits", [texts.take(rows)], pc.SliceOptions(0, HEAD_CHARACTERS))
    found = zip(rows.to_pylist(), map(header_statements, heads.to_pylist()), strict=True)
    return {row: statements for row, statements in found if statements}


@lru_cache(1 << 12)
def _word(name: str | None) -> str:
    """A name as a part of a key of the counts: without tabs, and what of a long one cannot be mistaken."""
    word = " ".join((name or NAMELESS).split())
    return word if len(word) <= LONGEST else f"{word[:LONGEST]}... {blake2b(word.encode(), digest_size=4).hexdigest()}"


def _sum(rows: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter({"records": 0, "bytes": 0})
    for row in rows:
        total.update(row)
    return dict(total)


def _largest(table: Mapping[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """The rows with the most bytes, and the sum of the others."""
    ranked = sorted(table, key=lambda name: (-table[name]["bytes"], name))
    shown = {name: table[name] for name in ranked[:SHOWN]}
    return shown | ({"others": _sum(table[name] for name in ranked[SHOWN:])} if ranked[SHOWN:] else {})
