"""What the sources share: the settings of stage `read` and the form of a row."""

from typing import Any

from pydantic import Field

from smallcoder.core.stage import StageConfig, run_only

Row = tuple[dict[str, Any], str | None]  # fields of a DOCUMENT and the reason to drop it, None for one to keep


class Config(StageConfig):
    """What to read. Sizes are in bytes.

    `extensions` and `skip` choose among files; a table is read whole. `blobs` is the folder or URL that holds the
    contents of tables which name them by `blob_id`.
    """

    paths: list[str] = Field(min_length=1)
    extensions: tuple[str, ...] = (".py",)
    skip: tuple[str, ...] = ()  # names of folders to leave out, such as "tests"
    max_bytes: int = Field(
        default=1 << 20, gt=0
    )  # larger sources are data or generated: none of the standard library is
    blobs: str | None = None
    workers: int = run_only(1, ge=1)
