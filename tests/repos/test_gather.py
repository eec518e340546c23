"""Rows by repository: every row once, in one group, however little room there is."""

import pyarrow as pa
import pytest

from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.repos.gather import by_repository


def batches(sizes: dict[str | None, int], rows: int = 7) -> list[pa.RecordBatch]:
    found = [
        {"id": record_id(repo, str(number)), "repo": repo, "path": f"{number:03d}.py", "text": "x" * 1000}
        for repo, size in sizes.items()
        for number in range(size)
    ]
    found.sort(key=lambda row: row["id"])
    return pa.Table.from_pylist(found, schema=DOCUMENT).to_batches(rows)


SIZES = {f"r{number}": number % 9 for number in range(150)} | {"large": 200, None: 5}


@pytest.mark.parametrize("room", [1 << 30, 50_000, 1])
def test_rows_are_grouped_whatever_the_room(room, tmp_path):
    groups = list(by_repository(batches(SIZES), tmp_path, room))
    names = [group.column("repo")[0].as_py() for group in groups]
    assert sorted(names) == sorted(repo for repo, size in SIZES.items() if repo and size)
    for name, group in zip(names, groups, strict=True):
        assert group.column("repo").to_pylist() == [name] * SIZES[name]
        assert group.column("path").to_pylist() == [f"{number:03d}.py" for number in range(SIZES[name])]
    assert not list(tmp_path.iterdir())


def test_the_order_of_groups_does_not_depend_on_that_of_rows(tmp_path):
    def names(found: list[pa.RecordBatch]) -> list[str]:
        return [group.column("repo")[0].as_py() for group in by_repository(found, tmp_path, 50_000)]

    assert names(batches(SIZES)) == names(batches(SIZES, rows=31)[::-1])


def test_an_empty_table_has_no_groups(tmp_path):
    assert list(by_repository([], tmp_path)) == []
    assert list(by_repository(batches({None: 3}), tmp_path)) == []
