"""What only scancode can tell of a licence text, kept on disk so that each text is scanned once.

scancode-toolkit-mini (extra `licences`, 576 MB) compares a text with 40,000 licence texts and notices. It runs in a
child process that ends after IDLE seconds without a question (`scancode`): its index takes 4 CPU-seconds and 1.1 GB of
memory, a text a fifth of a second. So it is for LICENSE files only, and only where phrases settle nothing. Answers are
files named by the text's hash under `$XDG_CACHE_HOME/smallcoder/licences/VERSION` (`~/.cache` without that variable);
one that cannot be written or read is done without. Without the extra, every answer is None.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from smallcoder.core.errors import ToolError
from smallcoder.data.licenses.expressions import normal_form

PACKAGE = "scancode-toolkit-mini"
REMEDY = "pip install 'smallcoder[licences]'"
IDLE = 20  # seconds

_asking = threading.Lock()
_child: "subprocess.Popen[str] | None" = None


@cache
def scanner() -> str | None:
    """Name and version of the scanner that `scan` uses, None where none is installed."""
    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        return None


def scan(text: str) -> str | None:
    """Every licence found in a text, joined by AND; None for nothing, for what scancode is unsure of, or without it."""
    name = scanner()
    if name is None or not text.strip():
        return None
    answer = _folder(name) / blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    with suppress(OSError, UnicodeDecodeError):
        kept = answer.read_text(encoding="utf-8")
        if not kept or normal_form(kept) == kept:
            return kept or None
    found = _detect(text)
    with suppress(OSError):
        answer.parent.mkdir(parents=True, exist_ok=True)
        partial = answer.with_name(f"{answer.name}.{os.getpid()}")
        partial.write_text(found or "", encoding="utf-8")
        partial.replace(answer)
    return found


def _folder(name: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "smallcoder", "licences", name.replace(" ", "-"))


def _detect(text: str) -> str | None:
    """What the child says, started where there is none. Raises ToolError where it dies of the question."""
    global _child  # noqa: PLW0603 - one a process
    with _asking:
        for _ in range(2):  # one that was asked nothing for long has ended, perhaps just now
            if _child is None or _child.poll() is not None:
                _child = subprocess.Popen(
                    [sys.executable, "-m", "smallcoder.data.licenses.scancode", str(IDLE)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    encoding="ascii",
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                )
                atexit.register(_child.kill)
            assert _child.stdin
            assert _child.stdout
            with suppress(BrokenPipeError):
                _child.stdin.write(json.dumps(text) + "\n")
                _child.stdin.flush()
            if answer := _child.stdout.readline():
                return json.loads(answer)
            _child.wait()
    raise ToolError("scancode ended without an answer", "see above; it needs 1.4 GB of memory")
