"""Planted files of many languages are recognised by name, content and first line; hostile ones cost no time."""

import sys

import pytest

from smallcoder.core.errors import ToolError
from smallcoder.data import language
from smallcoder.data.language import by_magika, programming_language

BY_NAME = {
    "src/a.py": "python", "a.PYI": "python", "x/y.rs": "rust", "b.go": "go", "c.java": "java", "d.kt": "kotlin",
    "e.cs": "csharp", "f.cc": "cpp", "g.hpp": "cpp", "h.c": "c", "i.js": "javascript", "j.mjs": "javascript",
    "k.jsx": "javascript", "l.tsx": "typescript", "m.rb": "ruby", "n.php": "php", "o.swift": "swift",
    "p.scala": "scala", "q.hs": "haskell", "r.ml": "ocaml", "s.ex": "elixir", "t.erl": "erlang", "u.clj": "clojure",
    "v.jl": "julia", "w.lua": "lua", "x.sh": "shell", "y.ps1": "powershell", "z.bat": "batch", "a.sql": "sql",
    "b.html": "html", "c.css": "css", "d.scss": "scss", "e.json": "json", "f.yaml": "yaml", "g.toml": "toml",
    "h.xml": "xml", "i.md": "markdown", "j.rst": "restructuredtext", "k.txt": "text", "l.tex": "latex",
    "m.f90": "fortran", "n.dart": "dart", "o.zig": "zig", "p.nim": "nim", "q.vue": "vue", "r.sol": "solidity",
    "s.proto": "protobuf", "t.tf": "hcl", "u.cmake": "cmake", "v.r": "r", "w.vhd": "vhdl", "x.sv": "systemverilog",
    "y.cu": "cuda", "z.ipynb": "jupyter", "a.el": "emacslisp", "b.lisp": "commonlisp", "c.pas": "pascal",
    "d.adb": "ada", "e.cob": "cobol", "f.groovy": "groovy", "g.pyx": "cython", "h.graphql": "graphql", "i.nix": "nix",
    "Makefile": "makefile", "sub/GNUmakefile": "makefile", "Dockerfile": "dockerfile", "Dockerfile.dev": "dockerfile",
    "CMakeLists.txt": "cmake", "Jenkinsfile": "groovy", "Rakefile": "ruby", "go.mod": "go", "BUILD.bazel": "starlark",
    "SConstruct": "python", ".bashrc": "shell", ".gitconfig": "ini", "Cargo.lock": "toml", "README": "text",
    "meson.build": "meson", "a/b.unheard": None, "noending": None, "": None, "/": None, ".": None, "a/..": None,
}  # fmt: skip

