# ruff: noqa: E501
"""Public benchmarks grade as their authors mean it: references pass, faults do not, and what is expected stays outside."""

import ast
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.bench.problem import Problem
from smallcoder.bench.public import asserts, plus, stage, translated
from smallcoder.bench.public.grading import Grading
from smallcoder.core.errors import InputError
from smallcoder.sandbox import Sandbox

SHARED = Path(__file__).parents[3] / "shared" / "benchmarks"
LANGUAGES = ("bash", "cpp", "csharp", "go", "java", "javascript", "php", "rust", "typescript")
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the public benchmark files are not beside the repository")


@pytest.fixture(scope="module")
def grading():
    with Sandbox(2, languages=LANGUAGES) as sandbox:
        yield Grading(sandbox)


def problem(benchmark, tests, reference="def f(x):\n    return x + 1\n", lang="python", **meta):
    return Problem(
        f"{benchmark}/{hash(str(tests))}",
        benchmark,
        "test",
        "",
        "f",
        reference,
        json.dumps(tests),
        {"lang": lang, **meta},
    )


def cases(source, names=("f",)):
    return asserts.split(ast.parse(source).body, "f", set(names))


def test_what_is_split():
    found = cases(
        "'doc'\nassert f(1, [2]) == {3: (4,)}\nassert 5 == f(x=-1)\nassert f(2) is True\nassert abs(f(3) - 2.0 / 4) < 1e-6\n"
        "assert math.isclose(f(4), 1 + 2, rel_tol=0.01)\nassert f(5), 'message'\nassert not f(6)\nassert set(f(7)) == set([1])\n"
        "assert f(g(8)) == None\nassert True"
    )
    assert found is not None
    assert [(case.call, case.rule, case.expected) for case in found] == [
        ((1, [2]), "equal", {3: (4,)}), ("f(x=-1)", "equal", 5), ((2,), "is", True), ((3,), "near", 0.5),
        ((4,), "close", 3), ("not not (f(5))", "equal", True), ("not not (f(6))", "equal", False),
        ("set(f(7))", "equal", {1}), ("f(g(8))", "equal", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        "for i in range(3):\n    assert f(i) == i", "x = f(1)", "assert f(1) == f(2)", "assert (f(1) == 2) == True",
        "assert isinstance(f(1), int) == True", "assert f(1) == 10 ** 9", "assert len(f(1)) == True", "assert f(1) < 3",
        "assert all([f(1)])", "assert f(1) == open('x')", "assert f(1) is 3", "assert abs(f(1)) < 3", "assert 'a' * 10 == f(1)",
        "assert math.isclose(f(1), 2, tol=3)", "import os", "assert f(1) == 1 == 1",
    ],
)  # fmt: skip
def test_what_is_not_split(source):
    assert cases(source) is None


@given(
    st.recursive(
        st.integers() | st.text() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.tuples(inner),
    )
)
def test_constants_are_what_python_reads(value):
    assert asserts.constant(ast.parse(repr(value), mode="eval").body) == value


def test_expected_values_never_enter_the_sandbox(grading):
    plan = grading.plan(problem("humaneval", {"check": "def check(candidate):\n    assert candidate(1) == 987654"}))
    trial = plan.trial(problem("humaneval", {}), "def f(x): return 2")
    assert "987654" not in repr(trial)


FORMS = {
    "humaneval": {"check": "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(-1) == 0"},
    "humaneval loop": {"check": "def check(g):\n    for i in range(9):\n        assert g(i) == f(i) == i + 1"},
    "mbpp": {"list": ["assert f(1) == 2", "assert f(A) == 3"], "setup": "A = 2", "challenge": []},
    "mbpp odd": {"list": ["import sys\nassert f(1) < 3", "assert f(A) == 3"], "setup": "A = 2", "challenge": []},
    "humanevalplus": {"contract": "", "base": [[1]], "plus": [[2], [10**30]]},
}


