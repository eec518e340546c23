"""What goes of a discussion and what stays: a planted set of accounts, of templates and of replies by e-mail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.data.history.discussion import Names, calls_bot, cleaned, is_bot, shortened

PROGRAMS = """
dependabot[bot] renovate[bot] github-actions[bot] codecov-io codecov-commenter coveralls greenkeeper[bot] CLAassistant
k8s-ci-robot k8s-triage-robot rustbot bors jenkins-x-bot googlebot SparkQA travis-ci pytorchmergebot mergify[bot]
homu-bot netlify[bot] allcontributors[bot] snyk-bot elasticmachine-ci circleci-build msftclas web-flow stale[bot]"""
PEOPLE = """
torvalds gvanrossum bob alice-smith robotics-fan jane123 botany-lover ci-expert teststar cloudy-day buildmaster
mark-tester deployer-dan linter-lou ansible-user automattic benchmarker serviceman jenkin travers botond"""


def test_accounts_of_programs_and_of_people() -> None:
    found = [name for name in PROGRAMS.split() if is_bot(name)]
    wrong = [name for name in PEOPLE.split() if is_bot(name)]
    assert sorted(set(PROGRAMS.split()) - set(found)) == ["bors"]  # a name without a mark; recall 26 of 27
    assert wrong == []  # precision 1
    assert is_bot("anybody", "Bot")


OPENING = {
    # GitHub's own template for bugs with two parts filled in
    """**Describe the bug**
A clear and concise description of what the bug is.

**To Reproduce**
Steps to reproduce the behavior:
1. Go to '...'
2. Click on '....'
4. See error

**Expected behavior**
It should not crash.

**Screenshots**
If applicable, add screenshots to help explain your problem.

**Desktop (please complete the following information):**
 - OS: [e.g. iOS]
 - Version [e.g. 22]

**Additional context**
It began with 1.2.
""": "**Expected behavior**\nIt should not crash.\n\n**Additional context**\nIt began with 1.2.",
    "<!-- Thanks!\nRead this -->\n### What happened?\n\nCrash\n\n### Version\n\n_No response_\n\n### Logs\n\nN/A": (
        "### What happened?\n\nCrash"
    ),
    "## Summary\n\n### Why\n\nBecause.\n\n### How\n\n## Checklist\n\n- [x] I have read it\n- [ ] Tests\n": (
        "## Summary\n\n### Why\n\nBecause."
    ),
    "## Tasks\n- [ ] write the parser\n- [x] read": "## Tasks\n- [ ] write the parser\n- [x] read",
    "# Title\n```\n# no heading\n<!-- stays -->\n```\n": "# Title\n```\n# no heading\n<!-- stays -->\n```",
    "Use `<!-- x -->` here<!-- not here -->.": "Use `<!-- x -->` here.",
    "Words <!-- never closed\nmore": "Words",
    "plain words": "plain words",
    "": "",
}


@pytest.mark.parametrize("text", OPENING, ids=range(len(OPENING)))
def test_templates(text) -> None:
    assert cleaned(text, opening=True) == OPENING[text]
    assert cleaned(text.replace("\n", "\r\n"), opening=True) == OPENING[text]


REPLIES = {
    "Yes.\n\nOn Tue, Feb 4, 2020, 10:11 Bob <notifications@github.com> wrote:\n> Does it?\n>\n> -- Bob\n": "Yes.",
    "On 3 May 2019 at 12:00, Bob wrote:\n\n> Does it?\n\nYes, it does.": "Yes, it does.",
    "Thanks\n\nSent from my iPhone\n\n> On Jan 1, 2018, at 10:00, Bob <b@example.org> wrote:\n> \n> no": "Thanks",
    "I agree.\n\n-----Original Message-----\nFrom: Bob\nTo: All\n\nDoes it?": "I agree.",
    "Good.\n\n________________________________\nFrom: Bob <b@example.org>\nSent: today\n\nDoes it?": "Good.",
    "Good.\n—\nYou are receiving this because you were mentioned.\nReply to this email directly, or not": "Good.",
    # not by e-mail
    "> Does it?\n\nYes.": "> Does it?\n\nYes.",
    "On the server I wrote: nothing": "On the server I wrote: nothing",
    "On line 2020 somebody wrote: nothing": "On line 2020 somebody wrote: nothing",
    "The code reads\n```\nfrom: here\n```": "The code reads\n```\nfrom: here\n```",
}


@pytest.mark.parametrize("text", REPLIES, ids=range(len(REPLIES)))
def test_replies_by_mail(text) -> None:
    assert cleaned(text) == REPLIES[text]


def test_calls_of_bots() -> None:
    for text in (
        "/retest",
        "@dependabot rebase",
        "bors r+",
        "@k8s-ci-robot\n".strip(),
        "/assign @bob",
        "@renovate-bot go",
    ):
        assert calls_bot(text), text
    for text in (
        "/usr/bin is a folder\nhere",
        "the bot is wrong",
        "a / b",
        "robots are fine\nmore",
        "What about @bob?",
    ):
        assert not calls_bot(text), text


def test_names() -> None:
    names = Names(["ann-lee", "Bobby", "x", "ann-lee"])
    assert names.of("Bobby") == "username_1"
    said = (
        "@Ann-Lee and @x and x and Bobby, bobby, Bobbyx and my-ann-lee: ann-lee@b.c, https://github.com/Bobby/x, @ann"
    )
    assert names.hidden(said) == (
        "@username_0 and @username_2 and x and username_1, bobby, Bobbyx and my-ann-lee: username_0@b.c, "
        "https://github.com/username_1/x, @ann"
    )
    assert Names([""]).hidden("@ x") == "@ x"
    assert Names(["a.b"]).hidden("@axb @a.b") == "@axb @username_0"


def test_long_comments_lose_their_middle() -> None:
    lines = [str(at) for at in range(150)]
    assert shortened("\n".join(lines)) == "\n".join([*lines[:80], "[...]", *lines[-20:]])
    assert shortened("\n".join(lines[:100])) == "\n".join(lines[:100])


@settings(max_examples=300, deadline=None)
@given(st.text("a#*`~<!->\n Onwrote:12/@[]x", max_size=80))
def test_any_text(text) -> None:
    once = cleaned(text, opening=True)
    assert len(once) <= len(text)
    Names([text[:5], text[5:9]]).hidden(text)
    calls_bot(text)


def test_hostile_text_takes_linear_time() -> None:
    """With a quadratic scan this takes minutes instead of seconds."""
    pieces = (
        "<!-- ```\n ` >_ On_2020\n On_2020_ wrote:\n \n _\n #_a\n **a**\n \n>_ reply_to_this_email_directly\n From:_a@"
    )
    pieces += " -_[_]_a\n --- @ann_ ~~~ a- _ * . 1._ ____________________\n"
    for piece in pieces.split(" "):
        for start in ("wrote: <!--x-->", "wrote:\n", "# checklist\n", "wrote:\n> "):
            text = start + piece.replace("_", " ") * (30_000 // len(piece)) + "x"
            cleaned(text, opening=True)
        cleaned("wrote:\n" + piece * (30_000 // len(piece)), opening=True)
        Names(["ann", "a"]).hidden(text)
        calls_bot(text)


def test_letters_that_only_look_like_those_of_a_name() -> None:
    """They are equal when case is ignored, and not when it is lowered."""
    names = Names(["alison"])
    for text in ("@al\u0131son thanks", "@ali\u017fon thanks", "al\u0131son"):
        assert names.hidden(text) == text
