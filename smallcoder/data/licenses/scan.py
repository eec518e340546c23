"""What only scancode can tell of a licence text, kept on disk so that each text is scanned once.

scancode-toolkit-mini (extra `licences`, 576 MB) compares a text with 40,000 licence texts and notices. It runs in this
process: its index takes 4 CPU-seconds and 1.3 GiB of memory from the first text on, a text a fifth of a second. So it
is for LICENSE files only, and only where phrases settle nothing. Answers are files named by the text's hash under
`$XDG_CACHE_HOME/smallcoder/licences/VERSION` (`~/.cache` without that variable); one that cannot be written or read is
done without. Without the extra, every answer is None.
"""

import os
import warnings
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from smallcoder.data.licenses.expressions import all_of, normal_form

PACKAGE = "scancode-toolkit-mini"
REMEDY = "pip install 'smallcoder[licences]'"
# Matches that say only that there is something about licences here.
EMPTY = {"LicenseRef-scancode-unknown-license-reference", "LicenseRef-scancode-unknown-spdx"}
UNKNOWN = {"LicenseRef-scancode-unknown", "LicenseRef-scancode-free-unknown"}


@cache
def scanner() -> str | None:
    """Name and version of the scanner that `scan` uses, None where none is installed."""
    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        return None


def scan(text: str) -> str | None:
    """Every licence found in a text, joined by AND; None for nothing, for what scancode is unsure of, or without it."""
    name = scanner()
    if name is None or not text.strip():
        return None
    answer = _folder(name) / blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    with suppress(OSError, UnicodeDecodeError):
        kept = answer.read_text(encoding="utf-8")
        if not kept or normal_form(kept) == kept:
            return kept or None
    found = _detect(text)
    with suppress(OSError):
        answer.parent.mkdir(parents=True, exist_ok=True)
        partial = answer.with_name(f"{answer.name}.{os.getpid()}")
        partial.write_text(found or "", encoding="utf-8")
        partial.replace(answer)
    return found


def _folder(name: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "smallcoder", "licences", name.replace(" ", "-"))


def _detect(text: str) -> str | None:
    _load()
    from licensedcode.cache import build_spdx_license_expression, get_licensing  # pyright: ignore[reportMissingImports]
    from licensedcode.detection import detect_licenses  # pyright: ignore[reportMissingImports]

    found: set[str] = set()
    for detection in detect_licenses(query_string=text):
        if detection.license_expression:  # without one it is a clue, no licence
            found.add(str(build_spdx_license_expression(detection.license_expression, licensing=get_licensing())))
    found -= EMPTY
    return None if any(word in license for license in found for word in UNKNOWN) else all_of(found)


@cache
def _load() -> None:
    """Import scancode without its warning about libmagic, which is not used here, and its empty temporary folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import licensedcode.detection  # noqa: F401  # pyright: ignore[reportMissingImports]
        import scancode_config  # pyright: ignore[reportMissingImports]
    with suppress(OSError):
        Path(scancode_config.scancode_temp_dir).rmdir()
