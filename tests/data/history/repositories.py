"""What the tests of history share: repositories that git itself makes."""

import os
import subprocess
from pathlib import Path

SETTINGS = {
    "user.name": "Ann Author",
    "user.email": "ann@example.org",
    "commit.gpgsign": "false",
    "core.autocrlf": "false",
    "init.defaultBranch": "main",
}


def git(folder: Path, *arguments: str, author: str | None = None, at: int = 0) -> str:
    """What a git command says. Commits are made `at` seconds after a fixed time, so that their names are fixed."""
    date = f"{1_600_000_000 + at} +0000"
    own = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    if author:
        name, _, email = author.partition(" <")
        own |= {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email.rstrip(">") or "x@example.org"}
    options = [part for key, value in SETTINGS.items() for part in ("-c", f"{key}={value}")]
    command = ["git", "-C", str(folder), *options, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | own).stdout.strip()


class Project:
    """A repository that grows by one commit a call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commits = 0
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")

    def commit(
        self, message: str, files: dict[str, str | bytes | None] | None = None, author: str | None = None
    ) -> str:
        """Write files (None removes one) and commit all; the commit's name."""
        for name, data in (files or {}).items():
            path = self.folder / name
            if data is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        self.commits += 1
        git(self.folder, "add", "-A")
        arguments = ("commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-m", message)
        git(self.folder, *arguments, author=author, at=self.commits)
        return git(self.folder, "rev-parse", "HEAD")
