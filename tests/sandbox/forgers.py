# ruff: noqa: E501
"""Programs that try to pass without knowing the answer: `f(x)` should return x * x + 7 for any x.

PYTHON run against tests whose values are compared outside, and against the same tests in a second jail; SCRIPTS are whole
programs of other languages that try the same with a mark, or try to hurt the host or outlive their run.
"""

WRITE = """
import os, struct
def frame(kind, data): return struct.pack("<cI", kind, len(data)) + data
def everywhere(data):
    for fd in range(0, 64):
        try: os.write(fd, data)
        except OSError: pass
"""

PYTHON: dict[str, str] = {
    "nothing": "def f(x): pass",
    "exit code": "import os\ndef f(x): os._exit(0)",
    "sys.exit": "import sys\ndef f(x): sys.exit(0)",
    "an int that equals everything": "class E(int):\n  __eq__ = lambda s, o: True\n  __hash__ = int.__hash__\ndef f(x): return E(0)",
    "an object that equals everything": "class E:\n  __eq__ = lambda s, o: True\n  __sub__ = lambda s, o: 0\n  __class__ = int\ndef f(x): return E()",
    "a float that is near everything": "class E(float):\n  __sub__ = lambda s, o: 0.0\n  __eq__ = lambda s, o: True\ndef f(x): return E(0)",
    "not a number": "def f(x): return float('nan')",
    "an assertion of its own": "import builtins\nbuiltins.AssertionError = type('E', (Exception,), {})\ndef f(x): return 0",
    "patched comparison": "import builtins, operator\noperator.eq = lambda a, b: True\nbuiltins.isinstance = lambda a, b: True\nbuiltins.abs = lambda v: 0\nbuiltins.all = lambda v: True\ndef f(x): return 0",
    "patched encoder": "import sys\nfor m in list(sys.modules.values()):\n  for n in ('encode', 'equal', 'same', 'holds', 'judge'):\n    if hasattr(m, n): setattr(m, n, lambda *a: b'T')\ndef f(x): return 0",
    "patched unittest": "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None\nunittest.main = lambda *a, **k: None\ndef f(x): return 0",
    "a forged True": WRITE + "def f(x): everywhere(frame(b'V', b'T') + frame(b'D', b'')); os._exit(0)",
    "a forged verdict on import": WRITE + "everywhere(frame(b'V', b'T') + frame(b'D', b''))\ndef f(x): return 0",
    "forged values in a row": WRITE
    + "def f(x):\n  for i in range(99): everywhere(frame(b'V', b'T'))\n  everywhere(frame(b'D', b'')); os._exit(0)",
    "an exception for the tests": "def f(x): raise SystemExit(0)",
    "a passing interrupt": "def f(x): raise KeyboardInterrupt",
    "a generator's end": "def f(x): raise StopIteration",
    "an error named as the tests' end": "class Lost(BaseException): pass\ndef f(x): raise Lost",
    "modules for the tests": "import os\nfor n in ('random', 'math', 'tests', 'string', 'sitecustomize', 'unittest'):\n  open(n + '.py', 'w').write('import os\\nos._exit(0)')\ndef f(x): return 0",
    "looks for the tests": "import sys, gc, inspect\ndef f(x):\n  for o in gc.get_objects():\n    if isinstance(o, dict) and 'expected' in o: return o['expected']\n  return [s.frame.f_locals for s in inspect.stack()] and 0",
    "stops the tests' process": "import os, signal\ndef f(x):\n  for p in range(1, 50):\n    try: os.kill(p, signal.SIGSTOP)\n    except OSError: pass\n  return 0",
    "a thread that answers later": WRITE
    + "import threading, time\ndef g():\n  time.sleep(0.05); everywhere(frame(b'V', b'T') + frame(b'D', b''))\nthreading.Thread(target=g).start()\ndef f(x): time.sleep(0.2); return 0",
    "a large answer": "def f(x): return [0] * 10**6",
    "a nested answer": "def f(x):\n  v = 0\n  for i in range(99): v = [v]\n  return v",
    "an int that takes for ever to print": "def f(x): return 1 << 10**7",
    "a digest": WRITE + "def f(x): everywhere(frame(b'H', b'0' * 32)); return 0",
    "patched True": "import ctypes\ndef f(x): return True",
    "changes small integers": "import ctypes\nfor n in range(200):\n  ctypes.c_long.from_address(id(n) + 24).value = 7\ndef f(x): return 7",
}

