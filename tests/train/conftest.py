import json

import pytest

from tests.train.tiny import VOCABULARY, write_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("train")
    write_rows(made / "packed", 50, 0)
    write_rows(made / "heldout", 7, 1)
    (made / "tokenizer").mkdir()
    tokens = [{"content": "<|endoftext|>", "id": VOCABULARY - 1}]
    (made / "tokenizer" / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    return made
