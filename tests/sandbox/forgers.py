# ruff: noqa: E501
"""Programs that try to pass without knowing the answer: `f(x)` should return x * x + 7 for any x.

PYTHON run against tests whose values are compared outside, and against the same tests in a second jail; APART are answers
in other languages whose tests run in a second jail; SCRIPTS are whole programs that try to hurt the host or outlive their run.
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

_JS_TRY = "const fs = require('fs'); const attempt = (act) => { try { return act() } catch (error) { return '' } };\n"
_JS_FRAME = (
    "const frame = (text) => { const d = Buffer.from(text), h = Buffer.alloc(4); h.writeUInt32LE(d.length);"
    " return Buffer.concat([h, d]) };\n"
)
_JS_EVERYWHERE = (
    "const everywhere = (data) => { for (let n = 0; n < 40; n++) attempt(() => fs.writeSync(n, data));"
    " attempt(() => fs.writeFileSync('mark', data)) };\n"
)
_JS = _JS_TRY + _JS_FRAME + _JS_EVERYWHERE
JAVASCRIPT: dict[str, str] = {
    "exits early": "process.exit(0)",
    "exits in the function": "const f = (x) => process.exit(0)",
    "ends with a code of its own": "process.exitCode = 0; process.on('exit', () => { process.exitCode = 0 }); const f = (x) => { throw 0 }",
    "exits in a hook": "process.on('exit', () => process.reallyExit(0)); const f = (x) => 0",
    "its own file": _JS + "const f = (x) => { const own = fs.readFileSync(__filename, 'utf8'); everywhere(own.match(/[0-9a-f]{32}/)?.[0] ?? own); return Number(/=== ?(\\d+)/.exec(own)?.[1] ?? 0) }",
    "every file it can see": _JS + "const f = (x) => { for (const n of fs.readdirSync('.')) everywhere(attempt(() => fs.readFileSync(n))); return 0 }",
    "descriptors": _JS + "const f = (x) => { for (let n = 0; n < 40; n++) if (n !== 3) everywhere(attempt(() => fs.readFileSync('/proc/self/fd/' + n))); return 0 }",
    "other processes": _JS + "const f = (x) => { for (const p of ['1', '2', '3', 'self']) for (const n of ['environ', 'cmdline', 'root/tmp/main.js', 'cwd/main.js', 'fd/3']) if (n !== 'fd/3' || p !== 'self') everywhere(attempt(() => fs.readFileSync('/proc/' + p + '/' + n))); return 0 }",
    "its environment": _JS + "const f = (x) => { everywhere(process.env.MARK || 'MARK'); globalThis.apart.finish?.(); return 0 }",
    "frames and arguments": "function f(x) { try { return f.caller?.arguments[0] } catch { return arguments.callee.caller } }",
    "the stack": "const f = (x) => { Error.prepareStackTrace = (e, s) => s; const s = new Error().stack; return s.map((c) => c.getFunction?.() ?? c.getThis?.())[1] }",
    "patched assert": "const a = require('assert'); for (const k of Object.keys(a)) try { a[k] = () => {} } catch {}\nconsole.assert = () => {}; const f = (x) => 0",
    "patched exit and errors": "process.exit = () => {}; process.reallyExit = () => {}; globalThis.Error = function () {}; process.on('uncaughtException', () => {}); const f = (x) => { throw new Error('x') }",
    "patched JSON": "JSON.parse = () => ['value', 16]; JSON.stringify = () => '[\"value\", 16]'; const f = (x) => 0",
    "patched prototypes": "for (const k of [Object, Array, Number, Function, String, Boolean]) { k.prototype.valueOf = () => 16; k.prototype.toString = () => '16' }\nObject.prototype.kind = 'value'; const f = (x) => ({})",
    "an object that equals numbers": "let n = 0; const f = (x) => ({valueOf: () => x * x, toString: () => '16', [Symbol.toPrimitive]: () => 16, toJSON: () => 16})",
    "a proxy": "const f = (x) => new Proxy({}, {get: () => 16, ownKeys: () => [], getPrototypeOf: () => Number.prototype})",
    "an object with every key": "const f = (x) => ({__proto__: null, length: 1, valueOf: 16, toString: 16, constructor: 16, then: 16, message: ''})",
    "a key named as the prototype": "const f = (x) => JSON.parse('{\"__proto__\": {\"valueOf\": 16, \"a\": 16}}')",
    "not a number": "const f = (x) => NaN",
    "a promise": "const f = async (x) => 16",
    "a generator": "function* f(x) { yield 16 }",
    "an array of the answer": "const f = (x) => [16]",
    "forged frames": _JS + "const f = (x) => { for (let i = 0; i < 9; i++) everywhere(frame('[\"value\", true]')); process.reallyExit(0) }",
    "forged frames at load": _JS + "for (let i = 0; i < 9; i++) fs.writeSync(4, frame('[\"value\", 16]')); const f = (x) => 0",
    "frames of other kinds": _JS + "const sent = ['[\"error\"]', '[]', '{}', 'null', '[\"value\"]', '[\"done\", true]', '[\"value\", {\"object\": [[\"__proto__\", 1]], \"map\": []}]']; let n = 0; const f = (x) => { fs.writeSync(4, frame(sent[n++ % sent.length])); return 0 }",
    "a frame without end": _JS + "fs.writeSync(4, Buffer.from([255, 255, 255, 127])); const f = (x) => 0",
    "a nested frame": _JS + "fs.writeSync(4, frame('[\"value\", ' + '['.repeat(1e5) + ']'.repeat(1e5) + ']')); const f = (x) => 0",
    "closes the pipes": _JS + "attempt(() => fs.closeSync(3)); attempt(() => fs.closeSync(4)); const f = (x) => 0",
    "serves itself": "globalThis.apart.serve = () => {}; globalThis.apart.remote = () => () => 16; const f = (x) => 0",
    "files for the tests": _JS + "for (const n of ['assert.js', 'apart.js', 'main.js', 'lodash.js', 'package.json']) attempt(() => fs.writeFileSync(n, 'process.exit(0)')); attempt(() => fs.mkdirSync('node_modules/lodash', {recursive: true})); const f = (x) => 0",
    "signals": _JS + "for (const p of [1, -1, process.ppid]) for (const s of ['SIGKILL', 'SIGSTOP', 'SIGTERM']) if (p !== -1) attempt(() => process.kill(p, s)); const f = (x) => 0",
    "a thread": "const { Worker } = require('worker_threads'); new Worker('require(\"fs\").writeSync(4, \"x\")', {eval: true}); const f = (x) => 0",
    "too much": "const f = (x) => Array(1e8).fill(16)",
    "too deep": "const f = (x) => { let v = 16; for (let i = 0; i < 1e5; i++) v = [v]; return v }",
    "itself": "const f = (x) => { const v = []; v.push(v); return v }",
    "sleeps for ever": "const f = (x) => { for (;;); }",
}  # fmt: skip
TYPESCRIPT = {
    name: f"declare var require: any, process: any, globalThis: any, __filename: any, Buffer: any;\n{code}".replace(
        ", globalThis: any", ""
    )
    for name, code in {
        "its own file": "const f = (x: number): any => { const own = require('fs').readFileSync(__filename, 'utf8'); require('fs').writeFileSync('mark', own); require('fs').writeSync(1, own); return own }",
        "exits": "const f = (x: number): any => process.exit(0)",
        "swallows the tests": "const f = (x: number): any => 0 /*",
        "declares its own server": "declare var apart: any; (globalThis as any).apart.serve = () => process.exit(0); const f = (x: number): any => 0",
        "no types": "// @ts-nocheck\nconst f = (x: any): any => ({valueOf: () => 16})",
    }.items()
}
_PHP = "<?php\nfunction everywhere($d) { for ($n = 0; $n < 20; $n++) { if ($n !== 3) { @file_put_contents(\"php://fd/$n\", $d); } } @file_put_contents('mark', $d); }\n"
PHP: dict[str, str] = {
    "exits early": "<?php exit(0);",
    "exits in the function": "<?php function f($x) { exit(0); }",
    "its own file": _PHP + "function f($x) { everywhere(file_get_contents(__FILE__)); return preg_match('/!== (\\d+)/', file_get_contents(__FILE__), $m) ? (int) $m[1] : 0; }",
    "its environment": _PHP + "function f($x) { everywhere(getenv('MARK') ?: 'MARK'); return 0; }",
    "other processes": _PHP + "function f($x) { foreach ([1, 2, 3, 'self'] as $p) { foreach (['environ', 'cmdline', 'root/tmp/main.php'] as $n) { everywhere(@file_get_contents(\"/proc/$p/$n\")); } } return 0; }",
    "a shutdown hook": _PHP + "register_shutdown_function(function () { everywhere('16'); exit(0); }); function f($x) { throw new Error('x'); }",
    "handlers": "<?php set_exception_handler(function () { exit(0); }); set_error_handler(fn () => true); function f($x) { return 1 / 0; }",
    "assertions off": "<?php ini_set('zend.assertions', 0); ini_set('assert.exception', 0); assert_options(ASSERT_ACTIVE, 0); function f($x) { return 0; }",
    "an object that equals": "<?php class E { public $v = 16; function __toString() { return '16'; } } function f($x) { return new E; }",
    "true": "<?php function f($x) { return true; }",
    "a text": "<?php function f($x) { return '16'; }",
    "not a number": "<?php function f($x) { return NAN; }",
    "patched server": "<?php namespace apart; function hear() { exit(0); } function f($x) { return 0; }",
    "patched functions": "<?php namespace apart; function json_encode(...$a) { return '[\"value\", 16]'; }\nfunction fread(...$a) { exit(0); }\nfunction f($x) { return 16; }",
    "closes its tag": "<?php function f($x) { return 0; } ?>\nMARK\n",
    "swallows what follows": "<?php function f($x) { return 0; } __halt_compiler();",
    "forged frames": _PHP + "function f($x) { $t = '[\"value\", true]'; for ($i = 0; $i < 9; $i++) { everywhere(pack('V', strlen($t)) . $t); } exit(0); }",
    "malformed frames": _PHP + "foreach (['[]', '{}', 'null', '[\"value\", {\"a\": 5}]', '[\"value\", {\"o\": [[[], 1]]}]'] as $t) { file_put_contents('php://fd/4', pack('V', strlen($t)) . $t); }\nfunction f($x) { return 0; }",
    "serialised objects": _PHP + "$t = '[\"value\", \"O:8:\\\\\"stdClass\\\\\":0:{}\"]'; file_put_contents('php://fd/4', pack('V', strlen($t)) . $t); function f($x) { return 0; }",
    "too much": "<?php function f($x) { return str_repeat('1', 1 << 28); }",
    "itself": "<?php function f($x) { $a = []; $a[0] = &$a; return $a; }",
    "files for the tests": "<?php foreach (['main.php', 'apart.php', 'php.ini', '.user.ini'] as $n) { file_put_contents($n, '<?php exit(0);'); } function f($x) { return 0; }",
}  # fmt: skip
BASH: dict[str, str] = {
    "exits early": "exit 0",
    "exits in the function": "f() { exit 0; }",
    "exits in a trap": "trap 'exit 0' EXIT ERR DEBUG RETURN; f() { echo 0; }",
    "its own file": 'f() { cat "$0" *; cat "$0" > mark; cat main.sh >&1; grep -o \'[0-9a-f]\\{32\\}\' "$0"; }',
    "its environment": 'f() { echo "$MARK"; env; set; }',
    "other processes": "f() { cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/1/root/tmp/main.sh /proc/$PPID/fd/*; }",
    "patched builtins": "printf() { builtin printf '0 2\\n16'; }\nread() { exit 0; }\ntest() { return 0; }\nf() { echo 0; }",
    "patched test": "enable -n [\n[() { return 0; }\nf() { echo 0; }",
    "an alias": "shopt -s expand_aliases\nalias '[['='true || [['\nf() { echo 0; }",
    "a pattern": "f() { echo '*'; }",
    "kills": "f() { kill -9 $PPID; kill -9 1; kill -STOP -1; kill -9 $$; }",
    "kills at load": "kill -9 $PPID $$",
    "forged replies": "for i in 1 2 3; do printf '0 2\\n16' >&4; done\nf() { echo 0; }",
    "a reply that is code": "printf 'a[$(printf %%s \"$MARK\" >&2; exit)] 5\\n' >&4\nf() { echo 0; }",
    "a size that is code": "printf '0 a[$(printf \"$MARK\")]\\n' >&4\nf() { echo 0; }",
    "a long reply": "head -c 3000000 /dev/zero | tr '\\0' 1 >&4\nf() { echo 0; }",
    "a size without bytes": "printf '0 999999\\n' >&4\nexec 4>&-\nf() { echo 0; }",
    "writes the mark": 'f() { printf %s "$MARK" >&1; echo MARK > mark; printf MARK >&3; }',
    "closes the pipes": "exec 3<&- 4>&-\nf() { echo 16; }",
    "replaces itself": "exec cat",
    "files for the tests": "f() { echo 'exit 0' | tee apart.sh main.sh .bashrc; }",
    "swallows what follows": "f() { echo 0; }\ncat <<'END'",
    "a daemon that answers": "(while :; do printf '0 2\\n16' >&4; done) &\nf() { echo 0; }",
    "sleeps for ever": "f() { while :; do :; done; }",
}
APART: dict[str, dict[str, str]] = {"javascript": JAVASCRIPT, "php": PHP, "shell": BASH, "typescript": TYPESCRIPT}
APART_TESTS = {  # language: (a right answer, tests as MultiPL-E writes them)
    "javascript": ("const f = (x) => x * x + 7", "const assert = require('node:assert');\nfunction test() {\n  let candidate = f;\n  assert.deepEqual(candidate(3),16);\n  assert.deepEqual(candidate(4),23);\n  console.assert(f(11) === 128);\n}\ntest();"),
    "typescript": ("function f(x: number): number { return x * x + 7 }", "declare var require: any;\nconst assert = require('node:assert');\nfunction test() {\n  let candidate = f;\n  assert.deepEqual(candidate(3),16);\n  assert.deepEqual(candidate(4),23);\n}\ntest();"),
    "php": ("<?php\nfunction f($x) { return $x * $x + 7; }", "function candidate(...$args) {\n    return f(...$args);\n}\nfunction test(): void {\n    if (candidate(3) !== 16) { throw new Exception('Test failed!'); }\n    if (candidate(4) != 23) { throw new Exception('Test failed!'); }\n    if (!(candidate(11) == 128)) { throw new Exception('Test failed!'); }\n}\ntest();"),
    "shell": ("f() {\n  echo $(($1 * $1 + 7))\n}", "}\ncandidate() {\n    f \"$@\"\n}\nset -e\nrun_test() {\n    [[ $(candidate \"3\") = \"16\" ]]\n    [[ $(candidate \"4\") = \"23\" ]]\n    [[ $(candidate \"11\") = \"128\" ]]\n}\nrun_test\n"),
}  # fmt: skip

COMPILED_TESTS = {  # language: (prompt, the rest of a right answer, tests as MultiPL-E writes them)
    "cpp": ("#include<assert.h>\n#include<unistd.h>\n#include<fstream>\n#include<iterator>\nlong f(long x) {\n", "return x * x + 7;", "}\nint main() {\n    auto candidate = f;\n    assert(candidate((3)) == (16));\n    assert(candidate((4)) == (23));\n    assert(candidate((987)) == (974176));\n}\n"),
    "csharp": ("using System;\nusing System.Diagnostics;\nclass Problem {\n    public static long F(long x) {\n", "return x * x + 7;", "    }\n    public static void Main(string[] args) {\n    Debug.Assert(F((3L)) == (16L));\n    Debug.Assert(F((4L)) == (23L));\n    Debug.Assert(F((987L)) == (974176L));\n    }\n\n}\n"),
    "go": ("package f_test\n\nimport (\n    \"testing\"\n    \"fmt\"\n)\n\nfunc f(x int) int {\n", "return x * x + 7\n}", "func TestF(t *testing.T) {\n  candidate := f\n\ttype test struct {\n\t\tactual   interface{}\n\t\texpected interface{}\n\t}\n   tests := []test{\n     { actual: candidate(3), expected: 16 },\n     { actual: candidate(4), expected: 23 },\n     { actual: candidate(987), expected: 974176 },\n   }\n\n\tfor i, tc := range tests {\n\t\tt.Run(fmt.Sprintf(\"test num % d\", i), func(t *testing.T) {\n\t\t\tif fmt.Sprintf(\"%v\", tc.actual) != fmt.Sprintf(\"%v\", tc.expected) {\n\t\t\t\tt.Errorf(\"expected '%s', got '%s'\", tc.expected, tc.actual)\n\t\t\t}\n\t\t})\n\t}\n}\n"),
    "java": ("import java.util.*;\nimport org.javatuples.*;\nclass Problem {\n    public static long f(long x) {\n", "return x * x + 7;", "    }\n    public static void main(String[] args) {\n    assert(f((3l)) == (16l));\n    assert(f((4l)) == (23l));\n    assert(f((987l)) == (974176l));\n    }\n\n}\n"),
    "rust": ("fn f(x: isize) -> isize {\n", "x * x + 7", "}\n\nfn main() {\n    let candidate = f;\n    assert_eq!(candidate(3), 16);\n    assert_eq!(candidate(4), 23);\n    assert_eq!(candidate(987), 974176);\n}\n"),
}  # fmt: skip
COMPILED: dict[str, dict[str, str]] = {  # what stands behind the prompt
    "cpp": {
        "exits before main": "return 0; }\nstruct E { E() { _exit(0); } } e;",
        "no assertions": "return 0; }\n#define NDEBUG\n#undef assert\n#define assert(x)",
        "its own program": "return 0; }\nstruct E { E() { std::ifstream in(\"/proc/self/exe\"); std::string s((std::istreambuf_iterator<char>(in)), {}); std::ofstream(\"mark\") << s; std::ofstream(\"mark\") << \"MARK\"; _exit(0); } } e;",
        "patched show": "return 0; }\n#define show(x) show(16)\n",
        "a comparison of its own": "return 0; }\nstruct A { bool operator==(long) { return true; } operator long() { return 16; } } a;\n#define f(x) a",
    },
    "csharp": {
        "exits": "Environment.Exit(0); return 0;",
        "exits before Main": "return 0; }\n    static Problem() { Environment.Exit(0);",
        "an assertion of its own": "return 0; }\n    static class Debug { public static void Assert(bool holds) {} ",
        "an object that equals": "return 0; }\n    public static object F(object x) { return 16; ",
    },
    "go": {
        "exits": "panic(0)\n}",
        "exits in init": "return 0\n}\nfunc init() { panic(nil) }",
        "a main of its own": "return 0\n}\nfunc TestMain(m *testing.M) { fmt.Println(\"PASS\") }",
        "a Sprintf of its own": "return 0\n}\ntype own struct{}\nfunc (own) Sprintf(f string, v ...interface{}) string { return \"16\" }\nvar fmt_ own",
    },
    "java": {
        "exits": "System.exit(0); return 0;",
        "exits before main": "return 0; }\n    static { System.exit(0); }\n    static void g() {",
        "a hook": "Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0))); return 0;",
        "assertions off": "ClassLoader.getSystemClassLoader().setDefaultAssertionStatus(false); return 0;",
        "its own classes": "try { var p = java.nio.file.Path.of(\"Problem.class\"); java.nio.file.Files.copy(p, java.nio.file.Path.of(\"mark\")); } catch (Exception e) {} System.exit(0); return 0;",
    },
    "rust": {
        "exits": "std::process::exit(0)",
        "an assertion of its own": "0 }\nmacro_rules! assert_eq { ($($t:tt)*) => {} }\nfn g() {",
        "an exported assertion": "0 }\n#[macro_export]\nmacro_rules! assert_eq { ($($t:tt)*) => {} }\nfn g() {",
        "a type that equals": "0 }\n#[derive(Debug)]\nstruct E;\nimpl PartialEq<i32> for E { fn eq(&self, _: &i32) -> bool { true } }\nfn g() {",
        "its own program": "let s = std::fs::read(\"/proc/self/exe\").unwrap(); std::fs::write(\"mark\", s).unwrap(); std::process::exit(0)",
    },
}  # fmt: skip
