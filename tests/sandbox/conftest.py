"""Where no sandbox can be built, or not the tier that a test is about, the test is skipped with the reason."""

from collections.abc import Iterator

import pytest

from smallcoder.core.errors import ToolError


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    yield from _skipped()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield from _skipped()


def _skipped() -> Iterator[None]:
    try:
        yield
    except ToolError as error:
        if not str(error).startswith("no sandbox can be built"):
            raise
        pytest.skip(str(error))
