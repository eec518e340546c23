r"""PHP: each rule on a small repository, hostile texts."""

import json

from tests.repos.small import answers, edges, graphed, survives

LANGS = {"php": "php"}


def composer(**autoload) -> str:
    return json.dumps({"autoload": autoload.get("own", {}), "autoload-dev": autoload.get("dev", {})})


def test_psr_4():
    texts = {
        "composer.json": composer(
            own={"psr-4": {"App\\": "src/", "App\\Db\\": ["db", "old/db/"]}}, dev={"psr-4": {"Tests\\": "tests"}}
        ),
        "packages/log/composer.json": composer(own={"psr-4": {"Vendor\\Log\\": ""}}),
        "src/A.php": "<?php namespace App;\nuse App\\Http\\B;\nuse App\\Db\\C as D, \\App\\Db\\E;\n"
        "use Vendor\\Log\\Logger;\nuse Tests\\T;\nuse Other\\X;\nuse App\\Gone;\n",
        "src/Http/B.php": "",
        "db/C.php": "",
        "old/db/E.php": "",
        "packages/log/Logger.php": "",
        "tests/T.php": "",
    }
    assert answers(texts, "src/A.php", **LANGS) == {
        "App\\Http\\B": ["src/Http/B.php"],
        "App\\Db\\C": ["db/C.php"],
        "App\\Db\\E": ["old/db/E.php"],
        "Vendor\\Log\\Logger": ["packages/log/Logger.php"],
        "Tests\\T": ["tests/T.php"],
        "Other\\X": [],
        "App\\Gone": None,
    }


def test_psr_0():
    texts = {
        "composer.json": composer(own={"psr-0": {"Old_": "lib", "Name\\": "lib"}}),
        "x.php": "<?php use Old_A_B; use Name\\C\\D_E;",
        "lib/Old/A/B.php": "",
        "lib/Name/C/D/E.php": "",
    }
    assert edges(texts, **LANGS) == {"x.php": ["lib/Name/C/D/E.php", "lib/Old/A/B.php"]}


def test_groups_functions_and_constants_by_what_is_declared():
    texts = {
        "x.php": "<?php\nuse A\\{B, C as X, Sub\\D, function f, const K};\nuse function A\\g;\nuse const A\\L;\n"
        "use A\\f;\nuse A\\Two;\nclass Y { use SomeTrait; }\n$f = function () use ($x) {};\n",
        "one.php": "<?php\nnamespace A;\nclass B {}\nif (1) { interface C {} }\nfunction f() {}\nconst K = 1;\n",
        "two.php": "<?php\nnamespace A\\Sub { enum D {} }\n"
        "namespace A { function g() {}  const L = 1, M = 2; class Two {} }\n",
        "three.php": "<?php\nnamespace A;\ntrait Two {}\nclass Z { const K = 2; function g() {} }\n",
    }
    assert answers(texts, "x.php", **LANGS) == {
        "A\\B": ["one.php"],
        "A\\C": ["one.php"],
        "A\\Sub\\D": ["two.php"],
        "A\\f": [],  # the class of this name; the function of the group comes before it
        "A\\K": ["one.php"],
        "A\\g": ["two.php"],
        "A\\L": ["two.php"],
        "A\\Two": [],  # declared twice
    }
    assert edges(texts, **LANGS) == {"x.php": ["one.php", "two.php"]}


def test_require():
    text = r"""<p><?php
require 'a.php';
require_once("sub/b.php");
include __DIR__ . '/../c.php';
include_once dirname(__FILE__) . "/d.php";
if (1) { require dirname(__DIR__, 2) . '/e.php'; }
require dirname(dirname(__DIR__)) . '/f.php';
require ABSPATH . 'inc/g.php';
require __DIR__ . '/gone.php';
require '/etc/x.php';
?></p>
<?= include './h.php' ?>
"""
    names = ["p/q/a.php", "sub/b.php", "p/c.php", "p/q/d.php", "e.php", "f.php", "site/inc/g.php", "h.php"]
    found = answers(dict.fromkeys(names, "") | {"p/q/x.php": text}, "p/q/x.php", **LANGS)
    assert {target for targets in found.values() for target in targets or ()} == set(names)
    assert [name for name, targets in found.items() if targets is None] == ["./gone.php"]


def test_computed_paths_are_counted():
    text = '<?php require $x; include "a{$b}.php"; require X . $y; require f("x");'
    text += 'require __DIR__ . "/" . $z; require A . B . "c";'
    assert +graphed({"x.php": text}, **LANGS).counts == {"dynamic": 6}


def test_odd_composer_files():
    for text in (
        '{"autoload": []}',
        '{"autoload": {"psr-4": {"A\\\\": 1, "B\\\\": ["../../x", null]}}}',
        "[" * 5000,
        "",
        "null",
        "\0",
    ):
        texts = {"composer.json": text, "x.php": "<?php use A\\B;\n", "B.php": ""}
        assert edges(texts, **LANGS) == {}


SAMPLE = r"""<?php
namespace App\Models;
use A\{B, C as X, function f};
use const A\H;
require __DIR__ . '/x.php';
include dirname(__FILE__, 2) . "/a{$z}.php";
abstract class Foo extends \Bar\Baz {
    public function f(int ...$x): ?array { return [1 => "a\n", 'b' => fn($y) => $y]; }
}
namespace X { enum Y {} }
?>
<html></html>
"""


def test_hostile_texts():
    survives(SAMPLE, "src/Foo.php", "php")
