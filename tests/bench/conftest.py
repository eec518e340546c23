"""As in tests/sandbox: without a sandbox, what needs one is skipped."""

from tests.sandbox.conftest import pytest_runtest_call, pytest_runtest_setup

__all__ = ["pytest_runtest_call", "pytest_runtest_setup"]
