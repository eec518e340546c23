# ruff: noqa: E501
"""Programs of every language: they run, fail to compile, fail, time out and keep to their limits, each as itself."""

import time
from pathlib import Path

import pytest

from smallcoder.core.errors import InputError
from smallcoder.sandbox import Job, Limits, Program, Sandbox
from smallcoder.sandbox.languages import NAMES, by_suffix, language
from tests.sandbox.test_sandbox import children

# language: (doubles a number from standard input and ends with 3, does not compile or is no program, loops)
PROGRAMS = {
    "bash": ("read x; echo $((2 * x)); exit 3", "if", "while :; do :; done"),
    "cpp": (
        "#include <iostream>\nint main() { int x; std::cin >> x; std::cout << 2 * x << std::endl; return 3; }",
        "int main( {", "int main() { for (volatile int x = 0;;) x = 1; }",
    ),
    "csharp": (
        "using System; class P { static int Main() { Console.WriteLine(2 * int.Parse(Console.ReadLine())); return 3; } }",
        "class {", "class P { static void Main() { while (true) {} } }",
    ),
    "go": (
        'package main\nimport ("fmt"; "os")\nfunc main() { var x int; fmt.Scan(&x); fmt.Println(2 * x); os.Exit(3) }',
        "package main\nfunc main( {", "package main\nfunc main() { for {} }",
    ),
    "java": (
        "import java.util.Scanner;\npublic class Twice { public static void main(String[] a) { "
        "System.out.println(2 * new Scanner(System.in).nextInt()); System.exit(3); } }",
        "class {", "class P { public static void main(String[] a) { while (true) {} } }",
    ),
    "javascript": ("console.log(2 * require('fs').readFileSync(0, 'utf8')); process.exitCode = 3", "let = {", "for (;;) {}"),
    "php": ("<?php echo 2 * (int) fgets(STDIN), PHP_EOL; exit(3);", "<?php function {", "<?php while (true) {}"),
    "python": ("print(2 * int(input()))\nraise SystemExit(3)", "def f(:", "while True: pass"),
    "python_libraries": ("import sys\nprint(2 * int(input()))\nsys.exit(3)", "def f(:", "while True: pass"),
    "rust": (
        'fn main() { let mut s = String::new(); std::io::stdin().read_line(&mut s).unwrap(); '
        'println!("{}", 2 * s.trim().parse::<i32>().unwrap()); std::process::exit(3) }',
        "fn main( {", "fn main() { loop { std::hint::black_box(1); } }",
    ),
    "sql": ("create table t(x); insert into t values (21); select 2 * x from t;", "selec 1;",
            "with recursive c(x) as (select 1 union all select x + 1 from c) select max(x) from c;"),
    "typescript": (
        "declare var require: any, process: any;\nconst x: number = +require('fs').readFileSync(0, 'utf8');\n"
        "console.log(2 * x);\nprocess.exitCode = 3", "const x: number = 'text'", "for (;;) {}",
    ),
}  # fmt: skip
QUICK = Limits(cpu_seconds=1, wall_seconds=20)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(2, languages=NAMES) as made:
        yield made


@pytest.mark.parametrize("name", NAMES)
def test_a_language(sandbox, name):
    right, broken, endless = PROGRAMS[name]
    jobs = [Job(Program(code, language=name), limits=QUICK, stdin=b"21\n") for code in (right, broken, endless)]
    good, bad, slow = sandbox.run_many(jobs)
    if name in sandbox.missing:
        assert (good.status, good.reason) == ("infra", sandbox.missing[name])
        pytest.skip(good.reason)
    said = b"[42]" if name == "sql" else b"42"
    assert (good.status, good.stdout.strip(), good.exit_code) == ("ok", said, 0 if name == "sql" else 3), good
    assert good.form == "one process"
    compiled = bool(language(name).plan(right).compile)
    assert bad.status == ("error" if compiled else "ok"), bad
    assert bad.reason.startswith("does not compile: ") or bad.exit_code != 0, bad
    assert (slow.status, slow.reason) == ("timeout", "CPU time"), slow


def test_names_of_files():
    named = {name for name in NAMES if language(name).suffixes}
    assert {by_suffix(f"a{ending}") for name in named for ending in language(name).suffixes} == named
    assert set(NAMES) - named == {"python_libraries"}  # whose files are Python's
    assert by_suffix("a.txt") == ""
    with pytest.raises(InputError, match="javascript"):
        Sandbox(languages=["javascrpt"])


def test_a_program_of_a_language_that_was_not_asked_for():
    with Sandbox(1) as sandbox:
        result = sandbox.run(Program("exit 0", language="bash"))
    assert result.status == "infra"
    assert "not made for bash" in result.reason


def test_a_tier_that_cannot_hold_programs_refuses_them():
    with Sandbox(1, ("C",), ("bash",)) as sandbox:
        result = sandbox.run(Program("exit 0", language="bash"))
    assert result.status == "infra"
    assert "tier C" in result.reason


