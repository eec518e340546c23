r"""Runs untrusted programs and says what they returned, and nothing else.

with Sandbox(workers=2) as sandbox:
    result = sandbox.run(Program("def f(x):\n    return x + 1", "f"), [(1,), (2,)])
assert [output.value for output in result.outputs] == [2, 3]
"""

from smallcoder.sandbox.protocol import Form, Job, Limits, Output, Program, Result, Status
from smallcoder.sandbox.sandbox import RAISE, TIERS, Sandbox
from smallcoder.sandbox.worker.codec import View

__all__ = ["RAISE", "TIERS", "Form", "Job", "Limits", "Output", "Program", "Result", "Sandbox", "Status", "View"]
