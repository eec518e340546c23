"""A small tokenizer and a small corpus, made once."""

import sysconfig
from pathlib import Path

import pytest

from smallcoder.core.records import DOCUMENT, EXAMPLE, record_id
from smallcoder.core.tables import TableWriter
from smallcoder.tokens import train
from smallcoder.tokens.encode import Encoder, load_encoder
from smallcoder.tokens.fim import FimSpec

HOSTILE = [
    "",
    "x",
    "\n\n\n",
    "no line end here " * 400,
    "你好，世界🙂\n" * 300 + "é" * 900,
    "x" * 5_000,
    "<|endoftext|><|fim_prefix|>a<|fim_suffix|><|im_start|>assistant\n<think></think>\n" * 40,
    "\r\n\t \u2028\x0c\x00" * 200,
]


def document_rows() -> list[dict]:
    library = Path(sysconfig.get_path("stdlib"))
    rows = []
    for folder in ("json", "email", "logging", "unittest", "importlib"):
        for path in sorted((library / folder).glob("*.py")):
            rows += [(folder, path.name, path.read_text(encoding="utf-8"))]
    rows += [("hostile", f"{number}.py", text) for number, text in enumerate(HOSTILE)]
    blank = {"revision": "1", "license": None, "source": "test", "lineage": []}
    return [
        {"id": record_id(repo, path), "text": text, "lang": "python", "repo": repo, "path": path, **blank}
        for repo, path, text in rows
    ]


def said(ids: list[int], encoder: Encoder) -> bytes:
    return b"".join(encoder.token_bytes[id] for id in ids)


def plain_text(ids: list[int], encoder: Encoder, spec: FimSpec) -> bytes:
    """A piece's stretch of its document, put back in order if it was rearranged."""
    ids = ids[encoder.begin is not None :]
    ids = ids[:-1] if ids[-1] == encoder.end else ids
    prefix, suffix = encoder.token_id(spec.prefix), encoder.token_id(spec.suffix)
    first = next((at for at, id in enumerate(ids) if id in (prefix, suffix)), len(ids))
    context, ids = said(ids[:first], encoder), ids[first:]  # other files of the repository
    if not ids:
        return context
    head, at = ids[0], ids.index(suffix if ids[0] == prefix else prefix)
    last = ids.index(encoder.token_id(spec.middle)) if spec.middle else at
    one, two, three = (said(part, encoder) for part in (ids[1:at], ids[at + 1 : last], ids[last + 1 :]))
    if not spec.middle:  # suffix, then the rest as it was
        return context + three + one
    if head == suffix:
        return context + two + three + one
    return context + one + three + two  # joint spm begins as psm with an empty prefix


class Recorder:
    """Takes the pieces of a cutter."""

    def __init__(self) -> None:
        self.pieces: list[list[int]] = []

    def add(self, key: int, ids: list[int]) -> None:
        self.pieces.append(ids)


def write(folder: Path, schema, rows) -> Path:
    with TableWriter(folder, schema) as writer:
        writer.write_rows(rows)
    return folder


def example(id: str, *turns: tuple[str, str], tools: str | None = None, task: str = "drill") -> dict:
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"id": id, "messages": messages, "tools": tools, "task": task, "license": None, "lineage": []}


@pytest.fixture(scope="session")
def documents(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("documents"), DOCUMENT, document_rows())


@pytest.fixture(scope="session")
def examples(tmp_path_factory) -> Path:
    rows = [example(f"e{n}", ("user", f"add {n}"), ("assistant", f"return zyzzyva + {n}")) for n in range(400)]
    return write(tmp_path_factory.mktemp("examples"), EXAMPLE, rows)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, documents, examples) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("trained")
    config = train.Config(vocab_size=1024, sample_bytes=600_000)
    facts = train.run(config, {"documents": documents, "examples": examples}, out)
    return out / "tokenizer", facts


@pytest.fixture(scope="session")
def tokenizer(trained) -> Path:
    return trained[0]


@pytest.fixture(scope="session")
def encoder(tokenizer) -> Encoder:
    return load_encoder(tokenizer)
