import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.bench.check import check_benchmark
from smallcoder.bench.grade import Answer, extract, grade, inputs, judge, same
from smallcoder.bench.problem import Problem, read_problems, write_problems
from smallcoder.core.errors import InputError
from tests.bench.plain import PlainResult, PlainSandbox

PLAIN = PlainSandbox()
FLAT = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=4))
KEYS = st.one_of(st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 2.0]), st.text(max_size=2))
DATA = st.recursive(
    FLAT,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=3),
        st.frozensets(KEYS, max_size=3),
        st.sets(KEYS, max_size=3),
    ),
    max_leaves=10,
)


def problem(expected, calls=((1,),), **meta):
    tests = json.dumps({"inputs": [repr(call) for call in calls], "expected": [repr(item) for item in expected]})
    return Problem("p", "b", "s", "Write f.", "f", "def f(x):\n    return x", tests, meta)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def f(x):\n    return x", "def f(x):\n    return x"),
        ("Sure:\n```python\ndef f(x):\n    return x\n```\nDone.", "def f(x):\n    return x"),
        ("```\ny = 1\n```\nthen\n```py\ndef f(): pass\n```", "def f(): pass"),
        ("```python\ndef f(x):\n    return x", "def f(x):\n    return x"),
        ("Here it is.\nimport math\ndef f(x):\n    return x", "import math\ndef f(x):\n    return x"),
        ("@cache\ndef f(x): ...", "@cache\ndef f(x): ..."),
        ("<think>```\ndef f(): bad\n```</think>def f(): good", "def f(): good"),
        ("f = lambda x: x", "f = lambda x: x"),
        ("", ""),
        ("```", ""),
    ],
)
def test_extract(text, code):
    assert extract(text, "f") == code


@given(st.text(alphabet="`\n def@python<>/think", max_size=200))
def test_extract_takes_any_text(text):
    assert isinstance(extract(text, "f"), str)


@given(DATA)
def test_data_equals_its_own_copy(value):
    copied = eval(repr(value), {"nan": float("nan"), "inf": float("inf")})
    assert same(value, copied)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (True, 1),
        (1, 1.0),
        ([1], (1,)),
        ([True], [1]),
        ({1: 2}, {True: 2}),
        ({1: 2}, {1: 2.0}),
        ({(1, True): 0}, {(1, 1): 0}),
        ({1}, {True}),
        ({1}, frozenset({1})),
        ({frozenset({1})}, {frozenset({1.0})}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ("1", 1),
        (None, False),
        (b"a", "a"),
        (float("nan"), 1.0),
        (0.1 + 0.2, 0.3),
    ],
)
def test_what_differs_by_type_or_value_is_not_the_same(value, wanted):
    assert not same(value, wanted)
    assert not same(wanted, value)
    assert not same({"k": [value]}, {"k": [wanted]})


def test_a_tolerance_reaches_numbers_inside_and_nothing_else():
    assert same([0.1 + 0.2, 1], [0.3, 1.0], 1e-6)
    assert same({"a": (1e12,)}, {"a": (1e12 + 1,)}, 1e-6)
    assert not same([0.31], [0.3], 1e-6)
    assert not same(True, 1.0, 1e-6)
    assert not same([1.0], (1.0,), 1e-6)
    assert same(float("inf"), float("inf"), 1e-6)


def test_a_deep_value_against_a_shallow_one_is_wrong_and_no_crash():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert not same(deep, [1])


def test_verdicts_of_answers():
    task = problem([2, 3], [(1,), (2,)])
    assert inputs(task) == [(1,), (2,)]
    assert grade(task, "def f(x):\n    return x + 1", PLAIN).status == "passed"
    assert grade(task, "def f(x):\n    return x", PLAIN).reason == "test 1: 1, expected 2"
    assert grade(task, "def f(x):\n    return x + 1 if x == 1 else 1 / 0", PLAIN).reason.startswith("test 2: ZeroDivis")
    assert grade(task, "not Python at all", PLAIN).status == "failed"
    assert grade(problem([0.3], tolerance=1e-6), "def f(x):\n    return 0.1 + 0.2", PLAIN).status == "passed"


def test_verdicts_of_results():
    task = problem([1])
    for status, verdict in (("infra", "infra"), ("timeout", "timeout"), ("error", "failed")):
        found = judge(task, PlainResult(status, [], "why", "C"))
        assert (found.status, found.reason, found.tier) == (verdict, "why", "C")


class Spy:
    """Passes an answer on and keeps what it was shown."""

    def run(self, program, inputs):
        self.shown = repr((program, inputs))
        assert isinstance(program, Answer)
        return PLAIN.run(program, inputs)


def test_expected_values_never_enter_the_sandbox():
    spy = Spy()
    assert grade(problem(["secret"]), "def f(x):\n    return 'sec' + 'ret'", spy).status == "passed"
    assert "secret" not in spy.shown


@pytest.mark.parametrize("tests", ["", "[]", '{"inputs": []}', '{"inputs": ["(1,"], "expected": ["1"]}'])
def test_unreadable_tests_are_an_error_of_the_input(tests):
    with pytest.raises(InputError):
        inputs(Problem("p", "b", "s", "", "f", "", tests))


def test_problems_come_back_from_a_table(tmp_path):
    problems = [problem([1], tolerance=0.5), problem([{"a": (1, True)}])]
    write_problems(tmp_path / "problems", problems)
    assert read_problems(tmp_path / "problems") == problems


def test_check_names_what_cannot_be_trusted():
    good, wrong, empty = problem([1]), problem([2]), problem([None])
    assert check_benchmark([good], PLAIN).ok
    outcome = check_benchmark([good, wrong, empty], PLAIN)
    assert not outcome.ok
    assert len(outcome.faults) == 3  # two references that fail, one idle answer that passes
    assert "its reference is graded failed" in str(outcome)
    assert not check_benchmark([], PLAIN).ok
