"""Python programs, by the interpreter that runs smallcoder. Calls of functions go another way (`worker/candidate`).

Not isolated by `-I`, which would ignore the fixed hash seed: the environment is ours.
"""

import os
import sys

from smallcoder.sandbox.languages import Language, Plan


def _locate(tool: str) -> str:
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


LANGUAGE = Language(
    "python",
    (".py",),
    {"python3": "python3"},
    lambda code: Plan("main.py", ("python3", "-P", "-s", "-B", "main.py")),
    environment={"PYTHONHASHSEED": "0"},
    reads=(sys.base_prefix,),
    locate=_locate,
)
