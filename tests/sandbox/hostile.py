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
    "returns a billion references": ("def f(x):\n  v = 'x' * 99\n  for i in range(30): v = [v, v]\n  return v", {"ok", "timeout"}),
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
        RAISE_ON + "import os\ndef f(x):\n  assert set(os.environ) <= {'PYTHONHASHSEED', 'LC_CTYPE', 'TMPDIR'}\n"
        "  return refused(*[lambda n=n: os.fstat(n) for n in range(3, 64) if not fifo(n)])\n"
        "def fifo(n):\n  import stat\n  try: return stat.S_ISFIFO(os.fstat(n).st_mode)\n  except OSError: return False",
        {"ok"},
    ),
    # more resources
    "a huge power": ("def f(x): return len(str(7 ** (10 ** 9)))", {"ok", "error", "timeout"}),
    "a regular expression that backtracks": ("import re\ndef f(x): return bool(re.match('(a+)+$', 'a' * 64 + 'b'))", {"timeout"}),
    "opens files without end": ("def f(x):\n  a = []\n  while True: a.append(open('/dev/null'))", {"ok"}),
    "makes files without end": ("def f(x):\n  for i in range(10**9): open(str(i), 'w').close()", {"ok", "timeout"}),
    "a sparse terabyte": ("import os\ndef f(x): os.truncate(open('s', 'w').name, 1 << 40)", {"ok"}),
    "shared memory": ("import mmap\ndef f(x): return len(mmap.mmap(-1, 8 << 30))", {"ok"}),
    "memory by mmap": ("import mmap\ndef f(x):\n  m = mmap.mmap(-1, 8 << 30)\n  for i in range(0, 8 << 30, 4096): m[i] = 1", {"ok", "error"}),
    "threads that compute": (
        "import threading\ndef g():\n  while True: pass\ndef f(x):\n  for i in range(4): threading.Thread(target=g).start()\n  g()",
        {"timeout"},
    ),
    "a list that holds itself": ("def f(x):\n  v = []\n  v.append(v)\n  return v", {"ok"}),
    "a dict as deep as can be": ("def f(x):\n  v = {}\n  for i in range(10**5): v = {1: v}\n  return v", {"ok"}),
    "an int of 50 MB": ("def f(x): return 1 << (400 << 20)", {"ok", "error"}),
    "nan as a key a million times": ("def f(x): return {float('nan'): i for i in range(10**6)}", {"ok", "timeout"}),
    "raises its limits": (
        "import resource\ndef f(x):\n  for k in (0, 6, 7, 9):\n    try: resource.setrlimit(k, (-1, -1))\n    except ValueError: continue\n"
        "    return 'raised'\n  return [0] * (1 << 30)",
        {"ok"},
    ),
    # more forged results
    "walks the frames for what is expected": (
        "import sys\ndef f(x):\n  g = sys._getframe()\n  while g:\n    for v in [*g.f_locals.values(), *g.f_globals.values()]:\n"
        "      if type(v) is int and v - 1000 == 234: return v\n    g = g.f_back",
        {"ok"},
    ),
    "searches the heap for what is expected": (
        "import gc\ndef f(x):\n  for o in gc.get_objects():\n    for r in gc.get_referents(o):\n"
        "      if type(r) is int and r - 1000 == 234: return r",
        {"ok", "timeout"},
    ),
    "a list that equals everything": ("class E(list):\n  __eq__ = lambda s, o: True\n  __ne__ = lambda s, o: False\ndef f(x): return E()", {"ok"}),
    "a class that says it is int": ("class E:\n  __class__ = int\n  __eq__ = lambda s, o: True\ndef f(x): return E()", {"ok"}),
    "a type without a name": ("E = type('', (int,), {'__eq__': lambda s, o: True, '__hash__': int.__hash__})\ndef f(x): return E(1)", {"ok"}),
    "a dataclass that equals everything": (
        "import dataclasses\n@dataclasses.dataclass\nclass E:\n  x: int = 1\n  def __eq__(s, o): return True\ndef f(x): return E()", {"ok"}
    ),
    "an object made at the border": (
        "class E(dict):\n  def items(s): raise SystemExit\n  def __iter__(s): raise KeyboardInterrupt\ndef f(x): return E(a=1)", {"ok"}
    ),
    "a forged type": (FORGE + "def f(x):\n  n = b's' + struct.pack('<I', 7) + b'Decimal'\n  everywhere(frame(b'V', b'o' + n + b'T')); os._exit(0)", {"error"}),
    "a bytearray of a terabyte": (
        FORGE + "def f(x):\n  n = b's' + struct.pack('<I', 9) + b'bytearray'\n"
        "  everywhere(frame(b'V', b'o' + n + b'i' + struct.pack('<I', 6) + (1 << 40).to_bytes(6, 'little')) + frame(b'D', b'')); os._exit(0)",
        {"error"},
    ),
    "counts that overflow": (FORGE + "def f(x): everywhere(frame(b'V', b'l\xff\xff\xff\xff')); os._exit(0)", {"error"}),
    "a frame that is longer than it is": (FORGE + "def f(x): everywhere(struct.pack('<cI', b'V', 1 << 31)); os._exit(0)", {"error"}),
    "an unknown frame": (FORGE + "def f(x): everywhere(frame(b'P', b'')); os._exit(0)", {"error"}),
    "ready a second time": (FORGE + "def f(x): everywhere(frame(b'R', b'')); return 1", {"error"}),
    "done at once": (FORGE + "everywhere(frame(b'D', b''))\nos._exit(0)", {"error"}),
    "nested a million deep on the wire": (FORGE + "def f(x): everywhere(frame(b'V', b'l\1\0\0\0' * 200000 + b'N') + frame(b'D', b'')); os._exit(0)", {"error"}),
    "leaves by a trace": ("import os, sys\ndef f(x):\n  sys.settrace(lambda *a: os._exit(0))\n  return (lambda: 1)()", {"error"}),
    "leaves at exit": ("import atexit, os\natexit.register(lambda: os._exit(0))\ndef f(x): return 1", {"ok"}),
    "a signal of its own": ("import os, signal\ndef f(x): signal.raise_signal(9)", {"ok"}),
    "an alarm": ("import signal\ndef f(x):\n  signal.setitimer(signal.ITIMER_REAL, 0.01)\n  while True: pass", {"error", "timeout"}),
    "poisoned modules": (
        "import sys, types\nfor n in list(sys.modules):\n  if n not in ('sys', 'builtins'): sys.modules[n] = types.ModuleType(n)\ndef f(x): return 1", {"ok", "error"}
    ),
    "no builtins": ("import builtins\nfor n in dir(builtins):\n  if n[0] != '_':\n    delattr(builtins, n)\n", {"error", "ok"}),
    "an exception that cannot be shown": ("class E(Exception):\n  def __str__(s): raise SystemExit\ndef f(x): raise E", {"ok"}),
    "an exception in the middle of text": ("def f(x): raise ValueError('\\udc80' * 1000 + chr(0))", {"ok"}),
    # more of the host
    "environment of others": (
        RAISE_ON + "import os\ndef f(x): return refused(*[lambda p=p: open(p, 'rb').read(1) for p in ('/proc/self/maps', '/proc/1/environ', "
        "'/proc/self/mem', '/sys/kernel/notes', '/etc/hosts', '/etc/machine-id', '/etc/ssl/openssl.cnf', '/var/log/dpkg.log')])",
        {"ok"},
    ),
    "hard links to the host": (
        RAISE_ON + "import os\ndef f(x): return refused(lambda: os.link('/etc/ld.so.cache', 'x'), lambda: os.link('/dev/null', 'n'), "
        "lambda: os.rename('/usr/lib', 'l'), lambda: os.unlink('/usr/lib/os-release'), lambda: os.rmdir('/tmp/..'), lambda: os.mkdir('/x'))",
        {"ok"},
    ),
    "device files": (
        RAISE_ON + "import os, stat\ndef f(x): return refused(*[lambda d=d: os.mknod('d', 0o666 | stat.S_IFBLK, os.makedev(*d)) for d in ((8, 0), (1, 1), (254, 0))], "
        "lambda: open('/dev/sda', 'rb'), lambda: open('/dev/kmsg'), lambda: open('/dev/tty'))",
        {"ok"},
    ),
    "other ways to a network": (
        RAISE_ON + "import ctypes, socket\nc = ctypes.CDLL(None, use_errno=True)\ndef call(*a):\n  if c.syscall(*a) < 0: raise OSError(ctypes.get_errno())\n"
        "def f(x): return refused(*[lambda k=k: socket.socket(k, socket.SOCK_RAW) for k in (2, 10, 16, 17, 31, 40)], "
        "lambda: socket.getaddrinfo('example.com', 80), lambda: call(425, 8, ctypes.create_string_buffer(256)), lambda: call(41, 1, 1, 0))",
        {"ok"},
    ),
    "threads and groups of others": (
        RAISE_ON + "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\ndef call(*a):\n  if c.syscall(*a) < 0: raise OSError(ctypes.get_errno())\n"
        "def f(x):\n  p = os.getppid() or 1\n  return refused(lambda: call(234, p, p, 9), lambda: call(200, p, 9), lambda: call(129, p, 9, 0), lambda: call(434, p, 0), "
        "lambda: call(302, p, 7, 0, ctypes.create_string_buffer(16)), lambda: call(310, p, 0, 0, 0, 0, 0), lambda: call(312, p, p, 0, 0, 0), "
        "lambda: os.sched_setaffinity(0, {0}), lambda: os.setpriority(0, 0, -5), lambda: os.setpgid(p, p))",
        {"ok"},
    ),
    "calls of an administrator": (
        RAISE_ON + "import ctypes, socket, time\nc = ctypes.CDLL(None, use_errno=True)\ndef call(*a):\n  if c.syscall(*a) < 0: raise OSError(ctypes.get_errno())\n"
        "def f(x): return refused(lambda: socket.sethostname('x'), lambda: time.clock_settime(0, 1), lambda: call(169, 0xfee1dead, 672274793, 0), lambda: call(168, b'/x'), "
        "lambda: call(175, 0, 0, b''), lambda: call(321, 0, 0, 0), lambda: call(298, 0, 0, 0, 0, 0), lambda: call(248, b'user', b'x', b'', 0, -3), lambda: call(323, 0), "
        "lambda: call(246, 0, 0, 0, 0), lambda: call(163, b'acct'), lambda: call(103, 3, 0, 0), lambda: call(135, 0x0040000))",
        {"ok"},
    ),
    "mounts of all kinds": (
        RAISE_ON + "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\ndef call(*a):\n  if c.syscall(*a) < 0: raise OSError(ctypes.get_errno())\n"
        "def f(x): return refused(lambda: call(166, b'/tmp', 2), lambda: call(155, b'/tmp', b'/tmp'), lambda: call(308, 0, 0), lambda: call(428, -100, b'/', 1), lambda: call(429, 0, b'', -100, b'/', 4), "
        "lambda: call(430, b'tmpfs', 0), lambda: call(442, -100, b'/', 0, 0, 0), lambda: call(304, -100, 0, 0), lambda: call(303, -100, b'/', 0, 0, 0), lambda: call(56, 0x10020011, 0, 0, 0, 0))",
        {"ok"},
    ),
    "programs from memory": (
        RAISE_ON + "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\ndef call(*a):\n  if c.syscall(*a) < 0: raise OSError(ctypes.get_errno())\n"
        "def f(x): return refused(lambda: os.memfd_create('x'), lambda: call(319, b'x', 0), lambda: call(322, -100, b'/bin/true', 0, 0, 0), lambda: os.system('true') and call(-1), lambda: os.popen('true'))",
        {"ok"},
    ),
    "leaves the folder by descriptors": (
        RAISE_ON + "import os\ndef f(x):\n  d = 0\n  try: d = os.open('/', os.O_RDONLY); os.fchdir(d)\n  except OSError: pass\n"
        "  return refused(lambda: open('../../etc/passwd'), lambda: os.open('etc/passwd', 0, dir_fd=d), lambda: os.chroot('.'), lambda: open('/new', 'w'), lambda: os.open('/', os.O_TMPFILE | os.O_RDWR))",
        {"ok"},
    ),
    "set-uid programs": (
        RAISE_ON + "import os, stat\ndef f(x):\n  open('s', 'w').close()\n  os.chmod('s', 0o4777) if os.getuid() else None\n"
        "  return refused(lambda: os.execv('s', ['s']), lambda: os.setuid(0) if os.getuid() else os.chroot('.'), lambda: os.setgid(0) if os.getgid() else os.chroot('.'), lambda: os.setgroups([0]) if os.getuid() else os.chroot('.'), lambda: os.chown('/usr/lib', 1, 1))",
        {"ok"},
    ),
}  # fmt: skip

MUST_REFUSE = {
    "kills its parent", "signals by descriptor owner", "daemon", "network", "host files", "through a symlink",
    "new namespaces and mounts", "environment and descriptors", "environment of others", "hard links to the host",
    "device files", "other ways to a network", "threads and groups of others", "calls of an administrator",
    "mounts of all kinds", "programs from memory", "leaves the folder by descriptors", "set-uid programs",
}  # fmt: skip
