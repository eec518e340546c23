"""The counts of `scan`, written for reading: a list of tokens first, then every count by itself from the tokens.

About a thousand times as slow as the kernel, and sharing only the table of languages with it.
"""

import re
from dataclasses import dataclass
from typing import Any

from smallcoder.data import lexicon as lx

WORD = re.compile(r"[0-9A-Za-z_\x80-\U0010ffff]+")
NONE = lx.Language(0)


@dataclass(frozen=True)
class Token:
    """A word or one other character that is no blank. `state`: code, string, comment, doc, or prefix of a string."""

    text: str
    at: int
    state: str
    quiet: bool = False  # a quotation mark or character literal, which the counts of brackets and calls pass over
    opens: str = ""  # "string" or "comment" where the token begins one

    @property
    def is_word(self) -> bool:
        return not self.quiet and WORD.fullmatch(self.text) is not None


def opener(text: str, at: int, features: int, alone: bool) -> tuple[int, str] | None:
    """(end, state) of the string or comment that begins at a place in code."""
    char, rest = text[at], text[at:]
    has = lambda *flags: any(features & flag for flag in flags)  # noqa: E731
    if (
        (char == '"' and has(lx.QUOTES, lx.DOUBLE))
        or (char == "'" and has(lx.QUOTES))
        or (char == "`" and has(lx.BACKTICK))
    ):
        state = "doc" if alone and has(lx.TRIPLE) else "string"
        if has(lx.TRIPLE) and rest.startswith(char * 3):
            pattern = rf"(?s:{char * 3}(?:\\.?|[^\\])*?(?:{char * 3}|\Z))"
        elif char == "`":
            pattern = r"(?s:`(?:\\.?|[^\\`])*`?)"
        else:
            pattern = rf"{char}(?:\\(?s:.)?|[^{char}\\\n])*{char}?"
        return at + match_end(pattern, rest), state
    before = text[at - 1] if at else "\n"
    comments = [
        (has(lx.HASH) or (has(lx.HASH_BLANK) and before in " \t\r\f\v\n"), r"#.*"),
        (has(lx.SLASHES), r"//.*"),
        (has(lx.BLOCKS), r"(?s:/\*.*?(?:\*/|\Z))"),
        (has(lx.DASHES), r"--.*"),
        (has(lx.SEMICOLON), r";.*"),
        (has(lx.PERCENT) and before != "\\", r"%.*"),
        (has(lx.MARKUP), r"(?s:<!--.*?(?:-->|\Z))"),
    ]
    for known, pattern in comments:
        if known and (end := match_end(pattern, rest)):
            doc = re.match(r"//[/!]|/\*\*(?!/)", rest) and has(lx.SLASHES, lx.BLOCKS)
            return at + end, "doc" if doc else "comment"
    return None


def match_end(pattern: str, text: str) -> int:
    found = re.match(pattern, text)
    return found.end() if found else 0


def tokens_of(text: str, features: int) -> tuple[list[Token], dict[str, int]]:
    """The tokens in order, and the bytes in each state."""
    found: list[Token] = []
    sizes = {"string": 0, "comment": 0, "doc": 0}
    depth = {"(": 0, "[": 0, "{": 0}
    at, fresh = 0, True
    while at < len(text):
        char = text[at]
        if char == "\n":
            fresh = True
        if char in " \t\r\f\v\n":
            at += 1
            continue
        if word := WORD.match(text, at):
            prefix = (
                features & lx.TRIPLE and len(word[0].encode()) <= 2 and text[word.end() : word.end() + 1] in ("'", '"')
            )
            prefix = prefix and bool(text[word.end() : word.end() + 1])
            found.append(Token(word[0], at, "prefix" if prefix else "code"))
            fresh = fresh and bool(prefix)
            at = word.end()
            continue
        if span := opener(text, at, features, fresh and not any(depth.values())):
            end, state = span
            sizes[state] += len(text[at:end].encode())
            inner = list(re.finditer(rf"{WORD.pattern}|[^ \t\r\f\v\n]", text[at:end]))
            kind = "string" if char in "\"'`" else "comment"
            found += [
                Token(part[0], at + part.start(), state, opens=kind if part.start() == 0 else "") for part in inner
            ]
            closed_line = text.rfind("\n", at, end)
            fresh = (closed_line >= 0 and not [t for t in found if t.at > closed_line and t.state == "string"]) or (
                fresh and state != "string"
            )
            at = end
            continue
        literal = re.match(r"'(?:\\[^\n\x80-\U0010ffff]|[^\\\n\x80-\U0010ffff])'", text[at:])
        size = literal.end() if literal and features & lx.DOUBLE else 1
        found += [
            Token(each, at + k, "code", quiet=size > 1 or char in "\"'`") for k, each in enumerate(text[at : at + size])
        ]
        if size == 1 and char in "([{":
            depth[char] += 1
        elif size == 1 and char in ")]}":
            kind = "([{"[")]}".index(char)]
            depth[kind] = max(depth[kind] - 1, 0)
        fresh = False
        at += size
    return found, sizes


