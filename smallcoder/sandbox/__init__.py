r"""Runs untrusted Python and says what it returned, and nothing else.

with Sandbox(workers=2) as sandbox:
    result = sandbox.run(Program("def f(x):\n    return x + 1", "f"), [(1,), (2,)])
assert [output.value for output in result.outputs] == [2, 3]
"""

from smallcoder.sandbox.protocol import Job, Limits, Output, Program, Result, Status
from smallcoder.sandbox.sandbox import TIERS, Sandbox

__all__ = ["TIERS", "Job", "Limits", "Output", "Program", "Result", "Sandbox", "Status"]