MARK = "MARK"  # stands for the secret that only a program which reached its end may write
SCRIPTS: dict[str, tuple[str, str, set[str]]] = {
    # name: (language, code, right statuses); none may end with the mark
    "exits early in C++": ("cpp", "#include <cstdlib>\nint f = (exit(0), 1);\nint main() { return 1; }", {"ok"}),
    "fork bomb in C++": ("cpp", "#include <unistd.h>\nint main() { for (;;) fork(); }", {"ok", "error", "timeout"}),
    "memory in C++": (
        "cpp",
        "#include <cstring>\n#include <cstdlib>\nint main() { for (;;) { void* p = malloc(1 << 24); if (!p) abort(); memset(p, 1, 1 << 24); } }",
        {"ok", "error"},
    ),
    "shared memory in C++": (
        "cpp",
        "#include <sys/mman.h>\n#include <cstring>\nint main() { size_t n = 1ul << 33; void* p = mmap(0, n, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0); memset(p, 1, n); }",
        {"ok", "error"},
    ),
    "a loop in C++": ("cpp", "int main() { volatile int x; for (;;) x = 1; }", {"timeout"}),
    "a loop in the compiler": (
        "cpp",
        "template <long N> struct S { static const long v = S<N + 1>::v + S<N + 2>::v; };\nint main() { return S<0>::v; }",
        {"error"},
    ),
    "includes the host": ("cpp", '#include "/etc/passwd"\nint main() {}', {"error"}),
    "its own source in C++": (
        "cpp",
        '#include <fstream>\nint main() { std::ifstream in("main.cpp"); return in.good(); }',
        {"ok"},
    ),
    "kills everything in C++": (
        "cpp",
        "#include <signal.h>\n#include <unistd.h>\nint main() { kill(-1, 9); kill(getppid(), 9); kill(1, 9); kill(1, 2); kill(1, 15); return 0; }",
        {"ok", "error"},
    ),
    "traces its parent": (
        "cpp",
        "#include <sys/ptrace.h>\n#include <unistd.h>\nint main() { return ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0 || ptrace(PTRACE_ATTACH, 1, 0, 0) == 0; }",
        {"ok"},
    ),
    "a network in C++": (
        "cpp",
        "#include <sys/socket.h>\nint main() { return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_DGRAM, 0) >= 0; }",
        {"ok"},
    ),
    "a namespace in C++": (
        "cpp",
        "#include <sched.h>\nint main() { return unshare(CLONE_NEWUSER) == 0 || unshare(CLONE_NEWNS) == 0; }",
        {"ok"},
    ),
    "fork bomb in bash": ("bash", "f() { f | f & }\nf\nwait", {"ok", "error", "timeout"}),
    "a daemon in bash": (
        "bash",
        "(setsid sleep 1000 > /dev/null 2>&1 < /dev/null &) &\nnohup sleep 1000 &\ndisown -a\nexit 0",
        {"ok"},
    ),
    "a daemon that holds the output": ("bash", "sleep 1000 &\nexit 0", {"ok"}),
    "host files in bash": (
        "bash",
        "cat /etc/passwd /etc/shadow /proc/1/environ /proc/1/root/etc/passwd && exit 1\necho x > /usr/bin/x && exit 1\ntouch /x && exit 1\nexit 0",
        {"ok"},
    ),
    "a network in bash": (
        "bash",
        "exec 3<>/dev/tcp/127.0.0.1/22 && exit 1\nexec 3<>/dev/udp/127.0.0.1/53 && exit 1\nexit 0",
        {"ok"},
    ),
    "mounts in bash": (
        "bash",
        "mount -t tmpfs x /tmp && exit 1\numount /proc && exit 1\nunshare -r true && exit 1\nmknod d b 8 0 && exit 1\nchroot / true && exit 1\nexit 0",
        {"ok"},
    ),
    "the kernel's switches": (
        "bash",
        "for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/1/oom_score_adj /proc/1/mem; do echo 1 > $f && exit 1; done\nexit 0",
        {"ok"},
    ),
    "a mark that is a link": ("bash", "ln -s /etc/passwd mark", {"ok"}),
    "a mark that waits": ("bash", "mkfifo mark", {"ok"}),
    "a mark that is a folder": ("bash", "mkdir -p mark/mark", {"ok"}),
    "a mark that is guessed": ("bash", "echo passed > mark", {"ok"}),
    "the disk in bash": (
        "bash",
        "head -c 10G /dev/zero > big\nfor i in {1..20000}; do : > f$i; done 2> /dev/null",
        {"ok", "error", "timeout"},
    ),
    "output without end": ("bash", "yes", {"error", "timeout"}),
    "errors without end": ("bash", "yes >&2", {"error", "timeout"}),
    "sleeps": ("bash", "sleep 1000", {"timeout"}),
    "processes one after the other": ("bash", "while :; do /bin/true; done", {"timeout"}),
    "exits early in JavaScript": ("javascript", "process.exit(0)", {"ok"}),
    "patched assert in JavaScript": (
        "javascript",
        "require('assert').deepEqual = () => {}; process.on('exit', () => process.exit(0)); process.exit(0)",
        {"ok"},
    ),
    "programs in JavaScript": (
        "javascript",
        "try { require('child_process').execSync('cat /etc/passwd') } catch (e) { process.exit(0) }\nprocess.exit(1)",
        {"ok"},
    ),
    "a server in JavaScript": (
        "javascript",
        "require('http').createServer(() => {}).on('error', () => process.exit(0)).listen(0, () => process.exit(1))",
        {"ok"},
    ),
}
