"""Go: each rule on a small repository, hostile texts, and the standard library against `go list`."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from smallcoder.repos.files import File, Files
from smallcoder.repos.graph import graph
from tests.repos.small import answers, edges, graphed, survives

LANGS = {"go": "go"}
SAMPLE = """// Copyright
package a // "not/this"

import "fmt"
import (
	// "nor/that"
	str "strings"
	. "example.com/m/b"
	_ `example.com/m/c`; "example.com/m/d"
)
import "C"

func f() string { return "import \\"example.com/m/e\\"" + `
import "example.com/m/f"
` }
"""


def test_every_form_of_an_import() -> None:
    found = answers({"go.mod": "module example.com/m\n", "a/a.go": SAMPLE, "b/b.go": "package b\n"}, "a/a.go", **LANGS)
    assert found == {
        "fmt": [],
        "strings": [],
        "example.com/m/b": ["b/b.go"],
        "example.com/m/c": None,
        "example.com/m/d": None,
        "C": [],
    }


def test_all_files_of_a_package_but_tests_and_main() -> None:
    texts = {
        "go.mod": "module m // a comment\n\ngo 1.20\n",
        "main.go": 'package main\nimport "m/lib"\n',
        "lib/a.go": "package lib\n",
        "lib/a_windows.go": "package lib\n",
        "lib/a_test.go": 'package lib\nimport "m/other"\n',
        "lib/x_test.go": 'package lib_test\nimport "m/lib"\n',
        "lib/gen.go": "//go:build ignore\n\npackage main\n",
        "other/o.go": "package other\n",
        "cmd/c.go": "package main\n",
        "cmd/c_test.go": 'package main_test\nimport "m/cmd"\n',
    }
    assert edges(texts, **LANGS) == {
        "main.go": ["lib/a.go", "lib/a_windows.go"],
        "lib/a_test.go": ["other/o.go"],
        "lib/x_test.go": ["lib/a.go", "lib/a_windows.go", "lib/gen.go"],
        "cmd/c_test.go": ["cmd/c.go"],
    }


def test_modules_the_longest_path_and_the_own_one_first() -> None:
    texts = {
        "go.mod": 'module "example.com/m"\nrequire example.com/far v1.0.0\n'
        "replace (\n\texample.com/far v1.0.0 => ./near // local\n\texample.com/gone => example.com/other v1\n)\n",
        "a.go": 'package m\nimport (\n"example.com/m/sub/x"\n"example.com/far/y"\n'
        '"example.com/gone"\n"example.com/m"\n)\n',
        "b.go": "package m\n",
        "sub/go.mod": "module example.com/m/sub\n",
        "sub/x/x.go": 'package x\nimport "example.com/m"\n',
        "near/go.mod": "module something.else/n\n",
        "near/y/y.go": "package y\n",
        "copy/go.mod": "module example.com/m\n",
        "copy/c.go": 'package m\nimport "example.com/m/sub/x"\n',
    }
    assert edges(texts, **LANGS) == {
        "a.go": ["b.go", "near/y/y.go", "sub/x/x.go"],
        "sub/x/x.go": ["a.go", "b.go"],
        "copy/c.go": ["sub/x/x.go"],
    }
    assert answers(texts, "a.go", **LANGS)["example.com/gone"] == []


def test_vendored_gopath_and_relative() -> None:
    texts = {
        "go.mod": "module m\n",
        "vendor/github.com/o/p/p.go": 'package p\nimport "golang.org/x/q"\n',
        "vendor/golang.org/x/q/q.go": "package q\n",
        "in/a.go": 'package in\nimport "github.com/o/p"\nimport "../up"\nimport "./no"\n',
        "up/u.go": "package up\n",
        "testdata/src/fmt/fmt.go": "package fmt\n",
        "testdata/src/t/t.go": 'package t\nimport "fmt"\n',
        "std.go": 'package m\nimport "fmt"\n',
    }
    assert edges(texts, **LANGS) == {
        "vendor/github.com/o/p/p.go": ["vendor/golang.org/x/q/q.go"],
        "in/a.go": ["up/u.go", "vendor/github.com/o/p/p.go"],
        "testdata/src/t/t.go": ["testdata/src/fmt/fmt.go"],
    }
    assert graphed(texts, **LANGS).counts == {"found": 4, "missing": 1, "outside": 1, "dynamic": 0}


def test_without_go_mod_the_path_is_guessed_only_where_likely() -> None:
    texts = {
        "main.go": 'package main\nimport (\n"github.com/o/r/pkg/a"\n"github.com/o/r/pkg/gone"\n'
        '"github.com/else/x/errors"\n)\n',
        "pkg/a/a.go": 'package a\nimport (\n"github.com/o/r/pkg/b"\n"github.com/pkg/errors"\n"errors"\n)\n',
        "pkg/b/b.go": "package b\n",
        "errors/e.go": "package errors\n",
    }
    assert edges(texts, **LANGS) == {"main.go": ["pkg/a/a.go"], "pkg/a/a.go": ["pkg/b/b.go"]}
    assert answers(texts, "main.go", **LANGS)["github.com/o/r/pkg/gone"] is None
    unlikely = {
        "a.go": 'package a\nimport (\n"go.x.org/y/util"\n"go.x.org/y/b"\n"go.x.org/y/c"\n)\n',
        "util/u.go": "package util\n",
    }
    assert edges(unlikely, **LANGS) == {}


def test_a_package_too_large_to_parse_is_still_a_package() -> None:
    texts = {"go.mod": "module m\n", "a.go": 'package m\nimport "m/b"\n', "b/b.go": "package b\n" + "// x\n" * 300_000}
    assert edges(texts, **LANGS) == {"a.go": ["b/b.go"]}


def test_hostile_texts() -> None:
    survives(SAMPLE, "a/a.go", "go")
    for mod in ("", "module", "module \x00", "replace => ..\nmodule a", "module m\nreplace m => ../../..\n"):
        graphed(
            {"go.mod": mod, "x/go.mod": mod, "x/a.go": SAMPLE, "b.go": 'package b\nimport "a/' + "b/" * 9000 + '"'},
            **LANGS,
        )


@pytest.mark.slow
def test_against_go_list() -> None:
    """Edges of packages of the standard library; precision and recall as they were measured on all of it."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go toolchain")
    root = (
        Path(subprocess.run([go, "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()) / "src"
    )
    if not (root / "net/http").is_dir():
        pytest.skip("the go toolchain is without its sources")
    listed = subprocess.run(
        [go, "list", "-json", "net/...", "encoding/...", "crypto/...", "io/...", "internal/..."],
        cwd=root, env=os.environ | {"GOFLAGS": "", "GO111MODULE": "on"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    packages = _objects(listed.stdout)
    files = Files(
        (str(path.relative_to(root)), File("go" if path.suffix == ".go" else None, path.read_bytes()))
        for pattern in ("*.go", "go.mod")
        for path in root.rglob(pattern)
        if path.is_file() and "testdata" not in path.parts
    )
    found = graph(files)
    sources = {one["ImportPath"]: _sources(one, root, ("GoFiles", "CgoFiles", "IgnoredGoFiles")) for one in packages}
    wanted: set[tuple[str, str]] = set()
    ours: set[tuple[str, str]] = set()
    for one in packages:
        for path in one.get("Imports", ()):
            for target in sources.get(one.get("ImportMap", {}).get(path, path), ()):
                wanted.add((one["ImportPath"], target))
        for source in _sources(one, root, ("GoFiles", "CgoFiles")):
            ours |= {(one["ImportPath"], target) for target in found.imports[source]}
    known = {target for one in sources.values() for target in one}
    ours = {edge for edge in ours if edge[1] in known}
    generators = {path for path in known if b"\npackage main" in b"\n" + files[path].text}
    wanted = {edge for edge in wanted if edge[1] not in generators}
    assert len(wanted) > 3000
    assert len(ours & wanted) / len(ours) >= 0.98
    assert len(ours & wanted) / len(wanted) >= 0.95


def _objects(text: str) -> list[dict]:
    decoder, at, found = json.JSONDecoder(), 0, []
    while text := text[at:].lstrip():
        one, at = decoder.raw_decode(text)
        found.append(one)
    return found


def _sources(package: dict, root: Path, kinds: tuple[str, ...]) -> set[str]:
    folder = os.path.relpath(os.path.realpath(package["Dir"]), os.path.realpath(root))
    return {
        os.path.normpath(f"{folder}/{name}")
        for kind in kinds
        for name in package.get(kind) or ()
        if not name.endswith("_test.go")
    }
