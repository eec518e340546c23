"""Programs of any language in a slot: commands in turn, such as a compiler and what it made, until one fails.

Where a job has tests, they are a program of their own in a second jail: the last command is then started twice, once
for the answer and once for the tests, with a pipe each way between descriptors 3 and 4. The tests have process ids and
a /tmp of their own and hold nothing of the answer's; how they end is how the run ends.
"""

import os
import signal
import stat
import struct
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from . import script
from .compiler import Compiler, CompilerError
from .watch import End, Pipe, Watch

_TOLD_BYTES = 512
_MARK_BYTES = 1 << 20
_KEPT = 64  # compiled tests


class Programs:
    """The programs of one slot, and its warm compilers."""

    def __init__(self, watch: Watch, null: int) -> None:
        self._watch, self._jail, self._null = watch, watch.jail, null
        self._compilers: dict[str, Compiler] = {}
        self._tests: OrderedDict[bytes, dict[str, bytes]] = OrderedDict()

    def run(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """Run one job. None where the parent went away meanwhile."""
        reply: dict[str, Any] = {}
        total = 0.0
        for number, step in enumerate(job["steps"]):
            for name in step["hide"]:
                with suppress(OSError):
                    os.unlink(os.path.join(self._jail.folder, name))
            if "server" in step:
                made, reply = self._compiled(step, job["files"][step["file"]])
                try:
                    self._put(made)
                except OSError as error:  # such as the class of a nested class whose name is too long for a file
                    reply |= {"code": 1, "stderr": f"{error.strerror}: {error.filename}".encode()}
            else:
                done = self._beside(step, job) if "tests" in step else self._one(step)
                if done is None:
                    return None
                reply = done
            total += reply["cpu_seconds"]
            reply |= {"step": number, "cpu_seconds": total}
            if reply["end"] != "exit" or reply["code"] != 0:
                break
        mark = self._mark()
        if len(mark) > _MARK_BYTES:  # a part of it could be equal where all of it is not
            return reply | {"end": "output", "mark": b""}
        return reply | {"mark": mark}

    def _one(self, step: dict[str, Any]) -> dict[str, Any] | None:
        pipes = [Pipe(step["output_bytes"]), Pipe(step["output_bytes"]), Pipe(_TOLD_BYTES)]
        given = self._stdin(step["stdin"])
        handles = (given, *(pipe.target for pipe in pipes))
        start = [self._forked(lambda: script.run(self._jail, step, step["command"], handles))]
        ended = self._watch.run(step, start, pipes, lambda: os.close(given), tree=True)
        return None if ended.why == "gone" else _ended(step, ended, *(bytes(pipe.data) for pipe in pipes))

    def _forked(self, become: Callable[[], NoReturn]) -> Callable[[], int]:
        def start() -> int:
            pid = self._jail.fork()
            if pid == 0:
                become()
            return pid

        return start

    def _beside(self, step: dict[str, Any], job: dict[str, Any]) -> dict[str, Any] | None:
        """The tests in a second jail beside the answer; what comes back is about the tests."""
        tests = step["tests"]
        own: dict[str, bytes] = tests["files"]
        if "compile" in tests:
            made, reply = self._compiled_tests(tests["compile"], own[tests["compile"]["file"]])
            if not made:
                said = reply["stderr"]  # of a compiler that broke down: nothing
                return {**reply, "end": "infra", "reason": f"the tests do not compile: {said[:300]!r}", "lasting": said}
            own = {**own, **made}
        pipes = [Pipe(step["output_bytes"]), Pipe(step["output_bytes"]), Pipe(_TOLD_BYTES)]
        pipes += [Pipe(step["output_bytes"]), Pipe(_TOLD_BYTES)]
        calls, answers = os.pipe(), os.pipe()
        first = (self._null, *(pipe.target for pipe in pipes[:3]))
        second = (self._null, self._null, *(pipe.target for pipe in pipes[3:]))
        about = step | {"environment": tests["environment"]}
        run = script.run

        def close() -> None:
            for handle in (*calls, *answers):
                os.close(handle)

        start = [
            self._forked(lambda: run(self._jail, about, step["command"], first, own=own, extra=(answers[0], calls[1]))),
            self._forked(lambda: run(self._jail, step, step["command"], second, extra=(calls[0], answers[1]))),
        ]
        ended = self._watch.run(step, start, pipes, close, tree=True)
        if ended.why == "gone":
            return None
        stdout, stderr, told, complaints, other = (bytes(pipe.data) for pipe in pipes)
        if other.startswith(b"!"):  # the answer's jail could not be made
            told = other
        return _ended(step, ended, stdout, stderr or complaints, told)

    def _compiled_tests(self, step: dict[str, Any], source: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
        """As `_compiled`, of tests: many answers get the same."""
        if source in self._tests:
            self._tests.move_to_end(source)
            return self._tests[source], {}
        made, reply = self._compiled(step, source)
        if made:
            self._tests[source] = made
            if len(self._tests) > _KEPT:
                self._tests.popitem(last=False)
        return made, reply

    def _compiled(self, step: dict[str, Any], source: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
        """The files that a warm compiler makes of one source text."""
        name = step["name"]
        reply = {"end": "exit", "reason": "", "code": 0, "stdout": b"", "stderr": b"", "cpu_seconds": 0.0}
        if name in self._compilers and self._compilers[name].worn:
            self._compilers.pop(name).close()
        if name not in self._compilers:
            self._compilers[name] = Compiler(self._jail, self._watch.proc, self._null, step)
        try:
            made, said, seconds = self._compilers[name].compile(step["file"], source, step)
        except CompilerError as error:
            self._compilers.pop(name).close()
            return {}, reply | {"end": str(error), "code": 1, "cpu_seconds": step["cpu_seconds"]}
        return made, reply | {"code": 0 if made else 1, "stderr": said.encode(), "cpu_seconds": seconds}

    def _put(self, made: dict[str, bytes]) -> None:
        for name, data in made.items():
            path = os.path.join(self._jail.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(data)

    def _stdin(self, data: bytes) -> int:
        if not data:
            return os.dup(self._null)
        handle = os.memfd_create("stdin")
        os.truncate(handle, len(data))
        with open(os.dup(handle), "wb") as file:
            file.write(data)
        os.lseek(handle, 0, os.SEEK_SET)
        return handle

    def _mark(self) -> bytes:
        """What the run left in its file `mark`: a plain file, read without following or waiting for anything.

        One byte more than it may have, where it has more.
        """
        try:
            handle = os.open(
                os.path.join(self._jail.folder, "mark"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError:
            return b""
        try:
            return os.read(handle, _MARK_BYTES + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
        finally:
            os.close(handle)


def _ended(step: dict[str, Any], ended: End, stdout: bytes, stderr: bytes, told: bytes) -> dict[str, Any]:
    end, code = ended.why, ended.code
    reason = ""
    if not told.startswith(b"s"):
        end, reason = "infra", told[1:].decode(errors="replace") or "not started"
    elif len(told) == 5:
        code = struct.unpack("<i", told[1:])[0]
    elif end == "exit":
        code = code or -signal.SIGKILL
    if end == "exit" and (code == -signal.SIGXCPU or ended.cpu_seconds > step["cpu_seconds"]):
        end = "cpu"
    about = {"end": end, "reason": reason, "code": code, "stdout": stdout, "stderr": stderr}
    return about | {"cpu_seconds": ended.cpu_seconds}
