"""Filters on a Ray cluster of two workers give the tables that one process gives."""

import os
import shutil

import pytest

from smallcoder.core import tables
from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.records import DOCUMENT, record_id
from smallcoder.core.tables import TableWriter, read_batches, read_table, table_digest
from smallcoder.data import assess, clean, cluster, engine

pytest.importorskip("daft")
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster") / "documents"
    line = "def total_{0}(values):\r\n    return sum(values) + {0}\r\n"
    with pytest.MonkeyPatch.context() as patch, TableWriter(folder, DOCUMENT) as table:
        patch.setattr(tables, "GROUP_ROWS", 50)
        for start in range(0, 600, 50):
            numbers = range(start, start + 50)
            texts = ["".join(line.format(n * 100 + k) for k in range(n % 9)) or "\x00\r\n" for n in numbers]
            table.write_rows(
                [{"id": record_id(str(n)), "text": t, "lang": "python"} for n, t in zip(numbers, texts, strict=True)]
            )
    return folder


@pytest.fixture(scope="module")
def two_workers():
    """A cluster of two nodes with a core each; this process goes back to working alone afterwards."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_AUTH_MODE"] = "disabled"
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    cluster.connect(str(nodes.address))
    yield
    cluster._connected = False
    ray.shutdown()
    nodes.shutdown()


def outcome(folder):
    return {path.name: table_digest(read_batches(path)) for path in sorted(folder.iterdir())}


def test_a_cluster_and_one_process_make_equal_tables(source, two_workers, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "TASK_BYTES", 4000)
    assert len(cluster.tasks(source)) > 3
    for stage, settings in ((clean, {}), (assess, {"min_lines": 6, "keep": "medium"})):
        facts = []
        for name, connected in (("spread", True), ("alone", False)):
            monkeypatch.setattr(cluster, "_connected", connected)
            (tmp_path / name).mkdir()
            facts.append(stage.run(stage.Config(**settings), {"documents": source}, tmp_path / name))
        monkeypatch.setattr(cluster, "_connected", True)
        assert facts[0] == facts[1]
        assert facts[0]["dropped"]
        made = [outcome(tmp_path / name) for name in ("spread", "alone")]
        assert made[0] == made[1]
        assert len(made[0]) == (4 if stage is assess else 2)
        for name in ("spread", "alone"):
            shutil.rmtree(tmp_path / name)


def test_errors_cross_the_cluster_as_they_are(source, two_workers, tmp_path):
    def refuse(batch):
        raise InputError("no such thing", "mend it")

    with pytest.raises(InputError, match="no such thing"):
        engine.sift(refuse, source, tmp_path / "refused", "refuse")

    def drop(batch):
        return engine.Judged(batch, ["unwanted"] * batch.num_rows)

    with pytest.raises(EmptyError, match="600"):
        engine.sift(drop, source, tmp_path / "dropped", "drop")
    assert read_table(tmp_path / "dropped" / "dropped", ["reason"]).num_rows == 600
