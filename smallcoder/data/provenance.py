"""Stage `provenance`: drops whole data sets by what a registry knows of them, before any text is compared.

The registry is a TOML file with one table a data set; a document's `source` names its data set.

    [[dataset]]
    name = "our/math"                # as in the `source` column, or mapped to it by the setting `datasets`
    origin = "Common Crawl, math"    # where its contents come from, if from none of the others here
    derived_from = ["their/math"]    # data sets it was made from, each with a table of its own
    license = "ODC-By-1.0"           # SPDX, or "per document" where each document has its own
    generated_by = "some-model-70b"  # the model that wrote it, and whether that model's terms allow training on it
    terms_allow_training = true
    quality = 3                      # rank inside a family: higher is better; 0 if left out
    bytes = 52_000_000_000           # to break ties; what the table holds if left out

Reasons, in this order: `model_terms` where the generating model, of the set or of any that it derives from, forbids
training; `license_denied`, `license_not_allowed`, `license_unknown` by the licence policy, where a known licence binds
what is derived from it too; `same_origin`. For that the origins of a data set are followed to their ends: its own
`origin`, those of the sets it derives from, or itself where it has neither. From the best set to the worst (quality,
then bytes, then name), a set is kept unless it shares an origin with one kept before. So of sets that all have one
origin the best stays, and a mixture does not shut out sets that only its losing parts resemble.

Mify-Coder (arXiv 2512.23747, section 3.2) removed about 70% of the tokens of some 30 mathematical data sets by such
analysis, as most came from similar sources and differed in extraction and format; its section 3.1 excludes data by
models that restrict its use. Two passes; memory for the names of the sources. It believes the registry: what is shared
without being written there is for `dedup`. Give one origin only to sets that hold the same material: two sets of
"GitHub" in different languages share nothing.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from smallcoder.core.errors import InputError
from smallcoder.core.recipe import nearest
from smallcoder.core.stage import Inputs, StageConfig
from smallcoder.core.tables import read_batches
from smallcoder.data.filters import Filter, Judged
from smallcoder.data.licenses.expressions import normal_form
from smallcoder.data.licenses.policy import Policy, load_policy, read_toml

SHIPPED = Path(__file__).parent / "registries"
PER_DOCUMENT = "per document"
TYPES: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "origin": (str,),
    "license": (str,),
    "derived_from": (list,),
    "generated_by": (str,),
    "terms_allow_training": (bool,),
    "quality": (int, float),
    "bytes": (int,),
}


class Config(StageConfig):
    """`registry`: "public" or a path; `policy`: as in stage `licenses`; `datasets`: source -> name in the registry."""

    registry: str = "public"
    policy: str = "permissive"
    datasets: dict[str, str] = {}

    def identity(self) -> dict[str, Any]:
        """A registry and a policy are what they say, wherever they lie."""
        registry, policy = read_toml(self.registry, SHIPPED, "registry")[2], load_policy(self.policy).digest
        return {"registry": registry, "policy": policy, "datasets": self.datasets}


@dataclass(frozen=True)
class Dataset:
    """One table of the registry. `license` is an SPDX expression, `PER_DOCUMENT`, or None where it is not known."""

    name: str
    origin: str | None = None
    derived_from: tuple[str, ...] = ()
    license: str | None = None
    generated_by: str | None = None
    terms_allow_training: bool = True
    quality: float = 0.0
    bytes: int | None = None


@dataclass(frozen=True)
class Standing:
    """What a data set's ancestry says: the ends it comes from, why it may not be used, and which set is to blame."""

    origins: frozenset[str]
    reason: str | None = None
    because: str | None = None


