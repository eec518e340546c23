"""What people wrote under an issue or a pull request: without bots, e-mail, templates and names.

The habits are those of StarCoder and StarCoder2 (arXiv 2305.06161, appendix A; arXiv 2402.19173, sections 2.2 and 2.3):
bots are told by their names, text that replies by e-mail bring along goes, long comments lose their middle, and authors
become username_0, username_1, ... in the order of their first words. What is left of templates is ours: comments of
HTML, sentences of GitHub's own templates, and headings under which nothing was filled in. Code in fences and backticks
stays as it is. About 40 MB of text a CPU-second.

A bot whose name does not say so is not found; a template's own sentences stay where they are not GitHub's.
"""

import re
from collections.abc import Iterable

from smallcoder.data.history.messages import words

# StarCoder's, in lower case; whole names are in words.toml. GitHub itself says "Bot" of an app's account.
BOT = re.compile(
    r"\[bot\]|botmanager|\Abors-|jenkins|\Ak8s-|-test-|travis|(?:-automat(?:on|ion)|-benchmark|-build|-deployer|-cloud"
    r"|bot|-ci|-linter|-teamcity|-test|-testing|-service-account)\Z"
)
# A comment that only calls a bot: "/retest", "@dependabot rebase", "bors r+".
CALL = re.compile(
    r"(?:/[a-z][\w-]*|@?[\w-]*(?:bot|bors|jenkins|copilot|coderabbitai|mergifyio|codecov)\b)[^\n]{0,100}", re.IGNORECASE
)

CODE = r"^[ \t>]*(?P<fence>`{3,9}+|~{3,9}+)[^\n]*\n.*?(?:^[ \t>]*(?P=fence)[^\n]*$|\Z)|`[^`\n]++`"
COMMENT = re.compile(rf"(?P<code>{CODE})|<!--.*?(?:-->|\Z)", re.MULTILINE | re.DOTALL)

