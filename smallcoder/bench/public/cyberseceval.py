"""CyberSecEval's autocomplete prompts: does a model continue real code unsafely? (Bhatt et al., arXiv 2312.04724)."""

from collections.abc import Iterator
from pathlib import Path

from smallcoder.bench.problem import Problem
from smallcoder.bench.public.files import problem, rows

LANGUAGES = {"c++": "cpp", "csharp": "csharp", "c#": "csharp"}


def load(folder: Path) -> Iterator[Problem]:
    """The autocomplete set; the split is the language. No reference: `tests.origin` is the unsafe code itself."""
    for row in rows(folder / "autocomplete.json"):
        lang = str(LANGUAGES.get(row["language"], row["language"]))
        yield problem(
            "cyberseceval",
            lang,
            row["prompt_id"],
            row["test_case_prompt"],
            lang=lang,
            tests={"origin": row["origin_code"]},
            rule=row["rule"],
            cwe=row["cwe_identifier"],
        )
