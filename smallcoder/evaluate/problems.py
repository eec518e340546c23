"""Stage `evaluate`: a model answers the problems of a benchmark; the answers are run in the sandbox and graded.

Writes completions/ and verdicts/. Problems are asked as one user turn each in the model's own chat template, ours
is ChatML, and in blocks of `BLOCK`; a finished block is kept in out/state, so a killed run goes on after the last one
and ends with the same tables. Scores are pass@k with Wilson's 95% interval over problems (`bench.passk`); what the
machinery failed at (`infra`) is left out of every score, and more than 1% of it fails the stage.

Cost: one greedy generation and about two milliseconds of sandbox per answer. It does not repair answers, and compares
no models: the report does.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import Field

from smallcoder.bench.grade import Result, extract, inputs, judge
from smallcoder.bench.passk import pass_at_k
from smallcoder.bench.problem import Problem, Verdict, read_problems
from smallcoder.core.errors import EmptyError, InputError, SmallcoderError
from smallcoder.core.intervals import wilson
from smallcoder.core.manifest import STATE, write_json
from smallcoder.core.progress import Progress
from smallcoder.core.recipe import nearest
from smallcoder.core.records import COMPLETION, VERDICT
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import TableWriter
from smallcoder.generate.protocol import Generator, Sampling

if TYPE_CHECKING:
    from smallcoder.sandbox import Job

BLOCK = 512  # problems; a block is generated as a whole or not at all
INFRA_SHARE = 0.01  # docs: design, section 3
SHOWN = 2  # passed and failed samples of each split in the facts

Ask = Callable[[str], str]  # a problem's prompt as the model is asked


class InfraError(SmallcoderError):
    """Too many answers could not be judged for reasons that are not theirs."""


class Config(StageConfig):
    """`limit` problems of each split are asked, chosen by id; no splits means all."""

    max_tokens: int = Field(default=128, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    samples: int = Field(default=1, ge=1)
    batch: int = Field(default=64, ge=1)
    engine: Literal["local"] = "local"
    splits: tuple[str, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    seed: int = 0
    workers: int = run_only(2, ge=1)
    unsafe: bool = run_only(False)  # run answers even where no sandbox can be built; every verdict says so


class Runner(Protocol):
    """What the stage needs of a sandbox."""

    def run_many(self, jobs: "Iterable[Job]") -> Iterator[Result]: ...


@dataclass(frozen=True)
class Graded:
    """One answer with its verdict."""

    text: str
    finish: str
    tokens: int
    verdict: Verdict


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    assert inputs
    return Size(note=f"{config.samples} answer{'s' * (config.samples > 1)} a problem")


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Ask, grade and score. Raises InputError for a split that does not exist, InfraError where grading broke down."""
    from smallcoder.generate.local import LocalGenerator
    from smallcoder.sandbox import Sandbox
    from smallcoder.tokens.template import load_template

    problems = select(read_problems(inputs["problems"]), config)
    generator = LocalGenerator(inputs["model"], batch=config.batch)
    try:
        ask = load_template(inputs["model"], generator.encoder).ask
        with Sandbox(config.workers, unsafe=config.unsafe) as sandbox:
            return evaluate(problems, config, generator, sandbox, out, ask=ask)
    finally:
        generator.close()


def select(problems: Sequence[Problem], config: Config) -> list[Problem]:
    """The problems to ask, by split and id, so that the order of the table does not count."""
    splits = sorted({problem.split for problem in problems})
    for split in config.splits:
        if split not in splits:
            raise InputError(f"the problems have no split {split!r}", nearest(split, splits))
    chosen = []
    for split in splits:
        if not config.splits or split in config.splits:
            chosen += sorted((p for p in problems if p.split == split), key=lambda problem: problem.id)[: config.limit]
    if not chosen:
        raise EmptyError("there are no problems to ask", "check the stage that makes them")
    return chosen


def evaluate(
    problems: Sequence[Problem], config: Config, generator: Generator, sandbox: Runner, out: Path, *, ask: Ask
) -> dict[str, Any]:
    """Answer and grade all problems, write both tables, and return the facts. `ask` renders a problem's prompt."""
    answers: list[list[Graded]] = []
    with Progress("problems", len(problems)) as progress:
        for start in range(0, len(problems), BLOCK):
            block = problems[start : start + BLOCK]
            kept = out / STATE / f"block-{start:06d}.json"
            graded = _load(kept, block)
            if graded is None:
                graded = _answer(block, config, generator, ask, sandbox)
                kept.parent.mkdir(exist_ok=True)
                write_json(kept, {"ids": [p.id for p in block], "answers": [list(map(asdict, a)) for a in graded]})
            answers += graded
            progress.advance(len(block))
    _write(problems, answers, out)
    verdicts = [answer.verdict for found in answers for answer in found]
    broken = [verdict for verdict in verdicts if verdict.status == "infra"]
    if len(broken) > INFRA_SHARE * len(verdicts):
        raise InfraError(
            f"{len(broken)} of {len(verdicts)} answers could not be judged ({broken[0].reason})",
            "see `smallcoder check` for the sandbox, then run again",
        )
    return _facts(problems, answers, config, generator.name, ask)


