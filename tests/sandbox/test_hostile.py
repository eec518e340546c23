# ruff: noqa: E501
"""Programs that mean harm: no false pass, no trace on the host, and the slot works on."""

import json
import os
import signal
import socket
import subprocess
from dataclasses import replace

import pytest

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.grading import Grading
from smallcoder.sandbox import TIERS, Job, Limits, Program, Sandbox
from tests.sandbox.forgers import APART, APART_TESTS, COMPILED, COMPILED_TESTS, MARK, PYTHON, SCRIPTS
from tests.sandbox.hostile import HOSTILE
from tests.sandbox.test_sandbox import children, slots

LOOP = "for x in (3, 4, 11):\n        assert candidate(x) == x * x + 7"
TESTS = {
    "values": "assert candidate(3) == 16\n    assert candidate(4) == 23\n    assert candidate(11) == 128",
    "near": "assert abs(candidate(3) - 16) < 0.5\n    assert abs(candidate(4) - 23) < 0.5",
    "loop": LOOP,
    "unittest": "import unittest\n    class T(unittest.TestCase):\n        def test(self):\n            self.assertEqual(candidate(3), 16)\n"
    "            self.assertEqual(candidate(4), 23)\n    assert unittest.TextTestRunner(open('/dev/null', 'w')).run("
    "unittest.defaultTestLoader.loadTestsFromTestCase(T)).wasSuccessful()",
}  # fmt: skip
RIGHT = "def f(x):\n    return x * x + 7\n"


def problem(tests):
    check = {"check": f"def check(candidate):\n    {TESTS[tests]}\n"}
    return Problem(f"t/{tests}", "humaneval", "test", "", "f", RIGHT, json.dumps(check), {"lang": "python"})


@pytest.fixture(scope="module")
def others():
    return children(os.getpid())


@pytest.fixture(scope="module", params=TIERS)
def sandbox(request, others):
    with Sandbox(2, (request.param,), ("bash", "cpp", "javascript")) as made:
        yield made


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """What must be as before: a file, a folder, a process and a listening socket."""
    folder = tmp_path_factory.mktemp("host")
    folder.chmod(0o777)
    (folder / "file").write_text("untouched")
    (folder / "file").chmod(0o666)
    process = subprocess.Popen(["sleep", "1000"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield folder, process, server
    process.kill()
    process.wait()


def untouched(host, sandbox, others):
    folder, process, server = host
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "untouched"
    assert process.poll() is None
    with pytest.raises(BlockingIOError):
        server.accept()
    assert children(os.getpid()) - others - {process.pid} == slots(sandbox)


def test_there_are_enough():
    assert len(HOSTILE) + len(PYTHON) + len(SCRIPTS) + sum(map(len, APART.values())) >= 80


@pytest.mark.parametrize("tests", TESTS)
def test_forged_verdicts(sandbox, host, others, tests):
    grading = Grading(sandbox)
    task = problem(tests)
    assert grading.plan(task).tests == "" or tests in ("loop", "unittest")
    verdicts = list(grading.grade_many((task, code) for code in [RIGHT, *PYTHON.values()]))
    assert verdicts[0].status == "passed", verdicts[0]
    passed = {name: verdict for name, verdict in zip(PYTHON, verdicts[1:], strict=True) if verdict.status != "failed"}
    assert {name for name, verdict in passed.items() if verdict.status == "passed"} == set()
    assert all(verdict.status == "timeout" for verdict in passed.values()), passed
    untouched(host, sandbox, others)


@pytest.mark.parametrize("language", ["bash", "cpp", "javascript"])
def test_hostile_programs(sandbox, host, others, language):
    chosen = {name: entry for name, entry in SCRIPTS.items() if entry[0] == language}
    limits = Limits(cpu_seconds=1, wall_seconds=3, memory_bytes=256 << 20, output_bytes=1 << 16)
    results = list(sandbox.run_many([Job(Program(code, "", language), (), limits) for _, code, _ in chosen.values()]))
    for (name, (_, code, right)), result in zip(chosen.items(), results, strict=True):
        if language in sandbox.missing:
            assert result.status == "infra", result
            continue
        assert result.status in right, (name, result)
        assert MARK.encode() not in result.mark
        assert b"root:x:0" not in result.stdout + result.stderr + result.mark
        if result.status == "ok" and any(word in code for word in ("exit(0)", "exit 0", "return ")):
            assert result.exit_code in (0, -signal.SIGKILL), (name, result)
    untouched(host, sandbox, others)
    if language in sandbox.missing:
        pytest.skip(sandbox.missing[language])


@pytest.fixture(scope="module")
def programs():
    before = children(os.getpid())
    with Sandbox(2, ("A",), [{"shell": "bash"}.get(name, name) for name in APART]) as made:
        yield made, before


@pytest.mark.parametrize("language", APART)
def test_tests_in_a_second_jail_of_another_language(programs, host, language):
    programs, before = programs
    if why := programs.missing.get({"shell": "bash"}.get(language, language)):
        pytest.skip(why)
    right, tests = APART_TESTS[language]
    meta = {"lang": language}
    task = Problem(f"t/{language}", "multipl-e", "test", right, "f", "", json.dumps({"check": tests}), meta)
    grading = Grading(programs)
    plan = replace(grading.plan(task), limits=Limits(1, 3, output_bytes=1 << 20))
    trials = [plan.trial(task, code) for code in [right, *APART[language].values()]]
    assert all(trial.mark == "" and trial.tests for trial in trials)
    first, *verdicts = map(plan.judge, trials, programs.run_many(trials))
    assert (first.status, first.form) == ("passed", "second jail"), first
    wrong = {
        name: v for name, v in zip(APART[language], verdicts, strict=True) if v.status not in ("failed", "timeout")
    }
    assert not wrong
    if language != "typescript":  # whose compiler stays
        untouched(host, programs, before)


@pytest.mark.parametrize("language", COMPILED)
def test_values_of_compiled_languages(language):
    prompt, rest, tests = COMPILED_TESTS[language]
    with Sandbox(2, ("A",), [language]) as sandbox:
        if sandbox.missing:
            pytest.skip(sandbox.missing[language])
        meta = {"lang": language}
        task = Problem(f"t/{language}", "multipl-e", "test", prompt, "f", "", json.dumps({"check": tests}), meta)
        grading = Grading(sandbox)
        trial = grading.plan(task).trial(task, prompt + rest)
        assert "974176" not in trial.program.code
        answers = [rest, *COMPILED[language].values()]
        first, *verdicts = grading.grade_many((task, prompt + answer) for answer in answers)
    assert (first.status, first.form) == ("passed", "values"), first
    assert {name: v for name, v in zip(COMPILED[language], verdicts, strict=True) if v.status != "failed"} == {}
