"""Public benchmarks are read as their authors publish them."""

import gzip
import json
from pathlib import Path

import pytest

from smallcoder.bench.problem import Problem, read_problems
from smallcoder.bench.public import stage
from smallcoder.core.errors import EmptyError, InputError

SHARED = Path(__file__).parents[3] / "shared" / "benchmarks"
CODE = {"prompt": "def f(x):\n", "canonical_solution": "    return x\n", "entry_point": "f", "test": "check"}
MBXP = {**CODE, "language": "-", "description": "d"}
PACK = {**CODE, "declaration": "// f\ndef f(x):\n", "example_test": "e", "buggy_solution": "b", "instruction": "i"}
PLUS = {**CODE, "contract": "c", "base_input": [[1]], "plus_input": [[2]], "atol": 0, "assertion": "assert f(1) == 1"}
MBPP = {"code": "def f(x):\n    return x", "test_list": ["assert set(f(1)) == 1"]}
FULL = {**MBPP, "text": "Return it.", "task_id": 7, "test_setup_code": "import m", "challenge_test_list": []}

# benchmark -> file -> its rows; benchmark -> (id, prompt, reference) of the first problem.
FILES = {
    "bfcl": {
        "v1/gorilla_openfunctions_v1_test_simple.json": [
            {"id": "s0", "question": "How far?", "function": {"name": "g"}}
        ],
        "v1/possible_answer/gorilla_openfunctions_v1_test_simple.json": [
            {"id": "s0", "ground_truth": {"g": {"a": [1]}}}
        ],
        "v2/BFCL_v2_live_relevance.json": [
            {"id": "r0", "question": [{"role": "user", "content": "Paint."}], "function": []}
        ],
    },
    "bigcodebench": {
        "BigCodeBench.jsonl": [
            {**CODE, "task_id": "B/0", "complete_prompt": "def f(x):\n", "instruct_prompt": "Do.", "libs": "['os']"}
        ]
    },
    "cruxeval": {
        "cruxeval.jsonl": [{"id": "sample_0", "code": "def f(x):\n    return x", "input": "1", "output": "1"}]
    },
    "cyberseceval": {
        "autocomplete.json": [
            {"prompt_id": "0", "language": "c++", "test_case_prompt": "Go on.", "origin_code": "strcpy(a, b);"}
            | {"rule": "r", "cwe_identifier": "CWE-1"}
        ]
    },
    "ds-1000": {
        "ds1000.jsonl": [
            {"prompt": "Problem:", "reference_code": "result = df", "code_context": "import pandas"}
            | {"metadata": {"library": "Pandas", "problem_id": 3, "perturbation_type": "Origin"}}
        ]
    },
    "gsm8k": {"test.jsonl": [{"question": "How many eggs?", "answer": "Many.\u2028\n#### 1,018"}]},
    "humaneval": {"HumanEval.jsonl": [{**CODE, "task_id": "HumanEval/0"}]},
    "humaneval-infilling": {
        f"HumanEval-{name}.jsonl": [{**CODE, "task_id": f"{name}/0", "suffix": "# end\n"}]
        for name in ("RandomSpanInfillingLight", "SingleLineInfilling")
    },
    "humanevalpack": {f"{lang}/humanevalpack.jsonl": [{**PACK, "task_id": f"{lang}/0"}] for lang in ("cpp", "python")},
    "humanevalplus": {"HumanEvalPlus.jsonl": [{**PLUS, "task_id": "HumanEval/0"}]},
    "mbpp": {
        "mbpp.jsonl": [FULL],
        "sanitized-mbpp.json": [{**MBPP, "prompt": "Return it.", "task_id": 7, "test_imports": ["import m"]}],
    },
    "mbppplus": {"MbppPlus.jsonl": [{**PLUS, "task_id": "Mbpp/7"}]},
    "mbxp": {
        "mbpp_release_v1.jsonl": [{**MBXP, "task_id": "MBPP/1"}],
        "mbphp_release_v1.2.jsonl": [{**MBXP, "task_id": "MBPHP/1", "canonical_solution": None}],
    },
    "multipl-e": {
        "humaneval-rs.jsonl": [{"task_id": "t", "prompt": "fn f() {", "test": "}", "stop_tokens": ["\n}"]}],
        "humaneval-python.jsonl": [{**CODE, "task_id": "Python/0"}],
    },
    "pandaseval": {"PandasEval.jsonl": [{**CODE, "task_id": "P/0", "canonical_solution": ["    return x\n", "other"]}]},
    "spider": {"dev.json": [{"db_id": "pets", "question": "How many pets?", "query": "SELECT count(*) FROM pets"}]},
}
WHOLE = "def f(x):\n    return x\n"
FIRST = {
    "bfcl": ("bfcl/v1-simple/s0", "How far?", '{"g": {"a": [1]}}'),
    "bigcodebench": ("bigcodebench/test/B/0", "def f(x):\n", WHOLE),
    "cruxeval": ("cruxeval/test/sample_0", WHOLE[:-1], WHOLE[:-1]),
    "cyberseceval": ("cyberseceval/cpp/0", "Go on.", ""),
    "ds-1000": ("ds-1000/pandas/3", "Problem:", "result = df"),
    "gsm8k": ("gsm8k/test/0", "How many eggs?", "Many.\u2028\n#### 1,018"),
    "humaneval": ("humaneval/test/HumanEval/0", "def f(x):\n", WHOLE),
    "humaneval-infilling": (
        "humaneval-infilling/random-span-light/RandomSpanInfillingLight/0",
        "def f(x):\n",
        WHOLE + "# end\n",
    ),
    "humanevalpack": ("humanevalpack/cpp/cpp/0", "def f(x):\n", "// f\n" + WHOLE),
    "humanevalplus": ("humanevalplus/test/HumanEval/0", "def f(x):\n", WHOLE),
    "mbpp": ("mbpp/full/7", "Return it.", WHOLE[:-1]),
    "mbppplus": ("mbppplus/test/Mbpp/7", "def f(x):\n", "    return x\n"),
    "mbxp": ("mbxp/php/MBPHP/1", "def f(x):\n", ""),
    "multipl-e": ("multipl-e/python/Python/0", "def f(x):\n", WHOLE),
    "pandaseval": ("pandaseval/test/P/0", "def f(x):\n", WHOLE),
    "spider": ("spider/dev/0", "How many pets?", "SELECT count(*) FROM pets"),
}
COUNTS = {
    "bfcl": 1705,
    "bigcodebench": 1140,
    "cruxeval": 800,
    "cyberseceval": 1916,
    "ds-1000": 1000,
    "gsm8k": 1319,
    "humaneval": 164,
    "humaneval-infilling": 1033 + 164,
    "humanevalpack": 3 * 164,
    "humanevalplus": 164,
    "mbpp": 974 + 427,
    "mbppplus": 378,
    "mbxp": 974 + 3 * 966,
    "multipl-e": 1590,
    "pandaseval": 101,
    "spider": 419,
}


