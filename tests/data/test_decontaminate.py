"""Decontamination: problems go, however they are dressed; common phrases and idioms stay."""

import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from smallcoder.bench.public import stage
from smallcoder.core.records import DOCUMENT, PROBLEM, with_reason
from smallcoder.core.tables import TableWriter, read_batches, table_digest
from smallcoder.data import decontaminate
from smallcoder.data.decontaminate import stage as judging
from smallcoder.data.decontaminate.measure import measure
from smallcoder.data.decontaminate.passages import Problem, read

PROMPT = "Return the running totals of a list of daily rainfall readings, starting from the first wet day."
REFERENCE = """def running_totals(readings):
    started, total, answer = False, 0, []
    for reading in readings:
        started = started or reading > 0
        if started:
            total += reading
            answer.append(total)
    return answer
"""
SHORT = "def tidal_range(levels):\n    return max(levels) - min(levels)\n"
TESTS = json.dumps(
    [{"code": "assert running_totals([0, 0, 2, 3]) == [2, 5], 'the totals must start after the dry days'"}]
)
HOST = "import os\n\n\n" + "".join(f"def part{at}(path):\n    return os.stat(path)[{at}]\n\n\n" for at in range(40))


def problems(folder: Path, *changes: dict[str, str]) -> Path:
    row = {"benchmark": "rain", "split": "test", "prompt": PROMPT, "entry_point": "f", "reference": REFERENCE}
    with TableWriter(folder, PROBLEM) as writer:
        writer.write_rows(
            [row | {"id": f"p{at}", "tests": TESTS, "meta": "{}"} | new for at, new in enumerate(changes or ({},))]
        )
    return folder


CONTAMINATED = {
    "prompt": (f"x = 1\n\n# {PROMPT.upper()}\n", "contaminated_text"),
    "wrapped": (f"/*\n * {PROMPT.replace(' ', chr(10) + ' * ')}\n */\nint x;\n", "contaminated_text"),
    "escaped": (json.dumps({"task": PROMPT.replace(" of", "\nof")}), "contaminated_text"),
    "tests": (
        "    assert running_totals([0,0,2,3]) == [2,5], 'the totals must start\\\n after the dry days'\n",
        "contaminated_text",
    ),
    "layout": ("import os\n" + REFERENCE.replace("    ", "\t").replace(", ", ",\n\t\t"), "contaminated_text"),
    "renamed": (
        HOST + REFERENCE.replace("read", "x").replace("total", "y").replace("answer", "z"),
        "contaminated_code",
    ),
    "commented": (REFERENCE.replace("\n    ", "  # as it was\n    # said\n    "), "contaminated_code"),
    "short, verbatim": (HOST + SHORT, "contaminated_text"),
    "short, renamed": (SHORT.replace("levels", "xs").replace("tidal_range", "spread"), "contaminated_code"),
}
CLEAN = {
    "numbers": "TABLE = [" + ", ".join(map(str, range(100))) + "]\n",
    "part": "def running_totals(readings):\n    started, total, answer = False, 0, []\n    return sum(readings)\n",
    "other": "def f(x):\n    for y in x:\n        total += y\n    return total\n",
    "short within another": HOST + SHORT.replace("levels", "xs").replace("tidal_range", "spread"),
    "empty": "",
    "no name": "def f(a, b):\n    return {**a, **b}\n" * 9,
    "imports": "import os\nimport sys\nfrom typing import Any, List\n" * 20,
}


def test_problems_go_and_common_code_stays(tmp_path: Path, documents, run) -> None:
    texts = {name: text for name, (text, _) in CONTAMINATED.items()} | CLEAN
    items = [{"text": text, "id": name} for name, text in texts.items()]
    table = problems(
        tmp_path / "p",
        {},
        {"prompt": "Spread.", "entry_point": "tidal_range", "reference": SHORT, "tests": "null"},
        {"prompt": "", "reference": "def f(a, b):\n    return {**a, **b}", "tests": "null"},
    )
    found = []
    for workers in (1, 2):
        random.Random(workers).shuffle(items)
        kept, dropped, facts = run(decontaminate, {"workers": workers}, documents=documents(items), problems=table)
        assert {row["id"] for row in kept} == set(CLEAN)
        assert {row["id"]: row["reason"] for row in dropped} == {name: why for name, (_, why) in CONTAMINATED.items()}
        out = tmp_path / f"out{workers}" / "hits"
        found.append((facts, table_digest(read_batches(out))))
        hits = {(hit["document"], hit["problem"]): hit for hit in pq.read_table(out).to_pylist()}
        assert hits["renamed", "p0"]["overlap"] == 1.0
        assert hits["short, verbatim", "p1"]["how"] == "whole"
        assert {problem for _, problem in hits} == {"p0", "p1"}
    assert found[0] == found[1]
    assert found[0][0]["documents_by_benchmark"] == {"rain/test": len(CONTAMINATED)}
    assert found[0][0]["documents_by_problem"] == {"p0": len(CONTAMINATED) - 2, "p1": 2}


def test_short_texts_are_matched_whole(tmp_path: Path, documents, run) -> None:
    prompt = "Count vowels in every third word of it."
    texts = [f"# {prompt}\npass\n", "# count vowels in every third word\n", "# six words are too few\n"]
    table = documents([{"text": text, "id": str(at)} for at, text in enumerate(texts)])
    short = problems(
        tmp_path / "p",
        {"prompt": prompt, "reference": "", "tests": "not json {"},
        {"prompt": "six words are too few", "reference": ""},
    )
    _, dropped, _ = run(decontaminate, {}, documents=table, problems=short)
    assert [row["id"] for row in dropped] == ["0"]


