"""The programming language of a file: by its name, its ending, its content, its first lines, in this order.

Nearly every file is settled by a look-up of its name or ending in `languages.toml` (half a microsecond). Endings that
several languages share (`.h`, `.m`, `.pl`, `.v`, ...) have patterns there for what only one of them writes, searched in
the first `HEAD` characters. A file without a known ending is known by its shebang, by an editor's mode line, or by how
it begins. What is still open a caller may put to a function of its own, such as `by_magika()`.

It tells no dialects of a language apart, sees no language inside another, and believes an ending that belongs to one
language alone.
"""

import re
import tomllib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from itertools import chain

from smallcoder.core.errors import ToolError

HEAD = 8192  # characters of a file that patterns are searched in
MODE_LINES = 5  # vim looks for its own in as many

SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-\S+[ \t]+|\w+=\S*[ \t]+)*(?:\S*/)?)?([^\s/]+)")
VERSION = re.compile(r"-?[\d.]+$")
EXEC = re.compile(r"^exec\s+(?:\S*/)?([a-z]+)", re.MULTILINE)  # a shell that hands its file to another interpreter
EMACS = re.compile(r"-\*-(?:[^\n]{0,99}\bmode:)?[ \t]*([\w+#-]+)[ \t]*(?:;[^\n]{0,99})?-\*-")
VIM = re.compile(r"\b(?:vim?|ex):[^\n]{0,99}\b(?:ft|filetype|syntax)=(\w+)")

BETWEEN = re.compile(r"[\s_-]+")  # the words of a language's name

Guess = Callable[[str], str | None]
Patterns = tuple[tuple[str, re.Pattern[str]], ...]


def programming_language(path: str, head: str = "", guess: Guess | None = None) -> str | None:
    """The lower-case name of the language of a file, as in `DOCUMENT.lang`; None where nothing tells it.

    `head` is the text of the file or its beginning, "" where unknown. `guess(head)` is asked where all else fails.
    """
    name = path[path.rfind("/") + 1 :].lower()
    if known := _names().get(name):
        return known
    dot = name.rfind(".")
    ending = name[dot:] if dot >= 0 else ""
    if known := _endings().get(ending):
        return known
    head = head[:HEAD].removeprefix("\ufeff")
    if ending in _table()["shared"]:
        patterns, otherwise = _shared(ending)
        found = _first(patterns, head) or otherwise
    else:
        found = _names().get(name.partition(".")[0])  # Dockerfile.test, README.old
    found = found or _by_first_lines(head) or _first(_openings(), head)
    return found or (guess(head) if guess and head.strip() else None)


def named(name: str) -> str:
    """Our word for a language that others name: "C++", "objective-c", "Jupyter Notebook". In lower case if not known.

    Upper case, blanks, "-" and "_" do not count; other names are in the table `aliases`.
    """
    return _aliases().get(_squeezed(name), name.lower())


@cache
def by_magika() -> Guess:
    """A `guess` by the model magika (arXiv 2409.13768), a few milliseconds a file. Raises ToolError without it.

    Only answers that magika itself holds for sure count. They may change with its version.
    """
    try:
        from magika import Magika
    except ImportError as error:
        raise ToolError("magika is not installed", "pip install 'smallcoder[curate]', or do without it") from error
    model = Magika()

    def guess(head: str) -> str | None:
        output = model.identify_bytes(head.encode("utf-8", "replace")).output
        label = str(output.label)
        return None if output.group not in {"code", "text"} or label in {"txt", "unknown"} else named(label)

    return guess


def _by_first_lines(head: str) -> str | None:
    """The language by shebang or mode line."""
    interpreters = _interpreters()
    if found := SHEBANG.match(head):
        word = found[1].lower()
        language = interpreters.get(word) or interpreters.get(VERSION.sub("", word))
        if language == "shell" and (other := EXEC.search(head[:400])):
            language = interpreters.get(other[1], language)
        if language:
            return language
    if "-*-" in head or "vi" in head or "ex:" in head:
        for line in head.split("\n", MODE_LINES)[:MODE_LINES]:
            mode = EMACS.search(line) or VIM.search(line)
            if mode and (language := interpreters.get(mode[1].lower())):
                return language
    return None


def _first(patterns: Patterns, head: str) -> str | None:
    return next((language for language, pattern in patterns if pattern.search(head)), None)


@cache
def _table() -> dict[str, dict]:
    return tomllib.loads(files("smallcoder.data").joinpath("languages.toml").read_text("utf-8"))


def _by_word(section: str) -> dict[str, str]:
    return {word: language for language, words in _table()[section].items() for word in words.split()}


@cache
def _names() -> dict[str, str]:
    return _by_word("names")


@cache
def _endings() -> dict[str, str]:
    return _by_word("endings")


@cache
def _interpreters() -> dict[str, str]:
    """Languages by what interpreters and editors call them; their own names are among these."""
    return {language: language for language in _table()["endings"] if language != "text"} | _by_word("interpreters")


@cache
def _aliases() -> dict[str, str]:
    """Languages by all their names, their own among them."""
    sections = (_table()[section] for section in ("endings", "names", "interpreters"))
    shared = (
        name if mark == "otherwise" else mark for marks in _table()["shared"].values() for mark, name in marks.items()
    )
    return {_squeezed(word): word for word in (*chain(*sections), *shared)} | _by_word("aliases")


def _squeezed(name: str) -> str:
    return BETWEEN.sub("", name.lower())


@cache
def _openings() -> Patterns:
    return tuple((language, re.compile(pattern)) for language, pattern in _table()["openings"].items())


@cache
def _shared(ending: str) -> tuple[Patterns, str | None]:
    """The patterns of an ending that several languages use, and the language where none of them matches."""
    marks, found = _table()["marks"], dict(_table()["shared"][ending])
    otherwise = found.pop("otherwise", None)
    sources = {name: marks[source[1:]] if source.startswith("@") else source for name, source in found.items()}
    return tuple((name, re.compile(source, re.MULTILINE)) for name, source in sources.items()), otherwise
