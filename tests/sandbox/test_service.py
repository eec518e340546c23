# ruff: noqa: E501
"""The sandbox from a terminal and over HTTP."""

import http.client
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from smallcoder.core.errors import InputError, ToolError
from smallcoder.sandbox import Job, Limits, Program, Sandbox, View
from smallcoder.sandbox.service import Remote, pack_job, server, unpack_job

CODE = "import collections\nP = collections.namedtuple('P', 'x')\ndef f(x):\n    return P(x) if x else [x, (1.5, {2}), 'x' * 300000]\n"


DEEP = "def f(n):\n    value = []\n    for _ in range(n): value = [value]\n    return value\n"


@pytest.fixture(scope="module")
def service():
    with Sandbox(1, languages=("bash",)) as sandbox, server(sandbox, "secret") as made:
        if sandbox.missing:
            pytest.skip(sandbox.missing["bash"])
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield sandbox, f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()
        thread.join()


def test_a_remote_sandbox_answers_as_a_near_one(service):
    sandbox, url = service
    jobs = [
        Job(Program(CODE, "f"), [(0,), (7,), "f(1) + (2,)"]),
        Job(Program(CODE, "f"), [(0,)], Limits(output_bytes=1 << 16)),
        Job(Program("def f(x): return 1 / x", "f"), tests="f = remote('f')\nassert f(2) == 0.5"),
        Job(Program("cat; exit 3", language="bash"), stdin=b"\0\xff"),
        Job(Program("def f(:", "f"), [()]),
        Job(Program(DEEP, "f"), [(97,), (99,)]),
    ]
    with Remote(url, "secret") as remote:
        far = list(remote.run_many(jobs))
    near = list(sandbox.run_many(jobs))
    strip = lambda result: {**vars(result), "cpu_seconds": 0}  # noqa: E731
    assert [strip(result) for result in far] == [strip(result) for result in near]
    assert type(far[0].outputs[1].value) is View
    assert far[0].outputs[1].value == (7,)
    assert (far[3].stdout, far[3].exit_code) == (b"\0\xff", 3)


def test_what_the_service_refuses(service):
    _, url = service
    with Remote(url, "wrong") as remote, pytest.raises(ToolError, match="token"):
        remote.run(Program("x = 1", "x"))
    with Remote("http://127.0.0.1:9", "t") as remote, pytest.raises(ToolError):
        remote.run(Program("x = 1", "x"))
    with pytest.raises(InputError):
        Remote("ftp://x")
    line = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]))
    for path, body, headers, code in (
        ("/run", b"", {}, 401), ("/run", b"", {"Authorization": "Bearer "}, 401), ("/run", b"", {"Authorization": "secret"}, 401),
        ("/run", b"garbage", {"Authorization": "Bearer secret"}, 400), ("/x", b"", {"Authorization": "Bearer secret"}, 400),
        ("/run", b"", {"Authorization": "Bearer secret", "Content-Length": "-5"}, 400),
    ):  # fmt: skip
        line.request("POST", path, body, headers)
        answer = line.getresponse()
        answer.read()
        assert answer.status == code, (path, body, headers)
        line.close()


def test_jobs_that_are_none():
    good = Job(Program("x", "f"), [(1,)])
    assert unpack_job(pack_job(good)).inputs == [(1,)]
    fields: list[dict[str, Any]] = [{"inputs": [1]}, {"stdin": "x"}, {"limits": Limits(-1)}, {"files": {"a": 1}}]
    for bad in [Job(Program("x", "f"), **field) for field in fields]:
        with pytest.raises(ValueError, match="not a job"):
            unpack_job(pack_job(bad))


def person(*words, given=b"", **environment):
    command = [sys.executable, "-m", "smallcoder.cli", *words]
    return subprocess.run(command, input=given, capture_output=True, env={**os.environ, **environment}, check=False)


def test_exec_from_a_terminal(tmp_path, service):
    script = tmp_path / "a.sh"
    script.write_text("read x; echo got $x; echo no >&2; exit 7")
    done = person("exec", str(script), given=b"line\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"got line\n", b"no\n")
    done = person("exec", "-", "--lang", "sql", given=b"select 1, 'a', null, x'00ff';")
    assert (done.returncode, done.stdout) == (0, b'[1, "a", null, "00ff"]\n')
    done = person("exec", "-", "--lang", "python", "--cpu", "0.3", given=b"while True: pass")
    assert (done.returncode, done.stderr) == (124, b"smallcoder: timeout: CPU time\n")
    for words, said in ((("exec", str(tmp_path / "a.what")), b"--lang"), (("exec", str(tmp_path / "no.py")), b"cannot be read"),
                        (("exec", str(script), "--lang", "cobol"), b"no language 'cobol'")):  # fmt: skip
        done = person(*words)
        assert (done.returncode, said in done.stderr, b"Traceback" in done.stderr) == (1, True, False)


def test_a_missing_toolchain_is_named(tmp_path, service):
    (tmp_path / "a.php").write_text("<?php echo 1;")
    done = person("exec", str(tmp_path / "a.php"), PATH="/nowhere")
    assert done.returncode == 1
    assert b"apt-get install php-cli" in done.stderr
