"""Decontamination: what it finds of planted cases, what it finds in clean code, and how fast, beside a plain search.

    python perf/decontaminate.py BENCHMARKS [FOLDER ...]

BENCHMARKS is a folder of published benchmark files (smallcoder/bench/public); folders hold Python files, the standard
library and the installed distributions without one. The first table plants HumanEval and MBPP; clean texts are single
functions of these files and the files as they are. Speed is of the whole stage against all benchmarks, parquet to
parquet, in MB of text per CPU-second of the process. The peer is the core of every n-gram decontaminator: a set of the
problems' 13-grams of words, asked for each of the document's; it finds no more than copied prose, and runs on a sample.
"""

import ast
import re
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.public import stage as benchmarks
from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.tables import TableWriter, read_batches
from smallcoder.data import decontaminate
from smallcoder.data.decontaminate.measure import measure
from smallcoder.data.decontaminate.passages import Problem, read, views
from smallcoder.data.engine import run_filter

PLANTED = {"humaneval/test", "mbpp/full"}
FUNCTIONS, SAMPLE, CHUNK = 5000, 40, 500
WORDS = re.compile(r"\w+")


def main(folder: str, sources: list[str]) -> None:
    sources = sources or [sysconfig.get_paths()[name] for name in ("stdlib", "purelib")]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        benchmarks.run(benchmarks.Config(folder=folder), {}, root)
        problems = read(root / "problems")
        texts = _texts(sources, root / "documents")
        planted = [problem for problem in problems if f"{problem.benchmark}/{problem.split}" in PLANTED]
        _quality(planted, texts)
        _speed(problems, texts, root)


def _texts(sources: list[str], table: Path) -> list[str]:
    """All Python files, once each, also written as a table of documents."""
    paths = sorted({path for source in sources for path in Path(source).rglob("*.py") if path.is_file()})
    texts = dict.fromkeys(path.read_text(encoding="utf-8", errors="replace") for path in paths)
    with TableWriter(table, DOCUMENT) as writer:
        rows = [dict.fromkeys(DOCUMENT.names) | {"id": record_id(t), "text": t, "lang": "python"} for t in texts]
        for start in range(0, len(rows), CHUNK):
            writer.write_rows(rows[start : start + CHUNK])
    return list(texts)


def _functions(texts: list[str]) -> Iterator[str]:
    """Every distinct function of 2 to 30 lines."""
    seen: set[str] = set()
    for text in texts:
        try:
            nodes = ast.walk(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError):
            continue
        lines = text.split("\n")
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and 1 < (node.end_lineno or 0) - node.lineno < 30:
                code = "\n".join(line[node.col_offset :] for line in lines[node.lineno - 1 : node.end_lineno]) + "\n"
                if code not in seen:
                    seen.add(code)
                    yield code


def _quality(planted: list[Problem], texts: list[str]) -> None:
    functions = [
        code for code, _ in zip(_functions(texts[:: max(1, len(texts) // 800)]), range(FUNCTIONS), strict=False)
    ]
    host = max(texts[:200], key=len)
    scores = measure(planted, functions, host)
    print(f"| {len(planted)} problems planted as | cases | found | recall | precision | F1 |")
    print("|---|---|---|---|---|---|")
    for score in scores:
        values = f"{score.recall:.4f} | {score.precision:.4f} | {score.f1:.4f}"
        print(f"| {score.kind} | {score.cases} | {score.found} | {values} |")
    print(f"clean functions: {scores[0].false} of {scores[0].clean} hit")


def _speed(problems: list[Problem], texts: list[str], root: Path) -> None:
    size = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6
    views(problems[:100])  # loads the compiled code
    start = time.process_time()
    views(problems)
    index = time.process_time() - start
    inputs = {"documents": root / "documents", "problems": root / "problems"}
    (root / "out").mkdir()
    start = time.process_time()
    facts = run_filter(decontaminate, decontaminate.Config(), inputs, root / "out")
    seconds = time.process_time() - start
    print(f"\n{len(problems)} problems, {facts['problem_grams']} n-grams, indexed in {index:.1f} s")
    print(
        f"{len(texts)} files, {size:.0f} MB in {seconds:.1f} CPU s with indexing: {size / seconds:.1f} MB/CPU s;",
        end=" ",
    )
    ours = size / (seconds - index)
    print(f"without: {ours:.1f}")
    print(f"dropped: {facts['dropped']}; {facts['documents_by_how']}; {facts['documents_by_benchmark']}")
    found = {hit["document"]: hit for batch in read_batches(root / "out" / "hits") for hit in batch.to_pylist()}
    for name, hit in list(found.items())[:40]:
        text = next(text for text in texts if record_id(text) == name)
        print(f"  {hit['problem']} {hit['how']} {hit['overlap']:.2f} in {text[:60]!r}")
    start = time.process_time()
    few = texts[::SAMPLE]
    plain = _plain({gram for problem in problems for gram in _grams(problem.prompt)}, few)
    theirs = sum(len(text) for text in few) / 1e6 / (time.process_time() - start)
    print(f"plain 13-grams: {theirs:.1f} MB/CPU s ({plain} of {len(few)} files hit); ratio {ours / theirs:.1f}")


def _plain(wanted: set[tuple[str, ...]], texts: list[str]) -> int:
    return sum(1 for text in texts if any(gram in wanted for gram in _grams(text)))


def _grams(text: str) -> Iterator[tuple[str, ...]]:
    words = WORDS.findall(text.lower())
    return zip(*(words[at:] for at in range(13)), strict=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
