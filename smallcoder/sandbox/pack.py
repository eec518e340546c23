"""A job as the plain data that a slot reads, and a slot's reply as a Result."""

import marshal
import struct
import threading
from collections import OrderedDict
from secrets import token_hex
from typing import Any

from smallcoder.sandbox.languages import Toolchain
from smallcoder.sandbox.protocol import Form, Job, Limits, Output, Result
from smallcoder.sandbox.worker.codec import MAX_DEPTH, DecodeError, Digest, EncodeError, decode, encode

COMPILE = Limits(cpu_seconds=60, wall_seconds=120, memory_bytes=2 << 30, output_bytes=1 << 18)
_INPUT_BYTES = 1 << 28
_STARVED = 20  # as in worker/watch.py
_GRACE_SECONDS = 60.0
_TIMEOUTS = {"cpu": "CPU time", "wall": "wall time"}
_SHOWN = 300
_KEPT = 256  # tuples of inputs
_SCALARS = {type(None), bool, int, float, str, bytes}
_CONTAINERS = {tuple, list, set, frozenset}
_LARGE, _KEPT_BYTES = 1 << 10, 64 << 20


def pack(job: Job, toolchain: Toolchain | None = None) -> dict[str, Any]:
    """A job as plain data; a program, which has no entry point, needs its toolchain. Raises TypeError on bad inputs."""
    limits = job.limits or Limits()
    message: dict[str, Any] = _limits(limits)
    message["files"] = {_plain_name(name): bytes(data) for name, data in job.files.items()}
    if toolchain:
        _pack_program(job, limits, toolchain, message)
    else:
        name, bounds = job.program.entry_point, (int(limits.cpu_seconds) + 2, int(limits.memory_bytes))
        inputs = [] if job.tests else _ENCODED(name, job.inputs)
        message["calls"] = len(inputs)
        message["program"] = _packed(job.program.code, name, inputs, limits.output_bytes, *bounds)
        message["tests"] = _packed(job.tests, limits.output_bytes, *bounds) if job.tests else b""
    message["patience"] = _patience(message)
    return message


def _packed(*job: Any) -> bytes:
    """What a process reads to know what it is to do."""
    return marshal.dumps(job, 0)  # the oldest form: reading a newer one touches the table of interned texts


class _Encoded:
    """Encodes inputs, and remembers what it made of the last tuples of them: many answers get the same."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, str], tuple[Any, list[bytes]]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, name: str, inputs: Any) -> list[bytes]:
        key = (id(inputs), name)
        with self._lock:
            known = self._made.get(key)
        if known:
            return known[1]
        try:
            items = [item if isinstance(item, str) else (name, tuple(item), {}) for item in inputs]
            data = [_encoded(item) for item in items]
        except EncodeError as error:
            raise TypeError(f"an input is not plain data: {error}") from None
        if isinstance(inputs, tuple):  # which is kept, so that its id stays its own
            with self._lock:
                self._made[key] = (inputs, data)
                if len(self._made) > _KEPT:
                    self._made.popitem(last=False)
        return data


def _encoded(item: Any) -> bytes:
    """One input: as a marshal where its types are exact, which a candidate's process reads at once."""
    if not _exact(item, MAX_DEPTH):
        return encode(item, _INPUT_BYTES)
    data = b"m" + marshal.dumps(item, 0)
    if len(data) > _INPUT_BYTES:
        raise EncodeError("too large")
    return data


