"""What the tests of events share: lines as GH Archive has them, of 2015 to 2025 and as they are since October 2025."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

REPO = {"id": 7, "name": "owner/tool", "url": "https://api.github.com/repos/owner/tool"}


def user(login: str, kind: str = "User") -> dict[str, Any]:
    return {"login": login, "id": 1, "type": kind, "site_admin": False, "url": f"https://api.github.com/users/{login}"}


class Archive:
    """Collects events; times and ids go up by one a call."""

    def __init__(self, repo: dict[str, Any] | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.repo = repo or REPO

    def add(self, kind: str, who: str, **payload: Any) -> None:
        at = len(self.events)
        actor = {"id": 1, "login": who, "display_login": who, "gravatar_id": "", "url": "", "avatar_url": ""}
        when = f"2020-01-01T{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}Z"
        event = {"id": str(10_000_000_000 + at), "type": kind, "actor": actor, "repo": self.repo, "payload": payload}
        self.events.append(event | {"public": True, "created_at": when})

    @property
    def now(self) -> str:
        at = len(self.events)
        return f"2020-01-01T{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}Z"

    def issue(self, number: int, who: str, title: str, body: str | None, action: str = "opened", **more: Any) -> dict:
        issue = {
            "number": number,
            "title": title,
            "body": body,
            "user": user(who),
            "state": "open",
            "labels": [],
        } | more
        self.add("IssuesEvent", who, action=action, issue=issue)
        return issue

    def comment(
        self, issue: dict, who: str, body: str, *, kind: str = "User", action: str = "created", id: int = 0
    ) -> None:
        id = id or 500 + len(self.events)
        comment = {"id": id, "user": user(who, kind), "body": body, "created_at": self.now, "updated_at": self.now}
        self.add("IssueCommentEvent", who, action=action, issue=issue, comment=comment)

    def pull(self, number: int, who: str, title: str, body: str | None, action: str = "opened", **more: Any) -> dict:
        base = {"ref": "main", "sha": "b" * 40, "repo": {"id": 7, "license": {"key": "mit", "spdx_id": "MIT"}}}
        head = {"ref": "fix", "sha": "a" * 40, "repo": {"id": 8}}
        pull = {"number": number, "title": title, "body": body, "user": user(who), "merged": False, "merged_at": None}
        pull |= {"base": base, "head": head, "state": "open"} | more
        self.add("PullRequestEvent", who, action=action, number=number, pull_request=pull)
        return pull

    def review(self, pull: dict, who: str, state: str, body: str | None = None, kind: str = "User") -> None:
        review = {
            "id": 900 + len(self.events),
            "user": user(who, kind),
            "body": body,
            "state": state,
            "submitted_at": self.now,
        }
        self.add("PullRequestReviewEvent", who, action="created", review=review, pull_request=pull)

    def on_line(self, pull: dict, who: str, path: str, hunk: str, body: str, **more: Any) -> None:
        comment = {"id": 700 + len(self.events), "user": user(who), "body": body, "path": path, "line": None}
        comment |= {"original_line": 3, "diff_hunk": hunk, "created_at": self.now} | more
        self.add("PullRequestReviewCommentEvent", who, action="created", comment=comment, pull_request=pull)

    @property
    def lines(self) -> list[bytes]:
        return [json.dumps(event).encode() for event in self.events]


def write(path: Path, lines: list[bytes]) -> str:
    """Lines as a file of the kind that its name says."""
    data = b"".join(line + b"\n" for line in lines)
    if path.name.endswith(".zst"):
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(data)
    else:
        path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return str(path)


def trimmed(pull: dict) -> dict:
    """The pull request of an event since October 2025."""
    sides = {
        side: {"ref": pull[side]["ref"], "sha": pull[side]["sha"], "repo": {"id": 7, "name": "tool"}}
        for side in ("base", "head")
    }
    return {"url": "", "id": 1, "number": pull["number"]} | sides
