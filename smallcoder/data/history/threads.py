"""Events of one issue or pull request put together: who said what, in which order, and how it ended.

A record is what `recorded` takes of an event of GH Archive, which holds events of GitHub's public API as it was at the
time. Title, description and author stand in every event about the thread, so those of the first one that has them
count, whether it is the opening or not; since October 2025 events of pull requests have neither, and only comments on
them still say so. Before 2015 the format was another, without the texts, and is not read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from smallcoder.data.history.discussion import Names, calls_bot, cleaned, is_bot, shortened
from smallcoder.data.read.files import writable

KINDS = frozenset(
    ["IssuesEvent", "IssueCommentEvent", "PullRequestEvent", "PullRequestReviewEvent", "PullRequestReviewCommentEvent"]
)
BODY = 1 << 18  # characters of a body that are looked at; GitHub takes 65,536
TITLE = 500  # characters that are shown, in StarCoder2
# StarCoder2's thresholds for issues (arXiv 2402.19173, section 2.2), in characters of text and in events.
SHORT, LONG_ALONE, EVENTS_ALONE = 200, 7000, 10

Record = dict[str, Any]


@dataclass(frozen=True)
class Post:
    """A comment, a review or a comment on a line of the diff (`path`). Its text is cleaned."""

    at: str
    id: int
    author: str
    text: str
    state: str = ""  # of a review: "approved", "changes_requested", "commented", "dismissed"
    path: str = ""
    line: int | None = None
    hunk: str = ""
    reply: bool = False


@dataclass
class Thread:
    """An issue or a pull request. `bots` counts the posts of bots, which are not among `posts`."""

    repo: str
    number: int
    pull: bool
    title: str = ""
    body: str = ""
    author: str = ""
    bot: bool = False
    posts: list[Post] = field(default_factory=list)
    bots: int = 0
    closed: bool = False
    merged: bool = False
    approved: bool = False
    branches: set[str] = field(default_factory=set)  # that it was to go into
    commits: list[tuple[str, str]] = field(default_factory=list)  # base and head, as they were pushed
    license: str | None = None

    @property
    def status(self) -> str:
        return "merged" if self.merged else "closed" if self.closed else "open"

    def names(self) -> Names:
        return Names([self.author, *(post.author for post in self.posts)])


def recorded(event: Any) -> Record | str:
    """What is needed of an event; or why it is left out: `old_format`, `odd` (something is missing), `other`."""
    if not isinstance(event, dict) or event.get("type") not in KINDS:
        return "other"
    if "repo" not in event and "repository" in event:
        return "old_format"
    kind, repo, payload = event["type"], _dict(event.get("repo")), _dict(event.get("payload"))
    subject = _dict(payload.get("pull_request") or payload.get("issue"))
    number = subject.get("number", payload.get("number"))
    name = repo.get("name")
    if not isinstance(number, int) or not 0 < number < 1 << 31 or not isinstance(name, str) or not name:
        return "odd"
    base, head, link = (_dict(subject.get(key)) for key in ("base", "head", "pull_request"))
    found = {
        "repo": writable(str(repo.get("id") or name)),
        "name": writable(name),
        "number": number,
        "kind": kind,
        "at": _text(event.get("created_at")),
        "id": _text(event.get("id")),
        "action": _text(payload.get("action")),
        "actor": _login(event.get("actor")),
        "pull": kind.startswith("PullRequest") or "pull_request" in subject,
        "title": _text(subject.get("title"))[:BODY],
        "body": _text(subject.get("body"))[:BODY],
        "author": _login(subject.get("user")),
        "merged": any([subject.get("merged"), subject.get("merged_at"), link.get("merged_at")]),
        "branch": _text(base.get("ref")),
        "base": _text(base.get("sha")),
        "head": _text(head.get("sha")),
        "license": _text(_dict(_dict(base.get("repo")).get("license")).get("spdx_id")),
        "said": _said(_dict(payload.get("review") or payload.get("comment"))),
    }
    return {key: value for key, value in found.items() if value}


def thread(records: Iterable[Record]) -> Thread:
    """The thread of some records, which must be in the order of time and all of it."""
    ordered = list(records)
    first = ordered[0]
    found = Thread(ordered[-1]["name"], first["number"], any(record.get("pull") for record in ordered))
    said: dict[tuple[str, int], tuple[Record, str]] = {}
    for record in ordered:
        _take_subject(found, record)
        if "said" in record:
            key = record["kind"], record["said"].get("id", len(said))
            if record.get("action") == "deleted":
                said.pop(key, None)
            else:  # an edited comment keeps its place in time
                said[key] = record, said[key][1] if key in said else record["said"].get("at", record.get("at", ""))
    found.body = cleaned(found.body, opening=True)
    for record, at in said.values():
        _take_post(found, record, at)
    found.posts.sort(key=lambda post: (post.at, post.id))
    return found


def _take_subject(found: Thread, record: Record) -> None:
    opened = record.get("action") == "opened"
    if not found.title and "title" in record:
        found.title, found.body = " ".join(record["title"].split()), record.get("body", "")
    if not found.author and ("author" in record or opened):
        found.author, kind = record.get("author") or record.get("actor", ("", ""))
        found.bot = is_bot(found.author, kind)
    if record["kind"] in {"IssuesEvent", "PullRequestEvent"}:
        action = record.get("action")
        found.closed = action in {"closed", "merged"} if action in {"closed", "merged", "reopened"} else found.closed
        found.merged |= action == "merged"
    found.merged |= record.get("merged", False)
    if "branch" in record:
        found.branches.add(record["branch"])
    ends = record.get("base", ""), record.get("head", "")
    if all(ends) and ends not in found.commits:
        found.commits.append(ends)
    found.license = found.license or record.get("license")


def _take_post(found: Thread, record: Record, at: str) -> None:
    said = record["said"]
    author, kind = said.get("author") or record.get("actor", ("", ""))
    if is_bot(author, kind):
        found.bots += 1
        return
    state = said.get("state", "") if record["kind"] == "PullRequestReviewEvent" else ""
    found.approved |= state == "approved"
    text = cleaned(said.get("body"))
    # A review without words says its state; "commented" is said by the comments that it holds.
    if calls_bot(text) or (not text and state not in {"approved", "changes_requested"}):
        return
    text = shortened(text)
    place = {"path": said.get("path", ""), "line": said.get("line"), "hunk": said.get("hunk", "")}
    found.posts.append(Post(at, said.get("id", 0), author, text, state, **place, reply=said.get("reply", False)))


def issue(found: Thread) -> tuple[str, str | None]:
    """The text of an issue and the reason to drop it, None to keep it."""
    if found.bot:
        return "", "bot"
    if not found.title:
        return "", "no_title"
    size = len(found.body) + sum(len(post.text) for post in found.posts)
    if size < SHORT:
        return "", "short"
    users = {found.author, *(post.author for post in found.posts)}
    if len(users) == 1 and (size > LONG_ALONE or len(found.posts) + 1 > EVENTS_ALONE):
        return "", "one_user"
    names = found.names()
    parts = [f"Title: {names.hidden(found.title[:TITLE])}\n{spoken(names, found.author, shortened(found.body))}"]
    parts += [spoken(names, post.author, post.text) for post in found.posts]
    return "\n\n".join([*parts, f"Status: {found.status}"]) + "\n", None


def spoken(names: Names, author: str, text: str, what: str = "") -> str:
    """One turn: the author's number, what was done where it is not a plain comment, and the words."""
    return f"{names.of(author)}{what}: {names.hidden(text)}".rstrip()


def _said(said: Record) -> Record:
    """What is needed of a comment or a review."""
    line = next((said[key] for key in ("line", "original_line") if isinstance(said.get(key), int)), None)
    found = {
        "id": said["id"] if isinstance(said.get("id"), int) and 0 < said["id"] < 1 << 63 else None,
        "at": _text(said.get("created_at") or said.get("submitted_at")),
        "author": _login(said.get("user")),
        "body": _text(said.get("body"))[:BODY],
        "state": _text(said.get("state")).lower(),
        "path": _text(said.get("path")),
        "line": line if line and 0 < line < 1 << 31 else None,
        "hunk": _text(said.get("diff_hunk"))[:BODY],
        "reply": bool(said.get("in_reply_to_id")),
    }
    return {key: value for key, value in found.items() if value}


def _login(user: Any) -> tuple[str, str] | None:
    """The name of an account, and what GitHub says that it is."""
    login = _text(_dict(user).get("login"))
    return (login, _text(_dict(user).get("type"))) if login else None


def _text(value: Any) -> str:
    return writable(value) if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
