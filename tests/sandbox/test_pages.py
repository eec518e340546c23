"""A process in huge pages is the same process; its forks have few mappings."""

import subprocess
import sys
from pathlib import Path

import pytest

from smallcoder.sandbox import Program, Sandbox

WORKER = Path(__file__).parents[2] / "smallcoder" / "sandbox"
SCRIPT = """
import hashlib, json, os, sys, random
sys.path.insert(0, sys.argv[1])
from worker import pages
random.seed(int(sys.argv[2]))
kept = [bytearray(random.randbytes(random.randrange(1, 1 << random.randrange(4, 18)))) for _ in range(3000)]
words = {str(i): [i, float(i), (i, None)] for i in range(random.randrange(1, 30000))}
digest = lambda: hashlib.md5(b"".join(map(bytes, kept)) + json.dumps(words).encode()).hexdigest()
before = digest()
held = pages.enlarge(os.open("/proc", os.O_RDONLY))
mappings = len(open("/proc/self/maps").readlines())
huge = sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith("AnonHugePages"))
assert digest() == before
if os.fork() == 0:
    words["child"] = [list(range(100_000)) for _ in range(5)]
    kept[:] = [one * 2 for one in kept]
    os._exit(digest() == before)
assert os.wait()[1] == 0
assert digest() == before
kept += [bytearray(5000) for _ in range(5000)]
del words
import decimal, threading
thread = threading.Thread(target=lambda: kept.append(decimal.Decimal(2).sqrt()))
thread.start()
thread.join()
print(held, mappings, huge)
"""


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_on_the_way(seed):
    done = subprocess.run(
        [sys.executable, "-P", "-s", "-S", "-c", SCRIPT, str(WORKER), str(seed)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    held, mappings, huge = done.stdout.split()
    if held == "False":
        pytest.skip("no huge pages here")
    assert int(huge) > 4 << 10
    assert int(mappings) < 60


def test_the_template_of_a_sandbox_is_in_huge_pages():
    with Sandbox(1) as sandbox:
        assert sandbox.run(Program("f = abs", "f"), [(-1,)]).outputs[0].value == 1
        slot = next(iter(sandbox._pool.slots))
        (template,) = slot.pids - {slot._process.pid}
        mappings = Path(f"/proc/{template}/maps").read_text().splitlines()
    if len(mappings) > 90:
        pytest.skip("no huge pages here")
    assert any(" rwxp " in line for line in mappings)
