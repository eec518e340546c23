"""Archives: each a repository, read as a stream, hostile ones bounded."""

import gzip
import io
import lzma
import os
import stat
import sysconfig
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest

from smallcoder.core.errors import InputError
from smallcoder.data.read import archives, places
from smallcoder.data.read import stage as read
from tests.data.reading import CODE, reasons_of, rows_of
from tests.data.test_read_tables import zstd

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this\n"
TREE = {
    "LICENSE": MIT.encode(),
    "a.py": CODE.encode(),
    "deep/er/b.py": b"# -*- coding: latin-1 -*-\ns = '\xe9'\n",
    "deep/_vendor/v.py": CODE.encode(),
    "deep/tests/t.py": CODE.encode(),
    "deep/.hidden/h.py": CODE.encode(),
    "deep/noise.py": bytes(range(256)),
    "deep/large.py": b"x = 1\n" * 1000,
    "README": b"no source",
}
REASONS = {
    "a.py": None,
    "deep/er/b.py": None,
    "deep/_vendor/v.py": "vendored",
    "deep/tests/t.py": "skipped",
    "deep/noise.py": "not_text",
    "deep/large.py": "too_large",
}
SETTINGS = {"skip": ("tests",), "max_bytes": 5500}
METADATA = "Metadata-Version: 2.1\nName: Some.Package\nVersion: 1.2\nLicense: MIT\n\nLicense: GPL\n"


