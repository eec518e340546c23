"""Import graph and order: MB of source per CPU-second and memory, stretches against whole texts, and against peers.

    python perf/graph.py FOLDER... [--grimp PACKAGE] [--npm WORK]

Each FOLDER holds repositories, one a subfolder: an environment's site-packages, a node_modules, the sources of a
language's own library. They are taken one by one, read, then graphed and ordered; reading does not count. Of every
tenth file the imports found in the stretches that are parsed are compared with those of the whole text, by language,
and both are timed.

--grimp: the graph of an installed package (sympy by default, where grimp is installed) from its files on disk, by us
and by grimp, which knows Python alone and whose parser is compiled; three times in turn, the best counts.
--npm: installs madge, dependency-cruiser, typescript and the sources of `effect` into the folder WORK by npm, and runs
both on these TypeScript files; their time includes starting node, which is shown apart.
"""

import argparse
import json
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from smallcoder.core.usage import PeakMemory
from smallcoder.data.language import HEAD, programming_language
from smallcoder.data.syntax import LARGEST, parser, unreadable
from smallcoder.repos.files import File, Files
from smallcoder.repos.graph import graph, parse
from smallcoder.repos.languages import language
from smallcoder.repos.order import order

EVERY = 10  # of so many files one is parsed whole as well
TOOLS = ("madge@8", "dependency-cruiser@17", "typescript@5")
SOURCES = "effect"  # an npm package that ships its TypeScript in src/


def load(folder: Path, inside: Path) -> Files:
    """The text files of a folder whose language is known, by their paths seen from `inside`."""
    rows: list[tuple[str, File]] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(inside).as_posix()
        if path.is_symlink() or not path.is_file() or "/node_modules/" in name:
            continue
        text = path.read_bytes()
        if lang := programming_language(name, text[:HEAD].decode("utf-8", "replace")):
            rows.append((name, File(lang, text)))
    return Files(rows)


def repositories(folders: list[Path]) -> Iterator[Files]:
    for folder in folders:
        for repository in sorted(folder.iterdir()):
            if repository.is_dir() and not repository.name.startswith((".", "__")):
                yield load(repository, folder)


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


class Comparison:
    """By language: the bytes of the files compared, what stretches and whole texts cost, in how many they differ."""

    def __init__(self) -> None:
        self.seen = 0
        self.rows: dict[str, Counter[str]] = {}

    def add(self, files: Files) -> None:
        for path, file in files.items():
            speaker = language(file.lang)
            if speaker is None or unreadable(file.text):
                continue
            self.seen += 1
            if self.seen % EVERY:
                continue
            reader = parser(speaker.grammar(path, file.lang or ""))
            start = time.process_time()
            part = parse(speaker, path, file.lang or "", file.text)
            middle = time.process_time()
            whole = speaker.parse(reader.parse(file.text).root_node, file.text)
            end = time.process_time()
            row = self.rows.setdefault(file.lang or "", Counter())
            row.update(files=1, bytes=len(file.text), differ=part != whole)
            row.update({"part": middle - start, "whole": end - middle})  # pyright: ignore[reportCallIssue, reportArgumentType]

    def show(self) -> None:
        print(f"one file of {EVERY}, only where it has imports and whole; MB per CPU-second")
        for lang, row in sorted(self.rows.items()):
            speed = {way: row["bytes"] / 1e6 / max(row[way], 1e-9) for way in ("part", "whole")}
            print(
                f"  {lang:<12} {row['files']:>6} files {row['bytes'] / 1e6:8.1f} MB   "
                f"parts {speed['part']:6.1f}   whole {speed['whole']:6.1f}   different {row['differ']}"
            )


