"""Code that uses libraries grades as its benchmarks mean it, in one process with its tests, or not at all."""

import json
from collections import Counter
from pathlib import Path

import pytest

from smallcoder.bench.problem import Problem
from smallcoder.bench.public import libraries, stage
from smallcoder.bench.public.grading import Grading
from smallcoder.sandbox import Sandbox

SHARED = Path(__file__).parents[3] / "shared" / "benchmarks"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the public benchmark files are not beside the repository")

CONTEXT = '''
import numpy as np
CONTEXT = r"""
import numpy as np
x = test_input
[insert]
"""
def test_execution(solution: str):
    for wanted in (np.array([2, 3]), np.array([1])):
        space = {"test_input": wanted - 1}
        exec(CONTEXT.replace("[insert]", solution), space)
        assert type(space["result"]) is np.ndarray and np.array_equal(space["result"], wanted)
'''
STRING = "def test_string(solution: str):\n    assert 'for' not in solution\n"
CASES = """
import unittest
import numpy as np
class TestCases(unittest.TestCase):
    def setUp(self):
        self.x = np.arange(3)
    def test_values(self):
        self.assertTrue(np.array_equal(f(self.x), [1, 2, 3]))
    def test_kind(self):
        self.assertIsInstance(f(self.x), np.ndarray)
"""
NUMPY = "import numpy as np\ndef f(x):\n"
CHECK = "def check(candidate):\n    assert (candidate(np.arange(2)) == np.array([1, 2])).all()\n"
FRAME = "def check():\n    assert df.equals(pd.DataFrame({'a': [1, 2]}))\n"
PANDAS = "import pandas as pd\ndf = pd.DataFrame({'a': [0, 1]})\n"
EXITS = ("import os; os._exit(0)", "import sys; sys.exit(0)", "raise SystemExit(0)")
SKIPS = "import unittest; raise unittest.SkipTest('')"
FORMS = {  # name: (benchmark, tests, entry point, start, right end, wrong ends)
    "ds-1000": ("ds-1000", {"context": CONTEXT}, "", "", "result = x + 1", ("result = x", "result = [2, 3]", *EXITS)),
    "ds-1000 string": (
        "ds-1000", {"context": CONTEXT + STRING}, "", "", "result = x + 1", ("result = np.array([i + 1 for i in x])",),
    ),
    "bigcodebench": (
        "bigcodebench", {"unittest": CASES}, "f", NUMPY, "    return x + 1",
        ("    return x", "    return list(x + 1)", f"    {SKIPS}", *(f"    {one}" for one in EXITS)),
    ),
    "pandaseval": (
        "pandaseval", {"check": CHECK}, "f", NUMPY, "    return x + 1",
        ("    return x", *(f"    {one}" for one in EXITS)),
    ),
    "pandaseval script": ("pandaseval", {"check": FRAME}, "none", PANDAS, "df['a'] += 1", ("df['a'] += 2", *EXITS)),
}  # fmt: skip
# Forgers stand before the right or the wrong code, at the place where that begins to run.
FORGERS = (
    "import os\nfor n in range(64):\n    try: os.write(n, b'0' * 32)\n    except OSError: pass\n",
    "import sys\nopen('mark', 'w').write(sys.stdin.read() or open(sys.argv[0]).read()[-32:]); sys.exit(0)\n",
    "import os\nopen('mark', 'w').write(str(os.environ)[:32]); os._exit(0)\n",
    "import sys\nsys.exit = lambda *_: None\n",
    "import atexit, os\natexit.register(os._exit, 0)\n",
)


@pytest.fixture(scope="module")
def grading():
    with Sandbox(2, languages=(libraries.LANGUAGE,)) as sandbox:
        yield Grading(sandbox)


def problem(benchmark, tests, entry_point="", reference=""):
    name = f"{benchmark}/{hash(str(tests))}"
    return Problem(name, benchmark, "test", "", entry_point, reference, json.dumps(tests), {"lang": "python"})


@pytest.mark.parametrize("form", FORMS)
def test_forms(grading, form):
    benchmark, tests, entry, start, right, wrongs = FORMS[form]
    task = problem(benchmark, tests, entry, start + right)
    wrongs = [start + wrong for wrong in wrongs] + [forger + start + wrongs[0] for forger in FORGERS]
    found = list(grading.grade_many((task, code) for code in (start + right, *wrongs, "", "not a program (")))
    if found[0].status == "infra":
        assert "install " in found[0].reason or "tier" in found[0].reason, found[0]
        pytest.skip(found[0].reason)
    assert [verdict.status for verdict in found] == ["passed", *["failed"] * (len(wrongs) + 2)], found
    assert {verdict.form for verdict in found} == {"one process"}


def test_a_problem_whose_library_is_missing_is_not_scored(grading):
    tests = {"unittest": f"def test():\n    import no_such.part\n{CASES}"}
    verdict = grading.grade(problem("bigcodebench", tests, "f"), "")
    assert verdict.status == "infra"
    if "no_such" not in verdict.reason:
        pytest.skip(verdict.reason)
    assert "(pip install no_such" in verdict.reason, verdict


def test_an_answer_that_imports_what_is_missing_has_failed(grading):
    verdict = grading.grade(
        problem("bigcodebench", {"unittest": CASES}, "f"), f"import no_such\n{NUMPY}    return x + 1"
    )
    if verdict.status == "infra" and "no_such" not in verdict.reason:
        pytest.skip(verdict.reason)
    assert verdict.status == "failed", verdict


def test_what_is_imported():
    source = (
        'import a.b as c, d\ndef f():\n    from e.g import h\n    from .i import j\nx = """\nimport k\n[insert]\n"""'
    )
    assert libraries.imported(source) == {"a", "d", "e", "k"}
    assert libraries.imported("import a (") == libraries.imported("'import a ('") == set()


@needs_data
def test_references(grading):
    """Of each benchmark two. What more of them pass depends on the versions that are installed."""
    tried = []
    for name in ("ds-1000", "bigcodebench", "pandaseval"):
        problems = stage.load(name, SHARED / name)
        tried += problems[2 :: len(problems) - 20]
    found = list(grading.grade_many((one, code) for one in tried for code in (one.reference, "")))
    if all(verdict.status == "infra" for verdict in found):
        pytest.skip(found[0].reason)
    right, idle = found[::2], found[1::2]
    assert Counter(verdict.status for verdict in right)["failed"] == 0, right
    assert {verdict.status for verdict in idle} <= {"failed", "infra"}, idle
