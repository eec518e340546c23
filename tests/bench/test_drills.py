"""The drills: what a split promises to hold out is held out, references pass, neighbours fail."""

import ast
import builtins
import json
import keyword
import re
import subprocess
import sys
from collections import Counter
from random import Random

import pytest

from smallcoder.bench.check import check_benchmark
from smallcoder.bench.drills import generate, stage, wording
from smallcoder.bench.drills.operations import trained, untrained
from smallcoder.bench.grade import grade, inputs
from smallcoder.bench.problem import read_problems
from smallcoder.core.manifest import digests
from smallcoder.core.tables import read_table
from tests.bench.plain import PlainSandbox

PLAIN = PlainSandbox()
SEED = 11


@pytest.fixture(scope="module")
def training():
    return list(generate.training(SEED, 17_000))


@pytest.fixture(scope="module")
def problems():
    return generate.problems(SEED, 60)


def of(problems, split):
    return [problem for problem in problems if problem.split == split]


def constants(text):
    """Numbers of two digits, and quoted letters and words, of a prompt."""
    return set(re.findall(r"\b\d\d\b", text)) | set(re.findall(r'"(\w+)"', text))


def test_the_table_is_broad_and_every_operation_has_phrasings_of_its_own():
    assert len(trained()) >= 60
    assert len(untrained()) >= 12
    kinds = {operation.name.partition(".")[0] for operation in trained()}
    assert kinds == {"numbers", "lists", "text", "tables"}
    for operation in trained():
        assert 6 <= len(operation.seen) <= 10, operation.name
        assert 2 <= len(operation.unseen) <= 4, operation.name
    owners = Counter(
        (operation.takes, text) for operation in trained() + untrained() for text in operation.seen + operation.unseen
    )
    assert [text for text, count in owners.items() if count > 1] == []
    everything = {text for operation in trained() for text in operation.seen}
    assert everything.isdisjoint(text for operation in trained() for text in operation.unseen)


def test_no_name_is_used_inside_the_operations():
    inside = {"result", *dir(builtins), *keyword.kwlist}
    for operation in trained() + untrained():
        lines = operation.lines(("_a", "_b"), {"k": "1", "m": "2", "c": '""', "w": '""'})
        tree = ast.parse("def f():\n    " + "\n    ".join(lines))
        inside |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not inside.intersection(wording.NAME_WORDS)
    assert len(wording.NAME_WORDS) == len(set(wording.NAME_WORDS)) > 100
    for kind in wording.ARGUMENTS:
        pools = [set().union(*wording.arguments(kind, seen)) for seen in (True, False)]
        assert pools[0].isdisjoint(pools[1])
        assert inside.isdisjoint(pools[0] | pools[1])
        assert min(map(len, pools)) > 50


def test_training_shows_nothing_that_is_held_out(training, problems):
    prompts = {drill.prompt for drill in training}
    shown = set().union(*map(constants, prompts))
    names = {drill.name for drill in training}
    arguments = {name for drill in training for name in drill.arguments}
    for problem in problems:
        assert problem.prompt not in prompts
        assert problem.entry_point not in names
        assert constants(problem.prompt).isdisjoint(shown)
        taken = ast.parse(problem.reference).body[0].args.args
        assert arguments.isdisjoint(argument.arg for argument in taken)


def test_each_split_holds_out_what_it_says_and_that_alone(training, problems):
    frames = {drill.frame for drill in training}
    phrasings = {text for drill in training for text in drill.phrasings}
    families = {operation.name for drill in training for operation in drill.operations}
    pairs = {frozenset(half.name for half in drill.operations) for drill in training if len(drill.operations) == 2}
    for problem in problems:
        parts = problem.meta["family"].split("+")
        unseen = {
            "wording": problem.meta["frame"] not in frames,
            "phrasing": not phrasings.intersection(problem.meta["phrasings"]),
            "pairs": len(parts) == 2 and frozenset(parts) not in pairs,
            "families": families.isdisjoint(parts),
        }
        expected = {problem.split} | ({"phrasing"} if problem.split == "families" else set())
        assert {split for split, is_unseen in unseen.items() if is_unseen} == expected
    assert Counter(problem.split for problem in problems) == dict.fromkeys(generate.SPLITS, 60)
    assert len({problem.id for problem in problems}) == len(problems) == len({p.prompt for p in problems})


