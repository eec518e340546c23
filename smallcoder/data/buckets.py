"""High, medium and low: a score of signals from a table of thresholds that a user can change.

Mify-Coder (arXiv 2512.23747, section 3.3.2) sorts code into three buckets by its signals and does not publish the
thresholds. Here they stand, with their sources, in `thresholds.toml`. Each check maps one signal to 0 to 1 by straight
lines. A document starts with 100, and every check of its kind or its repository takes up to its points away: so a few
grave faults count, which a mean over two dozen checks would hide. The score says how usual a text is, not whether it
is right or useful.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from smallcoder.core.errors import InputError

Array = np.ndarray[Any, Any]

SHIPPED = Path(__file__).with_name("thresholds.toml")
BUCKETS = ("high", "medium", "low")
KINDS = ("code", "prose", "data")
SECTIONS = (*KINDS, "repository")
KEYS = {"rises", "falls", "points"}
POINTS = 10.0  # where a check does not say


@dataclass(frozen=True)
class Check:
    """One line of the table. `column` is the signal's place."""

    section: str
    signal: str
    column: int
    points: float
    rises: tuple[float, float] | None
    falls: tuple[float, float] | None

    def score(self, values: Array) -> Array:
        """0 to 1 for each value, NaN for NaN."""
        up = np.interp(values, self.rises, (0.0, 1.0)) if self.rises else 1.0
        down = np.interp(values, self.falls, (1.0, 0.0)) if self.falls else 1.0
        return np.where(np.isnan(values), np.nan, np.minimum(up, down))


@dataclass(frozen=True)
class Thresholds:
    """A table of checks, the bounds of the buckets, and a digest of the file they were read from."""

    checks: tuple[Check, ...]
    high: float
    medium: float
    digest: str

    def quality(self, signals: Array, kinds: Sequence[str]) -> Array:
        """0 to 100, rounded to thousandths, of every row of signals float64 [rows, names]; kinds of KINDS."""
        lost = np.zeros(len(signals))
        of_kind = {one: np.array([other == one for other in kinds], bool) for one in KINDS}
        for check in self.checks:
            missed = check.points * (1 - check.score(signals[:, check.column]))
            counts = ~np.isnan(missed) & of_kind.get(check.section, True)
            lost[counts] += missed[counts]
        return np.round(np.maximum(100 - lost, 0), 3)

    def buckets(self, quality: Array) -> Array:
        """Places in BUCKETS."""
        return np.where(quality >= self.high, 0, np.where(quality >= self.medium, 1, 2))

    def facts(self) -> dict[str, Any]:
        """The bounds and the number of checks by section."""
        sections = {name: sum(check.section == name for check in self.checks) for name in SECTIONS}
        return {"high": self.high, "medium": self.medium, "checks": sections}


def read_thresholds(path: Path | None, names: Sequence[str]) -> Thresholds:
    """The table of a file, or the one shipped. Raises InputError on what it does not understand."""
    place = path or SHIPPED
    try:
        data = place.read_bytes()
        table = tomllib.loads(data.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{place} is no readable TOML file ({error})", f"copy and change {SHIPPED.name}") from error
    bounds = [table.pop(name, None) for name in ("high", "medium")]
    if not all(isinstance(value, int | float) for value in bounds) or bounds[0] < bounds[1]:
        raise _mistake(place, "`high` and `medium` must be numbers, high not below medium")
    if unknown := set(table) - set(SECTIONS):
        raise _mistake(place, f"there is no section [{sorted(unknown)[0]}.*], only {', '.join(SECTIONS)}")
    checks = tuple(
        _check(place, section, signal, row, names) for section, rows in table.items() for signal, row in rows.items()
    )
    return Thresholds(checks, float(bounds[0]), float(bounds[1]), blake2b(data, digest_size=16).hexdigest())


def _check(place: Path, section: str, signal: str, row: Any, names: Sequence[str]) -> Check:
    where = f"[{section}.{signal}]"
    if signal not in names:
        raise _mistake(place, f"{where} names no signal")
    if not isinstance(row, dict) or set(row) - KEYS or not {"rises", "falls"} & set(row):
        raise _mistake(place, f"{where} needs rises or falls, and may have points")
    ramps: dict[str, tuple[float, float] | None] = {}
    for key in ("rises", "falls"):
        ramp = row.get(key)
        numbers = isinstance(ramp, list) and [value for value in ramp if isinstance(value, int | float)]
        if ramp is not None and (not numbers or len(ramp) != len(numbers) or len(ramp) != 2 or ramp[0] >= ramp[1]):
            raise _mistake(place, f"{where} {key} must be two numbers, the smaller first")
        ramps[key] = (float(ramp[0]), float(ramp[1])) if ramp else None
    points = row.get("points", POINTS)
    if not isinstance(points, int | float) or points <= 0:
        raise _mistake(place, f"{where} points must be a positive number")
    return Check(section, signal, list(names).index(signal), float(points), ramps["rises"], ramps["falls"])


def _mistake(place: Path, what: str) -> InputError:
    return InputError(f"{place.name}: {what}", f"see the comments of {SHIPPED.name}")
