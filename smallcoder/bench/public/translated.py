"""Tests in other languages: answer and tests are one program, and passing is to have reached the end of the tests.

That end is where the program writes a secret, fresh for every run, into the file `mark`; the exit code must be 0
besides, but alone it proves nothing: a program may exit early, and `console.assert` and Debug.Assert only complain.
They are made to throw, after the answer's own code. Compiled programs have no source beside them when they run. This
is the weaker form ("one process"): an answer shares a process with its tests. It could look for the secret in memory,
or, in an interpreted language, read it in its own file; in Rust it can define `assert_eq!` anew.

Formats: MultiPL-E (Cassano et al., arXiv 2208.08227), HumanEvalPack (Muennighoff et al., arXiv 2308.07124), MBXP
(Athiwaratkun et al., arXiv 2210.14868). MBXP's JavaScript needs the package lodash.
"""

import re
from collections.abc import Callable

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
_LISTEN = "System.Diagnostics.Trace.Listeners.Clear(); System.Diagnostics.Trace.Listeners.Add(new MarkListener());"


def program(language: str, code: str, tests: str, secret: str) -> str:
    """An answer and its tests as one program that leaves `secret` in the file `mark` at its end."""
    return _MARKED[language](_joined(language, code, tests), secret)


def _joined(language: str, code: str, tests: str) -> str:
    """The two in a row. MultiPL-E's tests begin with the brace that ends the answer; an answer may have it already."""
    first = tests.lstrip()[:1]
    if first == "}" and _closed(language, code):
        tests = tests.lstrip()[1:]
    if language == "javascript":
        code += "\nconsole.assert = (holds) => { if (!holds) throw new Error('an assertion failed') }\n"
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
    return _before(2, text, f"try {{ {write} }} catch (java.io.IOException e) {{ throw new RuntimeException(e); }}")


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
    "javascript": lambda text, secret: f'{text}\nrequire("fs").writeFileSync("mark", "{secret}")\n',
    "php": lambda text, secret: f'{text}\nfile_put_contents("mark", "{secret}");\n',
    "rust": lambda text, secret: _before(1, text, f'std::fs::write("mark", "{secret}").unwrap();'),
    "shell": lambda text, secret: f"{text}\nprintf %s {secret} > mark\n",
    "typescript": lambda text, secret: f'{text}\nrequire("fs").writeFileSync("mark", "{secret}")\n',
}
