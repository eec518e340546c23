"""Stage `rules`: drops documents that simple rules tell from code worth learning, one reason word a rule.

`RULES` is the table: they are tried in its order, and the first that a document fails gives the reason. Thresholds and
their sources stand in `Config`. Nearly all rules read `signals`; patterns that cost more run only where a signal says
that they could matter. Parsing is most of the cost (12 MB a CPU-second), so it comes last; `workers` are processes.

Not here: judgements of quality by statistics or models, personal data, natural language. Ling's word-repetition rule is
left out: any long program repeats its names, and at 70% it drops most files of more than a few hundred lines.
"""

import re
import symtable
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa

from smallcoder.core.stage import Facts, Inputs, Size, StageConfig, run_only
from smallcoder.data.clean import GENERATED
from smallcoder.data.engine import Judged, sift
from smallcoder.data.licenses import is_permissive

PROSE = {"markdown", "restructuredtext", "text", "html"}  # Ling-Coder-Lite: no limits on line length for these
HEAD_LINES = 5  # StarCoder2 looks for the marks of generated files here

# StarCoder2's patterns of data in hexadecimal and Unicode escapes; base64 is counted by the kernel.
ESCAPES = re.compile(r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}|(?:\\u[0-9a-fA-F]{4}){8,}")
URLS = re.compile(r"://[^\s\"'<>`)\]]+")
ADDRESSES = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-fA-F]{1,4}:){3,7}:?[0-9a-fA-F]{1,4}\b")
CONTACTS = re.compile(
    r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,3}"
    r"|\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?|\b\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\b"
    r"|(?<![\w.])\+?\(?\d{2,4}\)?(?:[ -]\d{2,4}){2,4}\b"
)


class Config(StageConfig):
    """Thresholds: a document at a threshold stays. Lengths in characters, shares between 0 and 1."""

    licenses: Literal["permissive", "any"] = "permissive"  # unknown ones are dropped too, under their own reason
    generated: bool = False  # keep files that say a program wrote them
    min_lines: int = 10  # NeMo Curator, NumberOfLinesOfCodeFilter
    max_lines: int = 20_000  # the same; StarCoder2 has 100,000
    max_line: int = 1000  # StarCoder (arXiv 2305.06161), after Codex (arXiv 2107.03374)
    mean_line: float = 100.0  # the same
    min_letters: float = 0.25  # StarCoder2 (arXiv 2402.19173), DeepSeek-Coder (arXiv 2401.14196)
    max_encoded: float = 0.5  # StarCoder2: share of the text in runs of encoded data
    max_encoded_run: int = 1024  # StarCoder2: the longest single run
    max_garbled: float = 0.01  # ours; Ling-Coder-Lite (arXiv 2503.17793) gives no figure
    max_repeated_lines: float = 0.7  # Ling-Coder-Lite
    max_addresses: float = 0.6  # Ling-Coder-Lite: URLs and IP addresses
    max_contacts: float = 0.5  # Ling-Coder-Lite: e-mail addresses, telephone numbers, dates
    parses: bool = True  # Python must parse, as in Mify-Coder (arXiv 2512.23747, section 3.3.4)
    workers: int = run_only(1, ge=1)


@dataclass(frozen=True)
class Subject:
    """What the rules look at: a document and its signals, by name."""

    text: str
    lang: str | None
    license: str | None
    signals: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.signals[name]


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/documents and out/dropped."""
    facts, _ = sift(partial(judge, config), inputs["documents"], out, "rules", workers=config.workers, processes=True)
    return facts


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    """No more than the input."""
    return replace(inputs["documents"], note="at most")


def judge(config: Config, batch: pa.RecordBatch) -> Judged:
    """Judge a DOCUMENT batch by the table of rules; its rows stay as they are."""
    from smallcoder.data.kernels import buffers
    from smallcoder.data.signals import SIGNALS, signals

    columns = zip(*(batch.column(name).to_pylist() for name in ("text", "lang", "license")), strict=True)
    measured = signals(*buffers(batch.column("text"))).tolist()
    reasons: list[str | None] = []
    for (text, lang, license), row in zip(columns, measured, strict=True):
        subject = Subject(text or "", lang, license, dict(zip(SIGNALS, row, strict=True)))
        reasons.append(next((reason for reason, fails in RULES.items() if fails(subject, config)), None))
    return Judged(batch, reasons)


def _generated(doc: Subject, limits: Config) -> bool:
    head = doc.text.split("\n", HEAD_LINES)[:HEAD_LINES]
    return not limits.generated and any(GENERATED.search(line) for line in head)


def _encoded(doc: Subject, limits: Config) -> bool:
    most = limits.max_encoded * doc["bytes"]
    if doc["encoded_run"] > limits.max_encoded_run or doc["encoded"] > most:
        return True
    if doc["hexlike_run"] <= limits.max_encoded_run and doc["hexlike"] <= most:
        return False
    runs = [len(match[0]) for match in ESCAPES.finditer(doc.text)]
    return max(runs, default=0) > limits.max_encoded_run or sum(runs) > most


# The next two first bound what their pattern could match: an address of 39 characters has three colons or is four
# sevenths digits, an e-mail address has one @ in 320 characters, dates and telephone numbers are a third digits.


def _mostly_addresses(doc: Subject, limits: Config) -> bool:
    most = limits.max_addresses * doc["characters"]
    urls = sum(len("https") + len(url) for url in URLS.findall(doc.text)) if "://" in doc.text else 0
    if urls + 2 * doc["digits"] + 13 * doc.text.count(":") <= most:
        return False
    return urls + _matched(ADDRESSES, doc.text) > most


def _mostly_contacts(doc: Subject, limits: Config) -> bool:
    most = limits.max_contacts * doc["characters"]
    return 320 * doc.text.count("@") + 3 * doc["digits"] > most and _matched(CONTACTS, doc.text) > most


def _matched(pattern: re.Pattern[str], text: str) -> int:
    return sum(len(match[0]) for match in pattern.finditer(text))


def parses(text: str) -> bool:
    """Whether a text is Python that the running interpreter accepts. Never raises, whatever the text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # The compiler's front end as in `compile`, without building Python objects for the tree: 1.6 times as fast.
            symtable.symtable(text, "document", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return False
    return True


RULES: dict[str, Callable[[Subject, Config], bool]] = {
    "license_unknown": lambda doc, limits: limits.licenses == "permissive" and doc.license is None,
    "license_not_permissive": lambda doc, limits: (
        limits.licenses == "permissive" and not is_permissive(doc.license or "")
    ),
    "generated": _generated,
    "too_short": lambda doc, limits: doc["lines"] < limits.min_lines,
    "too_long": lambda doc, limits: doc["lines"] > limits.max_lines,
    "long_line": lambda doc, limits: doc.lang not in PROSE and doc["longest_line"] > limits.max_line,
    "long_lines": lambda doc, limits: (
        doc.lang not in PROSE and doc["characters"] > (limits.mean_line + 1) * doc["lines"]
    ),
    "few_letters": lambda doc, limits: doc["letters"] < limits.min_letters * doc["characters"],
    "encoded_data": _encoded,
    "garbled": lambda doc, limits: doc["garbled"] > limits.max_garbled * doc["characters"],
    "repeated_lines": lambda doc, limits: (
        doc["worded_lines"] - doc["distinct_lines"] > limits.max_repeated_lines * doc["worded_lines"]
    ),
    "mostly_addresses": _mostly_addresses,
    "mostly_contacts": _mostly_contacts,
    "syntax_error": lambda doc, limits: limits.parses and doc.lang == "python" and not parses(doc.text),
}
