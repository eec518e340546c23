"""Scala 2 and 3: each rule on a small repository, hostile texts."""

from tests.repos.small import answers, edges, graphed, survives

LANGS = {"java": "java", "kt": "kotlin", "scala": "scala"}
SAMPLE = """package a.b // one
package c

import x.y.{A, B => C, D => _, _}
import x.y.{E as F, given}, x.y.G
import x.y.given
import x.y.*
import _root_.x.y.`odd name`

class K extends A { import x.y.H; def f = { import x.y.I; "import x.y.J" } /* import x.y.L */ }
object O; trait T; case class CC(x: Int); enum EE { case P }
given ordering: Ordering[K] = ???
extension (k: K) def more = 1
package object o { def inside = 1; type Z = Int; val (p, q) = 1 -> 2 }
"""


def test_every_form_of_an_import() -> None:
    texts = {"K.scala": SAMPLE} | {
        f"{name}.scala": f"package x.y\nclass {name}"
        for name in ("A", "B", "D", "E", "G", "H", "I", "J", "L", "Unused")
    }
    texts["given.scala"] = "package x.y\ngiven Ordering[A] = ???"
    texts["odd.scala"] = "package x.y\nobject `odd name`"
    assert edges(texts, **LANGS) == {
        "K.scala": [f"{name}.scala" for name in ("A", "B", "E", "G", "H", "I", "given", "odd")]
    }


def test_whatever_a_file_declares() -> None:
    declared = {
        "Kind": "class Kind",
        "Case": "case class Case(x: Int)",
        "One": "object One",
        "Able": "sealed trait Able",
        "Level": "enum Level { case Low }",
        "Alias": "type Alias = Int",
        "run": "def run = 1",
        "count": "var count = 0",
        "pair": "val (pair, other) = (1, 2)",
        "more": "extension (x: Int) def more = 1",
        "least": "given least: Int = 1",
    }
    texts = {f"{name}.scala": f"package p.q\n{text}\n" for name, text in declared.items()}
    texts["main.scala"] = f"import p.q.{{{', '.join(declared)}}}\n"
    assert edges(texts, **LANGS) == {"main.scala": sorted(f"{name}.scala" for name in declared)}


def test_members_of_objects_and_packages() -> None:
    texts = {
        "O.scala": "package p\nobject O { val x = 1; object In }",
        "Q.scala": "package p.q\nclass Q",
        "A.scala": "import p.O._\nimport p.O.In.deep\nimport p.O.x",
        "B.scala": "import p.q\nclass B extends q.Q",
        "C.scala": "import p.q\nimport q.Q",
        "D.scala": "import p.O\nimport O.{x => y}",
    }
    assert edges(texts, **LANGS) == {"A.scala": ["O.scala"], "C.scala": ["Q.scala"], "D.scala": ["O.scala"]}


def test_package_objects_and_bodies() -> None:
    texts = {
        "package.scala": "package a\npackage object b extends Base { def help = 1 }",
        "B.scala": "package a.b\nclass B",
        "Many.scala": "package m { class M; package n { class N } }\npackage o { object O }",
        "X.scala": "import a.b.help\nimport a.b.inherited",
        "Y.scala": "import a.b._\nobject Y { help; new B }",
        "Z.scala": "import m.M\nimport m.n.N",
        "W.scala": "import o.O",
    }
    assert edges(texts, **LANGS) == {
        "X.scala": ["package.scala"],
        "Y.scala": ["B.scala", "package.scala"],
        "Z.scala": ["Many.scala"],
        "W.scala": ["Many.scala"],
    }


def test_relative_imports_see_the_clauses_around_them() -> None:
    texts = {
        "near/Util.scala": "package a.b.util\nobject Util",
        "far/Util.scala": "package util\nobject Util\nobject Only",
        "middle/Util.scala": "package a.util\nobject Util",
        "One.scala": "package a.b\npackage c\nimport util.Util",
        "Two.scala": "package a.b.c\nimport util.Util",
        "Three.scala": "package a\nclass Three { import util.Util }",
        "Four.scala": "package a.b\nimport _root_.util.Util\nimport util.Only",
        "Five.scala": "package a { package b { import util.Util } }\nimport util.Only",
    }
    assert edges(texts, **LANGS) == {
        "One.scala": ["near/Util.scala"],
        "Two.scala": ["far/Util.scala"],
        "Three.scala": ["middle/Util.scala"],
        "Four.scala": ["far/Util.scala"],
        "Five.scala": ["far/Util.scala", "near/Util.scala"],
    }


def test_a_wildcard_means_what_is_mentioned() -> None:
    texts = {
        "p/Type.scala": "package p\nclass Type",
        "p/Silent.scala": "package p\nclass Silent",
        "p/ops.scala": "package p\nextension (x: Int) def call = 1",
        "p/Own.scala": "package p\nclass Own",
        "q/A.scala": 'package q\nimport p._\nclass Own extends Type { 1.call; "Silent"; s"${new Hidden}" } // Silent',
        "p/Hidden.scala": "package p\nclass Hidden",
    }
    assert edges(texts, **LANGS) == {"q/A.scala": ["p/Hidden.scala", "p/Type.scala", "p/ops.scala"]}


def test_other_languages_and_what_is_missing() -> None:
    texts = {
        "J.java": "package p; public class J {}",
        "K.kt": "package p\nfun k() = 1",
        "A.scala": "import p.{J, k}\nimport p.Gone\nimport scala.util.Try",
    }
    assert edges(texts, **LANGS) == {"A.scala": ["J.java", "K.kt"]}
    assert graphed(texts, **LANGS).counts == {"found": 1, "missing": 1, "outside": 1, "dynamic": 0}
    assert answers(texts, "A.scala", **LANGS)["scala.util"] == []


def test_hostile_texts() -> None:
    survives(SAMPLE, "a/K.scala", "scala")
    deep = "package a {" * 2000 + "import a.b" + "}" * 2000
    graphed({"A.scala": deep, "B.scala": "import " + "a." * 20_000 + "_\n" + "package a\n" * 2000}, **LANGS)
