"""Python programs that import libraries, by an interpreter that has them.

It is the one that SMALLCODER_LIBRARIES names, such as `ENVIRONMENT/bin/python`, else the one that runs smallcoder. Its
environment lies read-only in the jail; packages that only point elsewhere (editable ones) are not there. Arithmetic
runs in one thread, so that CPU time does not depend on the machine, and plots are drawn to files.
"""

import os
import sys

from smallcoder.sandbox.languages import Language, Plan

_PYTHON = os.path.abspath(os.environ.get("SMALLCODER_LIBRARIES") or sys.executable)
_ONE_THREAD = ("MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")

LANGUAGE = Language(
    "python_libraries",
    (),
    {_PYTHON: "python3"},
    lambda code: Plan("main.py", (_PYTHON, "-s", "-B", "main.py")),
    environment={"PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", **dict.fromkeys(_ONE_THREAD, "1")},
    reads=(os.path.dirname(os.path.dirname(_PYTHON)),),
)
