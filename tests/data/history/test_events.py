"""Threads of GH Archive's events: their texts, every reason, and the same whatever the order of files and lines."""

import json
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.tables import read_batches, table_digest
from smallcoder.data.history import events as stage
from smallcoder.data.history.threads import recorded, thread
from tests.data.history.archive import REPO, Archive, trimmed, user, write
from tests.data.history.repositories import Project, git

WORDS = "The parser stops at the first comment of a file and says nothing about what comes after it. "


def simple() -> Archive:
    """An issue and a pull request, both with everything that they can have."""
    made = Archive()
    issue = made.issue(
        1,
        "ann-author",
        "  Parser stops\r\nearly ",
        f"{WORDS * 2}\r\n<!-- template -->\r\n### Version\r\n\r\n_No response_\r\n",
    )
    made.comment(issue, "codecov[bot]", "Coverage went down", kind="Bot")
    made.comment(issue, "bert", "I see it as well, @Ann-Author.\n\n```\nann-author <!-- x -->\n```")
    made.comment(issue, "bert", "/assign")
    made.comment(
        issue,
        "ann-author",
        "Fixed in the meantime\n\nOn Mon, Jan 6, 2020 at 1:02 PM bert <notifications@github.com>\nwrote:\n\n> I see\n"
        "> as well\n\n—\nReply to this email directly, view it on GitHub <https://x>, or unsubscribe\n<https://y>.\n",
    )
    made.issue(1, "ann-author", "Parser stops early", "edited", action="closed", state="closed")
    pull = made.pull(2, "carl-coder", "Go on after comments", "It now goes on after comments.")
    made.review(pull, "ann-author", "changes_requested", "Please add a test for this, carl-coder")
    made.on_line(pull, "ann-author", "src/a.py", "@@ -1,2 +1,3 @@\n a\n+b", "Why?")
    made.on_line(pull, "carl-coder", "src/a.py", "@@ -1,2 +1,3 @@\n a\n+b", "It is faster", in_reply_to_id=1)
    made.comment(
        {
            "number": 2,
            "title": "Go on after comments",
            "body": "",
            "user": user("carl-coder"),
            "pull_request": {"url": ""},
        },
        "bert",
        "ok",
    )
    made.review(pull, "bert", "APPROVED")
    made.review(pull, "bert", "commented", "")
    made.pull(2, "carl-coder", "Go on after comments", "It now goes on after comments.", action="closed", merged=True)
    return made


ISSUE = f"""Title: Parser stops early
username_0: {WORDS * 2}

username_1: I see it as well, @username_0.

```
username_0 <!-- x -->
```

username_0: Fixed in the meantime

Status: closed
""".replace(". \n", ".\n")
PULL = """Title: Go on after comments
username_0: It now goes on after comments.

Repository: owner/tool

username_1 (changes requested): Please add a test for this, username_0

Comment on src/a.py line 3
@@ -1,2 +1,3 @@
 a
+b
username_1: Why?

Comment on src/a.py line 3
username_0: It is faster

username_2 (approved):

Status: merged
"""


def test_an_issue_and_a_pull_request(tmp_path, run) -> None:
    path = write(tmp_path / "2020-01-01-0.json.gz", simple().lines)
    kept, dropped, facts = run(stage, {"paths": [path]})
    texts = {row["path"]: row for row in kept}
    assert texts["issues/1"]["text"] == ISSUE
    assert texts["pull/2"]["text"] == PULL
    assert dropped == []
    assert {(row["repo"], row["lang"], row["source"]) for row in kept} == {("owner/tool", "markdown", "gharchive")}
    assert texts["pull/2"]["license"] == "MIT"
    assert texts["issues/1"]["license"] is None
    assert (facts["issues"], facts["pulls"], facts["with_code"]) == (1, 1, 0)
    assert run(stage, {"paths": [path], "threads": ["pulls"]})[0] == [texts["pull/2"]]


def test_since_october_2025_only_comments_tell_the_title(tmp_path, run) -> None:
    made = simple()
    for event in made.events:
        if "pull_request" in event["payload"]:
            event["payload"]["pull_request"] = trimmed(event["payload"]["pull_request"])
    made.events[-1]["payload"]["action"] = "merged"
    about = next(
        event["payload"]["issue"] for event in made.events if "pull_request" in event["payload"].get("issue", {})
    )
    about["body"] = "It now goes on after comments."
    kept, _, _ = run(stage, {"paths": [write(tmp_path / "x.json", made.lines)]})
    assert {row["path"]: row["text"] for row in kept} == {"issues/1": ISSUE, "pull/2": PULL}
    made.events = [event for event in made.events if event["payload"].get("issue") is not about]
    _, dropped, _ = run(stage, {"paths": [write(tmp_path / "y.json", made.lines)]})
    assert [(row["path"], row["reason"]) for row in dropped] == [("pull/2", "no_title")]


