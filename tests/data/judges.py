"""Rule-based judges behind a real HTTP server on this machine, for tests."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Rule = Callable[[str], str]  # from the text between the marks of the prompt to the judge's answer


class Served(ThreadingHTTPServer):
    """A judge's server and what it saw. `trouble(number)` may answer the request of that number in its own way."""

    daemon_threads = True

    def __init__(self, rule: Rule, trouble: Callable[[int], tuple[int, dict[str, str], bytes] | None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rule, self.trouble = rule, trouble
        self.seen: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Served  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            number = len(server.seen)
            server.seen.append(body)
            server.keys.add(self.headers.get("Authorization"))
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        time.sleep(0.005)  # so that requests meet
        status, headers, data = server.trouble(number) or (200, {}, b"")
        if status == 200 and not data:
            prompt = body["messages"][-1]["content"]
            text = prompt.partition("<<<")[2].partition("\n")[2].rpartition("\nPA")[0]
            message = {"role": "assistant", "content": server.rule(text)}
            data = json.dumps({"choices": [{"message": message}]}).encode()
        with server.lock:
            server.under_way -= 1
        if status == 0:  # hang up
            self.connection.close()
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def judging(
    rule: Rule, trouble: Callable[[int], tuple[int, dict[str, str], bytes] | None] = lambda _: None
) -> Iterator[Served]:
    """A judge that answers by a rule, for the time of the block."""
    with Served(rule, trouble) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
