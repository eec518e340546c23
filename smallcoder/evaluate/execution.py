"""Stage `execute`: drop the documents whose code does not run, each tried once as a program in the sandbox.

For code that should run by itself: solutions, snippets, exercises, synthetic examples; files of a repository need
their neighbours and would mostly fail. What a document is dropped for: `does_not_compile`, `fails` (another exit code
than 0), `timeout`. Kept are documents in a language that is not asked for, those whose toolchain or library is missing
here (`ModuleNotFoundError`), and those the sandbox itself failed at; each is counted.

Cost: starting the language's tools for every document, 10 ms of CPU for Python and up to a second for what must be
compiled. No input is given, and what a program prints is not looked at.
"""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from smallcoder.core.errors import ToolError
from smallcoder.core.progress import track
from smallcoder.core.records import DOCUMENT
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.core.tables import Sieve, read_batches

if TYPE_CHECKING:
    from smallcoder.sandbox import Result

BATCH = 256
NAMES = {"shell": "bash"}  # of DOCUMENT.lang -> the sandbox's
NO_MODULE = re.compile(rb"^ModuleNotFoundError: No module named", re.MULTILINE)


class Config(StageConfig):
    """`languages`: those to try, as `DOCUMENT.lang` names them. `unsafe` is for hosts where no sandbox can be built."""

    languages: tuple[str, ...] = Field(default=("python",), min_length=1)
    cpu_seconds: float = Field(default=5.0, gt=0)
    memory_bytes: int = Field(default=1 << 30, ge=1 << 26)
    workers: int = run_only(2, ge=1)
    unsafe: bool = run_only(False)


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents and out/dropped. Raises InputError for an unknown language, EmptyError where nothing is kept,
    ToolError where no sandbox can be built, or none of the languages runs in it.
    """
    from smallcoder.sandbox import Job, Limits, Program, Sandbox
    from smallcoder.sandbox.sandbox import known

    names = {lang: known(NAMES.get(lang, lang)) for lang in config.languages}
    limits = Limits(config.cpu_seconds, max(60.0, 5 * config.cpu_seconds), config.memory_bytes)
    counts: Counter[str] = Counter()
    with (
        Sandbox(config.workers, languages=sorted(set(names.values())), unsafe=config.unsafe) as sandbox,
        Sieve(out, DOCUMENT) as sieve,
    ):
        if sandbox.missing.keys() >= set(names.values()):
            raise ToolError(
                f"nothing can be tried here ({'; '.join(sandbox.missing.values())})", "see `smallcoder check`"
            )
        for batch in track(read_batches(inputs["documents"], batch_rows=BATCH), "execute", unit="batches"):
            langs, texts = batch["lang"].to_pylist(), batch["text"].to_pylist()
            tried = [number for number, lang in enumerate(langs) if lang in names]
            jobs = (Job(Program(texts[at] or "", language=names[langs[at]]), limits=limits) for at in tried)
            reasons: list[str | None] = [None] * batch.num_rows
            counts["not_asked_for"] += batch.num_rows - len(tried)
            for at, result in zip(tried, sandbox.run_many(jobs), strict=True):
                reasons[at], said = judged(result)
                counts[said] += 1
            sieve.put(batch, reasons)
        facts = sieve.close()
        ran = f"{counts['ran']:,} ran of {counts.total() - counts['not_asked_for']:,}"
        about = {"tier": sandbox.tier, "missing_toolchains": sandbox.missing, "headline": ran}
    return facts | about | {"outcomes": dict(sorted(counts.items()))}


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(inputs["documents"].records, inputs["documents"].bytes)


def judged(result: "Result") -> tuple[str | None, str]:
    """Why to drop a document, None to keep it, and what is counted."""
    if result.status == "infra":
        return None, "infra"
    if result.status == "ok" and result.exit_code == 0:
        return None, "ran"
    if NO_MODULE.search(result.stderr):
        return None, "missing_module"
    if result.status == "timeout":
        return "timeout", "timeout"
    word = "does_not_compile" if result.reason.startswith("does not compile") else "fails"
    return word, word
