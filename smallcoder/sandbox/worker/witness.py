"""Tests in a second jail: trusted source that calls the candidate's functions through pipes and never shares a process.

The tests run as they are, asserts, loops, random inputs and all; `remote("name")` stands for a function of the
candidate. Its arguments and what it returns cross as encoded plain data, so no object of the candidate with an `==` of
its own, no patched module and no frame reaches the tests. An exception of the candidate is raised here as the builtin
of that name, or as RuntimeError. The jail has process ids, memory and a /tmp of its own. Not covered: arguments that
the candidate changes in place, and values that are no plain data.
"""

import builtins
import sys
import types
from collections.abc import Callable
from typing import Any

from .candidate import enter, frame, frames, say
from .codec import DecodeError, EncodeError, View, decode, encode
from .tiers import Close

_MOST = 1 << 26  # bytes of one value


# Tests as they come to their process: source, bytes of a value, CPU-seconds, bytes of memory.
Job = tuple[str, int, int, int]


def run(close: Close, job: Job, verdict: int, pipes: tuple[int, int]) -> None:
    """Be the tests' process: run them, then write whether they ended well."""
    calls, answers = pipes
    source, most, cpu_seconds, memory_bytes = job
    enter(close, (cpu_seconds, memory_bytes), verdict, sorted((verdict, calls, answers)), tmp=False)
    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    module.__dict__["remote"] = _remotes(calls, answers, min(most, _MOST))
    try:
        exec(compile(source, "<tests>", "exec"), module.__dict__)
    except BaseException as error:
        frame(verdict, b"E", say(error))
    else:
        frame(verdict, b"V", encode(True, 9))
    frame(verdict, b"D", b"")


class Lost(BaseException):
    """The candidate is gone, or does not keep to the protocol. Not to be caught by tests that expect an exception."""


def _remotes(calls: int, answers: int, most: int) -> Callable[[str], Callable[..., Any]]:
    replies = frames(answers, most)
    kind, _ = next(replies, (b"", b""))
    assert kind in (b"R", b""), "the candidate's process could not be shut in"

    def remote(name: str) -> Callable[..., Any]:
        def function(*arguments: Any, **named: Any) -> Any:
            try:
                frame(calls, b"C", encode((name, arguments, named), most))
            except EncodeError as error:
                raise TypeError(f"an argument is not plain data: {error}") from None
            except OSError:
                raise Lost("the program ended") from None
            kind, data = next(replies, (b"", b""))
            if kind == b"V":
                try:
                    return _own(decode(data))
                except DecodeError as error:
                    raise Lost(f"malformed result: {error}") from None
            if kind == b"E":
                raise _exception(data.decode("utf-8", "replace"))
            raise Lost(data.decode("utf-8", "replace") if kind == b"X" else "the program ended")

        function.__name__ = name
        return function

    return remote


def _own(value: Any) -> Any:
    """What a candidate's subclass of a plain type holds, so that tests can sort it, add to it and so on."""
    return value.content if isinstance(value, View) and value.plain else value


def _exception(text: str) -> BaseException:
    name, _, words = text.partition(": ")
    kind = getattr(builtins, name, None)
    # StopIteration would end a loop of the tests as if all had been seen.
    stops = (StopIteration, StopAsyncIteration)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, stops):
        try:
            return kind(words)
        except TypeError:  # such as UnicodeDecodeError
            pass
    return RuntimeError(text)