BY_CONTENT = [
    ("a.h", "#ifndef A\n#define A\nint add(int a, int b);\n#endif\n", "c"),
    ("a.h", "#pragma once\n#include <vector>\nint f();\n", "cpp"),
    ("a.h", "namespace a {\nclass B : public C {\n public:\n  virtual void f();\n};\n}\n", "cpp"),
    ("a.h", "// a class of things, using namespace in words only\nstruct a { int class_of; };\n", "c"),
    ("a.h", "#import <UIKit/UIKit.h>\n@interface A : NSObject\n@end\n", "objectivec"),
    ("a.m", "@implementation A\n- (void)f {}\n@end\n", "objectivec"),
    ("a.m", "function y = f(x)\n% squares\ny = x.^2;\nend\n", "matlab"),
    ("a.m", "(* a package *)\nBeginPackage[\"A`\"]\n", "mathematica"),
    ("a.m", ":- module a.\n:- interface.\n", "mercury"),
    ("a.pl", "use strict;\nmy $x = 1;\nprint $x;\n", "perl"),
    ("a.pl", ":- module(a, [b/1]).\nb(X) :- c(X).\n", "prolog"),
    ("a.pl", "parent(tom, bob).\nparent(bob, ann).\n", "prolog"),
    ("a.pl", "print qq(nothing that tells);\n", "perl"),
    ("a.ts", "export const a: number = 1;\n", "typescript"),
    ("a.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="2.1"></TS>\n', "xml"),
    ("a.v", "module top(input clk);\nendmodule\n", "verilog"),
    ("a.v", "Require Import List.\nTheorem a : True.\nProof. trivial. Qed.\n", "coq"),
    ("a.v", "module main\n\nfn main() {\n\tprintln('x')\n}\n", "v"),
    ("a.r", "REBOL [Title: {x}]\n", "rebol"),
    ("a.R", "f <- function(x) x + 1\n", "r"),
    ("a.cls", "\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{a}\n", "latex"),
    ("a.cls", "public with sharing class A {\n}\n", "apex"),
    ("a.cls", "VERSION 1.0 CLASS\nAttribute VB_Name = \"A\"\n", "visualbasic"),
    ("a.inc", "<?php\nfunction f() {}\n", "php"),
    ("a.inc", "{$ifdef fpc}\nprocedure a;\n", "pascal"),
    ("a.inc", "#include \"b.h\"\n#define A 1\n", "c"),
    ("a.inc", "%macro a 1\n mov eax, 1\n%endmacro\n", "assembly"),
    ("a.fs", "module A\nlet f x = x + 1\n", "fsharp"),
    ("a.fs", "#version 330\nuniform sampler2D t;\nvoid main() {}\n", "glsl"),
    ("a.d", "import std.stdio;\nvoid main() {}\n", "d"),
    ("a.d", "build/a.o: src/a.c \\\n  src/a.h\n", "makefile"),
    ("a.gd", "extends Node\nfunc _ready():\n\tpass\n", "gdscript"),
    ("a.t", "use strict;\nuse Test::More tests => 1;\n", "perl"),
    ("a.pm", "package A::B;\nuse strict;\n1;\n", "perl"),
    ("a.pp", "class a {\n  file { '/a': ensure => present }\n}\n", "puppet"),
    ("a.pp", "unit a;\ninterface\nuses b;\n", "pascal"),
    ("a.md", "(define_insn \"a\" [(set (match_operand 0))])\n", "gcc_machine_description"),
    ("a.st", "Object subclass: #A\n!\n", "smalltalk"),
    ("a.cl", "__kernel void a(__global float *x) {}\n", "opencl"),
    ("a.cl", "(defun a (x) x)\n", "commonlisp"),
    ("run", "#!/usr/bin/env python3.11\nprint(1)\n", "python"),
    ("run", "#!/usr/bin/python\n", "python"),
    ("run", "#! /bin/bash -e\necho\n", "shell"),
    ("run", "#!/usr/bin/env -S deno run\n", "typescript"),
    ("run", "#!/usr/bin/env VAR=1 ruby\n", "ruby"),
    ("run", "#!/bin/sh\n# \\\nexec tclsh \"$0\" \"$@\"\n", "tcl"),
    ("run", "#!/usr/bin/perl6\n", "raku"),
    ("run", "\ufeff#!/usr/bin/node\n", "javascript"),
    ("run", "-- x\n# -*- mode: ruby; tab: 2 -*-\n", "ruby"),
    ("run", "// -*- C++ -*-\n", "cpp"),
    ("run", "# vim: set ft=python sw=4:\n", "python"),
    ("run", "<?xml version='1.0'?><a/>", "xml"),
    ("run", "<!DOCTYPE html><html>", "html"),
    ("run", "diff --git a/x b/x\n", "diff"),
    ("run", "nothing that tells\n", None),
]  # fmt: skip


def test_names_and_endings() -> None:
    assert {path: programming_language(path) for path in BY_NAME} == BY_NAME


@pytest.mark.parametrize(("path", "head", "expected"), BY_CONTENT)
def test_content(path, head, expected) -> None:
    assert programming_language(path, head) == expected
    assert programming_language(f"deep/er/{path}", head + "\n" * 20_000) == expected


def test_the_table_names_every_word_once_and_its_patterns_compile() -> None:
    table = language._table()
    for section in ("endings", "names", "interpreters", "aliases"):
        words = [word for text in table[section].values() for word in text.split()]
        assert len(words) == len(set(words))
        assert all(word == word.lower() for word in words)
    assert len(table["endings"]) > 100
    assert not set(language._endings()) & set(table["shared"])
    for ending in table["shared"]:
        patterns, otherwise = language._shared(ending)
        assert patterns
        assert programming_language(f"a{ending}", "") == otherwise


NAMED = {
    "Python": "python", "C++": "cpp", "C#": "csharp", "c-sharp": "csharp", "F#": "fsharp", "f-sharp": "fsharp",
    "Objective-C": "objectivec", "Objective-C++": "objectivecpp", "objective-c++": "objectivecpp", "TeX": "latex",
    "Common Lisp": "commonlisp", "common-lisp": "commonlisp", "Emacs Lisp": "emacslisp", "emacs-lisp": "emacslisp",
    "Jupyter Notebook": "jupyter", "jupyter-notebook": "jupyter", "Visual Basic": "visualbasic",
    "Visual Basic .NET": "visualbasic", "Vim script": "vimscript", "Vim Script": "vimscript", "VimL": "vimscript",
    "Protocol Buffer": "protobuf", "protocol-buffer": "protobuf", "Standard ML": "sml", "GO": "go",
    "FORTRAN": "fortran", "Batchfile": "batch", "HTML+Django": "jinja", "literate-haskell": "haskell",
    "Cap'n Proto": "capnproto", "java-server-pages": "jsp", "GCC Machine Description": "gcc_machine_description",
    "JSON with Comments": "json", "Modula-2": "modula2", "Linker Script": "linkerscript", "QMake": "qmake",
    "G-code": "g-code", "Objective-J": "objective-j", "Ren'Py": "ren'py", "": "",
}  # fmt: skip


def test_other_names_of_languages() -> None:
    assert {name: language.named(name) for name in NAMED} == NAMED


def test_aliases_lead_to_our_words_and_hide_none() -> None:
    table = language._table()
    ours = {word for section in ("endings", "names", "interpreters") for word in table[section]}
    ours |= {word for marks in table["shared"].values() for word in {**marks}.keys() - {"otherwise"}}
    assert set(table["aliases"]) <= ours
    for word in ours:
        assert language.named(word) == word
    for names in table["aliases"].values():
        assert all(language._squeezed(name) == name for name in names.split())


def test_hostile_heads_neither_raise_nor_take_long() -> None:
    """With an exponential pattern this never ends; it takes two seconds."""
    pieces = ["\0", "\ud800", "\n", " ", "\t\n", "class ", "-*- ", "vi: ", "((", "{", "a:", "a b ", "#!", ":- ", "''"]
    endings = [*language._table()["shared"], ""]
    for piece in pieces:
        for ending in endings:
            programming_language("x" + ending, piece * (language.HEAD // len(piece) + 9))
    programming_language("x" * 1_000_000 + ".h", "x" * 50_000_000)


def test_a_guess_is_asked_only_where_nothing_tells() -> None:
    asked: list[str] = []

    def guess(head: str) -> str:
        asked.append(head)
        return "guessed"

    assert programming_language("a.py", "x", guess) == "python"
    assert programming_language("a.h", "x", guess) == "c"
    assert programming_language("a.unheard", "  \n", guess) is None
    assert not asked
    assert programming_language("a.unheard", "text", guess) == "guessed"
    assert programming_language("a.w", "text", guess) == "guessed"


def test_magika_is_optional(monkeypatch) -> None:
    by_magika.cache_clear()
    monkeypatch.setitem(sys.modules, "magika", None)
    with pytest.raises(ToolError, match="magika"):
        by_magika()


def test_magika_settles_what_the_name_does_not() -> None:
    pytest.importorskip("magika", reason="magika is not installed")
    by_magika.cache_clear()
    code = "".join(f"def f{at}(self, value):\n    return self.items[value] + {at}\n\n\n" for at in range(20))
    assert programming_language("a.unheard", "import os\nimport sys\n\n\n" + code, by_magika()) == "python"
    assert programming_language("a.unheard", "\0\ud800", by_magika()) is None