@pytest.mark.parametrize("form", FORMS)
def test_python_forms(grading, form):
    task = problem(form.split()[0], FORMS[form], task_id="HumanEval/999", atol=0)
    second = "second jail" if " " in form else "values"
    answers = {
        task.reference: "passed", "def f(x): return x + 1.0": "failed" if "plus" in form else "passed", "def f(x): return x": "failed",
        "def f(x): raise KeyError(x)": "failed", "import os\ndef f(x): os._exit(0)": "failed", "": "failed", "def f(x:": "failed",
        "class I(int): pass\ndef f(x): return I(x + 1)": "passed",
    }  # fmt: skip
    if form == "mbpp odd":
        answers["def f(x):\n  while True: pass"] = "timeout"
    verdicts = list(grading.grade_many((task, code) for code in answers))
    assert [verdict.status for verdict in verdicts] == list(answers.values()), verdicts
    assert {verdict.form for verdict in verdicts} == {second}


def test_rules_of_evalplus():
    def right(name, expected, *values, atol=0.0, args=(1,)):
        return [next(plus.compare(name, [args], [expected], atol))(value) for value in values]

    assert right("f", 1.0, 1.0, 1 + 1e-7, 1 + 1e-5, 1, True, "x", None) == [True, True, False, True, True, False, False]
    assert right("f", [0.5, 0.25], [0.5, 0.2500001], (0.5, 0.25), [0.5], [0.5, 0.3]) == [True, False, False, False]
    assert right("f", 3, 3, 3.0, 4) == [True, True, False]
    assert right("f", 3, 3.00001, 4, atol=1e-4) == [False, False]
    assert right("similar_elements", (1, 2), [2, 1, 1], {1, 2}, [1], 5, [[1]]) == [True, True, False, False, False]
    assert right("check_str", True, True, "match", None, False) == [True, True, False, False]
    assert right("find_zero", None, 2.0, 2.1, "x", None, atol=1e-4, args=([-2.0, 1.0],)) == [True, False, False, False]
    assert not any(right("Diff", [1], [((1 << 61) - 1) * i for i in range(5000)]))


def test_arguments_that_json_cannot_hold():
    assert plus.arguments("mbppplus", "Mbpp/2", [[[1], [2]]]) == [((1,), (2,))]
    assert plus.arguments("mbppplus", "Mbpp/124", [["1", "2j"]]) == [(1.0, 2j)]
    assert plus.arguments("mbppplus", "Mbpp/580", [[[1, [2, [3]]]]]) == [((1, (2, (3,))),)]
    assert plus.arguments("humanevalplus", "HumanEval/2", [[[1]]]) == [([1],)]


PROGRAMS = {  # language: (start, right end, wrong end, tests)
    "cpp": ("#include <assert.h>\nlong f(long x) {\n", "return x + 1;\n", "return x;\n", "}\nint main() {\n  auto candidate = f;\n  assert(candidate(1) == 2);\n}\n"),
    "csharp": (
        "using System;\nusing System.Diagnostics;\nclass Problem {\n  public static long F(long x) {\n", "return x + 1;\n", "return x;\n",
        "  }\n  public static void Main(string[] args) {\n    Debug.Assert(F(1) == 2);\n  }\n}\n",
    ),
    "go": ("package f_test\nimport (\n\"testing\"\n)\nfunc f(x int) int {\n", "return x + 1\n}\n", "return x\n}\n", "func TestF(t *testing.T) {\n  if f(1) != 2 { t.Errorf(\"no\") }\n}\n"),
    "java": ("class Problem {\n  static long f(long x) {\n", "return x + 1;\n", "return x;\n", "  }\n  public static void main(String[] args) {\n    assert(f(1) == 2);\n  }\n}\n"),
    "javascript": ("const f = (x) => {\n", "return x + 1\n}\n", "return x\n}\n", "console.assert(f(1) === 2)\n"),
    "php": ("<?php\nfunction f($x) {\n", "return $x + 1;\n}\n", "exit(0);\n}\n", "if (f(1) !== 2) { throw new Exception('no'); }\n"),
    "rust": ("fn f(x: isize) -> isize {\n", "x + 1\n", "x\n", "}\nfn main() {\n  assert_eq!(f(1), 2);\n}\n"),
    "shell": ("f() {\n", "echo $(($1 + 1))\n", "exit 0\n", "}\nset -e\nrun() {\n  [[ $(f 1) = \"2\" ]]\n}\nrun\n"),
    "typescript": ("function f(x: number): number {\n", "return x + 1\n}\n", "return x\n}\n", "declare var require: any;\nconst assert = require('node:assert');\nassert.deepEqual(f(1), 2);\n"),
}  # fmt: skip


