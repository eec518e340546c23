"""How well decontamination finds what it should: planted cases of known problems, and clean texts.

Each kind of case is what happens to benchmark problems in the wild: copied, laid out anew, stripped of comments,
renamed, put in the middle of another file, reduced to the docstring, carried to another language with the prompt as its
comment. A case counts as found only if the hit names the problem that was planted; a clean text with any hit is a false
positive. Changes are made on the token stream of Python, so all else of a solution stays as it was.
"""

import ast
import io
import keyword
import re
import textwrap
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from smallcoder.data.decontaminate.passages import Problem, parted, views
from smallcoder.data.decontaminate.stage import hits

BATCH = 512
Case = tuple[int, str]  # problem, text


@dataclass(frozen=True)
class Score:
    """Planted cases of one kind and how many were found, with the false positives among `clean` texts beside them."""

    kind: str
    cases: int
    found: int
    clean: int
    false: int

    @property
    def recall(self) -> float:
        return self.found / self.cases if self.cases else 1.0

    @property
    def precision(self) -> float:
        """Of all hits, if cases and clean texts came in these numbers."""
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def measure(problems: Sequence[Problem], clean: Sequence[str], host: str) -> list[Score]:
    """A score for each kind of case that the problems allow, and one of all. `host` is the file that cases are put in.

    Every problem must be Python, and its reference too. Takes some 10 ms for each problem.
    """
    searched = views(list(problems))
    found = _found(list(clean), "python", searched)
    false = sum(1 for owners in found if owners)
    scores = []
    for kind, make in KINDS.items():
        cases = [(at, text) for at, problem in enumerate(problems) for text in make(problem, host)]
        lang = "javascript" if kind == "other language" else "python"
        right = _found([text for _, text in cases], lang, searched)
        count = sum(1 for (at, _), owners in zip(cases, right, strict=True) if at in owners)
        scores.append(Score(kind, len(cases), count, len(clean), false))
    total = Score("all", sum(s.cases for s in scores), sum(s.found for s in scores), len(clean), false)
    return [*scores, total]


def _found(texts: list[str], lang: str, searched: list) -> list[set[int]]:
    out: list[set[int]] = [set() for _ in texts]
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        batch = pa.RecordBatch.from_pydict({"text": pa.array(part, pa.large_string()), "lang": [lang] * len(part)})
        for row, owner, _, _ in hits(batch, searched):
            out[start + row].add(owner)
    return out


def _prose(problem: Problem) -> str:
    """The task in words: the docstring of a prompt that is code, or the prompt."""
    said, _ = parted([(problem.prompt, False)])[0]
    return re.sub(r'^[rRuU]?("""|\'\'\')|("""|\'\'\')$', "", said.strip()).strip() if said.strip() else problem.prompt


def _bare(problem: Problem) -> str:
    """The reference without comments and docstrings; as it is, if it needs one of its triple-quoted strings."""
    _, bare = parted([(problem.reference.replace("\r\n", "\n"), False)])[0]
    try:
        ast.parse(bare)
    except SyntaxError:
        return problem.reference
    return bare


def _wrapped(problem: Problem, host: str) -> Iterator[str]:
    yield "x = 0\n" + textwrap.indent(textwrap.fill(_prose(problem), 41), "    # ") + "\n"
    yield "\n".join(_broken(problem.reference))


def _broken(code: str) -> Iterator[str]:
    """Code with a line break after every comma within brackets."""
    lines = code.splitlines()
    depth = 0
    for token in reversed(_tokens(code)):
        if token.type == tokenize.OP:
            depth += (token.string in ")]}") - (token.string in "([{")
            if token.string == "," and depth > 0:
                row, column = token.end
                lines[row - 1] = lines[row - 1][:column] + "\n            " + lines[row - 1][column:].lstrip()
    yield from lines


def _indented(problem: Problem, host: str) -> Iterator[str]:
    code = problem.reference.replace("\r\n", "\n").replace("    ", "\t")
    yield "class Wrapper:\r\n" + textwrap.indent(code, "\t").replace("\n", "\r\n")


def _embedded(problem: Problem, host: str) -> Iterator[str]:
    lines = host.split("\n")
    # At the first top-level definition past the middle, so that the host's own code stays whole.
    places = [at for at, line in enumerate(lines) if line.startswith(("def ", "class "))]
    at = next((place for place in places if place > len(lines) // 2), len(lines))
    yield "\n".join([*lines[:at], problem.reference.rstrip(), "\n", *lines[at:]])


def _translated(problem: Problem, host: str) -> Iterator[str]:
    comment = textwrap.indent(_prose(problem), " * ", lambda line: True)
    yield f"/**\n{comment}\n */\nexport const solve = (values) => {{\n  return values.map((v) => v);\n}};\n"


def renamed(code: str) -> str:
    """Python with every name that it binds itself called otherwise. Raises SyntaxError where it does not parse."""
    bound: dict[str, str] = {}
    for node in ast.walk(ast.parse(code)):
        names = [
            getattr(node, "arg", None) if isinstance(node, ast.arg) else None,
            node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else None,
            node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else None,
        ]
        for name in names:
            if name and not name.startswith("__"):
                bound.setdefault(name, f"renamed_{len(bound)}x")
    lines = code.split("\n")
    tokens = _tokens(code)
    for at in reversed(range(len(tokens))):
        token = tokens[at]
        if token.type == tokenize.NAME and token.string in bound and not keyword.iskeyword(token.string):
            if at and tokens[at - 1].string == ".":
                continue
            (row, start), (_, end) = token.start, token.end
            lines[row - 1] = lines[row - 1][:start] + bound[token.string] + lines[row - 1][end:]
    return "\n".join(lines)


def _tokens(code: str) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, IndentationError):
        return []


def _renamed(problem: Problem, host: str) -> Iterator[str]:
    yield renamed(_bare(problem))


def _reprinted(problem: Problem, host: str) -> Iterator[str]:
    yield ast.unparse(ast.parse(_bare(problem)))


KINDS: dict[str, Callable[[Problem, str], Iterator[str]]] = {
    "prompt, verbatim": lambda problem, host: iter([problem.prompt]),
    "solution, verbatim": lambda problem, host: iter([problem.reference]),
    "indented anew": _indented,
    "wrapped anew": _wrapped,
    "comments stripped": lambda problem, host: iter([_bare(problem)]),
    "printed from its syntax tree": _reprinted,
    "renamed": _renamed,
    "in a larger file": _embedded,
    "docstring alone": lambda problem, host: iter(['"""\n' + textwrap.indent(_prose(problem), "  ") + '\n"""\n']),
    "other language": _translated,
}