def functions(tokens: list[Token], text: str, row: lx.Language) -> int:
    """Definitions `(...) {` that no keyword of BEFORE_BRACE precedes."""
    count, called, control, stack = 0, False, False, []
    for token in tokens:
        if token.opens == "string" and token.state == "string":
            called = False
        if token.state != "code" or token.quiet:
            continue
        char = token.text
        if token.is_word:
            control = char in lx.BEFORE_BRACE and char in row.keywords.split()
            continue
        if char == "(":
            stack.append(control)
            called = False
        elif char == ")":
            called = not (stack.pop() if stack else False)
        elif char == "{":
            count += called
            called = False
        elif char in "[},;" or (char == "=" and text[token.at + 1 : token.at + 2] != ">"):
            called = False
        control = False
    return count


def plain_counts(text: str, lang: str | None) -> dict[str, int]:
    """Every count of `scan` by name."""
    row = lx.LANGUAGES.get(lang or "", NONE)
    tokens, sizes = tokens_of(text, row.features)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    by_line: list[list[Token]] = [[] for _ in lines]
    at = 0
    for token in tokens:
        while token.at >= starts[at + 1]:
            at += 1
        by_line[at].append(token)
    return (
        characters(text)
        | of_lines(lines, starts, by_line, tokens, row)
        | of_words(tokens, text, row)
        | {
            "comment_bytes": sizes["comment"],
            "doc_bytes": sizes["doc"],
            "string_bytes": sizes["string"],
            "generated": any(word in line.lower() for line in text.split("\n")[:5] for word in ("generated", "do not")),
        }
    )


def characters(text: str) -> dict[str, int]:
    def runs(pattern: str) -> tuple[int, int]:
        lengths = [len(match[0]) for match in re.finditer(pattern, text)]
        return sum(lengths), max(lengths, default=0)

    encoded, hexlike = runs(r"[a-zA-Z0-9+/=\n]{64,}"), runs(r"[0-9a-fA-Fxu\\, \t\n]{16,}")
    letters = sum(char > "\x7f" or char.isalpha() for char in text)
    digits = sum("0" <= char <= "9" for char in text)
    blanks = sum(char in " \t\n\r\f\v" for char in text)
    return {
        "bytes": len(text.encode()),
        "characters": len(text),
        "letters": letters,
        "digits": digits,
        "blanks": blanks,
        "punctuation": len(text) - letters - digits - blanks - text.count("_"),
        "garbled": sum(char == "\ufffd" or "\x80" <= char <= "\x9f" or "\ue000" <= char <= "\uf8ff" for char in text),
        "colons": text.count(":"),
        "mails": len(re.findall(r"(?<=[0-9A-Za-z_\x80-\U0010ffff.+-])@(?=[0-9A-Za-z_\x80-\U0010ffff-])", text)),
        "url_bytes": sum(
            len(match[0].encode()) for match in re.finditer(r"""(?<![A-Za-z])[A-Za-z]*://[^\x00-\x20"'<>`)\]]+""", text)
        ),
        "encoded": encoded[0],
        "encoded_run": encoded[1],
        "hexlike": hexlike[0],
        "hexlike_run": hexlike[1],
    }


