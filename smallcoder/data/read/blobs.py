"""Contents that a table only names: gzip blobs in a folder or under a URL, as Software Heritage keeps them.

A data set such as The Stack v2 holds a `blob_id` a row; the blob lies at BASE/blob_id (or BASE/blob_id.gz), gzipped,
in the encoding `src_encoding`. Blobs come through fsspec, so BASE may be `s3://softwareheritage/content`, several at a
time. A blob never takes more memory than twice the largest document. Reasons to drop: `blob_missing`,
`blob_damaged` (no gzip, or cut short), `too_large`. Any other failure to fetch one is an error, since a second run
would give another table. It does not check that contents hash to their id, and caches nothing.
"""

import gzip
import io
import re
import zlib
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from smallcoder.core.errors import InputError
from smallcoder.data.read.places import patiently, storage

IN_FLIGHT = 16  # fetches wait for the network, not for a core
ID = re.compile(r"[0-9a-fA-F]{8,128}")  # a hash: it can name nothing outside the base
SLACK = 1 << 16  # more than what gzip adds to data that it cannot compress


@dataclass(frozen=True)
class Blobs:
    """Where blobs lie: a file system and a folder in it."""

    base: str
    system: Any
    folder: str

    @classmethod
    def at(cls, base: str) -> Self:
        """Raises InputError for a folder of this machine that is not there; a URL is found out by its first blob."""
        from fsspec.core import url_to_fs

        with storage(base):
            system, folder = url_to_fs(base)
            if "file" in system.protocol and not system.isdir(folder):
                raise InputError(f"there is no folder {base} of blobs", "mend `blobs`")
        return cls(base, system, folder.rstrip("/"))

    def fetch(self, blob_id: object, max_bytes: int) -> tuple[bytes, str | None]:
        """The bytes of a blob, or the reason why there are none. Safe to call from several threads."""
        if not isinstance(blob_id, str) or not ID.fullmatch(blob_id):
            return b"", "blob_missing"
        # Incompressible data grows by less than SLACK and a thousandth, so a longer file holds too much.
        packed = self._packed(blob_id, max_bytes + max_bytes // 1000 + SLACK)
        if packed is None:
            return b"", "blob_missing"
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
                data = file.read(max_bytes + 1)
        except (OSError, EOFError, zlib.error):
            return b"", "blob_damaged"
        return (b"", "too_large") if len(data) > max_bytes else (data, None)

    def _packed(self, blob_id: str, limit: int) -> bytes | None:
        for name in (blob_id, f"{blob_id}.gz"):
            with storage(f"{self.base}/{name}"):
                try:
                    return patiently(
                        f"{self.base}/{name}", partial(self.system.cat_file, f"{self.folder}/{name}", 0, limit)
                    )
                except FileNotFoundError:
                    continue
        return None
