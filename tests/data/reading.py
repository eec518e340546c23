"""What the tests of reading share: the rows of a source without a stage around them."""

from typing import Any

import pyarrow as pa

from smallcoder.core.records import DOCUMENT
from smallcoder.data.read.stage import Config, kind

CODE = "def f(x):\n    return x\n"


def rows_of(source: str, **settings: Any) -> list[tuple[dict[str, Any], str | None]]:
    """The full DOCUMENT rows of a source and their reasons; fails where a row could not be written."""
    module, config = kind(source), Config(paths=[source], **settings)
    found = [row for batch in module.batches(source, module.parts(source), config) for row in batch]
    written = pa.RecordBatch.from_pylist([row for row, _ in found], schema=DOCUMENT)
    written.validate(full=True)
    return list(zip(written.to_pylist(), (reason for _, reason in found), strict=True))


def reasons_of(source: str, **settings: Any) -> dict[str, str | None]:
    """Path -> reason."""
    return {row["path"]: reason for row, reason in rows_of(source, **settings)}