def test_files_and_the_mark(sandbox):
    if sandbox.tier != "A":
        pytest.skip("programs run in tier A")
    job = Job(Program("cat data; printf $(cat data) > mark", language="bash"), files={"data": b"secret"})
    result = next(sandbox.run_many([job]))
    assert (result.stdout, result.mark) == (b"secret", b"secret")
    assert next(sandbox.run_many([Job(Program("ls -A", language="bash"))])).stdout == b"main.sh\n"
    for name in ("../x", "", "a/b", ".."):
        with pytest.raises(TypeError, match="plain name"):
            next(sandbox.run_many([Job(job.program, files={name: b""})]))
    program = Program("def f(): return open('data').read()", "f")
    assert sandbox.run(program, [()], files={"data": b"x"}).outputs[0].value == "x"


def test_time_of_all_processes_counts(sandbox):
    if sandbox.tier != "A":
        pytest.skip("programs run in tier A")
    code = "for i in 1 2 3 4; do (while :; do :; done) & done; wait"
    result = sandbox.run(Program(code, language="bash"), limits=Limits(cpu_seconds=1, wall_seconds=60))
    assert (result.status, result.reason) == ("timeout", "CPU time")
    assert result.cpu_seconds < 4


@pytest.mark.parametrize("name", ["java", "typescript"])
def test_a_warm_compiler_forgets_what_it_compiled(name):
    codes = {
        "java": ["class A { static int x() { return 1; } }\nclass P { public static void main(String[] a) { System.out.println(A.x()); } }",
                 "class P { public static void main(String[] a) { System.out.println(A.x()); } }"],
        "typescript": ["class A { static x = 1 }\nconsole.log(A.x)", "console.log(A.x)"],
    }[name]  # fmt: skip
    with Sandbox(1, languages=[name]) as sandbox:
        if sandbox.missing:
            pytest.skip(sandbox.missing[name])
        results = [sandbox.run(Program(code, language=name)) for code in codes * 3]
        assert [result.stdout for result in results] == [b"1\n", b""] * 3
        assert all(result.reason.startswith("does not compile: ") for result in results[1::2])
        assert all(result.cpu_seconds < results[0].cpu_seconds for result in results[1:])
        slot = next(iter(sandbox._pool.slots))._process.pid
        below = children(slot)
        assert below  # the compiler
    deadline = time.monotonic() + 10
    while (left := [pid for pid in below if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left


def test_java_of_a_package_and_names_too_long_for_files(sandbox):
    if "java" in sandbox.missing:
        pytest.skip(sandbox.missing["java"])
    main = "public static void main(String[] a) { System.out.println(new Object() {}.getClass().getName()); }"
    long = "N" * 150
    codes = [
        f"package a.b;\npublic class P {{ {main} }}",
        f"/* package x; */ package a;\nclass Q {{}}\nclass P {{ {main} }}",
        f"class P {{ {main} static class {long} {{ static class {long}x {{}} }} }}",
        f"class {long}{long} {{ {main} }}",
    ]
    jobs = [Job(Program(code, language="java")) for code in codes]
    inside, beside, nested, outer = sandbox.run_many(jobs)
    assert (inside.status, inside.stdout) == ("ok", b"a.b.P$1\n"), inside
    assert (beside.status, beside.stdout) == ("ok", b"a.P$1\n"), beside
    for result in (nested, outer):
        assert (result.status, result.reason[:16]) == ("error", "does not compile"), result


def test_a_mark_over_its_bound_is_refused_and_not_cut(sandbox):
    whole, over = (
        sandbox.run(Program(f"head -c {size} /dev/zero > mark", language="bash")) for size in (1 << 20, (1 << 20) + 1)
    )
    assert (whole.status, len(whole.mark)) == ("ok", 1 << 20)
    assert (over.status, over.reason, over.mark) == ("error", "too much output", b"")


def test_tests_that_do_not_compile_are_infra_for_their_job_alone():
    right = Program("function f(x: number): number { return x + 1 }", language="typescript")
    good, broken = "const f = remote('f');\nif (f(1) !== 2) throw new Error('wrong')", "if ("
    with Sandbox(1, languages=["typescript"]) as sandbox:
        if sandbox.missing:
            pytest.skip(sandbox.missing["typescript"])
        assert sandbox.run(right, tests=good).status == "ok"
        before = children(next(iter(sandbox._pool.slots))._process.pid)
        found = list(sandbox.run_many(Job(right, tests=tests) for tests in (good, broken, good, broken, good)))
        assert [result.status for result in found] == ["ok", "infra", "ok", "infra", "ok"], found
        assert all("do not compile" in result.reason for result in found[1::2])
        assert children(next(iter(sandbox._pool.slots))._process.pid) == before  # slot, template and warm compiler


def test_a_library_that_is_not_there_is_named(sandbox, monkeypatch):
    if "cpp" in sandbox.missing:
        pytest.skip(sandbox.missing["cpp"])
    monkeypatch.setattr("smallcoder.sandbox.languages.os.path.isdir", lambda path: False)
    result = sandbox.run(Program("#include <boost/any.hpp>\nint main() {}", language="cpp"))
    assert (result.status, "apt-get install libboost-dev" in result.reason) == ("infra", True)
    other = sandbox.run(Program("#include <nowhere/any.hpp>\nint main() {}", language="cpp"))
    assert (other.status, other.reason[:16]) == ("error", "does not compile")


def test_python_programs_repeat_exactly():
    with Sandbox(1, languages=("python",)) as sandbox:
        runs = [sandbox.run(Program("print({'a', 'bc', 'def'}, hash('x'))", language="python")) for _ in range(2)]
    assert runs[0].status == "ok"
    assert runs[0].stdout == runs[1].stdout != b""
