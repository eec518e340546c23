"""A made-up run folder with every kind of stage, in the shape of the real stages' facts."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smallcoder.core.manifest import MANIFEST
from smallcoder.core.records import DOCUMENT, record_id, with_reason
from smallcoder.core.tables import TableWriter

HOSTILE = '</pre><script>alert("x")</script><img src=x onerror=alert(1)> & "quotes" \u202e\x1b[31m'


def manifest(folder: Path, stage: str, use: str, facts: dict[str, Any], **more: Any) -> None:
    """Write one finished stage."""
    data = {
        **{"stage": stage, "use": use, "identity": {}, "outputs": {"documents": "0" * 32}, "facts": facts},
        **{"outside": {}, "config": {"seed": 7, "note": HOSTILE}, "inputs": {}},
        **{"environment": {"python": "3.11", "git": "abc"}, "seconds": 12.5, "peak_memory_bytes": 3 << 28},
        **more,
    }
    (folder / stage).mkdir(parents=True, exist_ok=True)
    (folder / stage / MANIFEST).write_text(json.dumps(data), encoding="utf-8")


def sieve(records: int, dropped: dict[str, int], size: int = 6000) -> dict[str, Any]:
    """Retention facts."""
    total = records + sum(dropped.values())
    reasons = {name: {"records": number, "bytes": number * size} for name, number in dropped.items()}
    counts = {"records_in": total, "bytes_in": total * size, "records": records, "bytes": records * size}
    return {**counts, "dropped": reasons}


def drop(folder: Path, stage: str, texts: Sequence[tuple[str, str]]) -> None:
    """Write a dropped table of (reason, text)."""
    with TableWriter(folder / stage / "dropped", with_reason(DOCUMENT)) as table:
        for reason, text in texts:
            row = {
                "id": record_id(text),
                "text": text,
                "repo": "wheel",
                "path": f"{HOSTILE}/setup.py",
                "reason": reason,
            }
            table.write_rows([row])


def tally(repositories: int, size: int) -> dict[str, Any]:
    """Facts of data.tally."""
    names = ["numpy", "sympy", "<b>evil</b>", "pip", "django"]
    top = [
        {"repo": name, "revision": "1.2", "license": "MIT", "records": 40, "bytes": size // (index + 3)}
        for index, name in enumerate(names)
    ]
    licenses = {"MIT": {"records": 300, "bytes": size // 2}, "BSD-3-Clause": {"records": 200, "bytes": size // 3}}
    licenses |= {f"Other-{index}": {"records": 3, "bytes": 900 * index} for index in range(20)}
    return {"repositories": repositories, "records": 900, "bytes": size, "licenses": licenses, "top": top}


def splits(shares: dict[str, float]) -> dict[str, Any]:
    """Scores of an evaluation by split."""
    made = {}
    for name, share in shares.items():
        half = 1.96 * math.sqrt(share * (1 - share) / 300)
        counts = {"problems": 300, "passed": round(300 * share), "failed": 290, "timeout": 2, "infra": 0, "cut": 4}
        bounds = {"pass@1": share, "low": max(0.0, share - half), "high": min(1.0, share + half)}
        made[name] = {**counts, **bounds, "tiers": ["namespaces"]}
    return made


def sample(status: str, completion: str) -> dict[str, str]:
    """One graded answer."""
    prompt = "Write a function `count_even(numbers)` that returns how many of the numbers are even."
    reason = "" if status == "passed" else "test 2: [1], expected 3"
    return {"prompt": prompt, "completion": completion, "status": status, "reason": reason, "tier": "namespaces"}


def make_run(folder: Path) -> Path:
    """Fill a folder with a finished run."""
    manifest(folder, "docs", "read", {**sieve(900, {"empty": 30, "too_large": 2}), "contents": tally(512, 60_000_000)})
    drop(folder, "docs", [("empty", ""), ("too_large", "x" * 500)])
    manifest(
        folder,
        "rules",
        "assess",
        sieve(700, {"syntax_error": 120, "long_line": 80}),
        inputs={"documents": "docs/documents"},
    )
    drop(folder, "rules", [("syntax_error", f"def f(:\n  {HOSTILE}\n"), ("long_line", "a = 1\n" * 30)])
    licensed = {"licenses": {"dropped": {"GPL-3.0-only": {"records": 31, "bytes": 40_000}, HOSTILE: {"records": 1}}}}
    manifest(folder, "licensed", "licenses", {**licensed, "policy": "permissive", "headers": {"added": {"records": 7}}})
    manifest(folder, "redacted", "redact", {"redacted": {"documents": 5, "email": 9, "ip_address": 4}})
    natural = {"en": {"records": 410, "bytes": 9_000_000}, HOSTILE: {"records": 2, "bytes": 300}}
    manifest(folder, "english", "language", {"natural": natural, "judged": {"comments": 412, "too_little": 88}})
    buckets = {"high": {"records": 600, "bytes": 5_000_000}, "low": {"records": 100, "bytes": 70_000}}
    manifest(folder, "assessed", "assess", {"buckets": buckets, "thresholds": {"high": 85.0, "medium": 65.0}})
    learned = {name: {"share": 0.893, "interval": [0.803, 0.945]} for name in ("precision", "recall", "f1")}
    learned["counts"] = {"true_positive": 67, "false_positive": 8, "false_negative": 2, "true_negative": 10}
    manifest(folder, "learned", "quality_classifier", {**learned, "threshold": 0.8023})
    components = {"classifier": {"records": 700, "mean_points": 80.4}, HOSTILE: {"records": 690}}
    manifest(folder, "scored", "quality", {"components": components, "threshold": 50.0, "mean": 85.6})
    measured = {"recall": 0.9864, "interval": [0.9296, 0.9975], "precision": 1.0, "pairs": 78, "pairs_looked_at": 3179}
    manifest(folder, "unique", "dedup", {"measured": measured, "near_groups": 31, "pairs_in_a_band": 1665})
    found = {"problems": 164, "problems_found": 1, "documents_by_benchmark": {"humaneval/test": 2}}
    manifest(folder, "decontaminated", "decontaminate", found)
    manifest(folder, "split", "split", {"train": tally(500, 50_000_000), "heldout": tally(12, 1_000_000)})
    manifest(folder, "drills", "drills", {"records": 17000})
    manifest(
        folder, "tokenizer", "tokenizer",
        {"vocab_size": 4096, "merges": 3700, "documents": 1200, "sample_bytes": 8_000_000, "bytes_per_token": 3.41,
         "longest_tokens": ["    def __init__(self", HOSTILE]},
    )  # fmt: skip
    packed = {"rows": 21000, "tokens": 10_700_000, "targets": 10_600_000, "padding_share": 0.004, "fim_share": 0.25}
    manifest(folder, "packed", "pack", packed, inputs={"documents": "split/train", "tokenizer": "tokenizer/tokenizer"})
    loss = [
        [step, round(8.3 * math.exp(-step / 90) + 2.1 + 0.5 * math.exp(-step / 500), 4)] for step in range(5, 1001, 5)
    ]
    heldout = [[0, 3.9], [250, 1.93], [500, 1.74], [750, 1.64], [1000, 1.598]]
    facts = {"parameters": 3_400_000, "steps": 1000, "tokens": 2_040_000, "epochs": 0.19, "train_loss": 2.11}
    facts |= {"loss_curve": loss, "heldout_curve": heldout}
    manifest(
        folder, "pretrain", "train", facts, inputs={"packed": "packed/packed"}, seconds=203.1, peak_memory_bytes=3 << 30
    )
    tuned = {
        "parameters": 3_400_000,
        "steps": 490,
        "tokens": 900_000,
        "epochs": 1.0,
        "train_loss": 0.31,
        "loss_curve": loss[:98],
    }
    manifest(folder, "sft", "train", tuned, inputs={"model": "pretrain/model"}, seconds=101.0)
    before = {"splits": splits(dict.fromkeys(("wording", "pairs", "phrasing", "families"), 0.0)), "samples": {}}
    manifest(
        folder, "drills-before", "evaluate", before, inputs={"problems": "drills/problems", "model": "pretrain/model"}
    )
    after = {
        "splits": splits({"wording": 0.952, "pairs": 0.703, "phrasing": 0.618, "families": 0.041}),
        "samples": {
            "wording": [
                sample("passed", "def count_even(numbers):\n    return sum(1 for n in numbers if n % 2 == 0)"),
                sample("failed", f"def count_even(numbers):\n    return numbers  # {HOSTILE}"),
            ],
            "pairs": [sample("timeout", "def count_even(numbers):\n    while True:\n        pass")],
        },
    }
    manifest(folder, "drills-after", "evaluate", after, inputs={"problems": "drills/problems", "model": "sft/model"})
    line = {
        "path": "src/queue.py",
        "line": 41,
        "prefix": "class Queue:\n    def pop(self):\n        if not self.items:\n",
    }
    line |= {
        "middle": "            raise IndexError\n",
        "suffix": "        return self.items.pop(0)\n\n    def x(self):\n",
    }
    infilling = {
        "records": 300, "exact": {"count": 4, "share": 0.0133, "interval": [0.0052, 0.0338]},
        "bits_per_byte": {"infill": 1.71, "no_suffix": 1.83, "plain": 1.84},
        "saved_by_infill_prompt_against": {"no_suffix": {"bits_per_byte": 0.12, "interval": [0.08, 0.16]}},
        "samples": [{**line, "completion": f"            return None {HOSTILE}\n", "exact": False},
                    {**line, "completion": "            raise IndexError\n", "exact": True}],
    }  # fmt: skip
    manifest(
        folder, "infilling", "infilling", infilling, inputs={"documents": "split/heldout", "model": "pretrain/model"}
    )
    files = {
        "f16": {"bytes": 6_900_000, "bits_per_weight": 16.1, "same_tokens": 1.0, "same_sequences": 1.0},
        "q8_0": {"bytes": 3_700_000, "bits_per_weight": 8.6, "same_tokens": 0.987, "same_sequences": 0.94},
    }
    manifest(folder, "gguf", "gguf", {"files": files}, inputs={"model": "sft/model"}, seconds=8.0)
    return folder
