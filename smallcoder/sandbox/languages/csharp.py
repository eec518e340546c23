"""C# by Mono, with DEBUG defined. A failed Debug.Assert only tells the listeners: a grader brings one that throws."""

from smallcoder.sandbox.languages import Language, Plan

_COMPILE = ("mcs", "-d:DEBUG", "-nowarn:0219,0162,0168", "-r:System.Numerics.dll", "-out:program.exe", "main.cs")
LANGUAGE = Language(
    "csharp",
    (".cs",),
    {"mcs": "mono-mcs", "mono": "mono-runtime"},
    lambda code: Plan("main.cs", ("mono", "--debug", "program.exe"), _COMPILE),
    environment={"MONO_GC_PARAMS": "max-heap-size=512m"},
    reads=("/etc/mono",),
    memory_bytes=1 << 30,
)