def test_training_shows_everything_else(training):
    assert len(training) == 17_000 == len({drill.prompt for drill in training})
    shown = {part for drill in training for part in zip(drill.operations, drill.phrasings, strict=True)}
    assert shown == {(operation, text) for operation in trained() for text in operation.seen}
    doubles = [drill.operations for drill in training if len(drill.operations) == 2]
    assert set(doubles) == set(generate.pairs(True))
    assert 0.45 < len(doubles) / len(training) < 0.55
    halves = {operation for pair in generate.pairs(False) for operation in pair}
    for place in (0, 1):
        fitting = {pair[place] for pair in generate.pairs(True) + generate.pairs(False)}
        assert {pair[place] for pair in doubles} == fitting
        assert {pair[place] for pair in generate.pairs(False)} <= fitting
    assert halves <= {operation for drill in training if len(drill.operations) == 1 for operation in drill.operations}
    tens, ones = ({str(number)[place] for number in wording.numbers(True)} for place in (0, -1))
    assert (tens, ones) == (set("123456789"), set("0123456789"))
    used = set().union(*(constants(drill.prompt) for drill in training))
    assert {str(number) for number in wording.numbers(True) if number > 9} <= used


def test_training_answers_are_what_their_operations_compute(training):
    for drill in Random(0).sample(training, 300):
        problem = generate.as_problem(drill, "training", Random(drill.prompt))
        assert problem is None or grade(problem, drill.answer, PLAIN).status == "passed"


def test_prompts_and_answers_are_short(training):
    words = [len(re.findall(r"\w+|[^\w\s]", drill.prompt + drill.answer)) for drill in training]
    assert sum(words) / len(words) < 50
    assert max(len(drill.prompt) for drill in training) < 220


def test_references_pass_and_empty_answers_fail(problems):
    outcome = check_benchmark(problems, PLAIN)
    assert outcome.ok, str(outcome)


def test_references_of_other_families_fail(problems):
    """Graded as text, unlike the rivals that chose the tests."""
    rng = Random(5)
    graded = passed = 0
    for problem in of(problems, "wording") + of(problems, "phrasing") + of(problems, "families"):
        (own,) = [operation for operation in trained() + untrained() if operation.name == problem.meta["family"]]
        taken = [argument.arg for argument in ast.parse(problem.reference).body[0].args.args]
        for other in trained() + untrained():
            if other == own or (other.takes, other.gives) != (own.takes, own.gives):
                continue
            drill = generate.compose((other,), other.seen[:1], wording.FRAMES[0], rng, seen=False)
            answer = drill.answer.replace(drill.name, problem.entry_point, 1)
            assert len(taken) == len(drill.arguments)
            graded += 1
            passed += grade(problem, answer, PLAIN).status == "passed"
    assert graded > 1000
    assert passed <= 0.01 * graded


def test_half_a_pair_and_swapped_constants_fail(problems):
    for problem in of(problems, "pairs"):
        head, first, *rest = problem.reference.splitlines()
        argument = head[head.index("(") + 1 : -2]
        only_first = f"{head}\n    return {first.partition(' = ')[2]}"
        only_second = "\n".join([head, f"    result = {argument}", *rest])
        for answer in (only_first, only_second):
            assert grade(problem, answer, PLAIN).status == "failed"
        numbers = re.findall(r"\b\d\d\b", problem.reference)
        if numbers:
            wrong = problem.reference.replace(numbers[0], str(int(numbers[0]) + 1))
            assert grade(problem, wrong, PLAIN).status == "failed"


def test_tests_are_few_small_and_varied(problems):
    for problem in problems:
        data = json.loads(problem.tests)
        assert 6 <= len(data["inputs"]) == len(set(data["inputs"])) <= 14
        assert len(set(data["expected"])) > 1
        assert len(problem.tests) < 20_000
        assert len(inputs(problem)) == len(data["expected"])


def test_the_stage_writes_the_same_tables_in_every_process(tmp_path):
    config = stage.Config(train_examples=200, problems_per_split=5, seed=3)
    (tmp_path / "here").mkdir()
    facts = stage.run(config, {}, tmp_path / "here")
    code = (
        "import sys; from pathlib import Path; from smallcoder.bench.drills import stage\n"
        "out = Path(sys.argv[1]); out.mkdir()\n"
        "stage.run(stage.Config(train_examples=200, problems_per_split=5, seed=3), {}, out)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "there")]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(sys.path)})
    assert digests(tmp_path / "here") == digests(tmp_path / "there")
    assert facts["records"] == 200 == read_table(tmp_path / "here" / "examples").num_rows
    assert set(facts["splits"]) == set(generate.SPLITS)
    first = read_table(tmp_path / "here" / "examples").to_pylist()[0]
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]
    assert (first["task"], first["license"], first["lineage"]) == ("drills", "Apache-2.0", [])
    assert read_problems(tmp_path / "here" / "problems") == generate.problems(3, 5)


def test_another_seed_makes_other_drills_on_the_same_sides():
    one, two = ({drill.prompt for drill in generate.training(seed, 500)} for seed in (1, 2))
    assert len(one & two) < 25
    held = {problem.entry_point for problem in generate.problems(9, 20)}
    assert held.isdisjoint(drill.name for drill in generate.training(1, 500))