def test_the_order_of_files_and_lines_does_not_count(tmp_path, run, monkeypatch) -> None:
    lines = many().lines
    digests = set()
    for seed, kind in enumerate(("json.gz", "json", "jsonl.zst")):
        mixed = lines + lines[::7]  # some twice
        random.Random(seed).shuffle(mixed)
        paths = [write(tmp_path / f"{seed}-{at}.{kind}", mixed[at::3]) for at in range(3)]
        for workers in (1, 2) if seed else (1,):
            monkeypatch.setattr(stage, "PARTITION", 50 if seed == 1 else 1000)
            run(stage, {"paths": paths, "workers": workers})
            out = max(tmp_path.glob("out*"), key=lambda path: path.stat().st_mtime_ns)
            assert {path.name for path in out.iterdir()} == {"documents", "dropped"}
            digests.add((table_digest(read_batches(out / "documents")), table_digest(read_batches(out / "dropped"))))
    assert len(digests) == 1


def many() -> Archive:
    made = simple()
    for number in range(10, 40):
        made.repo = REPO if number % 2 else {"id": number, "name": f"other/{number}"}
        issue = made.issue(number, f"user-{number}", f"Number {number}", WORDS * (number % 4 + 1))
        for at in range(number % 5):
            made.comment(issue, f"user-{at}", f"{WORDS} {at}")
    return made


