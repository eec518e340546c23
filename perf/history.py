"""Commits and events: our stages on a made history, and PyDriller on the same commits, per CPU-second, git's included.

    python perf/history.py [FOLDER]     a git repository; one of 3,000 commits is made without it

PyDriller (`pip install pydriller`) walks a repository and hands over each change with the file before and after, which
is what `commits` needs; it judges nothing. For `events` there is no peer: 20,000 made events of GH Archive's form, six
in twenty of them pushes, which have no thread.
"""

import gzip
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydriller import Repository  # pyright: ignore[reportMissingImports]

from smallcoder.data.history import commits, events

COMMITS, FILES, EVENTS = 3000, 60, 20_000
WORDS = "the parser stops at a comment of the file and says nothing about what comes after it when a function calls"


def spent(call: Callable[[], object]) -> float:
    """CPU-seconds of a call, its finished child processes included."""
    before = os.times()
    call()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def repository(folder: Path, rng: random.Random) -> None:
    """Every commit changes one line of one file of the standard library."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    texts = [text for path in paths if 1500 < len(text := path.read_text("utf-8", "replace")) < 9000][:FILES]
    subprocess.run(["git", "init", "-q", folder], check=True)
    stream: list[bytes] = []
    for at in range(COMMITS):
        chosen = rng.randrange(len(texts))
        lines = texts[chosen].split("\n")
        lines[rng.randrange(len(lines))] = f"value_{at} = {at}"
        texts[chosen] = "\n".join(lines)
        data, message = texts[chosen].encode(), f"Fix how number {at} is handled in it".encode()
        who = b"A <a@example.org> %d +0000" % (1_600_000_000 + at)
        head = b"commit refs/heads/main\nauthor %b\ncommitter %b\ndata %d\n%b\n" % (who, who, len(message), message)
        stream.append(head + b"M 100644 inline f%d.py\ndata %d\n%b\n" % (chosen, len(data), data))
    subprocess.run(["git", "-C", folder, "fast-import", "--quiet"], input=b"".join(stream), check=True)
    subprocess.run(["git", "-C", folder, "symbolic-ref", "HEAD", "refs/heads/main"], check=True)


def archive(path: Path, rng: random.Random) -> float:
    """A file of events; its size unpacked, in MB."""

    def said(count: int) -> str:
        return " ".join(rng.choices(WORDS.split(), k=count))

    urls = {f"{name}_url": f"https://api.github.com/repos/owner/tool/{name}" for name in map(str, range(60))}
    lines = []
    for at in range(EVENTS):
        number, user = 1 + at // 5, {"login": f"user{at % 50}", "type": "User"} | dict(list(urls.items())[:12])
        issue = {"number": number, "title": said(6), "body": said(80), "user": user} | urls
        comment = {"id": at + 1, "user": user, "body": said(60), "created_at": f"{2015 + at:05d}"}
        payload = {"action": "created", "issue": issue, "comment": comment} if at % 20 < 14 else {"commits": [urls] * 3}
        kind = "IssueCommentEvent" if at % 20 < 14 else "PushEvent"
        event = {"id": str(at), "type": kind, "actor": user, "repo": {"id": number % 200, "name": f"o/{number % 200}"}}
        lines.append(json.dumps(event | {"payload": payload, "created_at": f"{2015 + at:05d}"}).encode())
    data = b"\n".join(lines)
    path.write_bytes(gzip.compress(data))
    return len(data) / 1e6


def pydriller(folder: Path) -> int:
    found = 0
    for commit in Repository(str(folder)).traverse_commits():
        for change in commit.modified_files:
            found += len(change.source_code_before or "") + len(change.source_code or "")
    return found


def main(given: str | None) -> None:
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given or f"{scratch}/made")
        if not given:
            repository(folder, rng)
        number = int(subprocess.check_output(["git", "-C", folder, "rev-list", "--count", "HEAD"]))
        config = commits.Config(paths=[f"git:{folder}"])
        out = [Path(scratch, name) for name in ("commits", "events")]
        for path in out:
            path.mkdir()
        ours = number / spent(lambda: commits.run(config, {}, out[0]))
        theirs = number / spent(lambda: pydriller(folder))
        print(f"commits: {ours:,.0f} a CPU-second; PyDriller {theirs:,.0f}; ratio {ours / theirs:.1f}")
        size = archive(Path(scratch, "2020-01-01-0.json.gz"), rng)
        read = events.Config(paths=[f"{scratch}/2020-01-01-0.json.gz"])
        print(f"events: {size / spent(lambda: events.run(read, {}, out[1])):.0f} MB a CPU-second of {size:.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
