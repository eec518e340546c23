import hashlib
import shutil

import pytest

from smallcoder.bench.drills import generate
from smallcoder.bench.problem import Verdict, write_problems
from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.manifest import STATE, digests
from smallcoder.core.tables import read_table
from smallcoder.evaluate import problems as stage
from smallcoder.evaluate.problems import Config, Graded, InfraError, evaluate, score, select
from smallcoder.generate.protocol import Completion
from tests.bench.plain import PlainResult, PlainSandbox
from tests.generate.tiny import tiny_model


def ask(prompt):
    return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


PROBLEMS = generate.problems(seed=5, per_split=20)


class Pupil:
    """Answers seven of eight problems with the reference, depending on prompt and sample alone."""

    name = "pupil"

    def __init__(self, stop_after=None, ask=ask, encoder=None):
        self.asked = 0
        self.encoder = encoder
        self.problems = {ask(problem.prompt): problem for problem in PROBLEMS}
        self.stop_after = stop_after

    def generate(self, prompts, sampling):
        if self.stop_after is not None and self.asked >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += len(prompts)
        return [[self._answer(prompt, sample) for sample in range(sampling.samples)] for prompt in prompts]

    def _answer(self, prompt, sample):
        problem = self.problems[prompt]
        knows = hashlib.sha256(f"{problem.prompt}{sample}".encode()).digest()[0] % 8
        text = problem.reference if knows else f"def {problem.entry_point}(*a):\n    return 'no idea'"
        return Completion(text, "stop", (1, 2, 3))

    def close(self):
        pass


class Broken(PlainSandbox):
    """Fails at every n-th program."""

    def __init__(self, every):
        self.count = 0
        self.every = every

    def run(self, program, inputs):
        self.count += 1
        failed = self.count % self.every == 0
        return PlainResult("infra", [], "no room") if failed else super().run(program, inputs)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(stage, "BLOCK", 16)


def finished(out):
    """Digests of what `run` keeps: the state is dropped when a stage is committed."""
    return {name: digest for name, digest in digests(out).items() if name != STATE}


@pytest.mark.parametrize("samples", [1, 3])
def test_a_killed_evaluation_goes_on_and_ends_the_same(tmp_path, small_blocks, samples):
    config = Config(samples=samples)
    (tmp_path / "whole").mkdir()
    whole = evaluate(PROBLEMS, config, Pupil(), PlainSandbox(), tmp_path / "whole", ask=ask)
    (tmp_path / "killed").mkdir()
    asked = 0
    for stop_after in (32, 16, 0):
        pupil = Pupil(stop_after)
        with pytest.raises(KeyboardInterrupt):
            evaluate(PROBLEMS, config, pupil, PlainSandbox(), tmp_path / "killed", ask=ask)
        asked += pupil.asked
    last = Pupil()
    assert evaluate(PROBLEMS, config, last, PlainSandbox(), tmp_path / "killed", ask=ask) == whole
    assert asked + last.asked == len(PROBLEMS)  # nothing was asked twice
    assert finished(tmp_path / "killed") == finished(tmp_path / "whole")


def test_state_of_other_problems_is_not_used(tmp_path, small_blocks):
    evaluate(PROBLEMS[:20], Config(), Pupil(), PlainSandbox(), tmp_path, ask=ask)
    again = Pupil()
    evaluate(PROBLEMS[1:21], Config(), again, PlainSandbox(), tmp_path, ask=ask)
    assert again.asked == 20


def test_facts_tables_and_scores_agree(tmp_path):
    facts = evaluate(PROBLEMS, Config(), Pupil(), PlainSandbox(), tmp_path, ask=ask)
    verdicts = read_table(tmp_path / "verdicts").to_pylist()
    completions = read_table(tmp_path / "completions").to_pylist()
    assert [row["problem_id"] for row in verdicts] == [problem.id for problem in PROBLEMS]
    assert [(row["problem_id"], row["sample"]) for row in completions] == [(p.id, 0) for p in PROBLEMS]
    right = {row["problem_id"] for row in verdicts if row["status"] == "passed"}
    for split in generate.SPLITS:
        ids = {problem.id for problem in PROBLEMS if problem.split == split}
        found = facts["splits"][split]
        assert found["problems"] == 20 == found["passed"] + found["failed"]
        assert found["pass@1"] == pytest.approx(len(ids & right) / 20)
        assert found["low"] < found["pass@1"] < found["high"] or found["pass@1"] == 1.0
        assert sum(passed for passed, _ in facts["families"][split].values()) == len(ids & right)
        assert {sample["status"] for sample in facts["samples"][split]} <= {"passed", "failed"}
    assert facts["records"] == len(PROBLEMS)
    assert facts["template"] == "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


def test_infra_is_left_out_of_scores_and_too_much_of_it_is_an_error(tmp_path):
    facts = evaluate(PROBLEMS * 3, Config(), Pupil(), Broken(every=200), tmp_path, ask=ask)
    found = facts["splits"].values()
    assert sum(split["infra"] for split in found) == 1
    assert sum(split["passed"] + split["failed"] for split in found) == 239
    shutil.rmtree(tmp_path / STATE)
    with pytest.raises(InfraError, match="2 of 80 answers could not be judged"):
        evaluate(PROBLEMS, Config(), Pupil(), Broken(every=40), tmp_path, ask=ask)


def test_scores_of_several_samples():
    def answers(*statuses):
        return [Graded("", "length", 1, Verdict(status, "", "C")) for status in statuses]

    found = score(
        [
            answers("passed", "failed"),
            answers("failed", "failed"),
            answers("infra", "passed"),
            answers("infra", "infra"),
        ]
    )
    assert found["pass@1"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert found["pass@2"] == pytest.approx(0.5)
    assert (found["problems"], found["passed"], found["failed"], found["infra"], found["cut"]) == (4, 2, 3, 3, 8)


def test_select_takes_splits_and_limits_whatever_the_order():
    chosen = select(PROBLEMS, Config(splits=("pairs", "wording"), limit=7))
    assert [problem.split for problem in chosen] == ["pairs"] * 7 + ["wording"] * 7
    assert chosen == select(PROBLEMS[::-1], Config(splits=("wording", "pairs"), limit=7))
    with pytest.raises(InputError, match="did you mean 'pairs'"):
        select(PROBLEMS, Config(splits=("pair",)))
    with pytest.raises(EmptyError):
        select([], Config())


def test_the_stage_asks_in_the_models_own_template_and_grades_with_the_real_sandbox(tmp_path, monkeypatch):
    from smallcoder.generate import local
    from smallcoder.tokens.encode import load_encoder

    def ask(prompt):
        return f"[INST] {prompt} [/INST]"

    model = tiny_model(tmp_path / "model")
    (model / "chat_template.jinja").write_text("{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}")
    monkeypatch.setattr(local, "LocalGenerator", lambda folder, batch: Pupil(ask=ask, encoder=load_encoder(folder)))
    write_problems(tmp_path / "problems", PROBLEMS)
    outcomes = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        out.mkdir()
        facts = stage.run(Config(limit=10, workers=workers), {"problems": tmp_path / "problems", "model": model}, out)
        assert facts["template"] == ask("{prompt}")
        outcomes.append(finished(out))
    assert outcomes[0] == outcomes[1]
    plain = tmp_path / "plain"
    plain.mkdir()
    evaluate(select(PROBLEMS, Config(limit=10)), Config(limit=10), Pupil(ask=ask), PlainSandbox(), plain, ask=ask)
    statuses = [read_table(folder / "verdicts").column("status") for folder in (plain, tmp_path / "out1")]
    assert statuses[0] == statuses[1]
