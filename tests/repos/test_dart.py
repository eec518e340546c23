"""Dart: each rule on a small repository, hostile texts."""

from tests.repos.small import answers, edges, graphed, survives

LANGS = {"dart": "dart"}


def test_directives():
    text = """#!/usr/bin/env dart
/// Like `import 'no.dart';`
library app;
import 'dart:io';
import 'package:other/x.dart';
import 'a.dart' as a show A hide B;
import "src/b.dart"
    if (dart.library.io) 'src/io.dart'
    if (dart.library.html) "src/web.dart";
import 'late.dart' deferred as late;
export '../c.dart' show C;
part 'd.g.dart';
/*
import 'no.dart';
*/
const s = '''
import 'no.dart';
''';
"""
    names = [
        "lib/a.dart",
        "lib/src/b.dart",
        "lib/src/io.dart",
        "lib/src/web.dart",
        "lib/late.dart",
        "c.dart",
        "lib/no.dart",
    ]
    texts = dict.fromkeys(names, "") | {"lib/main.dart": text}
    found = graphed(texts, **LANGS)
    assert found.imports["lib/main.dart"] == sorted(names[:-1])
    assert +found.counts == {"found": 6, "missing": 1, "outside": 2}  # d.g.dart is not made yet


def test_packages_of_the_repository():
    texts = {
        "pubspec.yaml": "name: app # it\nversion: 1\n",
        "packages/core/pubspec.yaml": 'description: x\nname: "core"\n',
        "packages/core/lib/core.dart": "",
        "lib/a.dart": "import 'package:core/core.dart';\nimport 'package:app/b.dart';\nimport 'package:app/no.dart';\n",
        "lib/b.dart": "",
    }
    assert answers(texts, "lib/a.dart", **LANGS) == {
        "package:core/core.dart": ["packages/core/lib/core.dart"],
        "package:app/b.dart": ["lib/b.dart"],
        "package:app/no.dart": None,
    }
    one = {"pubspec.yaml": "name: app\n", "lib/x.dart": ""}
    both = {f"{folder}/{name}": text for folder in ("p", "q") for name, text in one.items()}
    texts = both | {"q/test/t.dart": "import 'package:app/x.dart';\n"}
    assert edges(texts, **LANGS) == {"q/test/t.dart": ["q/lib/x.dart"]}


def test_parts():
    texts = {
        "a.dart": "library my.lib;\npart 'b.dart';\npart 'c.dart';\n",
        "b.dart": "part of my.lib;\n",
        "c.dart": "part of 'a.dart';\n",
        "d.dart": "part of my.lib;\n",  # forgotten by the library
        "e.dart": "part of 'a.dart';\n",
        "f.dart": "part of gone;\n",
    }
    assert edges(texts, **LANGS) == {"a.dart": ["b.dart", "c.dart"], "d.dart": ["a.dart"], "e.dart": ["a.dart"]}


SAMPLE = """library a.b;
import 'dart:io';
import 'src/b.dart' if (dart.library.io) 'src/c.dart' show X;
export 'package:a/d.dart';
part of 'x.dart';
/* import 'y.dart'; */
Future<int> f(List<int> a) async { return await a.map((x) => x + 1).first ?? "$a ${b}"; }
"""


def test_hostile_texts():
    survives(SAMPLE, "src/b.dart", "dart")
    survives("name: a\n", "pubspec.yaml", "dart")
