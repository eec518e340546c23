"""git: the documents of a revision are those of a clean checkout, without one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from smallcoder.core.errors import InputError, SmallcoderError, ToolError
from smallcoder.data.read import folder, git
from smallcoder.data.read import stage as read
from tests.data.reading import CODE, reasons_of, rows_of

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this\n"


def call(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two commits; the first is tagged v1, the second adds, changes and removes."""
    folder = tmp_path / "pro@ject"
    (folder / "deep/_vendor").mkdir(parents=True)
    (folder / ".github").mkdir()
    call(folder, "init", "-q")
    files = {
        "LICENSE": MIT.encode(),
        "a.py": CODE.encode(),
        "deep/b.py": b"\xef\xbb\xbf" + CODE.encode(),
        "deep/_vendor/v.py": CODE.encode(),
        ".github/h.py": CODE.encode(),
        "noise.py": bytes(range(256)),
        "large.py": b"x = 1\n" * 1000,
        "empty.py": b"",
        "two words\tand é.py": b"y = 1\n",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "link.py").symlink_to("a.py")
    call(folder, "add", ".")
    call(folder, "commit", "-qm", "1")
    call(folder, "tag", "v1")
    (folder / "a.py").write_text("changed = True\n")
    (folder / "noise.py").unlink()
    call(folder, "commit", "-qam", "2")
    return folder


def comparable(source: str) -> list:
    found = rows_of(source, max_bytes=5000)
    rows = [({k: v for k, v in row.items() if k not in {"source", "id"}}, reason) for row, reason in found]
    return sorted(rows, key=lambda item: item[0]["path"])


