"""The sandbox over HTTP, for a training job on other machines: `smallcoder sandbox serve`, and `Remote` on their side.

    POST /run    Authorization: Bearer TOKEN    body: one job    answer: its result
    GET  /health                                answer: the tier

Bodies are plain data in the sandbox's own encoding (`worker/codec.py`), so types survive; nothing in them is ever run
outside the sandbox. The token is SMALLCODER_SANDBOX_TOKEN, or is made up and printed. It listens on this machine alone
unless told otherwise, speaks no TLS (put a proxy or a tunnel before it), and answers `workers` jobs at a time; others
wait. Python's own HTTP server: a request costs about 1 ms more than a call.
"""

import hmac
import http.client
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from smallcoder.core.errors import InputError, ToolError
from smallcoder.sandbox.languages import NAMES
from smallcoder.sandbox.protocol import Job, Limits, Output, Program, Result
from smallcoder.sandbox.sandbox import WINDOW, Sandbox, in_order
from smallcoder.sandbox.worker.codec import DecodeError, Digest, EncodeError, decode, encode

TOKEN = "SMALLCODER_SANDBOX_TOKEN"  # the environment variable
_BODY_BYTES = 1 << 30


def pack_job(job: Any) -> bytes:
    """A job as the body of a request. Raises TypeError where its inputs are not plain data."""
    program, limits = job.program, job.limits
    data = {
        "program": {name: getattr(program, name) for name in ("code", "entry_point", "language")},
        "limits": {field.name: getattr(limits, field.name) for field in fields(Limits)},
        "inputs": list(job.inputs), "tests": job.tests, "stdin": job.stdin, "files": dict(job.files),
    }  # fmt: skip
    try:
        return encode(data, _BODY_BYTES)
    except EncodeError as error:
        raise TypeError(f"an input is not plain data: {error}") from None


