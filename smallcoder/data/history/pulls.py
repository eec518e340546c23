"""A pull request as a text: title, description, base files, diff, comments and reviews, in StarCoder2's order.

StarCoder2 (arXiv 2402.19173, section 2.3 and the formats of section 5.2) gives each part a token of its own; here they
are plain words, as our tokenizers have no such tokens. Its rules: pull requests of bots or with comments of bots alone,
that were neither merged nor approved, whose target changed, with titles and descriptions that say too little, go; long
descriptions, comments and hunks are cut. Ling-Coder-Lite (arXiv 2503.17793, section 2.3.3) shows every file whole that
the change starts from, and leaves out a pull request with more than three of them: `max_base_files`.

Base files and the diff come from a git repository that has the commits: GH Archive holds neither. The first pair of
base and head that is there counts; the diff starts where their histories part. Without a repository there is only what
was said.
"""

from dataclasses import dataclass

from smallcoder.data.history.discussion import shortened
from smallcoder.data.history.repository import Change, Repository, generated
from smallcoder.data.history.threads import TITLE, Post, Thread, spoken
from smallcoder.data.read.files import text_of, unwanted, writable

# StarCoder2's thresholds, in characters unless said otherwise.
SHORT_TITLE, SHORT_DESCRIPTION, SHORT_COMMENT, LONG_HUNK = 10, 20, 20, 10_000
DESCRIPTION_LINES, DESCRIPTION = 80, 1000
MAINTENANCE = ("dependencies", "dependency", "depend", "release")
SCANNER = "Qwiet"  # writes descriptions by itself
MOST_FILES = 50  # ours: of the whole diff
BYTES = 4  # UTF-8 bytes that a character has at most


@dataclass(frozen=True)
class Code:
    """The base files of a pull request, as (path, text), its diff, and the commit and licence that it starts from."""

    files: list[tuple[str, str]]
    diff: str
    base: str
    license: str | None


def flaw(found: Thread) -> str | None:
    """Which of StarCoder2's rules a pull request fails, or None."""
    title = found.title.lower()
    if found.bot:
        return "bot"
    if found.bots and not found.posts:
        return "bot_comments"
    if not found.title:
        return "no_title"
    if len(title) < SHORT_TITLE:
        return "short_title"
    if any(word in title for word in MAINTENANCE):
        return "maintenance"
    if len(found.branches) > 1:
        return "base_changed"
    if not (found.merged or found.approved):
        return "not_merged"
    return "short_description" if len(found.body) < SHORT_DESCRIPTION or SCANNER in found.body else None


def code(found: Thread, repository: Repository, max_base_files: int, max_chars: int) -> Code | str | None:
    """The code of a pull request; the reason why it is too much; None where the repository does not have it."""
    for base, head in found.commits:
        if any((repository.about(name) or ("",))[0] != "commit" for name in (base, head)):
            continue
        start = repository.merge_base(base, head)
        changes = repository.changes(start, head, MOST_FILES + 1) if start else []
        if start is None or not changes:
            continue
        if len(changes) > MOST_FILES:
            return "many_files"
        shown = [change for change in changes if _shown(repository, change, BYTES * max_chars)]
        based = [change for change in shown if change.status == "M"]
        if len(based) > max_base_files:
            return "many_base_files"
        files = [(writable(change.path), _text(repository, change.before)) for change in based]
        diff = repository.diff(start, head, shown, BYTES * max_chars) if shown else ""
        if diff is None:
            return "long"
        return Code(files, diff, start, repository.license(start)) if diff else None
    return None


def text(found: Thread, shown: Code | None) -> str:
    """The whole text. A comment of a few characters goes, unless it is on a line of the code."""
    names = found.names()
    body = shortened(found.body, DESCRIPTION_LINES)[:DESCRIPTION].rstrip()
    title = f"Title: {names.hidden(found.title[:TITLE])}\n{spoken(names, found.author, body)}"
    parts = [title, f"Repository: {found.repo}"]
    if shown:
        parts += [f"Base file: {path}\n{words.rstrip()}" for path, words in shown.files]
        parts.append(f"Diff:\n{shown.diff.rstrip()}")
    for post in found.posts:
        if not post.path:
            verdict = f" ({post.state.replace('_', ' ')})" if post.state else ""
            parts.append(spoken(names, post.author, post.text, verdict))
            continue
        place = f"Comment on {post.path}" + (f" line {post.line}" if post.line else "")
        hunk = "" if post.reply or len(post.hunk) > LONG_HUNK else f"{post.hunk.rstrip()}\n"
        parts.append(f"{place}\n{hunk}{spoken(names, post.author, post.text)}")
    return "\n\n".join([*parts, f"Status: {found.status}"]) + "\n"


def without_small_talk(posts: list[Post]) -> list[Post]:
    """The posts that say something: long enough, or about a line of code, or a verdict."""
    return [post for post in posts if len(post.text) >= SHORT_COMMENT or post.path or post.state]


def _shown(repository: Repository, change: Change, most: int) -> bool:
    """Whether a changed file is worth showing: regular, text, neither vendored nor generated, not too large."""
    if not change.text or unwanted(change.path, frozenset()) or generated(change.path):
        return False
    for name in (change.before, change.after):
        about = repository.about(name) if name else None
        if name and (about is None or about[1] > most or text_of(repository.blob(name) or b"")[1] == "not_text"):
            return False
    return True


def _text(repository: Repository, name: str | None) -> str:
    return text_of(repository.blob(name) or b"")[0] or "" if name else ""
