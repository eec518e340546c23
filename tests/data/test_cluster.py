"""Reading, filters and deduplication on a Ray cluster of two workers give the tables that one process gives."""

import gzip
import json
import os
import random
import shutil
import zipfile
from types import SimpleNamespace

import pytest

from smallcoder.core import tables
from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.records import DOCUMENT, SCORE, record_id
from smallcoder.core.tables import TableWriter, folder_digest, read_batches, read_table, table_digest
from smallcoder.data import assess, clean, cluster, dedup, engine, natural, tasks
from smallcoder.data.dedup import near
from smallcoder.data.filters import Filter, Judged, Link
from smallcoder.data.quality import composite
from smallcoder.data.read import stage as read
from tests.data.stages import run_stage
from tests.data.texts import edited

pytest.importorskip("daft")
ray = pytest.importorskip("ray")
COMPARED = ("sketches_compared", "pairs_compared")  # how much work it was


def written(folder, texts, **about):
    """A table of many small row groups."""
    with pytest.MonkeyPatch.context() as patch, TableWriter(folder, DOCUMENT) as table:
        patch.setattr(tables, "GROUP_ROWS", 50)
        for start in range(0, len(texts), 50):
            some = enumerate(texts[start : start + 50], start)
            table.write_rows([{"id": record_id(str(at)), "text": text, "lineage": [], **about} for at, text in some])
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    line = "def total_{0}(values):\r\n    # The sum of all the values and more\r\n    return sum(values) + {0}\r\n"
    texts = ["".join(line.format(n * 100 + k) for k in range(n % 9)) or "\x00\r\n" for n in range(600)]
    return written(tmp_path_factory.mktemp("cluster") / "documents", texts, lang="python")


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


@pytest.fixture
def both(two_workers, tmp_path, monkeypatch):
    """Runs a stage on the cluster and here, sees that the tables are equal, and returns the facts of both."""
    monkeypatch.setattr(tasks, "BYTES", 4000)

    def call(stage, settings, **inputs):
        facts, made = [], []
        for connected in (True, False):
            monkeypatch.setattr(cluster, "_connected", connected)
            out = tmp_path / "out"
            facts.append(run_stage(stage, settings, inputs, out))
            made.append({path.name: table_digest(read_batches(path)) for path in sorted(out.iterdir())})
            shutil.rmtree(out)
        monkeypatch.setattr(cluster, "_connected", True)
        assert made[0] == made[1]
        assert facts[0]["dropped"]
        return facts

    return call


def test_filters(source, both, tmp_path):
    with TableWriter(tmp_path / "scores", SCORE) as scores:
        scores.write_rows([{"id": record_id(str(n)), "name": "edu", "value": n / 6} for n in range(600)])
    assert len(tasks.tasks(source)) > 3
    for stage, settings, inputs in (
        (assess, {"min_lines": 6, "keep": "medium"}, {}),
        (natural, {"natural": ["de"]}, {}),
        (composite, {"components": {"edu": {"passes": 50.0}}}, {"scores": tmp_path / "scores"}),
    ):
        spread, alone = both(stage, settings, documents=source, **inputs)
        assert spread == alone


def test_filters_in_one_pass(source, two_workers, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "BYTES", 4000)
    found = []
    for connected in (True, False):
        monkeypatch.setattr(cluster, "_connected", connected)
        out, links = tmp_path / str(connected), []
        for stage, settings, store in ((dedup, {}, False), (clean, {}, False), (assess, {"keep": "medium"}, True)):
            folder = out / stage.__name__.rpartition(".")[2]
            folder.mkdir(parents=True)
            links.append(Link(stage.as_filter(stage.Config(**settings), {"documents": source}, folder), folder, store))
        sifted = engine.sift(links, source, "all")
        facts = [{name: fact for name, fact in one.facts.items() if name not in COMPARED} for one in sifted]
        tables = {str(table.relative_to(out)): folder_digest(table) for table in sorted(out.glob("*/*"))}
        found.append((facts, [one.digest for one in sifted], tables))
    assert found[0] == found[1]


def test_near_duplicates(both, tmp_path, monkeypatch):
    monkeypatch.setattr(near, "SLICE", 60)
    rng = random.Random(0)
    texts = []
    for _ in range(60):
        words = [f"w{rng.randrange(400)}" for _ in range(rng.randrange(60, 200))]
        texts += [" ".join(words), *(edited(words, rng.randrange(len(words) // 20), rng) for _ in range(5))]
    source = written(tmp_path / "documents", [*texts, "", "x = 1", *texts[:40]])
    assert len(tasks.tasks(source)) > 3
    for preset in ("calibrated", "mify"):
        spread, alone = both(dedup, {"preset": preset}, documents=source)
        assert all(spread.pop(name) >= alone.pop(name) for name in COMPARED)
        assert spread == alone
        assert alone["dropped"].keys() == {"exact_duplicate", "near_duplicate"}


def test_reading(both, tmp_path, monkeypatch):
    code = "def f(x):\n    return x + {}\n"
    for at in range(3):
        folder = tmp_path / "repositories" / f"project{at}"
        (folder / "inner").mkdir(parents=True)
        (folder / "a.py").write_text(code.format(at))
        (folder / "inner" / "b.py").write_bytes(b"\x00")
        with gzip.open(tmp_path / f"table{at}.jsonl.gz", "wt") as table:
            table.writelines(json.dumps({"text": code.format(n), "path": f"{n}.py"}) + "\n" for n in range(50 * at))
        with zipfile.ZipFile(tmp_path / f"project{at}.zip", "w") as archive:
            archive.writestr("a.py", code.format(at))
    installed = SimpleNamespace(get_path=lambda _: str(tmp_path / "repositories" / "project0"))
    monkeypatch.setattr("smallcoder.data.read.stdlib.sysconfig", installed)
    monkeypatch.chdir(tmp_path)
    paths = ["repositories", "table*.jsonl.gz", "*.zip", "python:stdlib"]
    settings = {"paths": paths, "skip": ["inner"]}
    spread, alone = both(read, settings)
    assert spread == alone
    assert alone["dropped"].keys() == {"skipped"}
    assert alone["records"] == 150 + 3 + 3 + 1
    (tmp_path / "table1.jsonl.gz").write_bytes(b"\x1f\x8b and no more")
    with pytest.raises(InputError, match=r"table1\.jsonl\.gz"):
        both(read, settings)


def test_errors_cross_the_cluster_as_they_are(source, two_workers, tmp_path):
    def refuse(batch):
        raise InputError("no such thing", "mend it")

    with pytest.raises(InputError, match="no such thing"):
        engine.sift([Link(Filter(refuse), tmp_path / "refused")], source, "refuse")

    def drop(batch):
        return Judged(batch, ["unwanted"] * batch.num_rows)

    with pytest.raises(EmptyError, match="600"):
        engine.sift([Link(Filter(drop), tmp_path / "dropped")], source, "drop")
    assert read_table(tmp_path / "dropped" / "dropped", ["reason"]).num_rows == 600