def unpack_job(body: bytes) -> Job:
    """The inverse. Raises ValueError on anything that `pack_job` would not have written."""
    try:
        data = decode(body)
        program, limits = Program(**data.pop("program")), Limits(**data.pop("limits"))
        job = Job(program, limits=limits, **data)
        texts = (program.code, program.entry_point, program.language, job.tests)
        kinds = [isinstance(text, str) for text in texts] + [isinstance(item, (str, tuple)) for item in job.inputs]
        kinds += [isinstance(value, (int, float)) and 0 < value < 1 << 40 for value in asdict(limits).values()]
        kinds += [isinstance(name, str) and isinstance(text, bytes) for name, text in job.files.items()]
        if not all(kinds) or not isinstance(job.stdin, bytes):
            raise ValueError("a field of another type")
    except (DecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a job: {error}") from None
    return job


def pack_result(result: Result) -> bytes:
    """A result as the body of an answer."""
    data = {field.name: getattr(result, field.name) for field in fields(Result)}
    # Each in bytes of its own, so that how deep it is nested does not add to the depth of the rest.
    data["outputs"] = [
        ("H", output.value.digest)
        if isinstance(output.value, Digest)
        else ("E", output.error)
        if output.error
        else ("V", encode(output.value, 1 << 32))
        for output in result.outputs
    ]
    return encode(data, 1 << 32)


def unpack_result(body: bytes) -> Result:
    """The inverse. Raises ValueError on anything that is no result."""
    try:
        data = decode(body)
        kinds: dict[str, Callable[[Any], Output]] = {
            "H": lambda said: Output(Digest(said)),
            "E": lambda said: Output(error=said),
            "V": lambda said: Output(decode(said)),
        }
        outputs = [kinds[kind](said) for kind, said in data.pop("outputs")]
        return Result(outputs=outputs, **data)
    except (DecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a result: {error}") from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sandbox: Sandbox, token: str) -> None:
        self.sandbox = sandbox
        self.expected = f"Bearer {token}".encode()
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 600

    @property
    def _served(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, f"tier {self._served.sandbox.tier}\n".encode())
        else:
            self._answer(404, b"there is only /health and /run\n")

    def do_POST(self) -> None:
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._served.expected):
            return self._refuse(401, "the bearer token is missing or wrong")
        size = self.headers.get("Content-Length", "")
        if self.path != "/run" or not size.isascii() or not size.isdigit() or int(size) > _BODY_BYTES:
            return self._refuse(400, "POST one job to /run")
        try:
            job = unpack_job(self.rfile.read(int(size)))
            done = next(self._served.sandbox.run_many([job]))
        except (TypeError, ValueError) as error:
            return self._refuse(400, str(error))
        return self._answer(200, pack_result(done))

    def _refuse(self, code: int, reason: str) -> None:
        self.close_connection = True  # the body may be unread
        self._answer(code, f"{reason}\n".encode())

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/octet-stream" if code == 200 else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a training job asks thousands of times."""


def server(sandbox: Sandbox, token: str, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server for an open sandbox; `serve_forever` makes it answer. Port 0 is any free one.

    Raises InputError where the port cannot be had.
    """
    try:
        return _Server((host, port), sandbox, token)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port} ({error})", "name another --port") from None


def serve(host: str, port: int, workers: int, languages: Sequence[str] | None = None, unsafe: bool = False) -> None:
    """Serve until Ctrl-C. Raises ToolError where no sandbox can be built, InputError on a bad port or language."""
    given = os.environ.get(TOKEN, "")
    token = given or secrets.token_urlsafe(32)
    made = Sandbox(workers, languages=languages or NAMES, unsafe=unsafe)
    with made as sandbox, server(sandbox, token, host, port) as http:
        print(f"Sandbox, tier {sandbox.tier}, at http://{host}:{http.server_address[1]}/run. Ctrl-C stops it.")
        print(f"The token is in {TOKEN}." if given else f"{TOKEN}={token}", flush=True)
        try:
            http.serve_forever()
        except KeyboardInterrupt:
            print("\nStopped.")


class Remote:
    """A sandbox that another machine serves, with the methods of `Sandbox`. A context manager.

    `run` and `run_many` raise ToolError where the service cannot be reached or refuses.
    """

    def __init__(self, url: str, token: str | None = None, workers: int = 2) -> None:
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise InputError(f"{url!r} is not the address of a sandbox", "write http://HOST:PORT")
        self._https, self._host, self._port = place.scheme == "https", place.hostname, place.port
        self._token = token or os.environ.get(TOKEN, "")
        self._workers = workers
        self._local = threading.local()

    def __enter__(self) -> Self:
        self._threads = ThreadPoolExecutor(self._workers, "remote-sandbox")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)

    def run(
        self, program: Any, inputs: Sequence[tuple[Any, ...] | str] = (), limits: Any = None, **more: Any
    ) -> Result:
        """Run one job, as `Sandbox.run`."""
        return self._post(pack_job(Job(program, inputs, limits or Limits(), **more)))

    def run_many(self, jobs: Iterable[Any]) -> Iterator[Result]:
        """Results in order, as `Sandbox.run_many`."""
        return in_order(
            lambda body: self._threads.submit(self._post, body), map(pack_job, jobs), WINDOW * self._workers
        )

    def _post(self, body: bytes) -> Result:
        try:
            try:
                code, data = self._ask(body)
            except (http.client.HTTPException, ConnectionError):  # such as a line that was kept open for too long
                self._line().close()
                code, data = self._ask(body)
            if code == 200:
                return unpack_result(data)
            raise ValueError(f"{code}: {data[:200].decode('utf-8', 'replace').strip()}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = f"the sandbox at {self._host} does not answer as it should ({error})"
            raise ToolError(said, f"see whether it runs, and {TOKEN}") from None

    def _ask(self, body: bytes) -> tuple[int, bytes]:
        line = self._line()
        line.request("POST", "/run", body, {"Authorization": f"Bearer {self._token}"})
        answer = line.getresponse()
        return answer.status, answer.read()

    def _line(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "line"):
            kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
            self._local.line = kind(self._host, self._port, timeout=3600)
        return self._local.line