def corpus(folders: list[Path]) -> None:
    counts: Counter[str] = Counter()
    spent = {"graph": 0.0, "order": 0.0}
    compared, largest, size, edges = Comparison(), 0, 0, 0
    graph(Files([("a.py", File("python", b"import b\n"))]))  # what is loaded once
    with PeakMemory() as peak:
        for files in repositories(folders):
            known = sum(len(file.text) for file in files.values() if language(file.lang) and len(file.text) <= LARGEST)
            start = time.process_time()
            made = graph(files)
            middle = time.process_time()
            order(made.imports)
            spent["order"] += time.process_time() - middle
            spent["graph"] += middle - start
            counts.update(made.counts, repositories=1, files=len(files))
            edges += sum(map(len, made.imports.values()))
            largest, size = max(largest, sum(len(file.text) for file in files.values())), size + known
    for files in repositories(folders):
        compared.add(files)
    total = sum(spent.values())
    print(f"{size / 1e6:.0f} MB of source in {counts['repositories']} repositories, {counts['files']} files")
    speed = size / 1e6 / max(total, 1e-9)
    print(f"  graph {spent['graph']:.1f} s, order {spent['order']:.2f} s: {speed:.1f} MB per CPU-second")
    print(f"  peak memory {peak.bytes / 1e6:.0f} MB; the largest repository has {largest / 1e6:.0f} MB")
    names = ("found", "outside", "missing", "dynamic")
    print("  imports: " + ", ".join(f"{name} {counts[name]}" for name in names) + f"; {edges} edges between files")
    print(f"  files over {LARGEST} bytes: {counts['large']}")
    compared.show()


def against_grimp(package: str) -> None:
    import grimp  # noqa: PLC0415

    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    rows = [(path, folder.parent) for path in sorted(folder.rglob("*.py"))]

    def ours() -> Counter[str]:
        files = Files((path.relative_to(top).as_posix(), File("python", path.read_bytes())) for path, top in rows)
        return graph(files).counts

    times = [(seconds(ours), seconds(lambda: grimp.build_graph(package, cache_dir=None))) for _ in range(3)]
    us, peer = (min(side) for side in zip(*times, strict=True))
    size = sum(path.stat().st_size for path, _ in rows) / 1e6
    print(f"{package}, {len(rows)} files, {size:.1f} MB, from disk to graph, the best of three, CPU-seconds:")
    print(f"  ours {us:.2f}, grimp {peer:.2f}: {peer / us:.2f} times ours")


def against_npm(work: Path) -> None:
    npm = shutil.which("npm")
    install = [npm or "", "install", "--prefix", str(work), "--no-audit", "--no-fund", "--ignore-scripts"]
    work.mkdir(parents=True, exist_ok=True)
    if npm is None or subprocess.run([*install, *TOOLS, SOURCES], capture_output=True, check=False).returncode:
        print("npm is not installed, or has no network: madge and dependency-cruiser are left out")
        return
    shutil.rmtree(work / "project", ignore_errors=True)
    shutil.copytree(work / "node_modules" / SOURCES / "src", work / "project" / "src")
    options = {"module": "esnext", "moduleResolution": "bundler", "allowImportingTsExtensions": True}
    (work / "project" / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    files = load(work / "project", work / "project")
    us = min(seconds(lambda: graph(load(work / "project", work / "project"))) for _ in range(3))
    edges = sum(map(len, graph(files).imports.values()))
    size = sum(len(file.text) for file in files.values()) / 1e6
    print(f"{SOURCES}, {len(files)} files, {size:.1f} MB: ours {us:.2f} s of CPU, {edges} edges")
    config = ["--ts-config", "tsconfig.json"]
    for tool, arguments in {
        "madge": [*config, "--extensions", "ts,tsx,js", "--json", "src"],
        "depcruise": ["--no-config", *config, "--ts-pre-compilation-deps", "--output-type", "json", "src"],
    }.items():
        command = str(work / "node_modules" / ".bin" / tool)
        begin = child([command, "--version"], work)[0]
        spent, answer = child([command, *arguments], work / "project")
        if tool == "madge":
            found = sum(map(len, answer.values()))
        else:
            found = sum(not to["couldNotResolve"] for module in answer["modules"] for to in module["dependencies"])
        print(f"  {tool} {spent:.2f} s ({begin:.2f} of it to start), {found} edges, {spent / us:.1f} times ours")


def child(command: list[str], folder: Path) -> tuple[float, dict]:
    """The CPU-seconds of a command, and the JSON it prints, if it is an object."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with TemporaryFile() as output:  # a pipe would lose what node has not written when it ends
        subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.DEVNULL, check=False)
        output.seek(0)
        answer = output.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, json.loads(answer) if answer.lstrip().startswith(b"{") else {}


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("folders", nargs="+", type=Path)
    options.add_argument("--grimp", default="sympy", metavar="PACKAGE")
    options.add_argument("--npm", type=Path, metavar="WORK")
    chosen = options.parse_args()
    corpus(chosen.folders)
    if find_spec("grimp") and find_spec(chosen.grimp):
        against_grimp(chosen.grimp)
    if chosen.npm:
        against_npm(chosen.npm)


if __name__ == "__main__":
    main()
