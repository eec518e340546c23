import json
import shutil
import signal
import socket
import subprocess
import sys
from urllib.request import Request, urlopen

import pytest

from smallcoder.core.errors import InputError
from smallcoder.quantize.gguf import write_gguf
from smallcoder.serve.app import find_model, require_port, serve

START = (  # a test run started in the background hands down an ignored SIGINT
    "import signal, sys; from pathlib import Path; from smallcoder.serve.app import serve; "
    "signal.signal(signal.SIGINT, signal.default_int_handler); serve(Path(sys.argv[1]), port=0)"
)


@pytest.fixture(scope="module")
def run_folder(model, tmp_path_factory):
    """A run folder whose last finished stage with GGUF files is `late`."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    for stage in ("late", "early", "table"):
        (run / stage / ("gguf" if stage != "table" else "documents")).mkdir(parents=True)
    for kind in ("f16", "q8_0"):
        write_gguf(model, run / "late" / "gguf" / f"model-{kind}.gguf", kind)
    (run / "early" / "gguf" / "model-q8_0.gguf").write_bytes(b"stale")
    (run / "unfinished.partial" / "gguf").mkdir(parents=True)
    (run / "unfinished.partial" / "gguf" / "model-q8_0.gguf").write_bytes(b"half")
    for stage in ("early", "late", "table"):
        (run / stage / "manifest.json").write_text("{}")
    return run


@pytest.fixture(scope="module")
def output(run_folder):
    """A serving process; yields the lines it printed."""
    command = [sys.executable, "-u", "-c", START, str(run_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = []
        while sum(line.startswith("curl ") for line in lines) < 2:
            line = process.stdout.readline()
            assert line, "it ended before it served"
            lines.append(line.strip())
        yield lines
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def post(line):
    """Run a printed curl line, by curl itself where there is one."""
    if shutil.which("curl"):
        done = subprocess.run(["sh", "-c", line], capture_output=True, check=True, timeout=60)
        return json.loads(done.stdout)
    address, body = line.split()[2], line.split(" -d ")[1].strip("'")
    with urlopen(Request(address, body.encode(), {"Content-Type": "application/json"})) as response:
        return json.load(response)


def test_the_printed_lines_answer(output):
    chat, infill = (line for line in output if line.startswith("curl "))
    answer = post(chat)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert isinstance(answer["choices"][0]["message"]["content"], str)
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")
    assert answer["usage"]["completion_tokens"] >= 1
    assert answer["model"] == "model-q8_0"
    filled = post(infill)
    assert "content" in filled
    assert filled["prompt"].startswith("<|fim_prefix|>def add(a, b):\n    return <|fim_suffix|>")
    assert filled["prompt"].endswith("<|fim_middle|>")


def test_it_is_shut_to_other_origins_and_shows_no_prompts(output):
    address = next(line for line in output if line.startswith("curl ")).split()[2].removesuffix("/v1/chat/completions")
    assert address.startswith("http://127.0.0.1:")
    with urlopen(Request(address + "/health", headers={"Origin": "http://elsewhere.example"})) as response:
        assert json.load(response) == {"status": "ok"}
        assert not response.headers.get("Access-Control-Allow-Origin")
    with pytest.raises(OSError, match="501"):
        urlopen(address + "/slots")


def test_the_newest_finished_file_is_found(run_folder):
    late = run_folder / "late"
    assert find_model(run_folder) == late / "gguf" / "model-q8_0.gguf"
    assert find_model(late) == late / "gguf" / "model-q8_0.gguf"
    assert find_model(late / "gguf" / "model-f16.gguf") == late / "gguf" / "model-f16.gguf"


def test_what_cannot_be_served_is_refused(run_folder, tmp_path):
    with pytest.raises(InputError, match="there is no"):
        serve(tmp_path / "absent")
    with pytest.raises(InputError, match=r"no finished \.gguf"):
        serve(run_folder / "table")
    with pytest.raises(InputError, match="GGUF"):
        serve(run_folder / "early", port=0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="port"):
            serve(run_folder, port=taken.getsockname()[1])
    with pytest.raises(InputError, match="port"):
        require_port("127.0.0.1", 99_999)
    with pytest.raises(InputError, match="port"):
        require_port("no.such.host.invalid", 8080)
