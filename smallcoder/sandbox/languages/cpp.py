"""C++ by g++, in its C++20 form, lightly optimised: most programs of a benchmark compile longer than they run."""

from smallcoder.sandbox.languages import Language, Plan

_COMPILE = ("g++", "-std=c++20", "-O1", "-w", "-o", "program", "main.cpp")
LANGUAGE = Language(
    "cpp", (".cpp", ".cc", ".cxx"), {"g++": "g++"}, lambda code: Plan("main.cpp", ("./program",), _COMPILE)
)
