import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.records import record_id
from smallcoder.core.tables import (
    Sieve,
    TableWriter,
    count_rows,
    folder_digest,
    read_batches,
    read_table,
    shards,
    table_digest,
)

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("lineage", pa.list_(pa.string()))])
ROWS = [{"id": str(i), "text": "x" * i, "lineage": ["a"] * (i % 3)} for i in range(500)]


def write(folder, rows, **options):
    with TableWriter(folder, SCHEMA, **options) as writer:
        for row in rows:
            writer.write_rows([row])
    return folder


def test_a_table_round_trips_in_several_shards(tmp_path):
    write(tmp_path, ROWS, shard_bytes=10_000)
    assert len(shards(tmp_path)) > 3
    assert read_table(tmp_path).to_pylist() == ROWS
    assert count_rows(tmp_path) == len(ROWS)
    assert read_table(tmp_path, ["id"]).num_columns == 1


def test_digest_ignores_order_and_shards_but_sees_every_change(tmp_path):
    digest = table_digest(read_batches(write(tmp_path / "a", ROWS)))
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    assert table_digest(read_batches(write(tmp_path / "b", shuffled, shard_bytes=9_000))) == digest
    changed = [*ROWS[:-1], {**ROWS[-1], "text": "y"}]
    assert table_digest(read_batches(write(tmp_path / "c", changed))) != digest
    assert table_digest(read_batches(write(tmp_path / "d", [*ROWS, ROWS[0]]))) != digest
    pq.write_table(pa.Table.from_pylist(ROWS, SCHEMA), tmp_path / "foreign.parquet")
    assert [folder_digest(folder) for folder in (tmp_path / "a", tmp_path / "b", tmp_path)] == [digest] * 3


@given(st.lists(st.tuples(st.text() | st.none(), st.text() | st.none()), max_size=6), st.integers(0, 3))
def test_digests_tell_any_two_tables_apart_and_know_slices(rows, cut):
    schema = pa.schema([("a", pa.large_string()), ("b", pa.large_string())])
    batch = pa.RecordBatch.from_pylist([dict(zip("ab", row, strict=True)) for row in rows], schema)
    swapped = pa.RecordBatch.from_pylist([dict(zip("ba", row, strict=True)) for row in rows], schema)
    assert table_digest([batch.slice(0, cut), batch.slice(cut)]) == table_digest([batch])
    same = sorted(map(repr, rows)) == sorted(repr(row[::-1]) for row in rows)
    assert (table_digest([swapped]) == table_digest([batch])) == same


VALUES = st.fixed_dictionaries(
    {
        "name": st.none() | st.sampled_from(["a", "b", ""]),
        "count": st.none() | st.integers(0, 2),
        "size": st.none() | st.sampled_from([0, 1, 2**64 - 1]),
        "share": st.none() | st.sampled_from([0.0, 1.0, float("nan")]),
        "flag": st.none() | st.booleans(),
        "tags": st.none() | st.lists(st.none() | st.sampled_from(["a", "b"]), max_size=3),
        "turns": st.none()
        | st.lists(
            st.fixed_dictionaries({"role": st.sampled_from("ab"), "said": st.none() | st.text(max_size=2)}), max_size=2
        ),
    }
)
TURNS = pa.list_(pa.struct([("role", pa.string()), ("said", pa.string())]))
KINDS = [pa.string(), pa.int32(), pa.uint64(), pa.float32(), pa.bool_(), pa.list_(pa.string()), TURNS]
MIXED = pa.schema(zip(("name", "count", "size", "share", "flag", "tags", "turns"), KINDS, strict=True))


@given(st.lists(VALUES, max_size=5), st.lists(VALUES, max_size=5), st.integers(0, 5), st.randoms())
def test_digests_are_equal_where_the_rows_are_whatever_their_kind(one, two, cut, chance):
    first, second, shuffled = (
        pa.RecordBatch.from_pylist(rows, MIXED) for rows in (one, two, chance.sample(one, len(one)))
    )
    assert table_digest([first.slice(0, cut), first.slice(cut)]) == table_digest([shuffled])
    assert (table_digest([first]) == table_digest([second])) == (sorted(map(repr, one)) == sorted(map(repr, two)))


def test_small_batches_share_a_row_group(tmp_path):
    assert pq.read_metadata(shards(write(tmp_path, ROWS))[0]).num_row_groups == 1


def test_damaged_and_missing_tables_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="no parquet"):
        list(read_batches(tmp_path))
    path = shards(write(tmp_path / "a", ROWS))[0]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a readable parquet"):
        list(read_batches(tmp_path / "a"))
    with pytest.raises(InputError, match="no column 'prompt'"):
        list(read_batches(write(tmp_path / "b", ROWS), ["prompt"]))


def test_a_sieve_counts_what_it_drops_and_refuses_to_keep_nothing(tmp_path):
    batch = pa.RecordBatch.from_pylist(ROWS[:4], schema=SCHEMA)
    with Sieve(tmp_path / "a", SCHEMA) as sieve:
        sieve.put(batch, [None, "short", "short", None])
        facts = sieve.close()
    assert facts == {
        "records_in": 4,
        "bytes_in": 6,
        "records": 2,
        "bytes": 3,
        "dropped": {"short": {"records": 2, "bytes": 3}},
    }
    assert read_table(tmp_path / "a" / "dropped")["reason"].to_pylist() == ["short", "short"]
    with Sieve(tmp_path / "b", SCHEMA) as sieve:
        sieve.put(batch, ["short"] * 4)
        with pytest.raises(EmptyError, match="nothing was kept of 4"):
            sieve.close()


@given(st.lists(st.text() | st.none(), max_size=4), st.lists(st.text() | st.none(), max_size=4))
def test_record_ids_differ_where_the_parts_do(one, two):
    assert (record_id(*one) == record_id(*two)) == (one == two)
