"""C++ by g++, in its C++20 form, lightly optimised: most programs of a benchmark compile longer than they run."""

import re

from smallcoder.sandbox.languages import Language, Plan

_COMPILE = ("g++", "-std=c++20", "-O1", "-w", "-o", "program", "main.cpp")
_HEADERS = {"boost": "libboost-dev", "openssl": "libssl-dev"}  # two references of HumanEvalPack need each


def _plan(code: str) -> Plan:
    hashes = re.search(r"^\s*#\s*include\s*<openssl/", code, re.MULTILINE)
    return Plan("main.cpp", ("./program",), (*_COMPILE, "-lcrypto") if hashes else _COMPILE)


LANGUAGE = Language("cpp", (".cpp", ".cc", ".cxx"), {"g++": "g++"}, _plan, headers=_HEADERS)
