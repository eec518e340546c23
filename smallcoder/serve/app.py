"""Serve a GGUF file over HTTP with llama.cpp's own server, inside this process.

It speaks the OpenAI protocol (/v1/chat/completions with the model's own chat template, /v1/completions, /v1/models),
llama.cpp's (/infill for editors, /completion, /tokenize, /health), and has a chat page at "/". It listens on this
machine alone unless told otherwise, and lets no web page of another origin read its answers. It asks for no password
and speaks no TLS: put a proxy before it to serve others.
"""

import json
import socket
from pathlib import Path
from threading import Event
from typing import Any

from smallcoder.core.errors import InputError
from smallcoder.core.manifest import MANIFEST

SLOTS = 4  # requests answered together
PREFERRED = "q8_0"
MAKE_ONE = "run a recipe that has a gguf stage, such as recipes/quickstart.toml"
CHAT = {
    "messages": [{"role": "user", "content": "Write a function `total(nums)` to return the sum of the elements."}],
    "max_tokens": 128,
    "temperature": 0,
}
INFILL = {
    "input_prefix": "def add(a, b):\n    return ",
    "input_suffix": "\n\n\nprint(add(1, 2))\n",
    "n_predict": 32,
    "temperature": 0,
}


def serve(run_or_model: Path, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve a .gguf file, or the newest one of a run or stage folder, until Ctrl-C. Port 0 is any free one.

    Raises InputError where there is nothing to serve, the file is damaged, or the port cannot be had.
    """
    model = find_model(run_or_model)
    require_port(host, port)
    from smallcoder.generate.llamacpp import start_server

    server = start_server(model, SLOTS, host, port)
    address = server.listening_address
    print(f"Serving {model} at {address} (chat page, OpenAI protocol under /v1). Ctrl-C stops it. Try:\n")
    print(curl(f"{address}/v1/chat/completions", CHAT) + "\n")
    print(curl(f"{address}/infill", INFILL) + "\n", flush=True)
    try:
        Event().wait()
    except KeyboardInterrupt:
        print("\nStopped.")


def find_model(path: Path) -> Path:
    """The .gguf file that a path stands for: itself, or of a run's stages the one finished last, Q8_0 if it has one.

    Raises InputError where there is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"there is no {path}", "name a run folder or a .gguf file")
    stages = [file.parent for file in path.glob(f"*/{MANIFEST}")]
    stages.sort(key=lambda stage: (stage / MANIFEST).stat().st_mtime_ns, reverse=True)
    for folder in [path, path / "gguf", *(stage / "gguf" for stage in stages)]:
        if files := sorted(folder.glob("*.gguf")):
            return next((file for file in files if PREFERRED in file.name), files[0])
    raise InputError(f"{path} holds no finished .gguf file", MAKE_ONE)


def require_port(host: str, port: int) -> None:
    """Raise InputError where a server could not listen; llama.cpp itself would not say why."""
    try:
        if not 0 <= port < 1 << 16:
            raise OverflowError("ports end at 65535")
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as llama.cpp's server does
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot listen on port {port} of {host} ({reason})", "choose another port with --port, 0 for any free one"
        ) from None


def curl(address: str, body: dict[str, Any]) -> str:
    """A command line that posts JSON, for a POSIX shell."""
    text = json.dumps(body)
    assert "'" not in text
    return f"curl -s {address} -H 'Content-Type: application/json' -d '{text}'"
