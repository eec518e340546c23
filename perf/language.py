"""What it costs to find the comments of Python source: our scanner against Python's own tokenizer, on the same files.

    python perf/language.py [MEGABYTES]

Also prints what the stage `language` adds: comments, CLD2 and all, without reading and writing. CPU-seconds; each side
is run in turn, three times, and the best counts.
"""

import io
import sys
import time
import tokenize
from collections.abc import Callable
from pathlib import Path
from sysconfig import get_paths

import pyarrow as pa

from smallcoder.data.comments import comments
from smallcoder.data.language import programming_language
from smallcoder.data.natural import Config, judge


def corpus(megabytes: int) -> list[tuple[str, str]]:
    """Paths and texts of installed Python that its own tokenizer accepts."""
    found: list[tuple[str, str]] = []
    left = megabytes * 1_000_000
    for path in sorted(Path(get_paths()["stdlib"]).rglob("*.py")):
        try:
            text = path.read_text("utf-8")
            for _ in tokenize.generate_tokens(io.StringIO(text).readline):
                pass
        except (OSError, UnicodeDecodeError, SyntaxError, tokenize.TokenError):
            continue
        found.append((str(path), text))
        left -= len(text.encode())
        if left < 0:
            break
    return found


def python_tokenizer(text: str) -> list[str]:
    return [
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT
    ]


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    files = corpus(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    texts = [text for _, text in files]
    size = sum(len(text.encode()) for text in texts) / 1e6
    rows = [{"id": str(at), "text": text, "lang": "python"} for at, text in enumerate(texts)]
    batch = pa.RecordBatch.from_pylist(rows)
    sides = {
        "comments": lambda: [comments(text, "python") for text in texts],
        "tokenize": lambda: [python_tokenizer(text) for text in texts],
        "stage language": lambda: judge(Config(), batch),
    }
    best = {name: min(seconds(run) for _ in range(3)) for name, run in sides.items()}
    for name, spent in best.items():
        print(f"{name:16} {size / spent:8.1f} MB a CPU-second on {size:.1f} MB")
    print(f"comments: {best['tokenize'] / best['comments']:.0f} times as fast as tokenize")
    paths = [path for path, _ in files] * 20
    spent = seconds(lambda: [programming_language(path) for path in paths])
    print(f"programming_language: {spent / len(paths) * 1e6:.2f} microseconds a path")


if __name__ == "__main__":
    main()
