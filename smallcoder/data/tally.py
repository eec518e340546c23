"""Repositories, licences and bytes of a table: what the report says went in, and what `split` decides by."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

TOP = 50


class Tally:
    """Counts documents and UTF-8 bytes by repository and by licence. A document without a repository counts apart."""

    def __init__(self) -> None:
        self.records: Counter[str | None] = Counter()
        self.bytes: Counter[str | None] = Counter()
        self._about: dict[str | None, dict[str, str | None]] = {}
        self._licenses: dict[str, Counter[str]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a DOCUMENT batch."""
        sizes = pc.call_function("binary_length", [batch.column("text")]).to_pylist()
        columns = (batch.column(name).to_pylist() for name in ("repo", "revision", "license"))
        for repo, revision, license, size in zip(*columns, sizes, strict=True):
            self.records[repo] += 1
            self.bytes[repo] += size or 0
            self._about.setdefault(repo, {"revision": revision, "license": license})
            counts = self._licenses.setdefault(license or "unknown", Counter())
            counts.update(records=1, bytes=size or 0)

    def facts(self) -> dict[str, Any]:
        """`repositories`, `records`, `bytes`, `licenses` by expression, and the `top` repositories by bytes."""
        ranked = sorted((repo for repo in self.bytes if repo), key=lambda repo: (-self.bytes[repo], repo))
        top = [
            {"repo": repo, **self._about[repo], "records": self.records[repo], "bytes": self.bytes[repo]}
            for repo in ranked[:TOP]
        ]
        return {
            "repositories": len(ranked),
            "records": self.records.total(),
            "bytes": self.bytes.total(),
            "without_repository": self.records[None],
            "licenses": {name: dict(self._licenses[name]) for name in sorted(self._licenses)},
            "top": top,
        }
