"""Comments come out of source texts of many styles, strings do not, and hostile text costs linear time."""

import io
import tokenize
from pathlib import Path

import pytest

from smallcoder.data.comments import BY_LANGUAGE, comments

CASES = [
    ("python", 'x = "# no" # yes\n\'\'\'doc\'\'\'\ny = """not"""\n  r"""too"""\n', "# yes\n'''doc'''\n\"\"\"too\"\"\""),
    ("python", "#!/usr/bin/env python\n# yes\n", "# yes"),
    ("c", 'char *s = "// no"; /* a\n b */ c = \'"\'; // yes\n', "/* a\n b */\n// yes"),
    ("rust", "fn f<'a>(x: &'a str) {} // it's\nlet c = '\"'; /// doc\n", "// it's\n/// doc"),
    ("javascript", "a = `// no\n${b} /* no */`; // yes", "// yes"),
    ("go", "s := `// no`; r := '\"' // yes", "// yes"),
    ("php", "<?php # one\n// two\n/* three */ $s = '# no';", "# one\n// two\n/* three */"),
    ("shell", "#!/bin/sh\necho $# ${x#y} '# no' # yes\n", "# yes"),
    ("sql", "select '--no' -- yes\n/* and */", "-- yes\n/* and */"),
    ("lua", "--[[ block\n two ]] x = '--no' -- yes", "--[[ block\n two ]]\n-- yes"),
    ("haskell", "{- one -} main = \"-- no\" -- two", "{- one -}\n-- two"),
    ("ruby", "=begin\ndoc\n=end\nx = '#no' # yes", "=begin\ndoc\n=end\n# yes"),
    ("perl", "=pod\n\nwords\n\n=cut\nmy $x = $#a; # yes", "=pod\n\nwords\n\n=cut\n# yes"),
    ("ocaml", '(* one *) let s = "(* no *)" let c = \'"\' (* two *)', "(* one *)\n(* two *)"),
    ("matlab", "x = 1; % one\n%{\n two\n%}\n", "% one\n%{\n two\n%}"),
    ("commonlisp", '(a "; no") ; yes\n#| and |#', "; yes\n#| and |#"),
    ("xml", "<a b='c'><!-- yes --></a>", "<!-- yes -->"),
    ("css", "a { b: url('/* no */') } /* yes */", "/* yes */"),
    ("fortran", "print *, '! no' ! yes", "! yes"),
    ("batch", "rem one\n:: two\necho rem no", "rem one\n:: two"),
    ("elixir", '@doc """\nwords\n"""\nx = "# no" # yes', '"""\nwords\n"""\n# yes'),
    ("cobol", "000100* one\n       MOVE A TO B. *> two", "000100* one\n*> two"),
]  # fmt: skip


@pytest.mark.parametrize(("lang", "text", "expected"), CASES)
def test_styles(lang, text, expected) -> None:
    assert comments(text, lang) == expected


def test_python_comments_are_those_of_its_own_tokenizer() -> None:
    source = tokenize.__file__
    text = Path(source).read_text("utf-8")
    found = [
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT
    ]
    ours = [line for line in (comments(text, "python") or "").split("\n") if line.startswith("#")]
    assert [line for line in ours if line in found] == found
    assert len(ours) <= len(found) + 2  # lines of docstrings may begin so too


def test_unknown_languages_and_enough() -> None:
    assert comments("# x", "json") is None
    assert comments("# x", None) is None
    assert comments("", "python") == ""
    assert comments("# abc\n" * 1000, "python", 10) == "# abc\n# ab"


def test_hostile_text_takes_linear_time() -> None:
    """With a quadratic pattern this takes minutes instead of seconds."""
    pieces = [
        '"',
        "'",
        "/*",
        '"""',
        "\\",
        "(*",
        "{-",
        "<!--",
        "\n=a",
        "`",
        "''",
        "--[[",
        "\n",
        " ",
        "#|",
        "\0",
        "\ud800",
    ]
    styles = {style: language for language, style in BY_LANGUAGE.items()}
    for piece in pieces:
        for lang in styles.values():
            assert comments(piece * (50_000 // len(piece)), lang) is not None