def test_what_cannot_be_read_is_counted(tmp_path, run) -> None:
    lines = simple().lines
    old = {
        "type": "IssuesEvent",
        "repository": {"name": "x"},
        "actor": "a",
        "payload": {"number": 1},
        "created_at": "2013",
    }
    bad = [
        b"{",
        b'{"type": "IssuesEvent", }',
        b'"type":"IssuesEvent"',
        b"\xff\xfe",
        b"",
        b"[1]",
        b'{"type":"PushEvent"}',
    ]
    bad += [
        json.dumps(old).encode(),
        b'{"type":"IssuesEvent","repo":{"name":"a/b"},"payload":{"issue":{"number":"x"}}}',
    ]
    bad += [b'{"type":"IssuesEvent","a":' + b"[" * 100_000 + b"}"]
    path = write(tmp_path / "a.json.gz", lines[:3] + bad + lines[3:])
    data = Path(write(tmp_path / "b.json.gz", many().lines * 20)).read_bytes()
    (tmp_path / "cut.json.gz").write_bytes(data[: len(data) // 2])
    kept, _, facts = run(stage, {"paths": [path]})
    assert {row["path"]: row["text"] for row in kept} == {"issues/1": ISSUE, "pull/2": PULL}
    assert facts["lines"] == {"broken": 5, "kept": len(lines), "odd": 1, "old_format": 1, "other": 2}
    assert run(stage, {"paths": [path, str(tmp_path / "cut.json.gz")]})[2]["lines"]["broken_files"] == 1
    with pytest.raises(InputError):
        run(stage, {"paths": [str(tmp_path / "none.json.gz")]})
    with pytest.raises(InputError):
        run(stage, {"paths": [path], "repositories": {"a/b": str(tmp_path / "none")}})
    with pytest.raises(EmptyError):
        run(stage, {"paths": [write(tmp_path / "empty.json", bad)]})


def issues_and_reasons(made: Archive) -> dict[int, str]:
    made.issue(10, "dependabot[bot]", "Bump x", WORDS * 9)
    made.issue(11, "ann", "Short", "x")
    made.issue(12, "ann", "Alone and long", WORDS * 90)
    talk = made.issue(13, "ann", "Alone and often", WORDS * 3)
    for _ in range(10):
        made.comment(talk, "ann", "again")
    made.comment({"number": 14, "user": user("ann")}, "bert", WORDS * 9)
    made.comment(made.issue(15, "ann", "Very long", WORDS * 3), "bert", "x" * 60_000)
    return {10: "bot", 11: "short", 12: "one_user", 13: "one_user", 14: "no_title", 15: "long"}


def pulls_and_reasons(made: Archive) -> dict[int, str]:
    body = "What this does is said in here."
    made.pull(20, "renovate[bot]", "A title long enough", body, merged=True)
    made.comment(
        made.pull(21, "ann", "A title long enough", body, merged=True) | {"pull_request": {}}, "codecov-io", WORDS
    )
    made.pull(22, "ann", "Short", body, merged=True)
    made.pull(23, "ann", "Update dependencies of x", body, merged=True)
    made.pull(24, "ann", "A title long enough", body, merged=True)
    made.pull(24, "ann", "A title long enough", body, merged=True, base={"ref": "other", "sha": "c" * 40})
    made.pull(25, "ann", "A title long enough", body)
    made.pull(26, "ann", "A title long enough", "<!-- say what this does and why it does it -->\nfixes", merged=True)
    made.comment(made.pull(27, "ann", "A title long enough", body, merged=True) | {"pull_request": {}}, "bert", "LGTM")
    return {
        20: "bot",
        21: "bot_comments",
        22: "short_title",
        23: "maintenance",
        24: "base_changed",
        25: "not_merged",
    } | {
        26: "short_description",
        27: "no_discussion",
    }


def test_every_reason(tmp_path, run) -> None:
    made = simple()
    expected = issues_and_reasons(made) | pulls_and_reasons(made)
    kept, dropped, _ = run(stage, {"paths": [write(tmp_path / "a.json", made.lines)], "max_chars": 50_000})
    assert len(kept) == 2
    assert {int(row["path"].partition("/")[2]): row["reason"] for row in dropped} == expected


def test_edited_and_deleted_comments_and_renamed_repositories() -> None:
    made = Archive()
    issue = made.issue(1, "ann", "Title", WORDS)
    for id, action, body in (
        (1, "created", "one"),
        (2, "created", "two"),
        (3, "created", "three"),
        (1, "edited", "uno"),
        (2, "deleted", ""),
    ):
        made.repo = REPO | {"name": f"owner/{action}"}
        made.comment(issue, "bert", body, action=action, id=id)
    found = thread([record for event in made.events if isinstance(record := recorded(event), dict)])
    assert [post.text for post in found.posts] == ["uno", "three"]
    assert found.repo == "owner/deleted"


OLD = "".join(f"line {at}\n" for at in range(30))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_code_comes_from_a_repository(tmp_path, run) -> None:
    project = Project(tmp_path / "tool")
    files = {f"src/{name}.py": OLD for name in "abcd"} | {
        "LICENSE": "Apache License Version 2.0\n",
        "noise.bin": bytes(99),
    }
    project.commit("first", files)
    fork = git(project.folder, "rev-parse", "HEAD")
    git(project.folder, "checkout", "-q", "-b", "fix")
    changed = OLD.replace("line 9\n", "line nine\n")
    small = project.commit(
        "change", {"src/a.py": changed, "src/new [x].py": "new = 1\n", "noise.bin": bytes(9), "yarn.lock": "x\n"}
    )
    large = project.commit("more", {f"src/{name}.py": changed for name in "bcd"})
    wide = project.commit("wide", {f"n{at}.py": "x = 1\n" for at in range(60)})
    git(project.folder, "checkout", "-q", "main")
    base = project.commit("meanwhile", {"src/d.py": "moved on\n"})
    made = Archive()

    def sides(head: str, base: str = base) -> dict:
        return {"base": {"ref": "main", "sha": base}, "head": {"ref": "fix", "sha": head}, "merged": True}

    body = "What this does is said in here."
    for number, head in ((1, small), (2, large), (3, wide), (4, "d" * 40), (5, "--output=x"), (6, fork)):
        made.pull(number, "ann", "A title long enough", body, **sides(head))
    made.pull(4, "ann", "A title long enough", body, action="closed", **sides(small))
    config = {"paths": [write(tmp_path / "a.json", made.lines)], "repositories": {"owner/tool": str(project.folder)}}
    kept, dropped, facts = run(stage, config)
    assert {row["path"]: row["reason"] for row in dropped} == {
        "pull/2": "many_base_files",
        "pull/3": "many_files",
        "pull/5": "no_discussion",
        "pull/6": "no_discussion",
    }
    first, fourth = kept
    diff = git(project.folder, "diff", fork, small, "--", "src")
    assert first["text"] == (
        f"Title: A title long enough\nusername_0: {body}\n\nRepository: owner/tool\n\n"
        f"Base file: src/a.py\n{OLD}\nDiff:\n{diff}\n\nStatus: merged\n"
    )
    assert (first["license"], first["revision"]) == ("Apache-2.0", fork)
    assert fourth["text"] == first["text"]  # its first head is gone, its last one is there
    assert facts["with_code"] == 2
    assert [row["path"] for row in run(stage, config | {"max_base_files": 4})[0]] == ["pull/1", "pull/2", "pull/4"]
    assert {row["reason"] for row in run(stage, config | {"max_base_files": 4, "max_chars": 900})[1]} >= {"long"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["IssuesEvent", "opened", "\ud800", "a/b"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["number", "title", "body", "user", "login", "id", "name", "base", "sha"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["IssuesEvent", "IssueCommentEvent", "PullRequestReviewEvent"]), JSON, JSON, JSON)
def test_any_event(kind, subject, said, other) -> None:
    base = {"number": 1, "user": other}
    event = {"type": kind, "repo": {"name": "a/b", "id": other}, "actor": other, "id": said, "created_at": other}
    subject = base | subject if isinstance(subject, dict) else base
    payload = {"action": said, "issue": subject, "comment": said, "review": other}
    record = recorded(event | {"payload": payload})
    if isinstance(record, dict):
        thread([record, record])