def test_a_revision_equals_its_checkout(project: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare" / "pro@ject.git"
    call(tmp_path, "clone", "-q", "--bare", str(project), str(bare))
    now = comparable(str(project))
    sources = [f"git:{project}", f"git:{project}@HEAD", f"git:{project}/.git", f"git:{bare}", f"git:{bare}@HEAD"]
    for source in sources:
        assert comparable(source) == now, source
    call(project, "checkout", "-q", "v1")
    before = comparable(str(project))
    assert before != now
    for source in (f"git:{project}@v1", f"git:{bare}@v1", f"git:{bare}@{call(bare, 'rev-parse', 'v1')[:12]}"):
        assert comparable(source) == before, source
    assert {(row["repo"], row["license"], row["revision"]) for row, _ in before} == {
        ("pro@ject", "MIT", call(bare, "rev-parse", "v1"))
    }
    assert {row["path"]: reason for row, reason in before} == {
        "a.py": None,
        "deep/b.py": None,
        "deep/_vendor/v.py": "vendored",
        "noise.py": "not_text",
        "large.py": "too_large",
        "empty.py": "empty",
        "two words\tand é.py": None,
    }


def test_plan_knows_the_files_and_the_commit(project: Path, run) -> None:
    config = read.Config(paths=[f"git:{project}@v1"], max_bytes=5000)
    size = read.expect(config, {})
    by_folder = read.expect(read.Config(paths=[str(project)], max_bytes=5000), {})
    assert (size.records, size.bytes) == (5, 256 + 6 + 2 * len(CODE) + 3)
    assert by_folder.records == size.records  # of the second commit: without the noise, with the file too large
    commit = call(project, "rev-parse", "v1")
    assert read.outside(config)[f"git:{project}@v1"] == commit
    moving = read.Config(paths=[f"git:{project}"])
    before = read.outside(moving)
    call(project, "commit", "-q", "--allow-empty", "-m", "3")
    assert read.outside(moving) != before
    many = run(read, {"paths": [f"git:{project}"], "workers": 3})
    assert run(read, {"paths": [f"git:{project}"]})[:2] == many[:2]


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    call(folder, "init", "-q")
    for name in (b"caf\xe9.py", b"new\nline.py"):
        (folder / os.fsdecode(name)).write_text(CODE)
    call(folder, "add", ".")
    call(folder, "commit", "-qm", "1")
    assert reasons_of(f"git:{folder}") == reasons_of(str(folder)) == {"caf?.py": None, "new\nline.py": None}


def test_what_is_no_repository_is_one_line(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "inner").mkdir()  # a folder of the repository is none itself
    wrong = [f"{project}@nowhere", f"{project}@--help", str(tmp_path / "none"), str(project / "inner"), ""]
    for name in wrong:
        for action in (rows_of, lambda source: read.outside(read.Config(paths=[source]))):
            with pytest.raises(SmallcoderError) as caught:
                action(f"git:{name}")
            assert "\n" not in str(caught.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="git command"):
        rows_of(f"git:{project}")


def test_the_callers_own_repository_is_not_taken(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rows_of(f"git:{project}")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    assert rows_of(f"git:{project}") == expected


def test_objects_that_are_missing_or_damaged(project: Path) -> None:
    name = call(project, "rev-parse", "HEAD:a.py")
    stored = project / ".git/objects" / name[:2] / name[2:]
    data = stored.read_bytes()
    stored.unlink()
    assert reasons_of(f"git:{project}")["a.py"] == "unreadable"
    stored.write_bytes(data[:-9])
    with pytest.raises(InputError, match="git cannot read"):
        rows_of(f"git:{project}")


def test_trees_that_hold_one_another(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "MAX_FILES", 5)
    with pytest.raises(InputError, match="more than 5 files"):
        rows_of(f"git:{project}")


def test_a_folder_knows_the_commit_however_git_keeps_it(project: Path, tmp_path: Path) -> None:
    first, second = call(project, "rev-parse", "v1"), call(project, "rev-parse", "HEAD")
    assert folder.commit_of(project) == second
    call(project, "pack-refs", "--all")
    assert folder.commit_of(project) == second
    call(project, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"), "v1")
    assert folder.commit_of(tmp_path / "linked") == first  # its branch lies in the main one, loose or packed
    call(project, "pack-refs", "--all")
    assert folder.commit_of(tmp_path / "linked") == first
    outer = tmp_path / "outer"
    outer.mkdir()
    call(outer, "init", "-q")
    assert folder.commit_of(outer) is None
    call(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(project), "inner")
    assert folder.commit_of(outer / "inner") == second
    call(outer / "inner", "checkout", "-q", "v1")
    assert folder.commit_of(outer / "inner") == first
    call(project, "symbolic-ref", "refs/heads/other", "refs/heads/side")
    (project / ".git/HEAD").write_text("ref: refs/heads/other\n")
    assert folder.commit_of(project) == first


@pytest.mark.parametrize("head", [b"", b"ref: refs/heads/a\0b\n", b"ref: HEAD\n", b"\xff" * 99, b"ref: ../../secret\n"])
def test_a_head_that_names_no_commit(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not a commit\n")
    (tmp_path / "one/.git").mkdir(parents=True)
    (tmp_path / "one/.git/HEAD").write_bytes(head)
    os.mkfifo(tmp_path / "one/.git/packed-refs")
    assert folder.commit_of(tmp_path / "one") is None


def test_a_commit_that_leaves_the_files_as_they_are_is_noticed(project: Path, tmp_path: Path) -> None:
    for source in (project, tmp_path):  # a repository, and a folder of some
        config = read.Config(paths=[str(source)])
        before = read.outside(config)
        assert before == read.outside(config)
        call(project, "commit", "--allow-empty", "-qm", "more")
        assert before != read.outside(config)


def test_git_ends_when_its_reader_stops_early(tmp_path):
    """Its output is more than a pipe holds."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(3000):
        (folder / f"a_long_name_of_a_file_{number:060d}.txt").write_text("x")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        call(folder, *command)
    with git.output(folder, "ls-tree", "-r", "HEAD") as out:
        assert out.readline()
