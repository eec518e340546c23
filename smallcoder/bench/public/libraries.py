"""Benchmarks of code that uses libraries: DS-1000, BigCodeBench, PandasEval.

Lai et al., arXiv 2211.11501; Zhuo et al., arXiv 2406.15877; Zan et al., arXiv 2206.06888.

What such an answer makes (frames, plots, files) is no plain data, and the tests look at it with the same libraries:
answer and tests are one program ("one process"), which leaves a secret in the file `mark` where it reached the end of
its tests. The secret is in no file, environment or variable before that: the program reads it, as earlier the answer
and the tests, from what was its standard input. An answer that exits early, or reads the program's file or standard
input, learns nothing. Not held is one that reads all its descriptors in search of the secret, or meddles with its
tests: with numpy's or unittest's assertions, with the frames above it, or with objects that equal everything.

An answer to DS-1000 is what stands in the place of its gap, to the others a whole program. Rules: of DS-1000,
`test_execution` and, where there is one, `test_string`; of BigCodeBench, every test of its TestCases; of PandasEval,
`check`.
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows

LANGUAGE = "python_libraries"
# Where a library is not called as its package is.
PACKAGES = {
    "Crypto": "pycryptodome", "Levenshtein": "python-Levenshtein", "PIL": "pillow", "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "docx": "python-docx", "flask_mail": "Flask-Mail",
    "mpl_toolkits": "matplotlib", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "PyYAML",
}  # fmt: skip
PROGRAM = """
def main():
    import json, os, sys, types
    opened, read, write, leave, place = os.open, os.read, os.write, os._exit, os.path.abspath("mark")
    given = os.dup(0)
    source, has_cases = json.loads(read(given, os.fstat(given).st_size - 32))
    os.dup2(opened(os.devnull, os.O_RDONLY), 0)
    module = sys.modules["__test__"] = types.ModuleType("__test__")
    module.__file__ = "__test__.py"
    if has_cases:
        vars(module).update(os=os, sys=sys, environ=os.environ)
    exec(compile(source, "__test__.py", "exec"), vars(module))
    if has_cases:
        import unittest
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(module.TestCases).run(result)
        for _, said in result.errors + result.failures + result.skipped:
            raise SystemExit(said)
        if not result.testsRun:
            raise SystemExit("no tests")
    write(opened(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), read(given, 32))
    leave(0)
main()
"""
_LACKING = """
import importlib.util
with open("mark", "w") as mark:
    print(*(name for name in {} if not importlib.util.find_spec(name)), file=mark)
"""


def load_ds1000(folder: Path) -> Iterator[Problem]:
    """DS-1000; the split is the library."""
    for row in rows(folder / "ds1000.jsonl"):
        about = row["metadata"]
        yield problem(
            "ds-1000",
            about["library"].lower(),
            about["problem_id"],
            row["prompt"],
            reference=row["reference_code"],
            tests={"context": row["code_context"]},
            perturbation=about["perturbation_type"],
        )


def load_bigcodebench(folder: Path) -> Iterator[Problem]:
    """BigCodeBench, its complete form; `meta.instruction` is the other one."""
    for row in rows(folder / "BigCodeBench.jsonl"):
        yield problem(
            "bigcodebench",
            "test",
            row["task_id"],
            row["complete_prompt"],
            entry_point=row["entry_point"],
            reference=row["complete_prompt"] + row["canonical_solution"],
            tests={"unittest": row["test"]},
            instruction=row["instruct_prompt"],
            libraries=row["libs"],
        )


def load_pandaseval(folder: Path) -> Iterator[Problem]:
    """PandasEval; the first of its solutions is the reference."""
    for row in rows(folder / "PandasEval.jsonl"):
        solutions = row["canonical_solution"]
        yield problem(
            "pandaseval",
            "test",
            row["task_id"],
            row["prompt"],
            entry_point=row["entry_point"],
            reference=row["prompt"] + solutions[0],
            tests={"check": row["test"]},
            others=solutions[1:],
        )


def given(problem: Problem, code: str) -> str:
    """What PROGRAM reads from standard input, before the secret: an answer with its tests."""
    tests = json.loads(problem.tests)
    if "context" in tests:
        source = f"{tests['context']}\ncode = {code!r}\ntest_execution(code)\n"
        source += "test_string(code)\n" if "def test_string(" in tests["context"] else ""
    elif "unittest" in tests:
        source = f"{code}\n{tests['unittest']}\n"
    else:
        entry = "" if problem.entry_point == "none" else problem.entry_point
        source = f"{code}\n{tests['check']}\ncheck({entry})\n"
    return json.dumps([source, "unittest" in tests])


def lacking(problem: Problem) -> str:
    """A program that leaves in the file `mark` which libraries are not there of those that tests and reference import.

    A reference may import more than every answer needs: what its author had is what an answer may expect.
    """
    used = imported(problem.reference).union(*map(imported, json.loads(problem.tests).values()))
    return _LACKING.format(sorted(used - sys.stdlib_module_names))


def imported(source: str) -> set[str]:
    """The modules that a source text imports, also within strings that are source texts; none where it is none."""
    try:
        tree = ast.parse(source.replace("[insert]", "pass"))
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found.update(one.name.partition(".")[0] for one in names)
            case ast.ImportFrom(module=str(name), level=0):
                found.add(name.partition(".")[0])
            case ast.Constant(value=str(text)) if "import " in text:
                found |= imported(text)
    return found