def test_frames_of_a_benchmark_tell_nothing(tmp_path: Path, documents, run) -> None:
    frame = "You will be given a task, and you should write the program that does what it asks for, at once: "
    table = problems(tmp_path / "p", *({"prompt": frame + f"task number {at}"} for at in range(300)))
    texts = [f"# {frame}\n", f"# {frame} task number 7\n# or anything else\n"]
    kept, dropped, _ = run(decontaminate, {}, documents=documents(texts), problems=table)
    assert [row["text"] for row in kept] == texts[:1]
    assert len(dropped) == 1


def test_measure_scores_planted_cases() -> None:
    planted = [
        Problem("rain", "test", "p0", PROMPT, "running_totals", REFERENCE, TESTS),
        Problem("rain", "test", "p1", '"""Tell how far the tide goes from low to high."""', "tidal_range", SHORT, ""),
    ]
    scores = {score.kind: score for score in measure(planted, list(CLEAN.values()), HOST)}
    assert {kind: score.recall for kind, score in scores.items()} == dict.fromkeys(scores, 1.0)
    assert scores["all"].false == 0
    assert scores["all"].precision == scores["all"].f1 == 1.0


SHARED = Path(__file__).parents[3] / "shared" / "benchmarks"
LIBRARY = [
    Path(json.__file__).parents[1] / name for name in ("json/decoder.py", "argparse.py", "heapq.py", "textwrap.py")
]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public benchmark files are not beside the repository")
@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # in the solutions that are parsed
def test_humaneval_and_mbpp(tmp_path: Path) -> None:
    stage.run(stage.Config(folder=str(SHARED), names=("humaneval", "mbpp")), {}, tmp_path)
    problems = [problem for problem in read(tmp_path / "problems") if problem.split != "sanitized"]
    clean = [path.read_text() for path in LIBRARY]
    scores = {score.kind: score for score in measure(problems, clean, clean[1])}
    exact = ("prompt, verbatim", "solution, verbatim", "indented anew", "wrapped anew", "in a larger file")
    assert {kind: scores[kind].recall for kind in exact} == dict.fromkeys(exact, 1.0)
    assert {kind for kind, score in scores.items() if score.recall < 0.95} == set()
    assert scores["all"].precision >= 0.99
    assert scores["all"].false == 0


def test_the_model_is_asked_for_meaning(tmp_path: Path, documents, run) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"[UNK]": 0, "count": 1, "vowels": 2, "sort": 3, "names": 4}
    plain = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]").save_pretrained(tmp_path / "m")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=5, pad_token_id=0, **shape)
    transformers.BertModel(config).save_pretrained(tmp_path / "m")

    table = problems(tmp_path / "p", {"prompt": "count vowels", "reference": "", "tests": "null"})
    texts = documents(["count\n\tvowels", "sort names " * 900, "", "names sort"])
    _, dropped, facts = run(decontaminate, {"cosine": 0.999}, documents=texts, problems=table, model=tmp_path / "m")
    assert [(row["text"], row["reason"]) for row in dropped] == [("count\n\tvowels", "contaminated_meaning")]
    assert facts["documents_by_how"] == {"meaning": 1}


def test_the_second_look_adds_no_meaning_to_what_was_dropped_for_words(tmp_path: Path) -> None:
    reasons = {"by meaning": judging.MEANT, "by words": judging.TEXT, "by both": judging.TEXT}
    rows = [{"id": name, "text": "", "reason": reason} for name, reason in reasons.items()]
    with TableWriter(tmp_path / "dropped", with_reason(DOCUMENT)) as table:
        table.write_rows([dict.fromkeys(with_reason(DOCUMENT).names) | row for row in rows])
    problem = Problem("b", "s", "p", "", "", "", "")
    near = judging.MEANING, 0.9995
    found = [(0, 0, *near), (1, 0, "words", 1.0), (1, 0, *near), (2, 0, "words", 1.0), (2, 0, judging.MEANING, 1.0)]
    judging._report(tmp_path, [problem], lambda _: found, 0.9999)
    hits = [(row["document"], row["how"]) for batch in read_batches(tmp_path / "hits") for row in batch.to_pylist()]
    assert hits == [("by meaning", "meaning"), ("by words", "words"), ("by both", "words"), ("by both", "meaning")]


def test_hostile_text_is_only_text(tmp_path: Path, documents, run) -> None:
    rng = random.Random(0)
    texts = [
        "'" + "\\'" * 200_000,
        '"""' * 100_001,
        "/*" * 200_000,
        ", " * 200_000 + ")",
        "\\" * 300_001,
        "([{" * 100_000,
        "f'{" * 100_000,
        "\0" * 100_000,
        "".join(chr(rng.randrange(1, 0x2000)) for _ in range(200_000)),
        "\n ".join("x" * at for at in range(500)),
        "rb",
        "'",
        "\n\t",
    ]
    items = [{"text": text + str(at), "lang": lang} for at, text in enumerate(texts) for lang in ("c", "python", None)]
    items.append({"text": None, "id": "none"})
    kept, _, _ = run(
        decontaminate,
        {},
        documents=documents([{"id": str(at)} | row for at, row in enumerate(items)]),
        problems=problems(tmp_path / "p"),
    )
    assert len(kept) == len(items)
