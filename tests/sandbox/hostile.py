# ruff: noqa: E501
"""Programs that try to hurt the host, forge a result or outlive their run. Each is called as f(1); the truth is 1234.

Every entry: name -> (code, statuses that are right). Where "ok" is right, the output must be an error or a value that
differs from the truth: none of these computes it.
"""

FORGE = """
import os, struct, sys
def frame(kind, data): return struct.pack("<cI", kind, len(data)) + data
def everywhere(data):
    for fd in range(0, 64):
        try: os.write(fd, data)
        except OSError: pass
"""

RAISE_ON = """
def refused(*attempts):
    for attempt in attempts:
        try: attempt()
        except (OSError, ValueError): continue
        return "worked"
    return "refused"
"""

HOSTILE: dict[str, tuple[str, set[str]]] = {
    # resources
    "endless loop": ("def f(x):\n  while True: pass", {"timeout"}),
    "endless loop on import": ("while True: pass", {"timeout"}),
    "endless loop that swallows everything": (
        "import signal\nfor s in (24, 15, 2): signal.signal(s, lambda *a: None)\n"
        "def f(x):\n  while True:\n    try:\n      while True: pass\n    except BaseException: pass",
        {"timeout"},
    ),
    "sleeps for ever": ("import time\ndef f(x):\n  while True: time.sleep(1000)", {"timeout"}),
    "waits on a lock": ("import threading\ndef f(x):\n  l = threading.Lock(); l.acquire(); l.acquire()", {"timeout"}),
    "allocates 10 GB": ("def f(x):\n  return len(bytearray(10 << 30))", {"ok", "error"}),
    "allocates in small steps": ("def f(x):\n  a = []\n  while True: a.append(' ' * 100000 + str(len(a)))", {"ok", "error", "timeout"}),
    "prints 1 GB": ("def f(x):\n  for i in range(1024): print('x' * (1 << 20))", {"ok", "timeout"}),
    "returns 100 MB": ("def f(x): return 'x' * (100 << 20)", {"ok"}),
    "returns a billion references": ("def f(x):\n  v = 'x' * 99\n  for i in range(30): v = [v, v]\n  return v", {"ok"}),
    "error text of 20 MB": ("def f(x): raise ValueError('x' * (20 << 20))", {"ok"}),
    "recursion": ("def f(x): return f(x)", {"ok"}),
    "recursion into the C stack": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(x):\n  v = ()\n  for i in range(10**6): v = (v,)\n  return repr(v)",
        {"ok", "error", "timeout"},
    ),
    "fork bomb": ("import os\ndef f(x):\n  while True:\n    os.fork()", {"ok"}),
    "thread bomb": (
        "import threading, time\ndef f(x):\n  while True: threading.Thread(target=time.sleep, args=(99,)).start()",
        {"ok", "error", "timeout"},
    ),
    "fills the disk": (
        "def f(x):\n  for i in range(100):\n    open(f'file{i}', 'wb').write(b'x' * (1 << 20) * 15)\n  return 'written'",
        {"ok", "error", "timeout"},
    ),
    "one huge file": ("def f(x):\n  with open('big', 'wb') as o:\n    while True: o.write(b'x' * (1 << 20))", {"ok", "error"}),
    "deep folders": (
        "import os\ndef f(x):\n  for i in range(300): os.mkdir('d'); os.chdir('d')\n  os.mkdir('shut', 0)\n  return 'made'",
        {"ok", "timeout"},
    ),
    # early ends
    "exits with 0": ("import os\ndef f(x): os._exit(0)", {"error"}),
    "exits with 0 on import": ("import os\nos._exit(0)", {"error"}),
    "sys.exit": ("import sys\ndef f(x): sys.exit(0)", {"ok"}),
    "sys.exit on import": ("import sys\nsys.exit(0)", {"error"}),
    "aborts": ("import ctypes\ndef f(x): ctypes.string_at(0)", {"error"}),
    "no entry point": ("g = 1", {"error"}),
    "not Python": ("def f(x:", {"error"}),
    # forged results
    "forged value and done": (
        FORGE + "def f(x): everywhere(frame(b'V', b'i\\x02\\x00\\x00\\x00\\xd2\\x05') + frame(b'D', b'')); os._exit(0)",
        {"ok"},  # the forged claim is 1490: as good as returning it
    ),
    "forged extra outputs": (
        FORGE + "def f(x):\n  for i in range(9): everywhere(frame(b'V', b'T'))\n  return 1",
        {"error"},
    ),
    "forged infrastructure failure": (FORGE + "def f(x): everywhere(b'sandbox broke'); os._exit(70)", {"error"}),
    "random bytes": (FORGE + "def f(x):\n  for i in range(99): everywhere(os.urandom(999))", {"error"}),
    "floods the result pipe": (FORGE + "def f(x):\n  while True: everywhere(b'V' * 65536)", {"error"}),
    "hash collisions for the reader": (
        FORGE + "def f(x):\n  k = [((1 << 61) - 1) * i for i in range(1, 40000)]\n"
        "  e = b''.join(b'i' + struct.pack('<I', 10) + v.to_bytes(10, 'little') for v in k)\n"
        "  everywhere(frame(b'V', b'S' + struct.pack('<I', len(k)) + e) + frame(b'D', b'')); os._exit(0)",
        {"error"},
    ),
    "an int that equals everything": (
        "class E(int):\n  __eq__ = lambda s, o: True\n  __hash__ = int.__hash__\ndef f(x): return E(1)",
        {"ok"},
    ),
    "patched modules": (
        "import builtins, os, json, struct, gc, sys\n"
        "def f(x):\n  builtins.type = lambda *a: int\n  builtins.len = lambda v: 0\n  os.write = lambda *a: 0\n"
        "  os._exit = lambda *a: None\n  struct.pack = lambda *a: b''\n  return object()",
        {"ok", "error", "timeout"},
    ),
    "patched frames": (
        "import sys\ndef f(x):\n  g = sys._getframe(1).f_globals\n  g['encode'] = lambda v, l: b'T'\n  g['_frame'] = lambda *a: 1\n"
        "  return 1",
        {"ok", "error", "timeout"},
    ),
    "never hashable": ("class H:\n  def __hash__(s): raise SystemExit\ndef f(x): return {H()}", {"ok"}),
    # others' processes and files
    "kills its parent": (
        RAISE_ON + "import os\ndef f(x): return refused(lambda: os.kill(os.getppid(), 9), lambda: os.kill(-1, 9), "
        "lambda: os.killpg(0, 9), lambda: os.kill(os.getpid(), 9))",
        {"ok"},
    ),
    "signals by descriptor owner": (
        RAISE_ON + "import fcntl, os\ndef f(x):\n  r, w = os.pipe()\n"
        "  return refused(lambda: fcntl.fcntl(r, fcntl.F_SETOWN, os.getppid() or 1), lambda: fcntl.fcntl(r, 10, 9))",
        {"ok"},
    ),
    "daemon": (
        RAISE_ON + "import os, subprocess\ndef f(x): return refused(os.fork, os.forkpty, lambda: os.execv('/bin/true', ['t']), "
        "lambda: subprocess.run(['/bin/true']), lambda: os.posix_spawn('/bin/true', ['t'], {}))",
        {"ok"},
    ),
    "network": (
        RAISE_ON + "import socket\ndef f(x): return refused(lambda: socket.socket(), lambda: socket.socket(socket.AF_UNIX), "
        "lambda: socket.create_connection(('127.0.0.1', 22)), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))",
        {"ok"},
    ),
    "host files": (
        RAISE_ON + "import os\ndef f(x): return refused(*[lambda p=p: open(p).read(1) for p in ('/etc/passwd', '/etc/hostname', "
        "'/proc/self/environ', '/proc/1/cmdline', '/etc/shadow', '/dev/mem')], *[lambda p=p: open(p + '/evil', 'w') for p in "
        "('/', '/etc', '/usr/lib', '/var/tmp', '/dev/shm', '/home')], lambda: os.listdir('/proc'), lambda: os.chmod('/usr/lib', 0), "
        "lambda: os.symlink('/etc/passwd', '/usr/lib/link'))",
        {"ok"},
    ),
    "through a symlink": (
        RAISE_ON + "import os\ndef f(x):\n  os.symlink('/etc', 'out'); os.symlink('/proc/self/root', 'root')\n"
        "  return refused(lambda: open('out/passwd'), lambda: open('root/etc/passwd'), lambda: open('../../../etc/passwd'))",
        {"ok"},
    ),
    "new namespaces and mounts": (
        RAISE_ON + "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\n"
        "def call(*a):\n  if c.syscall(*a) < 0: raise OSError(ctypes.get_errno())\n"
        "def f(x): return refused(lambda: call(272, 0x10000000), lambda: call(165, b'x', b'/tmp', b'tmpfs', 0, None), "
        "lambda: call(101, 16, 1, 0, 0), lambda: call(0x40000000 | 57), lambda: call(435, 0, 0), lambda: call(157, 1, 0), "
        "lambda: call(161, b'.'), lambda: os.setuid(0) if os.getuid() else call(105, 1))",
        {"ok"},
    ),
    "environment and descriptors": (
        RAISE_ON + "import os\ndef f(x):\n  assert set(os.environ) <= {'PYTHONHASHSEED', 'LC_CTYPE'}\n"
        "  return refused(*[lambda n=n: os.fstat(n) for n in range(3, 64) if not fifo(n)])\n"
        "def fifo(n):\n  import stat\n  try: return stat.S_ISFIFO(os.fstat(n).st_mode)\n  except OSError: return False",
        {"ok"},
    ),
}  # fmt: skip

MUST_REFUSE = {
    "kills its parent", "signals by descriptor owner", "daemon", "network", "host files", "through a symlink",
    "new namespaces and mounts", "environment and descriptors",
}  # fmt: skip