def _load(path: Path, block: Sequence[Problem]) -> list[list[Graded]] | None:
    """A block that an earlier run finished; None where it did not. Files are whole or absent (`write_json`)."""
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["ids"] != [problem.id for problem in block]:
        return None
    return [[Graded(**{**item, "verdict": Verdict(**item["verdict"])}) for item in found] for found in data["answers"]]


def _answer(
    block: Sequence[Problem], config: Config, generator: Generator, ask: Ask, sandbox: Runner
) -> list[list[Graded]]:
    from smallcoder.sandbox import Job, Program

    sampling = Sampling(
        max_tokens=config.max_tokens, temperature=config.temperature, seed=config.seed, samples=config.samples
    )
    completions = generator.generate([ask(problem.prompt) for problem in block], sampling)
    asked = [(problem, one) for problem, found in zip(block, completions, strict=True) for one in found]
    jobs = (Job(Program(extract(one.text, p.entry_point), p.entry_point), inputs(p)) for p, one in asked)
    graded = [
        Graded(one.text, one.finish, len(one.tokens), judge(problem, result))
        for (problem, one), result in zip(asked, sandbox.run_many(jobs), strict=True)
    ]
    return [graded[start : start + config.samples] for start in range(0, len(graded), config.samples)]


def _write(problems: Sequence[Problem], answers: Sequence[Sequence[Graded]], out: Path) -> None:
    rows = [
        ({"problem_id": problem.id, "sample": number}, answer)
        for problem, found in zip(problems, answers, strict=True)
        for number, answer in enumerate(found)
    ]
    with TableWriter(out / "completions", COMPLETION) as table:
        table.write_rows([key | {"text": a.text, "finish": a.finish, "tokens": a.tokens} for key, a in rows])
    with TableWriter(out / "verdicts", VERDICT) as table:
        table.write_rows([key | asdict(answer.verdict) for key, answer in rows])


def _facts(
    problems: Sequence[Problem], answers: Sequence[Sequence[Graded]], config: Config, engine: str, ask: Ask
) -> dict[str, Any]:
    by_split: dict[str, list[tuple[Problem, Sequence[Graded]]]] = {}
    for problem, found in zip(problems, answers, strict=True):
        by_split.setdefault(problem.split, []).append((problem, found))
    scores = {split: score([found for _, found in pairs]) for split, pairs in by_split.items()}
    families = {split: _families(pairs) for split, pairs in by_split.items()}
    samples = {split: _samples(pairs) for split, pairs in by_split.items()}
    prompts = blake2b("\0".join(ask(problem.prompt) for problem in problems).encode(), digest_size=16).hexdigest()
    template = ask("{prompt}")
    return {
        "records": sum(map(len, answers)),
        "headline": "pass@1 " + ", ".join(f"{split} {item['pass@1']:.1%}" for split, item in scores.items()),
        "engine": engine,
        "prompts": prompts,
        "template": template,
        "splits": scores,
        "families": families,
        "samples": samples,
    }


def score(answers: Sequence[Sequence[Graded]]) -> dict[str, Any]:
    """Counts of verdicts, and pass@1 (with more samples also pass@that many) over the problems that were judged."""
    statuses = [[answer.verdict.status for answer in found if answer.verdict.status != "infra"] for found in answers]
    judged = [found for found in statuses if found]
    flat = [answer.verdict for found in answers for answer in found]
    share = sum(pass_at_k(len(found), found.count("passed"), 1) for found in judged) / max(1, len(judged))
    low, high = wilson(share, len(judged))
    counts = {status: sum(v.status == status for v in flat) for status in ("passed", "failed", "timeout", "infra")}
    facts = {"problems": len(answers), **counts, "pass@1": share, "low": low, "high": high}
    samples = max(map(len, answers))
    if samples > 1:
        full = [found.count("passed") for found in statuses if len(found) == samples]
        facts[f"pass@{samples}"] = sum(pass_at_k(samples, right, samples) for right in full) / max(1, len(full))
    facts["tiers"] = sorted({verdict.tier for verdict in flat})
    facts["cut"] = sum(answer.finish == "length" for found in answers for answer in found)
    return facts


def _families(pairs: Sequence[tuple[Problem, Sequence[Graded]]]) -> dict[str, list[int]]:
    """Family -> [answers passed, answers judged]."""
    found: dict[str, list[int]] = {}
    for problem, answers in pairs:
        tally = found.setdefault(str(problem.meta.get("family", "")), [0, 0])
        tally[0] += sum(answer.verdict.status == "passed" for answer in answers)
        tally[1] += sum(answer.verdict.status != "infra" for answer in answers)
    return dict(sorted(found.items()))


def _samples(pairs: Sequence[tuple[Problem, Sequence[Graded]]]) -> list[dict[str, str]]:
    """The first answers that passed and the first that did not, by id."""
    shown: list[dict[str, str]] = []
    for passed in (True, False):
        chosen = [(p, found[0]) for p, found in pairs if (found[0].verdict.status == "passed") == passed][:SHOWN]
        shown += [{"prompt": p.prompt, "completion": answer.text, **asdict(answer.verdict)} for p, answer in chosen]
    return shown