@pytest.mark.parametrize("language", PROGRAMS)
def test_other_languages(grading, language):
    start, right, wrong, tests = PROGRAMS[language]
    task = problem("multipl-e", {"check": tests}, reference=start + right, lang=language)
    leave = {
        "cpp": "__builtin_exit(0);\n",
        "javascript": "process.exit(0)\n}\n",
        "php": "exit(0);\n}\n",
        "java": "System.exit(0); return 0;\n",
    }
    codes = [start + right, start + wrong, start + leave.get(language, wrong), "not a program {"]
    verdicts = list(grading.grade_many((task, code) for code in codes))
    if verdicts[0].status == "infra":
        assert "apt-get install" in verdicts[0].reason or "tier" in verdicts[0].reason
        pytest.skip(verdicts[0].reason)
    assert [verdict.status for verdict in verdicts] == ["passed", "failed", "failed", "failed"], verdicts
    forms = {"cpp": "values", "csharp": "values", "java": "values", "go": "one process", "rust": "one process"}
    assert {verdict.form for verdict in verdicts} == {forms.get(language, "second jail")}


def test_the_brace_that_ends_an_answer_may_be_there_already():
    start, right, _, tests = PROGRAMS["cpp"]
    for code in (start + right, start + right + "}\n"):
        assert translated.program("cpp", code, tests, "s").count("}") == (start + right + tests).count("}") + 1


def test_a_benchmark_without_a_grader(grading):
    with pytest.raises(InputError, match="gsm8k"):
        grading.grade(problem("gsm8k", {"answer": "1"}), "")


def test_an_answer_cannot_define_assertions_in_rust(grading):
    if "rust" in grading._sandbox.missing:
        pytest.skip(grading._sandbox.missing["rust"])
    tests = '}\nfn main() {\n    assert_eq!(f(1), 2);\n    assert!(f(2) != 2, "{}", 1);\n    assert_ne!(f(3), 3);\n}\n'
    task = problem("multipl-e", {"check": tests}, lang="rust")
    right = "use std::collections::HashMap;\nfn f(x: isize) -> isize {\n    x + 1\n"
    own = "macro_rules! assert_eq { ($($t:tt)*) => {} }\nmacro_rules! panic { ($($t:tt)*) => {} }\n"
    tricks = [
        own,
        own.replace("macro_rules", "#[macro_export]\nmacro_rules"),
        "extern crate self as std;\n",
        "type usize = u8;",
    ]
    found = [grading.grade(task, right)]
    found += [
        grading.grade(task, f"{trick}\nfn f(x: isize) -> isize {{\n    x\n")
        for trick in [*tricks, tricks[1] + tricks[2]]
    ]
    assert [verdict.status for verdict in found] == ["passed", *["failed"] * 5], found
    assert {verdict.form for verdict in found} == {"one process"}


def verdicts(grading, name, step=1, **chosen):
    problems = [
        one
        for one in stage.load(name, SHARED / name)
        if one.reference and all(one.meta[k] == v for k, v in chosen.items())
    ]
    problems = problems[::step]
    found = list(grading.grade_many((one, one.reference) for one in problems))
    return Counter(verdict.status for verdict in found), {
        one.id: v for one, v in zip(problems, found, strict=True) if v.status != "passed"
    }