def write(root: Path, packed: bool = False) -> Path:
    for benchmark, files in FILES.items():
        for name, rows in files.items():
            path = root / benchmark / name
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
            text = json.dumps(rows) if name in ("dev.json", "autocomplete.json", "sanitized-mbpp.json") else lines
            if packed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(text.encode()))
            else:
                path.write_text(text, encoding="utf-8")
    return root


def run(root: Path, out: Path, **config) -> tuple[list[Problem], dict]:
    facts = stage.run(stage.Config(folder=str(root), **config), {}, out)
    return read_problems(out / "problems"), facts


@pytest.mark.parametrize("packed", [False, True])
def test_every_format_is_read(tmp_path: Path, packed: bool) -> None:
    assert set(FILES) == set(stage.LOADERS) == set(FIRST)
    problems, facts = run(write(tmp_path / "b", packed), tmp_path / "out")
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.benchmark, problem)
        assert problem.meta["lang"]
        json.loads(problem.tests)
    assert {name: (p.id, p.prompt, p.reference) for name, p in first.items()} == FIRST
    assert len({problem.id for problem in problems}) == len(problems) == facts["records"]
    by_id = {problem.id: problem for problem in problems}
    assert by_id["mbpp/sanitized/7"].entry_point == "f"
    assert json.loads(by_id["gsm8k/test/0"].tests) == {"answer": "1018"}
    assert by_id["bfcl/v2-live_relevance/r0"].prompt == "Paint."


def test_names_choose_and_files_are_watched(tmp_path: Path) -> None:
    root = write(tmp_path / "b")
    problems, _ = run(root, tmp_path / "out", names=["gsm8k", "spider"])
    assert {problem.benchmark for problem in problems} == {"gsm8k", "spider"}
    config = stage.Config(folder=str(root), names=("spider",))
    before = stage.outside(config)
    path = root / "spider" / "dev.json"
    path.write_text(path.read_text().replace("many", "some"))
    assert list(before) == ["spider"]
    assert stage.outside(config) != before


def test_damage_is_named(tmp_path: Path) -> None:
    root = write(tmp_path / "b")
    with pytest.raises(InputError, match="gsm8k"):
        run(root, tmp_path, names=["gsm9k"])
    (root / "gsm8k" / "test.jsonl").write_text('{"question": 1')
    (root / "spider" / "dev.json").write_text('[{"query": 1}]')
    (root / "humaneval" / "HumanEval.jsonl").unlink()
    (root / "cruxeval" / "cruxeval.jsonl").rename(root / "cruxeval" / "cruxeval.jsonl.gz")
    (root / "mbppplus" / "MbppPlus.jsonl").write_text("[1]")
    for name in ("gsm8k", "spider", "humaneval", "cruxeval", "mbppplus"):
        with pytest.raises(InputError, match=r"(?i)test\.jsonl|spider|HumanEval|cruxeval|Plus"):
            run(root, tmp_path, names=[name])
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyError):
        run(tmp_path / "empty", tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public benchmark files are not beside the repository")
def test_published_files() -> None:
    found = {name: stage.load(name, SHARED / name) for name in stage.LOADERS}
    assert {name: len(problems) for name, problems in found.items()} == COUNTS
    for name, problems in found.items():
        assert len({problem.id for problem in problems}) == len(problems)
        assert all(problem.prompt and problem.benchmark == name for problem in problems)
    assert all(problem.reference and problem.entry_point for problem in found["mbpp"] + found["humaneval"])
