"""The manifest: what a finished stage folder was made from, what it holds, and what making it cost.

A folder `NAME` with a manifest is complete. It is built as `NAME.partial`, the manifest is written last, and the
folder is renamed; every step is synced to disk, so a kill or a power cut leaves either the old state or the new one.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from hashlib import blake2b, file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

from smallcoder.core.errors import InputError, LockedError
from smallcoder.core.tables import folder_digest

MANIFEST = "manifest.json"
IDENTITY = "identity.json"
STATE = "state"  # where a resumable stage keeps what it needs to go on; dropped when the stage is finished


@dataclass(frozen=True)
class Manifest:
    """`identity` decides whether the folder is still wanted; `outputs` maps each entry of the folder to its digest."""

    stage: str
    use: str
    identity: dict[str, Any]  # use, version, config (without run-only fields), inputs: role -> digest
    outputs: dict[str, str]
    facts: dict[str, Any]
    outside: dict[str, str]  # versions of what was read from outside the run, such as installed distributions
    config: dict[str, Any]  # all settings, run-only ones too
    inputs: dict[str, str]  # role -> "stage/folder"
    environment: dict[str, str]
    seconds: float
    peak_memory_bytes: int


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a finished folder, None where the stage is not finished. Raises InputError if damaged."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error})", "make the stage again with --rebuild") from None


def write_json(path: Path, data: Any) -> None:
    """Write JSON so that the file is either whole or absent, and on disk when this returns."""
    partial = path.with_name(path.name + ".tmp")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1, ensure_ascii=False, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the entries of a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def commit(partial: Path, final: Path, manifest: Manifest) -> None:
    """Write the manifest into `partial` and put it in the place of `final`, which may hold a stale result."""
    for path in partial.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    write_json(partial / MANIFEST, asdict(manifest))
    settle(partial, final)


def settle(partial: Path, final: Path) -> None:
    """Rename a finished `partial` to `final`. Safe to repeat after a kill at any point of itself."""
    shutil.rmtree(partial / STATE, ignore_errors=True)
    (partial / IDENTITY).unlink(missing_ok=True)
    stale = final.with_name(final.name + ".stale")
    if final.exists():
        shutil.rmtree(stale, ignore_errors=True)
        final.rename(stale)
    partial.rename(final)
    sync(final.parent)
    shutil.rmtree(stale, ignore_errors=True)


def digests(folder: Path) -> dict[str, str]:
    """Digest of every entry of a stage folder: of the rows for a table, of the bytes for anything else."""
    skip = {MANIFEST, IDENTITY, STATE}
    return {path.name: _digest(path) for path in sorted(folder.iterdir()) if path.name not in skip}


def _digest(path: Path) -> str:
    if path.is_dir() and any(path.glob("*.parquet")):
        return folder_digest(path)
    digest = blake2b(digest_size=16)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        digest.update(f"{file.relative_to(path.parent).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as data:
            file_digest(data, lambda: digest)
    return digest.hexdigest()


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Where two identities differ, one "field: old -> new" a leaf, in the order of the fields."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in [*new, *(key for key in old if key not in new)]:
            found += differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else str(key))
        return found
    return [] if old == new else [f"{prefix}: {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. The kernel lets go when the process ends, however it ends.

    Raises LockedError if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LockedError(
                f"{folder} is in use by process {holder}", "wait for it, or run into another --runs folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def environment() -> dict[str, str]:
    """Versions that can matter to a result, and the git revision of the code where it has one."""
    packages = ("smallcoder", "torch", "numpy", "pyarrow", "numba", "tokenizers")
    found = {"python": platform.python_version(), "platform": platform.platform(), "argv": " ".join(sys.argv[1:])}
    for name in packages:
        found[name] = version(name)
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        found["git"] = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        found["git"] = ""
    return found
