"""Kotlin: each rule on a small repository, hostile texts."""

from tests.repos.small import answers, edges, graphed, survives

LANGS = {"java": "java", "kt": "kotlin", "kts": "kotlin", "scala": "scala"}
SAMPLE = """#!/usr/bin/env kotlin
@file:JvmName("Named")
package a.b

import c.d.E
import c.d.`odd name`
import c.d.help as aid
import c.d.E.Companion.x // no
import c.d.*

/* import c.d.Gone */
class A<T : E>(val e: E) : Base() { val s = "import c.d.F ${other(e)} $x" }
fun String.extension(): Int = 1
val List<Int>.second get() = this[1]
object O; interface I; enum class N { X }; typealias T = Int
"""


def test_every_form_of_an_import() -> None:
    texts = {
        "a/A.kt": SAMPLE,
        "E.kt": "package c.d\nclass E { companion object { val x = 1 } }",
        "odd.kt": "package c.d\nfun `odd name`() = 1",
        "help.kt": "package c.d\nfun help() = 1\n",
        "other.kt": "package c.d\nfun other(e: E) = 1\n",
        "F.kt": "package c.d\nclass F\n",
        "Gone.kt": "package c.d\nclass Gone\n",
    }
    assert edges(texts, **LANGS) == {"a/A.kt": ["E.kt", "help.kt", "odd.kt", "other.kt"]}


def test_whatever_a_file_declares() -> None:
    declared = {
        "Kind": "class Kind",
        "Data": "data class Data(val x: Int)",
        "One": "object One",
        "Able": "interface Able",
        "Level": "enum class Level { LOW }",
        "Alias": "typealias Alias = Int",
        "run": "private fun <T> T.run(): T = this",
        "size": "val List<Int>.size get() = 1",
        "count": "var count: Int = 0",
        "LIMIT": "const val LIMIT = 1",
    }
    texts = {f"{name}.kt": f"package p.q\n{text}\n" for name, text in declared.items()}
    texts["main.kts"] = "".join(f"import p.q.{name}\n" for name in declared)
    assert edges(texts, **LANGS) == {"main.kts": sorted(f"{name}.kt" for name in declared)}


def test_functions_of_one_name_in_the_nearest_folder() -> None:
    texts = {
        "one/src/Strings.kt": "package p\nfun String.trim() = 1",
        "one/src/Lists.kt": "package p\nfun List<Int>.trim() = 1",
        "two/src/Maps.kt": "package p\nfun Map<Int, Int>.trim() = 1",
        "one/test/A.kt": "package q\nimport p.trim",
        "two/test/B.kt": "package q\nimport p.trim",
    }
    assert edges(texts, **LANGS) == {
        "one/test/A.kt": ["one/src/Lists.kt", "one/src/Strings.kt"],
        "two/test/B.kt": ["two/src/Maps.kt"],
    }


def test_a_wildcard_means_what_is_mentioned() -> None:
    texts = {
        "p/Type.kt": "package p\nclass Type",
        "p/Member.kt": "package p\nclass Member",
        "p/call.kt": "package p\nfun Int.call() = 1",
        "p/silent.kt": "package p\nfun silent() = 1",
        "p/twice.kt": "package p\nfun twice() = 1",
        "p/own.kt": "package p\nfun own() = 1",
        "o/twice.kt": "package o\nfun twice() = 1",
        "q/A.kt": "package q\nimport p.*\nimport o.twice\n"
        "fun own() = Type().x.Member + 1.call() + twice() + own() // silent",
        "q/B.kt": "package q\nimport p.Type.*\nimport nowhere.*",
    }
    assert edges(texts, **LANGS) == {"q/A.kt": ["o/twice.kt", "p/Type.kt", "p/call.kt"], "q/B.kt": ["p/Type.kt"]}


def test_other_languages_and_what_is_missing() -> None:
    texts = {
        "J.java": "package p; public class J { public static int f() { return 1; } }",
        "S.scala": "package p\ntrait S",
        "A.kt": "import p.J.f\nimport p.S\nimport p.Gone\nimport kotlin.math.sqrt",
    }
    assert answers(texts, "A.kt", **LANGS) == {
        "p.J.f": ["J.java"],
        "p.S": ["S.scala"],
        "p.Gone": None,
        "kotlin.math.sqrt": [],
    }


def test_hostile_texts() -> None:
    survives(SAMPLE, "a/A.kt", "kotlin")
    graphed(
        {"A.kt": "import " + "a." * 20_000 + "*\n" + "class " + "A" * 1000, "B.kt": "package a\nval `" + "x" * 5000},
        **LANGS,
    )