def of_lines(
    lines: list[str], starts: list[int], by_line: list[list[Token]], tokens: list[Token], row: lx.Language
) -> dict[str, int]:
    def state_at(start: int) -> bool:
        """Whether a line begins in code: no string or comment opens before it and has a token after."""
        return not any(open_ < start <= close for open_, close in spans)

    spans = spans_of(tokens)
    has_code = [any(t.state in ("code", "string") for t in found) for found in by_line]
    has_comment = [any(t.state in ("comment", "doc") for t in found) for found in by_line]
    worded = [found for found in by_line if any(t.is_word for t in found)]
    indents = [line[: len(line) - len(line.lstrip(" \t\r\f\v"))] for line in lines]
    clean = [indent for indent, code, start in zip(indents, has_code, starts, strict=False) if code and state_at(start)]
    widths = [sum(4 if char == "\t" else 1 for char in indent) for indent in clean]

    def with_word(states: tuple[str, ...], wanted: Any) -> int:
        return sum(any(t.is_word and t.state in states and wanted(t.text) for t in found) for found in by_line)

    first_words = [next((t for t in found if t.is_word), None) for found in by_line]
    marks = {form for word in lx.UNFINISHED for form in (word, word.upper(), word.capitalize())}
    return {
        "lines": len(lines),
        "longest_line": max(map(len, lines), default=0),
        "line_squares": sum(len(line) ** 2 for line in lines),
        "wide_lines": sum(len(line) > 100 for line in lines),
        "code_lines": sum(has_code),
        "comment_lines": sum(comment and not code for code, comment in zip(has_code, has_comment, strict=True)),
        "worded_lines": len(worded),
        "distinct_lines": len({tuple((t.is_word, t.text) for t in found) for found in worded}),
        "import_lines": sum(t is not None and t.state == "code" and t.text in row.imports.split() for t in first_words),
        "print_lines": with_word(("code",), lambda word: word in row.prints.split()),
        "assert_lines": with_word(("code",), lambda word: word.lower().startswith("assert")),
        "mark_lines": with_word(("comment", "doc"), lambda word: word in marks),
        "indent_sum": sum(widths),
        "indent_max": max(widths, default=0),
        "tab_lines": sum("\t" in indent for indent in clean),
    }


def spans_of(tokens: list[Token]) -> list[tuple[int, int]]:
    """First and last places of the tokens of every string and comment."""
    spans: list[tuple[int, int]] = []
    for token in tokens:
        if token.opens:
            spans.append((token.at, token.at))
        elif token.state not in ("code", "prefix"):
            spans[-1] = (spans[-1][0], token.at)
    return spans


def of_words(tokens: list[Token], text: str, row: lx.Language) -> dict[str, int]:
    words = [t for t in tokens if t.is_word]
    ngrams = [tuple(t.text for t in words[at : at + 5]) for at in range(len(words) - 4)]
    code = [t for t in words if t.state == "code"]
    names = [t.text for t in code if not "0" <= t.text[0] <= "9"]
    keywords = [name for name in names if name in row.keywords.split()]
    identifiers = [name for name in names if name not in row.keywords.split()]
    openings = [t for t in tokens if t.opens]
    comments = [t for t in openings if t.opens == "comment"]
    line_of = lambda at: text.rfind("\n", 0, at) + 1  # noqa: E731
    inline = [
        t for t in comments if any(line_of(t.at) <= o.at < t.at and o.state in ("code", "string") for o in tokens)
    ]
    depth, nesting, unbalanced = {"(": 0, "[": 0, "{": 0}, 0, 0
    for token in tokens:
        if token.state != "code" or token.quiet:
            continue
        if token.text in "([{":
            depth[token.text] += 1
        elif token.text in ")]}":
            kind = "([{"[")]}".index(token.text)]
            unbalanced += depth[kind] == 0
            depth[kind] = max(depth[kind] - 1, 0)
        nesting = max(nesting, sum(depth.values()))
    by_keyword = sum(name in row.functions.split() for name in names)
    return {
        "words": len(words),
        "longest_word": max((len(t.text.encode()) for t in words), default=0),
        "distinct_words": len({t.text for t in words}),
        "ngrams": len(ngrams),
        "distinct_ngrams": len(set(ngrams)),
        "comments": len(comments),
        "inline_comments": len(inline),
        "docs": sum(t.state == "doc" for t in openings),
        "identifiers": len(identifiers),
        "distinct_identifiers": len(set(identifiers)),
        "identifier_bytes": sum(len(name.encode()) for name in identifiers),
        "short_identifiers": sum(len(name.encode()) == 1 for name in identifiers),
        "keywords": len(keywords),
        "branches": sum(name in lx.BRANCHES for name in keywords),
        "numbers": len(code) - len(names),
        "functions": functions(tokens, text, row) if row.features & lx.BRACES else by_keyword,
        "nesting": nesting,
        "unbalanced": unbalanced + sum(depth.values()),
    }
