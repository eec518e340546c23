"""Tests in other languages.

In JavaScript, TypeScript, PHP and shell the tests run as they are in a second jail, where the answer's functions are
remote (`apart`): the answer's process holds neither tests nor expectations.

In compiled languages only the calls go behind the answer where the tests can be taken apart (`compiled.py`). Where they
cannot, answer and tests are one program (`program`), and passing is to have reached the end of the tests: where the
program writes a secret, fresh for every run, into the file `mark`; the exit code must be 0 besides, but alone it proves
nothing: a program may exit early, and Debug.Assert only complains. This is the weaker form ("one process"): an answer
could look for the secret in memory or in its program's file, or return an object that equals everything. C++'s
`assert` is defined anew behind the answer; Rust's tests stand before it, with assertions of their own.

Formats: MultiPL-E (Cassano et al., arXiv 2208.08227), HumanEvalPack (Muennighoff et al., arXiv 2308.07124), MBXP
(Athiwaratkun et al., arXiv 2210.14868). MBXP's JavaScript needs the package lodash.
"""

import re
from collections.abc import Callable

from smallcoder.bench.public.compiled import Halves, with_pairs
from smallcoder.core.errors import InputError

_MAIN = re.compile(r"\bstatic\s+void\s+Main\s*\([^)]*\)\s*\{")
_PACKAGE = re.compile(r"^\s*package\s+\w+.*$", re.MULTILINE)
_LISTENER = """
class MarkListener : System.Diagnostics.TraceListener {
    public override void Write(string text) {}
    public override void WriteLine(string text) {}
    public override void Fail(string text) { System.Environment.Exit(3); }
    public override void Fail(string text, string more) { System.Environment.Exit(3); }
}
"""
# In these macros nothing has a name that an answer could give to something else.
_ASSERTIONS = """
macro_rules! assert { ($holds:expr $(, $($rest:tt)*)?) => { if $holds {} else { let none = [()]; none[none.len()] } } }
macro_rules! assert_eq { ($left:expr, $right:expr $(, $($rest:tt)*)?) => { assert!($left == $right) } }
macro_rules! assert_ne { ($left:expr, $right:expr $(, $($rest:tt)*)?) => { assert!($left != $right) } }
"""
_LISTEN = "System.Diagnostics.Trace.Listeners.Clear(); System.Diagnostics.Trace.Listeners.Add(new MarkListener());"


_DEFINES = {  # what a source text defines at its top
    "javascript": r"^(?:async\s+)?function\s+([\w$]+)|^(?:const|let|var)\s+([\w$]+)\s*=",
    "php": r"^function\s+(\w+)",
    "shell": r"^(\w+)\s*\(\)",
}
_DEFINES["typescript"] = _DEFINES["javascript"]
_REMOTE = {
    "javascript": 'const {0} = remote("{0}");',
    "php": "function {0}(...$values) {{ return remote('{0}', ...$values); }}",
    "shell": '{0}() {{ remote {0} "$@"; }}',
    "typescript": 'const {0} = remote("{0}");',
}
# console.assert only complains.
_STRICT = "console.assert = (holds) => { if (!holds) throw new Error('an assertion failed') };"


def apart(language: str, source: str, tests: str, name: str = "") -> str | None:
    """Tests for a second jail, with the functions that they use of the program `source`; None for other languages.

    `source` is the problem's own text, prompt and reference, and `name` its function's where that is known. Raises
    InputError where the tests use none.
    """
    if language not in _DEFINES:
        return None
    tests = tests.lstrip().removeprefix("}")
    names, own = (_defined(language, text) for text in (source, tests))
    used = [one for one in dict.fromkeys([name, *names]) if one and re.search(rf"(?<![\w$]){re.escape(one)}\b", tests)]
    if not used:
        raise InputError("tests that call no function of the answer cannot be run", "fetch the benchmark again")
    lines = [_REMOTE[language].format(one) for one in used if one not in own]
    if language == "javascript":
        lines.append(_STRICT)
    return "\n".join([*lines, tests])


def _defined(language: str, source: str) -> list[str]:
    found = re.findall(_DEFINES[language], source, re.MULTILINE)
    return [one if isinstance(one, str) else "".join(one) for one in found]


def closed(language: str, code: str, tests: str) -> str:
    """An answer with its last brace, which MultiPL-E's tests begin with unless it has that already."""
    return code if not tests.lstrip().startswith("}") or _closed(language, code) else f"{code}\n}}"


def program(language: str, code: str, tests: str, secret: str) -> str:
    """An answer and its tests as one program that leaves `secret` in the file `mark` at its end."""
    if language == "rust":
        tests = _MARKED[language](tests, secret)
        return _joined(language, code, tests)
    return _MARKED[language](_joined(language, code, tests), secret)


def calling(language: str, code: str, halves: Halves) -> str:
    """An answer and the calls behind it as one program, which leaves what they gave in the file `mark`."""
    text = f"{code}\n{halves.behind}"
    if language == "go":
        return _PACKAGE.sub(lambda match: f"{match.group()}\n{halves.head}", text, count=1)
    return with_pairs(text) if language == "java" else halves.head + text


def _joined(language: str, code: str, tests: str) -> str:
    """The two in a row. MultiPL-E's tests begin with the brace that ends the answer; an answer may have it already."""
    code, tests = closed(language, code, tests), tests.lstrip().removeprefix("}")
    if language == "rust":
        return f"{_ASSERTIONS}\n{tests}\n{code}"
    if language == "cpp":
        code += "\n#undef NDEBUG\n#include <assert.h>\n"  # which defines `assert` anew, whatever the answer did to it
    return f"{code}\n{tests}"


def _closed(language: str, code: str) -> bool:
    """Whether the answer has as many closing braces as opening ones; in Java and C#, all but the class's own."""
    return code.count("{") - code.count("}") <= (1 if language in ("java", "csharp") else 0)


def _before(brace: int, text: str, statement: str) -> str:
    """Put a statement before the last, or the one but last, closing brace."""
    at = len(text)
    for _ in range(brace):
        at = text.rindex("}", 0, at)
    return f"{text[:at]}{statement}\n{text[at:]}"


def _cpp(text: str, secret: str) -> str:
    mark = f'{{ FILE* mark = std::fopen("mark", "w"); std::fputs("{secret}", mark); std::fclose(mark); }}'
    return "#include <assert.h>\n#include <cstdio>\n" + _before(1, text, mark)


def _java(text: str, secret: str) -> str:
    write = f'java.nio.file.Files.writeString(java.nio.file.Path.of("mark"), "{secret}");'
    write = f"try {{ {write} }} catch (java.io.IOException e) {{ throw new RuntimeException(e); }}"
    return with_pairs(_before(2, text, write))


def _csharp(text: str, secret: str) -> str:
    text = _before(2, text, f'System.IO.File.WriteAllText("mark", "{secret}");')
    return _MAIN.sub(lambda match: f"{match.group()} {_LISTEN}", text, count=1) + _LISTENER


def _go(text: str, secret: str) -> str:
    text = _before(1, text, f'if !t.Failed() {{ mark_.WriteFile("mark", []byte("{secret}"), 0600) }}')
    return _PACKAGE.sub(lambda match: f'{match.group()}\nimport mark_ "os"', text, count=1)


_MARKED: dict[str, Callable[[str, str], str]] = {
    "cpp": _cpp,
    "csharp": _csharp,
    "go": _go,
    "java": _java,
    "rust": lambda text, secret: _before(1, text, f'std::fs::write("mark", "{secret}").unwrap();'),
}
