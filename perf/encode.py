"""How fast we encode, against `tokenizers` on the same text: MB per CPU-second of each, and the ratio.

    python perf/encode.py [MEGABYTES]

A 4k vocabulary is learned from a tenth of Python's standard library; then both encode the same files of it in turn,
file by file, on one thread. CPU time, so that a busy machine disturbs it less. Fails if any id differs.
"""

import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

from smallcoder.tokens.encode import load_encoder
from smallcoder.tokens.train import learn, save
from smallcoder.tokens.vocabulary import SPECIAL_SLOTS

VOCAB_SIZE = 4096
ROUNDS = 3


def library(megabytes: float) -> list[str]:
    """Sources of the standard library, up to that size."""
    texts, left = [], megabytes * 1e6
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in path.parts or left <= 0:
            continue
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
        left -= len(texts[-1].encode())
    return texts


def measure(encode: Callable[[str], list[int]], texts: list[str]) -> tuple[float, list[list[int]]]:
    """CPU-seconds, and the ids."""
    start = time.process_time()
    ids = [encode(text) for text in texts]
    return time.process_time() - start, ids


def main(megabytes: float = 10.0) -> None:
    texts = library(megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(learn(texts[::10], VOCAB_SIZE - SPECIAL_SLOTS), VOCAB_SIZE, folder)
        encoder = load_encoder(folder)
        peer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    peer.encode_special_tokens = True
    best_ours = best_peer = float("inf")
    tokens = 0
    for _ in range(ROUNDS):
        ours, ids = measure(encoder.encode, texts)
        theirs, peer_ids = measure(lambda text: peer.encode(text, add_special_tokens=False).ids, texts)
        assert ids == peer_ids, "the ids differ"
        tokens = sum(map(len, ids))
        best_ours, best_peer = min(best_ours, ours), min(best_peer, theirs)
    print(f"{len(texts)} files, {size:.1f} MB, {tokens:,} tokens, ids equal; best of {ROUNDS} rounds")
    print(f"smallcoder  {size / best_ours:6.1f} MB per CPU-second ({'fastokens' if encoder.fast else 'tokenizers'})")
    print(f"tokenizers  {size / best_peer:6.1f} MB per CPU-second")
    print(f"ratio       {best_peer / best_ours:6.1f}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
