"""Every distribution installed for the running interpreter, as a repository with its version and licence.

Files come from the distribution's own list (RECORD), so each belongs to exactly one repository. smallcoder itself is
left out: it holds the reference solutions of its drills, and a model of it would change with every commit.
Distributions without a file list (some of an operating system's own) cannot be attributed and are left out.
"""

from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from importlib.metadata import Distribution, PackageMetadata, distributions

from smallcoder.core.stage import Size
from smallcoder.data.licenses import package_license
from smallcoder.data.read.config import Config, Row
from smallcoder.data.read.files import SourceFile, loaded, measured, unwanted

NAME = "python:site-packages"


def parts(source: str) -> list[str]:
    """One: they are read together."""
    return [source]


def batches(source: str, parts: Iterable[str], config: Config) -> Iterator[list[Row]]:
    """Rows of their source files, distribution by distribution, in the order of their paths."""
    return loaded(_files(config, license_of), config)


def expect(source: str, config: Config) -> Size:
    """Number and bytes of the files to be opened."""
    return measured(_files(config, lambda _: None))


def outside(source: str) -> dict[str, str]:
    """Name -> version of every distribution that is read."""
    return {distribution.metadata["Name"]: distribution.version for distribution in installed()}


def installed() -> list[Distribution]:
    """The distributions that can be imported, the first of each name on the path, in the order of their names."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name and name != __name__.partition(".")[0]:
            found.setdefault(name.lower().replace("_", "-"), distribution)
    return [found[name] for name in sorted(found)]


def _files(config: Config, license_of: Callable[[Distribution], str | None]) -> Iterator[SourceFile]:
    skip = frozenset(config.skip)
    for distribution in installed():
        listed = [file.as_posix() for file in distribution.files or () if file.name.endswith(config.extensions)]
        if not listed:
            continue
        name, version, license = distribution.metadata["Name"], distribution.version, license_of(distribution)
        for path in sorted(listed):
            if not path.startswith(("..", "/")):  # scripts and headers outside the packages
                yield SourceFile(
                    str(distribution.locate_file(path)), name, version, path, license, NAME, unwanted(path, skip)
                )


def license_of(distribution: Distribution) -> str | None:
    """Its SPDX expression, None where the metadata does not settle it."""
    names = distribution.metadata.get_all("License-File") or ()
    # Their place inside the metadata folder depends on the version of the metadata.
    texts = (distribution.read_text(f"licenses/{name}") or distribution.read_text(name) or "" for name in names)
    return license_of_metadata(distribution.metadata, texts)


def license_of_metadata(metadata: Message | PackageMetadata, texts: Iterable[str]) -> str | None:
    """The SPDX expression that core metadata (METADATA, PKG-INFO) and the texts of its licence files give."""
    words = [
        str(value).rpartition(" :: ")[2] for value in metadata.get_all("Classifier") or () if value[:7] == "License"
    ]
    expression, name = (next(iter(metadata.get_all(field) or ()), None) for field in ("License-Expression", "License"))
    return package_license(expression, name, words, texts)
