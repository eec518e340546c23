"""What a scanner has to know of a language: how its comments and strings are written, and its words with a meaning.

One row a language. `lexicon()` turns the rows into arrays for `scan`: a language becomes a small number, its row in
`FEATURES`, and its words with a meaning become a row of a table of hashes. Languages without
a row, and prose, have no comments, strings or keywords; those of `LIKE` share the row of another.

Limits, by design of a scanner without a parser: JavaScript's regular expressions, here-documents, Lua's and Rust's
long raw strings and nested block comments are not known; a string that is not closed ends with its line, so that an
error costs a line and not the file.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

HASH = 1  # a `#` begins a comment
HASH_BLANK = 2  # ... at the start of a line or after a blank only
SLASHES = 4  # //
BLOCKS = 8  # /* */
DASHES = 16  # --
SEMICOLON = 32  # ;
PERCENT = 64  # %
MARKUP = 128  # <!-- -->
QUOTES = 256  # "..." and '...'
DOUBLE = 512  # "..." only; '.' and '\.' are characters, so that Rust's lifetimes and Lisp's quotes open nothing
BACKTICK = 1024  # `...` over several lines
TRIPLE = 2048  # """...""" and '''...''', strings with a prefix, a string alone on its line is documentation
BRACES = 4096  # a function is `(...) {` without a keyword of BEFORE_BRACE before it; elsewhere it has a keyword
_C = SLASHES | BLOCKS | QUOTES

BRANCHES = frozenset(
    [
        "if",
        "elif",
        "elsif",
        "elseif",
        "for",
        "foreach",
        "while",
        "until",
        "unless",
        "case",
        "when",
        "except",
        "catch",
        "rescue",
    ]
)
BEFORE_BRACE = frozenset(
    ["if", "for", "foreach", "while", "switch", "catch", "return", "synchronized", "using", "lock", "with", "sizeof"]
)
UNFINISHED = ("todo", "fixme", "xxx", "hack")  # marks of unfinished work, also in upper case or with a capital

_SHARED = (
    "break case catch const continue default do else false for if new null return static switch this throw true "
    "try while"
)
_C_WORDS = (
    f"{_SHARED} auto char double enum extern float goto inline int long register restrict short signed sizeof struct "
    "typedef union unsigned void volatile NULL"
)
_JS = (
    f"{_SHARED} async await class debugger delete export extends finally from function import in instanceof let of "
    "super typeof undefined var void with yield"
)
_JVM = (
    "abstract boolean byte class extends final finally implements import interface package private protected "
    "public super"
)


@dataclass(frozen=True)
class Language:
    """A row: how it is written, and words separated by blanks."""

    features: int
    keywords: str = ""
    functions: str = ""
    imports: str = ""
    prints: str = ""


_JAVASCRIPT = Language(_C | BACKTICK | BRACES, _JS, "", "import require export", "console alert")
LANGUAGES: dict[str, Language] = {
    "python": Language(
        HASH | QUOTES | TRIPLE,
        "False None True and as assert async await break class continue def del elif else except finally for from "
        "global if import in is lambda nonlocal not or pass raise return try while with yield",
        "def",
        "import from",
        "print pprint",
    ),
    "c": Language(_C | BRACES, _C_WORDS, "", "include", "printf fprintf puts fputs perror"),
    "cpp": Language(
        _C | BRACES,
        f"{_C_WORDS} bool class constexpr delete explicit final friend mutable namespace noexcept nullptr operator "
        "override private protected public template typename using virtual",
        "",
        "include import",
        "printf fprintf puts cout cerr",
    ),
    "csharp": Language(
        _C | BRACES,
        f"{_SHARED} abstract as async await base bool byte char class decimal double enum event finally float foreach "
        "get in int interface internal is lock long namespace object out override private protected public readonly "
        "ref sealed set string struct using var virtual void",
        "",
        "using",
        "WriteLine Write",
    ),
    "java": Language(
        _C | BRACES,
        f"{_SHARED} {_JVM} assert char double enum float instanceof int long native short synchronized throws "
        "transient void volatile",
        "",
        "import",
        "println printf printStackTrace",
    ),
    "javascript": _JAVASCRIPT,
    "typescript": Language(
        _JAVASCRIPT.features,
        f"{_JS} abstract any as boolean declare enum implements interface keyof namespace never number private "
        "protected public readonly string type unknown",
        "",
        _JAVASCRIPT.imports,
        _JAVASCRIPT.prints,
    ),
    "go": Language(
        SLASHES | BLOCKS | QUOTES | BACKTICK,
        "break case chan const continue default defer else fallthrough false for func go goto if import interface map "
        "nil package range return select struct switch true type var",
        "func",
        "import",
        "Print Println Printf",
    ),
    "rust": Language(
        SLASHES | BLOCKS | DOUBLE,
        "Self as async await break const continue crate dyn else enum extern false fn for if impl in let loop match "
        "mod  move mut pub ref return self static struct super trait true type unsafe use where while",
        "fn",
        "use extern",
        "println eprintln print eprint dbg",
    ),
    "swift": Language(
        SLASHES | BLOCKS | DOUBLE,
        f"{_SHARED} as class defer enum extension func guard import in init inout is let nil private protocol public "
        "repeat self struct super throws var where",
        "func init",
        "import",
        "print NSLog",
    ),
    "kotlin": Language(
        _C,
        f"{_SHARED} as class companion data fun import in interface internal is object open override package private "
        "protected public sealed super suspend val var when",
        "fun",
        "import",
        "println print",
    ),
    "scala": Language(
        SLASHES | BLOCKS | DOUBLE,
        f"{_SHARED} {_JVM} def extends given implicit lazy match object override sealed trait type val var with yield",
        "def",
        "import",
        "println print",
    ),
    "php": Language(
        _C | HASH,
        f"{_SHARED} abstract and array as class echo elseif extends final finally foreach function global implements "
        "include instanceof interface namespace or private protected public require use var",
        "function fn",
        "use require require_once include include_once",
        "echo print var_dump print_r",
    ),
    "ruby": Language(
        HASH | QUOTES,
        "alias and begin break case class def do else elsif end ensure false for if in module next nil not or redo "
        "rescue retry return self super then true undef unless until when while yield",
        "def",
        "require require_relative include",
        "puts print pp",
    ),
    "perl": Language(
        HASH_BLANK | QUOTES,
        "and bless die do else elsif eval for foreach if last local my next no not or our package qw redo return sub "
        "unless until use while",
        "sub",
        "use require",
        "print printf say",
    ),
    "shell": Language(
        HASH_BLANK | QUOTES,
        "case do done elif else esac exit export fi for function if in local return select set shift then until while",
        "function",
        "source",
        "echo printf",
    ),
    "r": Language(
        HASH | QUOTES,
        "FALSE NA NULL TRUE break else for function if in next repeat return while",
        "function",
        "library require",
        "print cat",
    ),
    "lua": Language(
        DASHES | QUOTES,
        "and break do else elseif end false for function if in local nil not or repeat return then true until while",
        "function",
        "require",
        "print",
    ),
    "sql": Language(DASHES | BLOCKS | QUOTES),
    "css": Language(BLOCKS | QUOTES, "", "", "import"),
    "html": Language(MARKUP),
    "xml": Language(MARKUP),
    "yaml": Language(HASH_BLANK),
    "toml": Language(HASH | QUOTES),
    "makefile": Language(HASH_BLANK),
    "dockerfile": Language(HASH_BLANK),
    "tex": Language(PERCENT),
    "lisp": Language(SEMICOLON | DOUBLE, "cond defmacro defun if lambda let progn setq", "defun defmacro"),
    "json": Language(DOUBLE),
}
# Languages written like one of these, as far as the scanner sees.
LIKE = {
    "python": "cython starlark mojo",
    "cpp": "cuda objectivec objectivecpp opencl glsl hlsl metal",
    "java": "groovy dart apex",
    "javascript": "vue svelte astro",
    "css": "less scss sass stylus",
    "lisp": "commonlisp emacslisp scheme racket clojure",
    "shell": "fish",
    "yaml": "awk cmake nginx powershell tcl elixir crystal nim ini",
    "c": "protobuf thrift solidity systemverilog verilog",
    "tex": "latex erlang matlab prolog",
    "sql": "plsql hiveql haskell elm ada vhdl",
    "xml": "svg xslt jsp",
}
PROSE = frozenset(["markdown", "restructuredtext", "text", "html", "asciidoc", "org", "textile", "mediawiki"])
DATA = frozenset(["json", "yaml", "toml", "csv", "tsv", "ini", "properties", "xml", "svg"])
NONE = len(LANGUAGES)  # the number of every other language
_NUMBERS = {name: number for number, row in enumerate(LANGUAGES) for name in (row, *LIKE.get(row, "").split())}
FEATURES = np.array([row.features for row in LANGUAGES.values()] + [0], np.int64)


# What a word means in a language: bits of `lexicon()`.
KEYWORD, BRANCH, FUNCTION, IMPORT, PRINT, CONTROL, MARK = range(7)
SLOTS = 1 << 11


@cache
def lexicon() -> tuple[Array, Array, Array]:
    """The words with a meaning: hashes uint64 and meanings uint8 [languages + 1, SLOTS], shifts uint64 [languages + 1].

    A word with the hash h (`scan.word_hash`) can only stand in slot `h >> shift & SLOTS - 1` of its language's row: the
    shift is the first that lets no two of its words meet, so a look-up needs no branch. Empty slots hold 0.
    """
    from smallcoder.data.scan import word_hash

    marks = " ".join(form for word in UNFINISHED for form in (word, word.upper(), word.capitalize()))
    rows = [*LANGUAGES.values(), Language(0)]
    keys, meanings = np.zeros((len(rows), SLOTS), np.uint64), np.zeros((len(rows), SLOTS), np.uint8)
    shifts = np.zeros(len(rows), np.uint64)
    for at, row in enumerate(rows):
        found: dict[str, int] = {}
        branches, control = (" ".join(sorted(those & set(row.keywords.split()))) for those in (BRANCHES, BEFORE_BRACE))
        lists = (row.keywords, branches, row.functions, row.imports, row.prints, control, marks)
        for meaning, words in enumerate(lists):
            for word in words.split():
                found[word] = found.get(word, 0) | 1 << meaning
        hashes = {int(word_hash(np.frombuffer(word.encode(), np.uint8))): bits for word, bits in found.items()}
        shift = next(s for s in range(64) if len({h >> s & SLOTS - 1 for h in hashes}) == len(hashes))
        for h, bits in hashes.items():
            keys[at, h >> shift & SLOTS - 1] = h
            meanings[at, h >> shift & SLOTS - 1] = bits
        shifts[at] = shift
    return keys, meanings, shifts


def features(lang: str | None) -> int:
    """How a language is written, 0 for one that is not known."""
    return int(FEATURES[_NUMBERS.get(lang or "", NONE)])


def kind(lang: str | None) -> str:
    """What judges a document: "prose" for code-related text, "data" for what programs write, else "code"."""
    return "prose" if lang in PROSE else "data" if lang in DATA else "code"


def language_numbers(languages: list[str | None]) -> Array:
    """The rows of FEATURES of languages by name, int64 [len(languages)]."""
    return np.array([_NUMBERS.get(name or "", NONE) for name in languages], np.int64)
