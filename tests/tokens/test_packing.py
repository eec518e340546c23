"""Packed rows: every document comes back, nothing crosses, shares are as set, no order or worker count shows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.manifest import digests
from smallcoder.core.records import DOCUMENT, EXAMPLE
from smallcoder.tokens import pack_documents, pack_examples
from smallcoder.tokens.cut import Cutter
from smallcoder.tokens.fim import FimSpec
from smallcoder.tokens.marked import Encoded
from smallcoder.tokens.packed import PADDING_SEGMENT, PackedRows, PackedWriter
from smallcoder.tokens.packing import Pieces, best_fit, least_rows
from smallcoder.tokens.sample import spread
from smallcoder.tokens.template import load_template

from .conftest import document_rows, example, plain_text, write


def segments(rows: PackedRows) -> list[tuple[np.ndarray, np.ndarray]]:
    """(ids, targets) of every segment, after checking the rules of the format."""
    found = []
    for tokens, numbers, targets in zip(rows.tokens, rows.segments, rows.targets, strict=True):
        count = int(numbers[numbers != PADDING_SEGMENT].max()) + 1
        used = int((numbers != PADDING_SEGMENT).sum())
        assert (numbers[used:] == PADDING_SEGMENT).all()
        assert not targets[used:].any()
        assert (np.diff(numbers[:used].astype(int)) >= 0).all()
        for number in range(count):
            at = np.flatnonzero(numbers == number)
            assert len(at)
            assert not targets[at[0]]
            found.append((tokens[at], targets[at]))
    return found


def pack(documents: Path, tokenizer: Path, out: Path, spans: Path | None = None, **settings) -> tuple[PackedRows, dict]:
    out.mkdir(parents=True)
    config = pack_documents.Config(**{"context": 64, **settings})
    inputs = {"documents": documents, "tokenizer": tokenizer} | ({"spans": spans} if spans else {})
    facts = pack_documents.run(config, inputs, out)
    assert [path.name for path in out.iterdir()] == ["packed"]
    return PackedRows(out / "packed"), facts


def test_every_document_comes_back(documents, tokenizer, encoder, tmp_path, monkeypatch):
    """Each document from its pieces in turn, and exactly those pieces from the rows."""
    pieces: list[list[int]] = []
    cut, add = Cutter.cut, Pieces.add

    def checked_cut(cutter: Cutter, document: Encoded, target: Pieces) -> None:
        before = len(pieces)
        cut(cutter, document, target)
        assert b"".join(plain_text(piece, encoder, FimSpec()) for piece in pieces[before:]) == document.data
        if document.data:
            assert pieces[-1][-1] == encoder.end

    def recorded_add(target: Pieces, key: int, ids: list[int]) -> None:
        pieces.append(ids)
        add(target, key, ids)

    monkeypatch.setattr(Cutter, "cut", checked_cut)
    monkeypatch.setattr(Pieces, "add", recorded_add)
    rows, facts = pack(documents, tokenizer, tmp_path / "out", fim_rate=0.5, fim_other_order=0.3)
    found = segments(rows)
    assert sorted(ids.tolist() for ids, _ in found) == sorted(pieces)
    assert all(targets[1:].all() for _, targets in found)
    texts = [row["text"] for row in document_rows()]
    assert facts["documents"] == len(texts) - 1
    assert facts["empty_documents"] == 1
    assert facts["pieces"] == facts["segments"] == len(found)
    assert facts["padding_share"] < 0.2  # lines are long for rows of 64; at 512 it is under 2%
    assert facts["text_bytes"] == sum(len(text.encode()) for text in texts)


def test_only_ends_of_documents_and_middles_are_marked(documents, tokenizer, encoder, tmp_path):
    rows, facts = pack(documents, tokenizer, tmp_path / "out")
    ends = [ids[-1] == encoder.end for ids, _ in segments(rows)]
    infill = [ids[0] == encoder.token_id("<|fim_prefix|>") for ids, _ in segments(rows)]
    assert sum(infill) == facts["fim_pieces"]
    assert all(end for end, fim in zip(ends, infill, strict=True) if fim)
    assert sum(ends) <= facts["documents"] + facts["fim_pieces"]
    assert not any((ids[:-1] == encoder.end).any() for ids, _ in segments(rows))


def test_bytes_of_a_row_are_those_of_its_targets(documents, tokenizer, encoder, tmp_path):
    rows, facts = pack(documents, tokenizer, tmp_path / "out")
    special = set(encoder.special.values())
    for tokens, targets, size in zip(rows.tokens, rows.targets, rows.bytes, strict=True):
        wanted = [int(id) for id, target in zip(tokens, targets, strict=True) if target and int(id) not in special]
        assert size == sum(len(encoder.token_bytes[id]) for id in wanted)
    assert facts["target_bytes"] == rows.bytes.astype(int).sum()


def test_without_infilling_there_is_no_mark_but_the_end(documents, tokenizer, encoder, tmp_path):
    rows, facts = pack(documents, tokenizer, tmp_path / "none", fim_rate=0)
    assert facts["fim_pieces"] == facts["fim_too_long"] == 0
    assert not set(encoder.special.values()) - {encoder.end} & set(rows.tokens.ravel().tolist())


def test_neither_workers_nor_row_order_show(documents, tokenizer, tmp_path):
    shuffled = write(tmp_path / "documents", DOCUMENT, document_rows()[::-1])
    samples: list[dict[str, Any]] = [{}, {"sample_bytes": 300_000}]
    for number, sample in enumerate(samples):
        pack(documents, tokenizer, tmp_path / f"a{number}", workers=1, **sample)
        pack(shuffled, tokenizer, tmp_path / f"b{number}", workers=2, **sample)
        assert digests(tmp_path / f"a{number}") == digests(tmp_path / f"b{number}")
    pack(documents, tokenizer, tmp_path / "other", seed=1)
    assert digests(tmp_path / "a0") != digests(tmp_path / "other")


def test_a_sample_keeps_to_its_budget(documents, tokenizer, tmp_path):
    _, facts = pack(documents, tokenizer, tmp_path / "out", sample_bytes=200_000)
    assert 100_000 < facts["text_bytes"] <= 200_000
    with pytest.raises(EmptyError):
        pack(documents, tokenizer, tmp_path / "none", sample_bytes=1, fim_rate=0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50)), max_size=60), st.integers(0, 1000), st.integers(0, 9))
def test_a_sample_fills_groups_to_one_level(sizes, budget, seed):
    rows = [(f"d{number}", f"g{group}", size) for number, (group, size) in enumerate(sizes)]
    chosen = spread(rows, budget, seed)
    assert chosen == spread(rows[::-1], budget, seed)
    level = {group: sum(size for id, name, size in rows if name == group and id in chosen) for _, group, _ in rows}
    assert sum(level.values()) <= budget
    for _, group, _ in rows:  # a group that was not taken whole is within one row of the fullest
        if any(name == group and id not in chosen for id, name, _ in rows):
            assert level[group] + 50 >= max(level.values())


@settings(max_examples=300)
@given(st.lists(st.integers(1, 33), min_size=1, max_size=80))
def test_best_fit_is_that_of_a_plain_search(lengths):
    places = best_fit(np.array(lengths), 33)
    room: list[int] = []
    for length in lengths:
        fits = [space for space in room if space >= length]
        if fits:
            room.remove(min(fits))
            room.append(min(fits) - length)
        else:
            room.append(33 - length)
    used = np.bincount(places, weights=lengths)
    assert sorted(33 - used) == sorted(room)


def chopped(lengths: np.ndarray, capacity: int) -> int:
    """How many documents are cut where all are laid end to end and chopped into rows."""
    ends = np.cumsum(lengths)
    return int(((ends - lengths) // capacity != (ends - 1) // capacity).sum())


@settings(max_examples=200)
@given(st.lists(st.integers(1, 10), min_size=1, max_size=9))
def test_least_rows_is_a_bound_that_is_often_reached(lengths):
    def fewest(left: list[int], room: list[int]) -> int:
        """By trying everything."""
        if not left:
            return len(room)
        found = len(lengths)
        for row in {space: at for at, space in enumerate(room) if space >= left[0]}.values():
            found = min(found, fewest(left[1:], [*room[:row], room[row] - left[0], *room[row + 1 :]]))
        return min(found, fewest(left[1:], [*room, 10 - left[0]])) if len(room) < found else found

    best = fewest(sorted(lengths, reverse=True), [])
    bound = least_rows(np.array(lengths), 10)
    assert -(-sum(lengths) // 10) <= bound <= best
    assert best <= best_fit(np.array(lengths), 10).max() + 1
    assert bound >= best - 1


def test_best_fit_cuts_only_what_is_longer_than_a_row(documents, tokenizer, encoder, tmp_path):
    """And wastes next to nothing for it; what is chopped from one long text is cut about once a row."""
    lengths = np.array([len(encoder.encode(row["text"])) + 1 for row in document_rows() if row["text"]])
    _, facts = pack(documents, tokenizer, tmp_path / "out", context=4095, fim_rate=0)
    longer = int((lengths > 4096).sum())
    assert facts["split_documents"] == longer < 0.7 * chopped(lengths, 4096)
    assert facts["split_share"] == (lengths[lengths > 4096] - 1).sum() / (lengths - 1).sum()
    assert facts["least_rows"] <= facts["rows"] <= 1.05 * facts["least_rows"]
    assert facts["padding_share"] < 0.06
    assert facts["rows"] == PackedRows(tmp_path / "out" / "packed").meta["rows"]


def test_only_answers_are_targets_and_nothing_is_cut(tokenizer, encoder, tmp_path):
    good = [example(f"g{n}", ("user", f"add {n}"), ("assistant", f"x + {n}\n" * (n % 5))) for n in range(60)]
    bad = [
        example("long", ("user", "why"), ("assistant", "because " * 100)),
        example("silent", ("user", "why")),
        example("none"),
        example("role", ("wizard", "why"), ("assistant", "x")),
        example("null", ("user", None), ("assistant", "x")),  # type: ignore[arg-type]
        example("tools", ("user", "why"), ("assistant", "x"), tools="[]"),
    ]
    more = [example(f"g{n}", ("user", "same id"), ("assistant", "y"), task="other") for n in range(5)]
    inputs = {
        "examples": write(tmp_path / "examples", EXAMPLE, good + bad),
        "more": write(tmp_path / "more", EXAMPLE, more),
        "tokenizer": tokenizer,
    }
    for name in ("out", "again", "empty"):
        (tmp_path / name).mkdir()
    facts = pack_examples.run(pack_examples.Config(context=64), inputs, tmp_path / "out")
    assert facts["dropped"] == {"message": 2, "no_answer": 2, "too_long": 1, "tools": 1}
    assert facts["tasks"] == {"drill": 60, "other": 5}
    assert facts["examples"] == facts["segments"] == 65
    template = load_template(tokenizer, encoder)
    found = {
        encoder.decode(ids.tolist()): ids[targets == 1]
        for ids, targets in segments(PackedRows(tmp_path / "out/packed"))
    }
    for row in good + more:
        answer = row["messages"][-1]["content"]
        assert encoder.decode(found[template.render(row["messages"])].tolist()) == answer + "<|im_end|>"
    swapped = {**inputs, "examples": write(tmp_path / "swapped", EXAMPLE, (good + bad)[::-1])}
    pack_examples.run(pack_examples.Config(context=64), swapped, tmp_path / "again")
    assert digests(tmp_path / "again") == digests(tmp_path / "out")
    only = {"examples": write(tmp_path / "bad", EXAMPLE, bad), "tokenizer": tokenizer}
    with pytest.raises(EmptyError):
        pack_examples.run(pack_examples.Config(context=64), only, tmp_path / "empty")


def test_a_damaged_table_is_refused_in_one_line(tmp_path):
    with PackedWriter(tmp_path / "whole", 4, np.ones(70_000, np.uint32), 9) as writer:
        writer.write_row([(np.array([69_999, 2]), np.array([1, 1])), (np.array([3]), np.array([1]))])
        meta = writer.close({"extra": 1})
    rows = PackedRows(tmp_path / "whole")
    assert (rows.tokens.dtype, rows.tokens.tolist(), rows.segments.tolist()) == (
        np.uint32,
        [[69_999, 2, 3, 9, 9]],
        [[0, 0, 1, PADDING_SEGMENT, PADDING_SEGMENT]],
    )
    assert rows.targets.tolist() == [[0, 1, 0, 0, 0]]
    assert (len(rows), meta["target_bytes"], rows.meta["extra"]) == (1, 1, 1)
    tokens = (tmp_path / "whole" / "tokens.npy").read_bytes()
    for damage in (tokens[:-3], tokens[:20], b""):
        (tmp_path / "whole" / "tokens.npy").write_bytes(damage)
        with pytest.raises(InputError):
            PackedRows(tmp_path / "whole")
    with pytest.raises(InputError):
        PackedRows(tmp_path)
