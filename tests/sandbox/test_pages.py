"""A process in huge pages is the same process; its forks have few mappings, and what they make lies together."""

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


def test_the_template_of_a_sandbox_is_in_huge_pages_and_its_runs_copy_few_pages():
    program, runs = Program("f = abs", "f"), 40
    with Sandbox(1) as sandbox:
        assert sandbox.run(program, [(-1,)]).outputs[0].value == 1
        slot = next(iter(sandbox._pool.slots))
        (template,) = slot.pids - {slot._process.pid}
        mappings = Path(f"/proc/{template}/maps").read_text().splitlines()
        before = _faults_of_children(slot._process.pid)
        for _ in range(runs):
            sandbox.run(program, [(-1,)])
        faults = (_faults_of_children(slot._process.pid) - before) / runs
    if len(mappings) > 90:
        pytest.skip("no huge pages here")
    assert any(" rwxp " in line for line in mappings)
    assert faults < 150, faults  # 110; without the filled holes and the rehearsal 190


def _faults_of_children(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[8])


HOLES = """
import sys
sys.path.insert(0, sys.argv[1])
from worker import warm
kept = [bytes(20) for _ in range(30000)] + [bytes(700 + number % 2000) for number in range(3000)]
del kept[::251]
pages = lambda made: len({id(one) >> 12 for one in made})
small, large = [bytes(20) for _ in range(50)], [bytes(1000) for _ in range(50)]
before = pages(small), pages(large)
digest = hash(tuple(kept))
warm.fill_heap()
warm.fill_pools()
assert hash(tuple(kept)) == digest
new_small, new_large = [bytes(20) for _ in range(50)], [bytes(1000) for _ in range(50)]
print(*before, pages(new_small), pages(new_large))
"""


def test_what_is_made_after_the_holes_were_filled_lies_together():
    done = subprocess.run(
        [sys.executable, "-P", "-s", "-S", "-c", HOLES, str(WORKER)], check=True, capture_output=True, text=True
    )
    small_before, large_before, small, large = map(int, done.stdout.split())
    assert small <= 2
    assert small_before > 20
    assert large <= 16 < large_before