def as_zip(tree: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, data in tree.items():
            archive.writestr(name, data)
    return file.getvalue()


def as_tar(tree: dict[str, bytes], mode: Any = "w", **settings) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, **settings) as archive:
        for name, data in tree.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def every_archive(tree: dict[str, bytes]) -> dict[str, bytes]:
    zips = {
        f"{method}.zip": as_zip(tree, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    }
    tars = {f"x.tar.{kind}": as_tar(tree, f"w:{kind}") for kind in ("gz", "bz2", "xz")}
    return zips | tars | {"x.zip": as_zip(tree), "x.tar": as_tar(tree), "x.tgz": tars["x.tar.gz"]} | {
        "x.tar.zst": zstd(as_tar(tree))
    }  # fmt: skip


@pytest.mark.parametrize("top", ["", "./", "project-main/"])
def test_every_kind_gives_the_same_repository(top: str, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for name, data in every_archive({top + path: data for path, data in TREE.items()}).items():
        (tmp_path / name).write_bytes(data)
        memory.pipe_file(f"/archives/{name}", data)
        for source in (str(tmp_path / name), f"memory://archives/{name}"):
            found = rows_of(source, **SETTINGS)
            assert {row["path"]: reason for row, reason in found} == REASONS, source
            assert {(row["repo"], row["license"], row["revision"]) for row, _ in found} == {
                (name.partition(".")[0], "MIT", None)
            }
            assert {row["text"] for row, reason in found if reason is None} == {
                CODE,
                "# -*- coding: latin-1 -*-\ns = 'é'\n",
            }


def test_plan_and_workers(tmp_path: Path, run) -> None:
    for name, data in every_archive(TREE).items():
        (tmp_path / name).write_bytes(data)
    config = {
        "paths": [f"{tmp_path}/*.tar.{kind}" for kind in ("gz", "bz2", "xz", "zst")] + [f"{tmp_path}/*.zip"],
        **SETTINGS,
    }
    size = read.expect(read.Config(**config), {})
    stored = sum(path.stat().st_size for path in tmp_path.iterdir() if path.name not in {"x.tar", "x.tgz"})
    assert (size.records, size.bytes) == (None, stored)
    before = read.outside(read.Config(**config))
    kept, dropped, facts = run(read, config)
    assert (len(kept), len(dropped)) == (16, 32)
    assert run(read, config | {"workers": 3})[:2] == (kept, dropped)
    assert facts["contents"]["licenses"]["MIT"]["records"] == 16
    os.utime(tmp_path / "x.zip", (1, 1))
    assert before != read.outside(read.Config(**config))


def test_wheels_and_sdists_say_who_they_are(tmp_path: Path) -> None:
    gpl = b"GNU GENERAL PUBLIC LICENSE\nVersion 3\n"
    wheel = {
        "package/a.py": CODE.encode(),
        "package/bundled.dist-info/METADATA": b"Name: other\n",
        "package/LICENSE": gpl,
        "some_package-1.2.dist-info/METADATA": METADATA.encode(),
    }
    plain = "Metadata-Version: 2.4\nName: Some.Package\nVersion: 1.2\n"
    settled_by_text = {
        "package/a.py": CODE.encode(),
        "some_package-1.2.dist-info/licenses/LICENSE": MIT.encode(),
        "some_package-1.2.dist-info/METADATA": plain.encode(),
    }
    sdist = {
        "some_package-1.2/package/a.py": CODE.encode(),
        "some_package-1.2/src/x.egg-info/PKG-INFO": b"Name: other\n",
        "some_package-1.2/LICENSE.txt": MIT.encode(),
        "some_package-1.2/PKG-INFO": plain.encode(),
    }
    made = {
        "some_package-1.2-py3-none-any.whl": as_zip(wheel),
        "text-1.2-py3-none-any.whl": as_zip(settled_by_text),
        "some_package-1.2.tar.gz": as_tar(sdist, "w:gz"),
        "some_package-1.2.zip": as_zip(sdist),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
        ((row, reason),) = rows_of(str(tmp_path / name))
        assert (row["repo"], row["revision"], row["license"], row["path"]) == (
            "Some.Package", "1.2", "MIT", "package/a.py",
        ), name  # fmt: skip
        assert reason is None


def test_a_real_wheel() -> None:
    bundled = Path(sysconfig.get_path("stdlib"), "ensurepip/_bundled")
    if not list(bundled.glob("pip-*.whl")):
        pytest.skip("this Python comes without pip's wheel")
    found = rows_of(f"{bundled}/pip-*.whl")
    assert {(row["repo"], row["license"]) for row, _ in found} == {("pip", "MIT")}
    assert {reason for _, reason in found} == {None, "vendored", "empty"}
    assert "pip/_internal/cache.py" in {row["path"] for row, reason in found if reason is None}


def test_what_git_archive_notes(tmp_path: Path) -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    tree = {"project/a.py": CODE.encode()}
    (tmp_path / "a.zip").write_bytes(as_zip(tree, comment=commit.encode()))
    (tmp_path / "a.tar.gz").write_bytes(
        as_tar(tree, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": commit})
    )
    (tmp_path / "b.zip").write_bytes(as_zip(tree, comment=b"made by hand"))
    found = [rows_of(str(tmp_path / name))[0][0]["revision"] for name in ("a.zip", "a.tar.gz", "b.zip")]
    assert found == [commit, commit, None]


def test_names_and_links_reach_nothing_outside(tmp_path: Path) -> None:
    names = ["../up.py", "a/../../up.py", "/etc/abs.py", "win\\dows.py", "a//./b.py", "ok.py"]
    (tmp_path / "a.zip").write_bytes(as_zip(dict.fromkeys(names, CODE.encode())))
    expected = {
        "../up.py": "unsafe_path",
        "a/../../up.py": "unsafe_path",
        "/etc/abs.py": "unsafe_path",
        "win/dows.py": None,
        "a/b.py": None,
        "ok.py": None,
    }
    assert reasons_of(str(tmp_path / "a.zip")) == expected
    file = io.BytesIO(as_tar(dict.fromkeys(names, CODE.encode())))
    with tarfile.open(fileobj=file, mode="a") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"link{kind!r}.py")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    (tmp_path / "a.tar").write_bytes(file.getvalue())
    assert reasons_of(str(tmp_path / "a.tar")) == expected
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        info = zipfile.ZipInfo("link.py")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert reasons_of(str(tmp_path / "link.zip")) == {}


def test_members_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    tree = {"a.py": CODE.encode() * 9, "b.py": CODE.encode()}
    data = bytearray(as_zip(tree, zipfile.ZIP_STORED))
    data[data.index(b"def f")] ^= 1  # its checksum no longer holds
    (tmp_path / "sum.zip").write_bytes(data)
    assert reasons_of(str(tmp_path / "sum.zip")) == {"a.py": "unreadable", "b.py": None}
    data = bytearray(as_zip(tree))
    at = data.index(b"PK\x01\x02") + 8
    data[at] |= 1  # it says that it is encrypted
    data[6] |= 1
    (tmp_path / "locked.zip").write_bytes(data)
    assert reasons_of(str(tmp_path / "locked.zip")) == {"a.py": "unreadable", "b.py": None}


@pytest.mark.parametrize("name", sorted(every_archive({"a.py": b""})))
def test_an_archive_that_breaks_off_is_never_taken_for_whole(name: str, tmp_path: Path) -> None:
    tree = {f"{at}.py": os.urandom(700).hex().encode() for at in range(6)}
    data = every_archive(tree)[name]
    path = tmp_path / name
    # The two blocks that end a tar may lack the second, and what gzip adds behind them.
    whole = 512 * 14 + 6 * 512 if name == "x.tar" else len(data) - 1
    for cut in sorted({0, 1, 99, 512, 1024, *range(1500, whole, whole // 9), whole - 1}):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError) as caught:
            rows_of(str(path))
        assert "\n" not in str(caught.value)


def bomb(kind: str) -> bytes:
    """120 MB in a few hundred KB, in the way of its name."""
    zeros = bytes(120 << 20)
    if kind == "member.tar.gz":
        return as_tar({"a.py": CODE.encode(), "zeros.bin": zeros, "b.py": CODE.encode()}, "w:gz", compresslevel=1)
    if kind == "name.tar.gz":  # a GNU long name of 120 MB
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, len(zeros)
        return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + zeros, 1)
    if kind == "member.zip":
        return as_zip({"a.py": CODE.encode(), "zeros.py": zeros})
    file = io.BytesIO()  # many entries over one kernel, each of them small enough
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", bytes(1 << 20))
        archive.filelist.extend(archive.filelist * 120)
    return file.getvalue()


BOMBS = {
    "member.tar.gz": {"a.py": None, "member.tar.gz": "too_large"},
    "member.zip": {"a.py": None, "zeros.py": "too_large"},
    "overlap.zip": {"a.py": "not_text", "overlap.zip": "too_large"},
}


@pytest.mark.parametrize("name", [*BOMBS, "name.tar.gz"])
def test_bombs_are_bounded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(bomb(name))
    monkeypatch.setattr(archives, "SLACK", 8 << 20)
    tracemalloc.start()
    try:
        if name in BOMBS:
            assert reasons_of(str(tmp_path / name)) == BOMBS[name]
        else:
            with pytest.raises(InputError, match="header of"):
                rows_of(str(tmp_path / name))
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()


def test_a_directory_too_large_to_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(as_zip({f"{at}.py": b"" for at in range(100)}))
    monkeypatch.setattr(archives, "LARGEST", 5000)
    with pytest.raises(InputError, match="a directory of more than"):
        rows_of(str(tmp_path / "a.zip"))


def test_xz_in_several_streams_and_within_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = as_tar(TREE)
    streams = lzma.compress(data[:9999]) + bytes(8) + lzma.compress(b"") + lzma.compress(data[9999:]) + bytes(4)
    (tmp_path / "x.tar.xz").write_bytes(streams)
    assert reasons_of(str(tmp_path / "x.tar.xz"), **SETTINGS) == REASONS
    monkeypatch.setattr(places, "XZ_MEMORY", 1 << 20)
    with pytest.raises(InputError, match="limit"):
        rows_of(str(tmp_path / "x.tar.xz"))


def test_links_to_archives_and_tables_are_followed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/0a").write_bytes(as_zip(TREE))
    (tmp_path / "store/0b").write_bytes(b'{"text": "a = 1"}')
    (tmp_path / "linked.zip").symlink_to(tmp_path / "store/0a")
    (tmp_path / "linked.jsonl").symlink_to(tmp_path / "store/0b")
    (tmp_path / "broken.zip").symlink_to(tmp_path / "nowhere")
    for source in (f"{tmp_path}/linked.zip", f"{tmp_path}/*.zip"):
        assert reasons_of(source, **SETTINGS) == REASONS
        assert read.expect(read.Config(paths=[source]), {}).bytes == (tmp_path / "store/0a").stat().st_size
    for source in (f"{tmp_path}/linked.jsonl", f"{tmp_path}/*.jsonl", str(tmp_path)):
        assert len(rows_of(source)) == 1