def as_filter(config: Config, inputs: Inputs, out: Path) -> Filter:
    """Fills out/documents and out/dropped. Raises InputError for a wrong registry, or a source it does not name."""
    registry = load_registry(config.registry)
    standings = ancestry(registry, load_policy(config.policy))
    measured = _measure(inputs["documents"])
    names = {source: _name(source, config, registry) for source in sorted(measured, key=str)}
    records, sizes = Counter[str](), Counter[str]()
    for source, (count, size) in measured.items():
        records[names[source]] += count
        sizes[names[source]] += size
    verdicts = choose(registry, standings, sizes)
    reasons = {source: verdicts[name].reason for source, name in names.items()}
    rows = [
        {
            "name": name,
            "origins": sorted(standings[name].origins),
            "license": registry[name].license,
            "records": records[name],
            "bytes": sizes[name],
            "reason": verdicts[name].reason,
            "because": verdicts[name].because,
        }
        for name in sorted(verdicts)
    ]
    saved = sum(sizes[name] for name in verdicts if verdicts[name].reason == "same_origin")
    share = saved / max(sizes.total(), 1)
    told = {"datasets": rows, "families": families(verdicts, sizes), "saved": {"bytes": saved, "share": share}}
    return Filter(partial(judge, reasons), lambda facts, counts: {**facts, **told})