@needs_data
@pytest.mark.parametrize(("name", "count"), [("humaneval", 164)])
def test_references_of_humaneval(grading, name, count):
    assert verdicts(grading, name)[0] == {"passed": count}
    problems = stage.load(name, SHARED / name)
    idle = grading.grade_many((one, f"def {one.entry_point}(*a): pass") for one in problems)
    assert Counter(verdict.status for verdict in idle) == {"failed": count}


@needs_data
@pytest.mark.slow
def test_references_of_the_other_benchmarks(grading):
    for name, count in (
        ("mbpp", 974 + 427),
        ("humaneval-infilling", 1033 + 164),
        ("humanevalplus", 164),
        ("mbppplus", 378),
    ):
        assert verdicts(grading, name) == ({"passed": count}, {}), name
    for lang in ("python", "javascript"):
        assert verdicts(grading, "humanevalpack", lang=lang) == ({"passed": 164}, {})
        faulty = [one for one in stage.load("humanevalpack", SHARED / "humanevalpack") if one.meta["lang"] == lang]
        assert all(
            verdict.status != "passed" for verdict in grading.grade_many((one, one.meta["faulty"]) for one in faulty)
        )
    assert verdicts(grading, "multipl-e", lang="python") == ({"passed": 164}, {})
    # 959 pass with the tests in one process; four functions are called `check` like the tests, one returns a set's order.
    assert verdicts(grading, "mbxp", lang="python")[0]["passed"] == 964


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lang", "count"),
    [("humanevalpack", "cpp", 163), ("mbxp", "java", 291), ("mbxp", "php", 280), ("mbxp", "javascript", 260)],
)
def test_references_of_other_languages(grading, name, lang, count):
    found, others = verdicts(grading, name, 3 if name == "mbxp" else 1, lang=lang)
    if not found["passed"]:
        pytest.skip(next(iter(others.values())).reason)
    lacking = sum("boost is not installed" in verdict.reason for verdict in others.values())
    # A reference that exits before its tests end passes by exit code alone, and fails here; one calls the tests' function.
    early = sum("the program ended" in verdict.reason for verdict in others.values())
    assert found["passed"] + early + lacking == count, others


@pytest.mark.parametrize(
    "answer",
    ["from decimal import Decimal\ndef f(x):\n    return Decimal('sNaN')\n", "def f(x):\n    return range(10**15)\n"],
)
def test_a_value_made_to_break_the_comparison_is_a_wrong_answer(grading, answer):
    """One that raises when it is compared, and one that takes for ever to walk."""
    task = problem("mbpp", {"list": ["assert f(1) == 2"], "setup": "", "challenge": []})
    assert grading.grade(task, answer).status == "failed"
    judge = plus.compare(sorted(plus.AS_SETS)[0], [([1],)], [[1]], 0.0)
    assert [holds(range(10**15)) for holds in judge] == [False]


def test_an_answer_cannot_end_the_tests_loop(grading):
    tests = "def check(candidate):\n    assert all(map(lambda i: candidate(i) == i + 1, range(5)))\n"
    task = problem("humaneval", {"check": tests})
    assert grading.grade(task, "def f(x):\n    return x + 1\n").status == "passed"
    assert grading.grade(task, "def f(x):\n    raise StopIteration\n").status == "failed"


def test_an_answer_cannot_turn_assertions_off_in_cpp(grading):
    if "cpp" in grading._sandbox.missing:
        pytest.skip(grading._sandbox.missing["cpp"])
    tests = {"check": "int main() {\n    assert(f(1) == 2);\n}\n"}
    task = problem("multipl-e", tests, lang="cpp")
    right = "#include <assert.h>\nint f(int x) { return x + 1; }\n"
    assert grading.grade(task, right).status == "passed"
    for trick in ("#define NDEBUG\n#include <assert.h>\n", "#define assert(x)\n"):
        assert grading.grade(task, f"{trick}int f(int x) {{ return 7; }}\n").status == "failed"