def _exact(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        return depth > 0 and all(_exact(key, depth - 1) and _exact(item, depth - 1) for key, item in value.items())
    return kind in _CONTAINERS and depth > 0 and all(_exact(item, depth - 1) for item in value)


class _Decoded:
    """Decodes values, and remembers the last large ones: many answers return the same."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Any] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __call__(self, data: bytes) -> Any:
        if len(data) < _LARGE:
            return decode(data)
        with self._lock:
            if data in self._known:
                self._known.move_to_end(data)
                return self._known[data]
        value = decode(data)
        with self._lock:
            if self._known.setdefault(data, value) is value:
                self._bytes += len(data)
            while self._bytes > _KEPT_BYTES:
                self._bytes -= len(self._known.popitem(last=False)[0])
        return value


_ENCODED = _Encoded()
_DECODED = _Decoded()


def _pack_program(job: Job, limits: Limits, toolchain: Toolchain, message: dict[str, Any]) -> None:
    plan = toolchain.language.plan(job.program.code)
    message["files"][plan.file] = job.program.code.encode("utf-8", "surrogatepass")
    message["secret"] = ""
    about = {"environment": toolchain.environment(), "stdin": b"", "hide": []}
    least = {"memory_bytes": max(limits.memory_bytes, toolchain.language.memory_bytes)}
    run = _limits(limits) | least | about | {"command": toolchain.command(plan.run), "stdin": job.stdin}
    message["steps"] = [run]
    if plan.compile:
        run["hide"] = [plan.file]  # what ran from it cannot read its tests there
        step = _limits(COMPILE) | about | {"command": toolchain.command(plan.compile)}
        if server := toolchain.language.server:
            step |= {"server": toolchain.command(server.command), "own": dict(server.files), "file": plan.file}
            step |= {"name": toolchain.language.name}
        message["steps"].insert(0, step)
    if job.tests:
        _pack_tests(job, toolchain, plan.file, message)


def _pack_tests(job: Job, toolchain: Toolchain, name: str, message: dict[str, Any]) -> None:
    """Make the answer serve calls, and add the tests as a program of their own."""
    apart = toolchain.language.apart
    if apart is None:
        raise TypeError(f"tests of {toolchain.language.name} programs cannot run apart from them")
    answer, tests = (f"{ends[0]}{text}{ends[1]}".encode("utf-8", "surrogatepass")
                     for ends, text in ((apart.answer, job.program.code), (apart.tests, job.tests)))  # fmt: skip
    message["files"] |= {name: answer, **apart.files}
    message["secret"] = token_hex(16)
    first, last = message["steps"][0], message["steps"][-1]
    last["command"] = toolchain.command(apart.command)
    last["tests"] = {
        "files": {name: tests, **apart.files},
        "environment": last["environment"] | {"MARK": message["secret"]},
    }
    if first is not last:
        assert "server" in first, "compiled tests come from a warm compiler"
        last["tests"]["compile"] = first


def _plain_name(name: str) -> str:
    if not name or "/" in name or name in (".", "..") or "\0" in name:
        raise TypeError(f"{name!r} is not the plain name of a file")
    return name


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "cpu_seconds": float(limits.cpu_seconds),
        "wall_seconds": float(limits.wall_seconds),
        "memory_bytes": limits.memory_bytes,
        "output_bytes": limits.output_bytes,
    }


def _patience(message: dict[str, Any]) -> float:
    """Seconds after which a slot that has not answered is broken."""
    return sum(step["wall_seconds"] * _STARVED for step in message.get("steps", [message])) + _GRACE_SECONDS


def result(reply: dict[str, Any], message: dict[str, Any], tier: str) -> Result:
    """Judge a slot's reply: how the run ended, and what the candidate wrote."""
    if reply["end"] == "infra":
        return Result("infra", [], reply["reason"], reply["cpu_seconds"], tier)
    return _program(reply, message, tier) if "steps" in message else _calls(reply, message, tier)


def _calls(reply: dict[str, Any], message: dict[str, Any], tier: str) -> Result:
    end, seconds = reply["end"], reply["cpu_seconds"]
    form: Form = "second jail" if message["tests"] else "values"
    try:
        outputs, told = _frames(reply["data"], 1 if message["tests"] else message["calls"])
    except DecodeError as error:
        outputs, told = [], f"malformed result: {error}"
    if end in _TIMEOUTS:
        return Result("timeout", outputs, _TIMEOUTS[end], seconds, tier, form)
    if end == "output":
        return Result("error", outputs, "too much output", seconds, tier, form)
    if told == "done":
        return Result("ok", outputs, "", seconds, tier, form)
    died = f"killed by {reply['reason']}" if reply["reason"] else "ended before it was done"
    return Result("error", outputs, told or died, seconds, tier, form)


def _frames(data: bytes, calls: int) -> tuple[list[Output], str]:
    """The outputs, and "done", or why the program did not load, or "" where the frames stop early."""
    outputs: list[Output] = []
    at = 5  # after the ready frame, which the slot has seen
    while len(data) >= at + 5:
        kind, size = struct.unpack_from("<cI", data, at)
        body = data[at + 5 : at + 5 + size]
        if len(body) < size:
            break
        at += 5 + size
        if kind in (b"D", b"X"):
            if at != len(data) or len(outputs) != (calls if kind == b"D" else 0):
                raise DecodeError("frames that do not match the calls")
            return outputs, "done" if kind == b"D" else body.decode("utf-8", "replace") or "did not load"
        if kind not in (b"V", b"H", b"E") or len(outputs) == calls:
            raise DecodeError("an unexpected frame")
        if kind == b"E":
            outputs.append(Output(error=body.decode("utf-8", "replace") or "an error without a text"))
        else:
            outputs.append(Output(_DECODED(body) if kind == b"V" else Digest(body)))
    return outputs, ""


def _program(reply: dict[str, Any], message: dict[str, Any], tier: str) -> Result:
    end, code, last = reply["end"], reply["code"], reply["step"] == len(message["steps"]) - 1
    secret = message["secret"].encode()
    form: Form = "second jail" if secret else "one process"
    stdout = reply["stdout"].removesuffix(secret)
    about = (reply["cpu_seconds"], tier, form, code, stdout, reply["stderr"], reply["mark"])
    if not last and (end != "exit" or code):  # the compiler's CPU time is generous: more is the program's fault
        said = (reply["stderr"] or reply["stdout"])[-1 << 12 :].decode("utf-8", "replace").strip()
        why = said if end == "exit" else {"output": "too many messages"}.get(end, f"out of {_TIMEOUTS.get(end, end)}")
        return Result("error", [], f"does not compile: {why[:_SHOWN]}", *about)
    if end in _TIMEOUTS:
        return Result("timeout", [], _TIMEOUTS[end], *about)
    if end != "exit":
        return Result("error", [], {"output": "too much output"}.get(end, f"out of {end}"), *about)
    if not secret:
        return Result("ok", [], "", *about)
    said = " ".join(reply["stderr"][:_SHOWN].decode("utf-8", "replace").split())
    ended = code == 0 and len(stdout) < len(reply["stdout"])
    return Result("ok", [Output(True) if ended else Output(error=f"exit code {code}: {said}")], "", *about)
