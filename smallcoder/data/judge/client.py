"""A client of any OpenAI-compatible server (`/chat/completions`): bounded, patient, and not asking again
what it has been answered.

Up to `concurrency` threads wait for answers; they come back in the order of the questions. A server that is busy or
breaks off (408, 409, 425, 429, 5xx, a lost connection, an answer that is no JSON) is asked again, RETRIES times, with
pauses that double and carry a share of chance, or as long as it says itself (Retry-After). Any other refusal is an
error at once.

Every answer is kept in a folder of append-only files under the hash of the whole request, so a rerun asks nothing
again and a kill loses what was under way and no more; a line that was cut is passed over. The key for the server comes
from an environment variable and is written nowhere. The standard library's HTTP is enough: one request is a POST, and
a judge takes a thousand times as long to answer as any client to ask.
"""

import hashlib
import http.client
import json
import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from smallcoder.core.errors import InputError

RETRIES = 6
PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds: of the first pause, and of any
BUSY = frozenset([408, 409, 425, 429])
MOST = 8 << 20  # bytes of an answer
LOST = (OSError, http.client.HTTPException)

Messages = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Server:
    """Where a judge answers: the base URL of its API ("http://host:port/v1"), the model's name there, and how to
    sample.

    `key` names the environment variable that holds the server's key, None for a server that wants none.
    """

    url: str
    model: str
    key: str | None = None
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    timeout: float = 120.0

    def request(self, messages: Messages) -> dict[str, Any]:
        """The body of a request. All that decides the answer is in it."""
        return {
            **{"model": self.model, "messages": list(messages), "max_tokens": self.max_tokens},
            **{"temperature": self.temperature, "seed": self.seed, "stream": False},
        }

    def secret(self) -> str | None:
        """The key. Raises InputError where the environment lacks it."""
        if self.key is None:
            return None
        if not (value := os.environ.get(self.key, "").strip()):
            raise InputError(f"the environment holds no {self.key}", f"export {self.key}=... before the run")
        if not (value.isascii() and value.isprintable()):
            raise InputError(f"what {self.key} holds is no key", "export it again, as one line of plain characters")
        return value


@dataclass
class Judge:
    """A server and what it has answered before. Use it as a context: leaving it closes the file of answers."""

    server: Server
    cache: Path
    concurrency: int = 8
    _known: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _file: Any = None

    def __enter__(self) -> Self:
        _split(self.server.url)
        self.server.secret()
        self.cache.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.cache.glob("*.jsonl")):
            self._known.update(_answers(path))
        self._file = (self.cache / f"{os.getpid()}-{time.time_ns()}.jsonl").open("ab", buffering=0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()
        if not os.path.getsize(self._file.name):
            os.unlink(self._file.name)

    def answers(self, questions: Iterable[Messages]) -> Iterator[str]:
        """The answer to each question, in their order; at most twice `concurrency` are under way. Raises InputError
        where the server cannot be reached or refuses.
        """
        source = iter(questions)
        pool = ThreadPoolExecutor(self.concurrency)
        waiting: deque[Future[str]] = deque()
        try:
            waiting.extend(pool.submit(self._answer, messages) for messages in islice(source, 2 * self.concurrency))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(self._answer, messages) for messages in islice(source, 1))
        finally:
            pool.shutdown(cancel_futures=True)

    def _answer(self, messages: Messages) -> str:
        body = json.dumps(self.server.request(messages), sort_keys=True).encode()
        name = hashlib.blake2b(body, digest_size=16).hexdigest()
        if (known := self._known.get(name)) is not None:
            return known
        answer = ask(self.server, body)
        line = json.dumps({"request": name, "answer": answer}).encode() + b"\n"
        with self._lock:
            self._known[name] = answer
            self._file.write(line)
        return answer


def ask(server: Server, body: bytes) -> str:
    """What the server answers. Raises InputError where it does not."""
    said = ""
    for attempt in range(RETRIES + 1):
        pause = min(LONGEST_PAUSE, PAUSE * 2**attempt) * random.uniform(0.5, 1.0)
        try:
            status, headers, data = _post(server, body)
        except LOST as error:
            said = str(error) or type(error).__name__
        else:
            if status == 200 and (answer := _content(data)) is not None:
                return answer
            said = f"{status} {data[:200].decode('utf-8', 'replace')}".strip()
            if status != 200 and status not in BUSY and status < 500:
                raise InputError(
                    f"the judge at {server.url} refused ({_line(said)})", "mend the URL, the model's name or the key"
                )
            pause = _asked_pause(headers, pause)
        if attempt < RETRIES:
            time.sleep(pause)
    raise InputError(
        f"the judge at {server.url} does not answer ({_line(said)})", "start it and run again: no answer is lost"
    )


def _post(server: Server, body: bytes) -> tuple[int, Any, bytes]:
    """Status, headers and data of one request."""
    parts, secret = _split(server.url), server.secret()
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=server.timeout)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    try:
        connection.request("POST", f"{parts.path.rstrip('/')}/chat/completions", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read(MOST)
    finally:
        connection.close()


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none
        parts, known = None, False
    if not known:
        raise InputError(f"{url!r} is no address of a judge", "write it like http://127.0.0.1:8080/v1")
    return parts


def _content(data: bytes) -> str | None:
    """The text of a completion, None where the data is none."""
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return content if isinstance(content, str) else "" if content is None else None


def _asked_pause(headers: Any, pause: float) -> float:
    """The pause that the server asks for, else ours."""
    try:
        return min(LONGEST_PAUSE, max(0.0, float(headers.get("Retry-After"))))
    except (TypeError, ValueError):
        return pause


def _answers(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        for line in file:
            try:
                row = json.loads(line)
                yield str(row["request"]), str(row["answer"])
            except (ValueError, KeyError, TypeError):
                continue  # cut by a kill


def _line(said: str) -> str:
    return " ".join(said.split())[:160]
