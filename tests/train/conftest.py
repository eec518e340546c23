import json
import signal

import pytest

from tests.train.tiny import VOCABULARY, write_rows


@pytest.fixture
def interruptible():
    """Let Ctrl-C do what it does in a terminal: a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("train")
    write_rows(made / "packed", 50, 0)
    write_rows(made / "heldout", 7, 1)
    (made / "tokenizer").mkdir()
    tokens = [{"content": "<|endoftext|>", "id": VOCABULARY - 1}]
    (made / "tokenizer" / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    return made