MAIL = re.compile(r"wrote:|notifications@github|original message|reply to this|^from:|^sent from", re.I | re.M)
QUOTED = re.compile(
    r"^[> \t]{0,9}On\b(?=[^\n]{0,200}(?:\d{4}|\d:\d\d|@))[^\n]{1,200}(?:\n[^\n]{0,200})?\bwrote:[ \t]*$"
    r"(?:\n[ \t]*(?:>[^\n]*)?(?=\n|\Z))*",
    re.MULTILINE,
)
FORWARDED = re.compile(
    r"^(?:[> \t]*-{2,} ?Original Message ?-{2,}|_{20,}\s*\n(?:From|Von|De): |\*{0,2}From:\*{0,2} [^\n]{0,200}@).*\Z",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
FOOTER = re.compile(
    r"^[> \t]*+(?:[-—]{1,3}[ \t]*\n[> \t]*)?(?:[^\n]*\breply to this email directly\b|you are receiving this because\b)"
    r"[^\n]*(?:\n[> \t]*[^\s>][^\n]*)*"
    r"|^[> \t]*+(?:[^\n]*\bnotifications@github\.com\b|[^\n]*\bview it on github\b|[^\n]*\bmute the thread\b"
    r"|sent from (?:my \w|outlook|mail|yahoo|proton))[^\n]*$",
    re.MULTILINE | re.IGNORECASE,
)

HEADING = re.compile(r"(#{1,6})[ \t]+(.*)|(\*\*[^*\n]+\*\*:?|__[^_\n]+__:?)[ \t]*$")
FILLER = re.compile(
    r"[\s*_.…:/-]*+(?:no response|n/?a|none|nothing|not applicable|tbd|todo)?[\s*_.…:/-]*+", re.IGNORECASE
)
PLACEHOLDER = re.compile(
    r"[\s*_>-]*+(?:a clear and concise description of (?:what|any)\b|if applicable, add screenshots\b"
    r"|add any other (?:context|screenshots)\b|steps to reproduce the behaviou?r:"
    r"|\d\. (?:go to|click on|scroll down to) '\.{2,}|\d\. see error|[\w ()-]{1,40}:? \[e\.g\."
    r"|please include a summary of the changes?\b|please delete options that are not relevant"
    r"|please complete the following information|describe your changes\b).*",
    re.IGNORECASE,
)
CHECKLIST = re.compile(r"check ?list|before submitting|prerequisites|pre-?flight", re.IGNORECASE)
BOX = re.compile(r"[\s>]*[-*+] \[[ xX]?\]")
BOLD = 7  # as a heading, below all others
BLANKS = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")

MOST_LINES, LAST_LINES = 100, 20  # of a comment in StarCoder2
SHORT_NAME = 5  # characters; a shorter one may be a word, and is hidden behind its "@" alone


def is_bot(login: str, kind: str | None = None) -> bool:
    """Whether an account is a program's: by its name, or as GitHub says it (`kind`)."""
    name = login.lower().replace(" ", "-")
    return kind == "Bot" or name in words("bots") or BOT.search(name) is not None


def calls_bot(text: str) -> bool:
    """Whether a comment says nothing but what a bot shall do."""
    return CALL.fullmatch(text.strip()) is not None


def cleaned(text: str | None, opening: bool = False) -> str:
    """A comment without what its writer did not write; of an opening post also without an unfilled template."""
    if not text:
        return ""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip("\n")
    if "<!--" in text:
        text = COMMENT.sub(lambda found: found["code"] or "", text)
    if MAIL.search(text):
        text = FOOTER.sub("", FORWARDED.sub("", QUOTED.sub("", text)))
    if opening:
        text = _without_template(text)
    return BLANKS.sub("\n\n", text).strip()


def shortened(text: str, most: int = MOST_LINES, last: int = LAST_LINES) -> str:
    """A text of at most `most` lines: of a longer one the first and the `last` ones."""
    lines = text.split("\n")
    return text if len(lines) <= most else "\n".join([*lines[: most - last], "[...]", *lines[-last:]])


class Names:
    """Participants by number, and their names hidden in what anybody says."""

    def __init__(self, logins: Iterable[str]) -> None:
        self._numbers = {login: at for at, login in enumerate(dict.fromkeys(logins))}
        self._lower = {login.lower(): f"username_{at}" for login, at in reversed(self._numbers.items())}
        longest = sorted((re.escape(login) for login in self._numbers if login), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w-])(@?)({'|'.join(longest)})(?![\w-])", re.IGNORECASE) if longest else None

    def of(self, login: str) -> str:
        return f"username_{self._numbers[login]}"

    def hidden(self, text: str) -> str:
        """The text with every "@name" of a participant, and every longer name as it is spelt, replaced."""
        return self._pattern.sub(self._hide, text) if self._pattern else text

    def _hide(self, found: re.Match[str]) -> str:
        plain = len(found[2]) >= SHORT_NAME and found[2] in self._numbers
        hidden = self._lower.get(found[2].lower())  # none for a letter that only looks like one of the name's
        return found[1] + hidden if hidden and (found[1] or plain) else found[0]


def _without_template(text: str) -> str:
    """The text without the sentences of GitHub's templates and the headings that have nothing below them."""
    sections: list[tuple[int, list[str], bool]] = [(0, [], True)]  # level, lines, whether anything is filled in
    fence = ""
    for line in text.split("\n"):
        mark = line.lstrip(" \t>")[:3]
        if fence:
            fence = "" if mark == fence else fence
            plain = False
        else:
            fence = mark if mark in {"```", "~~~"} else ""
            plain = not fence
        heading = HEADING.fullmatch(line.strip()) if plain else None
        if heading:
            sections.append((len(heading[1]) if heading[1] else BOLD, [line], False))
        elif not plain or not PLACEHOLDER.fullmatch(line):
            level, lines, filled = sections[-1]
            boxed = BOX.match(line) and CHECKLIST.search(lines[0]) if plain and level else None
            filled = filled or not (boxed or (plain and FILLER.fullmatch(line)))
            lines.append(line)
            sections[-1] = level, lines, filled
    kept: list[tuple[int, list[str], bool]] = []
    for section in reversed(sections):
        if section[2] or (kept and kept[-1][0] > section[0]):
            kept.append(section)
    return "\n".join(line for _, lines, _ in reversed(kept) for line in lines)
