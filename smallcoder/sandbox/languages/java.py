"""Java by a JDK of 11 or newer, assertions on. The file is named as its public class; the class with `main` runs."""

import re

from smallcoder.sandbox.languages import Language, Plan

_PUBLIC = re.compile(
    r"(?:^|[;}])\s*public\s+(?:(?:final|abstract|sealed|strictfp)\s+)*(?:class|record|interface|enum)\s+(\w+)", re.M
)
_OUTER = re.compile(r"(?:^|[;}]\s*)(?:\w+\s+)*class\s+(\w+)", re.M)
_MAIN = re.compile(r"\bstatic\s+void\s+main\s*\(")
_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:ActiveProcessorCount=2", "-Xss16m")


def _plan(code: str) -> Plan:
    public, main = _PUBLIC.search(code), _MAIN.search(code)
    outer = _OUTER.findall(code[: main.start() if main else len(code)])
    start = outer[-1] if outer else "Main"
    file = f"{public.group(1) if public else start}.java"
    options = tuple(f"-J{option}" for option in _OPTIONS)
    return Plan(
        file,
        ("java", *_OPTIONS, "-Xmx384m", "-ea", "-cp", ".", start),
        ("javac", *options, "-proc:none", "-nowarn", "-Xlint:none", "-encoding", "UTF-8", "-d", ".", file),
    )


LANGUAGE = Language(
    "java",
    (".java",),
    {"javac": "default-jdk-headless", "java": "default-jre-headless"},
    _plan,
    reads=("/etc/java-11-openjdk", "/etc/java-17-openjdk", "/etc/java-21-openjdk", "/etc/java-25-openjdk"),
    memory_bytes=1 << 30,
)