def test_predictions_are_evaluated_away_from_the_function(grading):
    code = "def f(text, n=1):\n    return [text * n]"
    task = problem("cruxeval", {"input": "'ab', n=2", "output": "['abab']"}, reference=code)
    answers = {
        "['abab']": "passed", " ['ab' * 2]\n": "passed", "['ab']": "failed", "f('ab', n=2)": "failed",
        "f ('ab', 2) if 1 else 0": "failed", "": "failed", "x = 1": "failed", "['abab'": "failed", "open('/x')": "failed",
        "[a + b for a, b in [('ab', 'ab')]]": "passed", "list(map(str, ['abab']))": "passed",
    }  # fmt: skip
    found = list(grading.grade_many((task, answer) for answer in answers))
    assert [verdict.status for verdict in found] == list(answers.values()), found
    nothing = problem("cruxeval", {"input": "1", "output": "None"}, reference="def f(a):\n    pass")
    answers = {
        "None": "passed",
        "[None][0]": "passed",
        "answer": "failed",
        "__doc__": "failed",
        "vars().get(1)": "failed",
    }
    found = list(grading.grade_many((nothing, answer) for answer in answers))
    assert [verdict.status for verdict in found] == list(answers.values()), found
    given = Problem(**{**vars(task), "id": "given", "meta": {**task.meta, "mode": "input"}})
    answers = {
        "f('ab', n=2)": "passed", "f('abab')": "passed", "f('ab')": "failed", "['abab']": "failed", "": "failed",
        "f('x') or ['abab']": "failed", "f(*[['abab']])": "failed", "f((lambda: 'abab')())": "failed",
    }  # fmt: skip
    found = list(grading.grade_many((given, answer) for answer in answers))
    assert [verdict.status for verdict in found] == list(answers.values()), found
    assert {verdict.form for verdict in found} == {"values"}


def test_queries(grading, tmp_path):
    folder = tmp_path / "database" / "pets"
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / "pets.sqlite")) as database:
        database.executescript("create table pet (name, age); insert into pet values ('a', 3), ('b', 3), ('c', 1.5);")
    pets = Grading(grading._sandbox, tmp_path)

    def statuses(gold, *queries):
        task = problem("spider", gold, reference=gold, lang="sql", database="pets")
        return [verdict.status for verdict in pets.grade_many((task, query) for query in queries)]

    bag = "SELECT age, count(*) FROM pet GROUP BY age"
    right = "select age, count(name) from pet group by 1 order by age desc"
    wrong = ["select age from pet", "select count(*), age from pet group by age", "nonsense", "", "delete from pet"]
    assert statuses(bag, bag, right, *wrong) == ["passed", "passed", *["failed"] * 5]
    ordered = "SELECT name FROM pet ORDER BY name DESC"
    assert statuses(ordered, ordered, "SELECT name FROM pet") == ["passed", "failed"]
    endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select max(x) from c"
    assert statuses("SELECT 1", endless, "select 1; select 2", "attach '/etc/passwd' as x") == [
        "timeout", "failed", "failed",
    ]  # fmt: skip
    with pytest.raises(InputError, match="databases"):
        grading.grade(problem("spider", None, reference=bag, lang="sql", database="pets"), bag)
    with pytest.raises(InputError, match="database zoo"):
        pets.grade(problem("spider", 1, reference=bag, lang="sql", database="zoo"), bag)


@needs_data
@pytest.mark.slow
def test_references_of_cruxeval_and_spider(grading):
    problems = stage.load("cruxeval", SHARED / "cruxeval")
    found = list(grading.grade_many((one, json.loads(one.tests)["output"]) for one in problems))
    assert Counter(verdict.status for verdict in found) == {"passed": 800}
    queries = stage.load("spider", SHARED / "spider")
    found = list(Grading(grading._sandbox, SHARED / "spider").grade_many((one, one.reference) for one in queries))
    assert Counter(verdict.status for verdict in found) == {"passed": 419}
