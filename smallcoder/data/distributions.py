"""How signals are distributed by language: quantiles and histograms in bounded memory, whatever the order of documents.

Values fall into fixed bins, sixteen for each doubling from 2^-12 to 2^32: a quantile is right within 2.2% (half a bin),
and what is below 2^-12 counts as 0. Bins hold whole numbers: adding them up in any order gives the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

PER_DOUBLING, LOWEST, HIGHEST = 16, -12, 32
EDGES = 2.0 ** (np.arange(LOWEST * PER_DOUBLING, HIGHEST * PER_DOUBLING + 1) / PER_DOUBLING)
MIDDLES = np.concatenate([[0.0], EDGES * 2.0 ** (0.5 / PER_DOUBLING)])  # of bin 0, and of the one above each edge
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
SHARES = np.linspace(0, 1, 21)  # edges of the histogram of a share; those of other signals are powers of two
LANGUAGES = 12  # with the most documents; the others are counted together
OTHERS = "others"


class Distributions:
    """Counts values by language and signal. Undefined values (NaN) are left out."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._bins: dict[str, Array] = {}  # int64 [signals, bins]
        self._documents: dict[str, int] = {}

    def add(self, languages: Sequence[str | None], values: Array) -> None:
        """Count rows of values float64 [rows, signals]."""
        of_row = np.array([lang or "unknown" for lang in languages], object)
        bins = np.searchsorted(EDGES, values, side="right")
        for lang in sorted(set(of_row.tolist())):
            rows = of_row == lang
            self._documents[lang] = self._documents.get(lang, 0) + int(rows.sum())
            table = self._bins.setdefault(lang, np.zeros((len(self._names), len(MIDDLES)), np.int64))
            for at in range(len(self._names)):
                known = bins[rows, at][~np.isnan(values[rows, at])]
                table[at] += np.bincount(known, minlength=len(MIDDLES))

    def facts(self) -> dict[str, Any]:
        """language -> documents and, by signal, documents with it, quantiles and a histogram."""
        ranked = sorted(self._documents, key=lambda lang: (-self._documents[lang], lang))
        shown = {lang: (self._documents[lang], self._bins[lang]) for lang in ranked[:LANGUAGES]}
        if rest := ranked[LANGUAGES:]:
            bins = np.sum([self._bins[lang] for lang in rest], axis=0)
            shown[OTHERS] = (sum(self._documents[lang] for lang in rest), bins)
        return {
            lang: {
                "documents": documents,
                "signals": {name: _facts(name, row) for name, row in zip(self._names, table, strict=True) if row.any()},
            }
            for lang, (documents, table) in shown.items()
        }


def _facts(name: str, bins: Array) -> dict[str, Any]:
    total = int(bins.sum())
    places = np.searchsorted(np.cumsum(bins), [max(1, round(share * total)) for share in QUANTILES])
    quantiles = {f"{share:g}": float(f"{MIDDLES[at]:.3g}") for share, at in zip(QUANTILES, places, strict=True)}
    return {"documents": total, "quantiles": quantiles, "histogram": _histogram(name, bins)}


def _histogram(name: str, bins: Array) -> dict[str, list[Any]]:
    """`edges` and the documents between one edge and the next."""
    used = np.flatnonzero(bins)
    if name.endswith("_share"):
        edges = SHARES
    else:
        low, high = (int(np.floor(np.log2(MIDDLES[at]))) if at else LOWEST for at in (used[0], used[-1]))
        edges = np.concatenate([[0.0] if used[0] == 0 else [], 2.0 ** np.arange(max(low, -4), high + 2)])
    found, _ = np.histogram(np.clip(MIDDLES[used], edges[0], edges[-1]), edges, weights=bins[used])
    return {"edges": [float(f"{edge:.4g}") for edge in edges], "documents": found.astype(int).tolist()}