def judge(reasons: Mapping[str | None, str | None], batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch by the verdict on each row's source; its rows stay as they are."""
    return Judged(batch, [reasons[source] for source in batch.column("source").to_pylist()])


def load_registry(name: str) -> dict[str, Dataset]:
    """The data sets of a shipped registry or of a TOML file, parents before children.

    Raises InputError for anything in it that cannot be meant, cycles included.
    """
    path, data, _ = read_toml(name, SHIPPED, "registry")
    tables = data.pop("dataset", [])
    if data:
        raise InputError(f"{path}: unknown key {next(iter(data))!r}", nearest(next(iter(data)), ["dataset"]))
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path} names no data set", "add a [[dataset]] table")
    registry: dict[str, Dataset] = {}
    for table in tables:
        dataset = _dataset(path, table)
        if dataset.name in registry:
            raise InputError(f"{path}: two data sets are named {dataset.name!r}", "rename or remove one")
        registry[dataset.name] = dataset
    for dataset in registry.values():
        for parent in dataset.derived_from:
            if parent not in registry:
                raise InputError(
                    f"{path}: {dataset.name} is derived from {parent!r}, which has no table", _remedy(parent, registry)
                )
    try:
        order = list(TopologicalSorter({name: registry[name].derived_from for name in registry}).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise InputError(f"{path}: derived_from goes round in a circle: {circle}", "remove one of its steps") from None
    return {name: registry[name] for name in order}


def _dataset(path: str, table: Mapping[str, Any]) -> Dataset:
    name = table.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{path}: a data set is named {name!r}", 'give every [[dataset]] a name = "..."')
    for key, value in table.items():
        if key not in TYPES:
            raise InputError(f"{path}: {name} has an unknown key {key!r}", nearest(key, TYPES))
        if type(value) not in TYPES[key] or value == "":
            kind = " or ".join(kind.__name__ for kind in TYPES[key])
            raise InputError(f"{path}: {name} has {key} = {value!r}", f"it must be a {kind}")
    parents = table.get("derived_from", [])
    if not all(isinstance(parent, str) for parent in parents):
        raise InputError(f"{path}: {name} has derived_from = {parents!r}", "list names of data sets")
    if not math.isfinite(table.get("quality", 0)) or table.get("bytes", 0) < 0:
        raise InputError(f"{path}: {name} has no usable quality or bytes", "write finite numbers, bytes from 0 up")
    if ("generated_by" in table) != ("terms_allow_training" in table):
        raise InputError(
            f"{path}: {name} has only one of generated_by and terms_allow_training",
            "name the model and say whether its terms allow training on what it writes",
        )
    license = table.get("license")
    form = license if license in (None, PER_DOCUMENT) else normal_form(license)
    if license and not form:
        raise InputError(f"{path}: {name} has license = {license!r}", f'write an SPDX expression or "{PER_DOCUMENT}"')
    return Dataset(**{**table, "license": form, "derived_from": tuple(parents)})


def ancestry(registry: Mapping[str, Dataset], policy: Policy) -> dict[str, Standing]:
    """What every data set inherits. `registry` must list parents first."""
    standings: dict[str, Standing] = {}
    for name, dataset in registry.items():
        parents = [standings[parent] for parent in dataset.derived_from]
        own = {f"origin: {' '.join(dataset.origin.casefold().split())}"} if dataset.origin else set()
        origins = frozenset(own.union(*(parent.origins for parent in parents)) or {name})
        reason = _own_reason(dataset, policy)
        # Nobody can lift terms by passing data on; that nobody knows the terms of an ancestor is no term.
        inherited = [parent for parent in parents if parent.reason not in (None, "license_unknown")]
        if inherited and reason != "model_terms":
            worst = min(inherited, key=lambda parent: (parent.reason != "model_terms", str(parent.because)))
            standings[name] = replace(worst, origins=origins)
        else:
            standings[name] = Standing(origins, reason, name if reason else None)
    return standings


def _own_reason(dataset: Dataset, policy: Policy) -> str | None:
    if not dataset.terms_allow_training:
        return "model_terms"
    return None if dataset.license == PER_DOCUMENT else policy.reason(dataset.license)


def choose(
    registry: Mapping[str, Dataset], standings: Mapping[str, Standing], sizes: Mapping[str, int]
) -> dict[str, Standing]:
    """The verdict on each data set of `sizes` (measured bytes): `because` of `same_origin` is the better set."""
    usable = [name for name in sizes if not standings[name].reason]

    def rank(name: str) -> tuple[float, int, str]:
        size = registry[name].bytes
        return -registry[name].quality, -(sizes[name] if size is None else size), name

    verdicts = {name: standings[name] for name in sizes}
    holders: dict[str, str] = {}
    for name in sorted(usable, key=rank):
        better = [holders[origin] for origin in standings[name].origins if origin in holders]
        if better:
            verdicts[name] = replace(standings[name], reason="same_origin", because=min(better, key=rank))
        else:
            holders |= dict.fromkeys(standings[name].origins, name)
    return verdicts


def families(verdicts: Mapping[str, Standing], sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """Usable data sets that hang together by origins, two and more: what was kept, the bytes saved, largest first."""
    groups: list[tuple[frozenset[str], list[str]]] = []
    for name in sorted(verdicts):
        if verdicts[name].reason not in (None, "same_origin"):
            continue
        origins, members = verdicts[name].origins, [name]
        apart = [group for group in groups if not group[0] & origins]
        for other, more in (group for group in groups if group[0] & origins):
            origins, members = origins | other, members + more
        groups = [*apart, (origins, members)]
    rows = []
    for origins, members in groups:
        if len(members) > 1:
            kept = sorted(name for name in members if not verdicts[name].reason)
            dropped = sorted(set(members) - set(kept))
            total, saved = (sum(sizes[name] for name in names) for names in (members, dropped))
            row = {"origins": sorted(origins), "kept": kept, "dropped": dropped}
            rows.append({**row, "bytes": total, "saved_bytes": saved, "saved_share": saved / max(total, 1)})
    return sorted(rows, key=lambda row: (-row["saved_bytes"], row["origins"]))


def _measure(folder: Path) -> dict[str | None, tuple[int, int]]:
    """Documents and UTF-8 bytes by source."""
    records, sizes = Counter[str | None](), Counter[str | None]()
    for batch in read_batches(folder, ["source", "text"]):
        lengths = pc.call_function("binary_length", [batch.column("text")]).to_pylist()
        for source, length in zip(batch.column("source").to_pylist(), lengths, strict=True):
            records[source] += 1
            sizes[source] += length or 0
    return {source: (count, sizes[source]) for source, count in records.items()}


def _name(source: str | None, config: Config, registry: Mapping[str, Dataset]) -> str:
    """The name in the registry of a source. Raises InputError where it has none."""
    name = config.datasets.get(source or "", source)
    if name is None:
        remedy = 'name their data set: datasets = { "" = "a name of the registry" }'
        raise InputError("there are documents without a source", remedy)
    if name not in registry:
        remedy = f"{_remedy(name, registry)}; or map sources to names by `datasets`"
        raise InputError(f"registry {config.registry} has no data set {name!r}", remedy)
    return name


def _remedy(name: str, registry: Mapping[str, Dataset]) -> str:
    remedy = nearest(name, registry)
    return remedy if remedy.startswith("did you mean") else "add a [[dataset]] table for it"
