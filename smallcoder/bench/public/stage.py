"""Stage `benchmarks`: reads the published files of public benchmarks into problems/, for `decontaminate`.

`folder` holds one folder for each benchmark, by the names in `LOADERS`, with the files as their authors publish them,
plain or as .gz. It loads and does not grade: `evaluate` cannot use these problems yet. A few seconds for all of them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b, file_digest
from pathlib import Path

from smallcoder.bench.problem import Problem, write_problems
from smallcoder.bench.public import bfcl, cruxeval, cyberseceval, gsm8k, humaneval, libraries, mbpp, spider
from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.progress import Progress
from smallcoder.core.recipe import nearest
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig

LOADERS: dict[str, Callable[[Path], Iterator[Problem]]] = {
    "bfcl": bfcl.load,
    "bigcodebench": libraries.load_bigcodebench,
    "cruxeval": cruxeval.load,
    "cyberseceval": cyberseceval.load,
    "ds-1000": libraries.load_ds1000,
    "gsm8k": gsm8k.load,
    "humaneval": humaneval.load,
    "humaneval-infilling": humaneval.load_infilling,
    "humanevalpack": humaneval.load_pack,
    "humanevalplus": humaneval.load_plus,
    "mbpp": mbpp.load,
    "mbppplus": mbpp.load_plus,
    "mbxp": mbpp.load_mbxp,
    "multipl-e": humaneval.load_multipl_e,
    "pandaseval": libraries.load_pandaseval,
    "spider": spider.load,
}


class Config(StageConfig):
    """Where the benchmarks are, and which to read: all that are there, if none is named."""

    folder: str
    names: tuple[str, ...] = ()


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Write problems/ and count them by benchmark and split. Raises InputError on what is missing or damaged."""
    found: list[Problem] = []
    chosen = _chosen(config)
    with Progress("benchmarks", len(chosen)) as progress:
        for name, folder in chosen.items():
            found += load(name, folder)
            progress.advance()
    write_problems(out / "problems", found)
    counts = Counter(f"{problem.benchmark}/{problem.split}" for problem in found)
    return {"records": len(found), "problems_by_benchmark": dict(sorted(counts.items()))}


def expect(config: Config, inputs: Mapping[str, Size]) -> Size:
    """The files' size on disk; problems are counted by reading them."""
    size = sum(path.stat().st_size for folder in _chosen(config).values() for path in _files(folder))
    return Size(bytes=size, note="compressed")


def outside(config: Config) -> dict[str, str]:
    """A digest of the files of each benchmark that is read."""
    return {name: _digest(folder) for name, folder in _chosen(config).items()}


def load(name: str, folder: Path) -> list[Problem]:
    """The problems of one benchmark. Raises InputError where its files lack a field that they should have."""
    try:
        return list(LOADERS[name](folder))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{folder} is not {name} as it is published ({type(error).__name__}: {str(error)[:80]})",
            "fetch the benchmark's published files again",
        ) from error


def _chosen(config: Config) -> dict[str, Path]:
    root = Path(config.folder).expanduser()
    for name in config.names:
        if name not in LOADERS:
            raise InputError(f"there is no benchmark {name!r}", nearest(name, LOADERS))
        if not (root / name).is_dir():
            raise InputError(f"there is no folder {name} in {config.folder}", "mend `folder` or `names`")
    chosen = {name: root / name for name in LOADERS if name in config.names or not config.names}
    chosen = {name: path for name, path in chosen.items() if path.is_dir()}
    if not chosen:
        raise EmptyError(
            f"{config.folder} holds no benchmark", f"it needs folders such as {', '.join(sorted(LOADERS)[:3])}"
        )
    return chosen


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.json*") if path.is_file())


def _digest(folder: Path) -> str:
    digest = blake2b(digest_size=16)
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            file_digest(file, lambda: digest)
    return digest.hexdigest()
