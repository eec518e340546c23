"""JavaScript and TypeScript: each rule on a small repository; edges of real packages against dependency-cruiser."""

import json
import shutil
import subprocess

import pytest

from smallcoder.repos.files import File, Files
from smallcoder.repos.graph import graph
from smallcoder.repos.npm import Patterns, read
from tests.repos.small import answers, edges, graphed, small, survives

LANGS: dict[str, str] = {}
LANGS.update(dict.fromkeys(("js", "jsx", "mjs", "cjs"), "javascript"))
LANGS.update(dict.fromkeys(("ts", "tsx", "mts", "cts"), "typescript"))
SOURCES = {"rxjs": "src", "immer": "src", "preact": "src", "ramda": "src", "redux": "src", "express": "lib"}


def found(texts, path):
    return edges(texts, **LANGS).get(path, [])


def test_forms():
    text = """
import a, {x as y} from "./a"; import * as b from './b'
import "./c";
export * from "./d"; export { z } from "./e"; export * as f from "./f"
const g = require("./g").inner, h = require(`./h`);
async function late() { const { i } = await import(/* webpackChunkName: "i" */ "./i"); }
// import "./no1"
/* require("./no2") */
const s = 'require("./no3")', t = `import "./no4"`, u = `${require("./j")}`;
module.require("./no5"); foo.import("./no6"); const from = "./no7"; export const no = "./no8"
import data from "./k.json" with { type: "json" }
require("./" + name); import(name); require(`./${name}`);
"""
    names = [f"{name}.js" for name in "abcdefghij"]
    texts = {"main.js": text, "k.json": "{}"} | dict.fromkeys([*names, *(f"no{at}.js" for at in range(1, 9))], "")
    assert found(texts, "main.js") == [*names, "k.json"]
    assert graphed(texts, **LANGS).counts["dynamic"] == 3


def test_forms_of_typescript():
    text = """/// <reference path="a.d.ts" />
import type { B } from "./b"; export type { C } from "./c";
import d = require("./d"); import { type E } from "./e"
type F = import("./f").F; let g: typeof import("./g"); import short = d.inner;
declare module "x" { import h from "./h"; }
const i = <T,>(x: T) => require("./i");
"""
    names = ["a.d.ts"] + [f"{name}.ts" for name in "bcdefghi"]
    assert found({"main.ts": text} | dict.fromkeys(names, ""), "main.ts") == names
    component = 'import B from "./b"\nexport const A = () => <B a={1}>import "./c"</B>\n'
    assert found({"a.tsx": component, "b.jsx": component, "c.tsx": ""}, "a.tsx") == ["b.jsx"]


ENDINGS = {
    "a": "a.ts", "a.js": "a.ts", "b": "b.tsx", "b.js": "b.tsx", "c": "c.d.ts", "c.js": "c.d.ts", "d": "d.mjs",
    "e": "e/index.ts", "f": "f/main.js", "g": "g.vue", "h": "h.js", "h/": "h.js", "style.css": "style.css",
    "i.mjs": "i.mts", "a.ts?raw": "a.ts", "gone": None,
}  # fmt: skip


def test_endings_and_indexes():
    others = ("a.js", "e/index.js", "h/index.js", "index.ts", "deep/index.ts")
    texts = dict.fromkeys([*filter(None, ENDINGS.values()), *others], "")
    texts |= {"f/package.json": '{"main": "main"}', "deep/j.ts": 'import ".."\nimport "."\n'}
    texts["main.ts"] = "".join(f'import "./{name}";\n' for name in ENDINGS)
    expected = {f"./{name}": path and [path] for name, path in ENDINGS.items()}
    assert answers(texts, "main.ts", **LANGS) == expected
    assert found(texts, "deep/j.ts") == ["deep/index.ts", "index.ts"]
    plain = {"main.js": 'import "./a"\nimport "./e"\nimport "./b.js"\nimport "../x"\nimport "react"\n'}
    assert answers(texts | plain, "main.js", **LANGS) == {
        "./a": ["a.js"],
        "./e": ["e/index.js"],
        "./b.js": ["b.tsx"],
        "../x": None,
        "react": [],
    }


def test_paths_and_base_url():
    names = ("@app/a", "@app/b", "exact", "app/a", "lost/x", "fs")
    config = """\ufeff{
        // what editors write
        "extends": ["./config/base", "./gone.json"],
        "compilerOptions": { /* all */
            "paths": { "@app/*": ["app/*", "other/*",], "exact": ["./app/exact.ts"], "url//x": [] } },
    }"""
    texts = {
        "web/tsconfig.json": config,
        "web/config/base.json": '{"compilerOptions": {"baseUrl": "../src", "paths": {"lost/*": ["*"]}}}',
        "web/src/app/a.ts": "",
        "web/src/other/b.ts": "",
        "web/src/app/exact.ts": "",
        "web/src/deep/c.ts": "".join(f'import "{name}";' for name in names),
    }
    assert answers(texts, "web/src/deep/c.ts", **LANGS) == {
        "@app/a": ["web/src/app/a.ts"],
        "@app/b": ["web/src/other/b.ts"],
        "exact": ["web/src/app/exact.ts"],
        "app/a": ["web/src/app/a.ts"],
        "lost/x": [],
        "fs": [],
    }
    vite = {
        "tsconfig.json": '{"files": [], "references": [{"path": "./tsconfig.app.json"}]}',
        "tsconfig.app.json": '{"compilerOptions": {"paths": {"#/*": ["${configDir}/code/*"]}}}',
        "code/a.ts": 'import "#/b"',
        "code/b.ts": "",
    }
    assert found(vite, "code/a.ts") == ["code/b.ts"]
    script = {
        "jsconfig.json": '{"compilerOptions": {"baseUrl": "src"}}',
        "src/a.jsx": 'import "b/c"',
        "src/b/c/index.js": "",
    }
    assert found(script, "src/a.jsx") == ["src/b/c/index.js"]
    loop = {"tsconfig.json": '{"extends": "./tsconfig"}', "a.ts": 'import "b"', "b.ts": ""}
    assert found(loop, "a.ts") == []


def test_names_that_can_be_no_package():
    texts = {
        "web/src/views/a.ts": 'import "@/store"\nimport "~/plain/b"\nimport "@/gone"\n',
        "web/src/store/index.ts": "",
    }
    texts |= {"web/plain/b.js": "", "store.ts": ""}
    assert answers(texts, "web/src/views/a.ts", **LANGS) == {
        "@/store": ["web/src/store/index.ts"],
        "~/plain/b": ["web/plain/b.js"],
        "@/gone": None,
    }


def test_packages_of_a_monorepo():
    core = {
        "name": "@x/core",
        "main": "dist/index.js",
        "exports": {".": {"types": "./dist/index.d.ts"}, "./*": "./dist/*.js"},
    }
    texts = {
        "packages/core/package.json": json.dumps(core),
        "packages/core/src/index.ts": "",
        "packages/core/src/sub/one.ts": "",
        "packages/plain/package.json": '{"name": "plain", "main": "./lib/start"}',
        "packages/plain/lib/start.js": "",
        "packages/plain/two.js": "",
        "packages/bare/package.json": '{"name": "bare"}',
        "packages/bare/index.js": "",
        "copy/package.json": '{"name": "bare"}',
        "copy/index.js": "",
        "packages/app/package.json": '{"name": "app", "imports": {"#in/*": "./inner/*.js", "#out": "plain"}}',
        "packages/app/inner/x.js": 'import "app/inner/x"\nimport "app"\n',
    }
    names = [
        "@x/core",
        "@x/core/sub/one",
        "plain",
        "plain/two",
        "plain/gone",
        "bare",
        "#in/x",
        "#out",
        "#none",
        "@x/other",
    ]
    texts["packages/app/main.js"] = "".join(f'import "{name}";\n' for name in names)
    answer = answers(texts, "packages/app/main.js", **LANGS)
    assert [answer[name] for name in names] == [
        ["packages/core/src/index.ts"],
        ["packages/core/src/sub/one.ts"],
        ["packages/plain/lib/start.js"],
        ["packages/plain/two.js"],
        None,
        ["packages/bare/index.js"],
        ["packages/app/inner/x.js"],
        ["packages/plain/lib/start.js"],
        None,
        [],
    ]
    assert edges(texts, **LANGS).get("packages/app/inner/x.js") is None  # itself


def test_patterns():
    patterns = Patterns({"a": ["x"], "a/*": ["y/*"], "a/b/*": ["z/*"], "*.css": ["css/*"], "*": ["any/*", "more/*.js"]})
    assert patterns.places("a") == ["x"]
    assert patterns.places("a/c") == ["y/c"]
    assert patterns.places("a/b/c/d") == ["z/c/d"]
    assert patterns.places("q.css") == ["css/q"]
    assert patterns.places("q") == ["any/q", "more/q.js"]
    assert Patterns({"aXa*aXa": ["no"]}).places("aXa") == []
    assert Patterns({}).places("a") == []


def test_json_of_whatever_kind():
    for text, expected in {
        '{"a": "// no comment, }", /* one */ "b": [1, 2, /* two */ ], // three\n}': {
            "a": "// no comment, }",
            "b": [1, 2],
        },
        "[1]": {},
        "": {},
        '{"a": ': {},
        "[" * 100_000: {},
        '{"a":' * 100_000: {},
        "/*" * 100_000: {},
        '"' + "\\" * 100_001: {},
    }.items():
        assert read(small({"x.json": text}), "x.json") == expected
    assert read(small({}), "x.json") == {}


def test_hostile_configurations():
    deep = '{"exports": ' + '{"a":' * 500 + "1" + "}" * 501
    for text in (
        deep,
        '{"name": 1, "exports": [], "imports": 2, "main": {}}',
        '{"exports": {"./*": ["./a*", null]}}',
        "null",
    ):
        texts = {
            "package.json": text,
            "a/package.json": text,
            "a.js": 'import "x"\nimport "#x"\nimport "./a"\nimport "x/y"',
        }
        graphed(texts, **LANGS)
    for text in (
        '{"extends": 1}',
        '{"compilerOptions": []}',
        '{"compilerOptions": {"baseUrl": "../..", "paths": {"*": 1}}}',
    ):
        graphed({"tsconfig.json": text, "a.ts": 'import "x"'}, **LANGS)
    graphed(
        {"a" * 5000 + "/b.js": 'import "./' + "../" * 200 + '"', "/".join("a" * 3000) + "/c.js": 'import "@/x"'},
        **LANGS,
    )


def test_hostile_texts():
    sample = 'import {a} from "./a"; export * from "b"\nconst c = require("c"), d = import(`d`);\n<div>{x}</div>\n'
    survives(sample, "src/a.js", "javascript")
    survives(sample, "src/a.ts", "typescript")
    survives(sample, "src/a.tsx", "typescript")
    for text in (
        "import",
        "import from",
        'import "',
        "export * from",
        "require(",
        "require()",
        "import(",
        "import x = require()",
    ):
        graphed({"a.js": text, "b.ts": text, "c.tsx": text}, **LANGS)


def test_many_imports_and_deep_nesting_take_linear_time():
    texts = {
        "many.js": "import a from './b';" * 50_000,
        "deep.js": "function f(){" * 160 + "require('./b');" * 20_000,
        "deeper.js": "function f(){" * 40_000 + "require('./b');" * 20_000,
        "flat.ts": "import('./b' + " * 60_000,
        "long.js": f"import '{'x' * 900_000}'",
        "b.js": "",
        "tsconfig.json": '{"compilerOptions": {"paths": {"x*": ["y/*"]}}}',
    }
    made = graph(Files((path, File(LANGS.get(path.rpartition(".")[2]), text.encode())) for path, text in texts.items()))
    assert made.imports["many.js"] == made.imports["deep.js"] == ["b.js"]
    assert made.imports["deeper.js"] == []
    assert made.counts["deep"] == 2  # and flat.ts


@pytest.mark.slow
def test_edges_of_npm_packages_are_those_of_dependency_cruiser(tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    tools = ["dependency-cruiser@17", "typescript@5"]
    install = [
        npm,
        "install",
        "--prefix",
        str(tmp_path),
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        *tools,
        *SOURCES,
    ]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("npm could not install dependency-cruiser: no network")
    right = ours = theirs = 0
    for name, folder in SOURCES.items():
        root = tmp_path / name
        shutil.copytree(tmp_path / "node_modules" / name / folder, root / folder)
        (root / "tsconfig.json").write_text(
            '{"compilerOptions": {"module": "esnext", "moduleResolution": "bundler", "allowJs": true}}'
        )
        cruise = [tmp_path / "node_modules" / ".bin" / "depcruise", "--no-config", "--ts-config", "tsconfig.json"]
        cruise += ["--ts-pre-compilation-deps", "--output-type", "json", folder]
        answer = json.loads(subprocess.run(cruise, cwd=root, capture_output=True, check=True).stdout)
        texts = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in (root / folder).rglob("*")
            if path.is_file()
        }
        files = Files((path, File(LANGS.get(path.rpartition(".")[2]), text)) for path, text in texts.items())
        made = {(path, target) for path, targets in graph(files).imports.items() for target in targets}
        reference = {
            (module["source"], dependency["resolved"])
            for module in answer["modules"]
            for dependency in module["dependencies"]
            if dependency["resolved"] in files and dependency["resolved"] != module["source"]
        }
        seen = {module["source"] for module in answer["modules"]}
        made = {edge for edge in made if edge[0] in seen}
        right, ours, theirs = right + len(made & reference), ours + len(made), theirs + len(reference)
    print(f"{len(SOURCES)} packages: precision {right / ours:.4f}, recall {right / theirs:.4f} of {theirs} edges")
    assert right >= 0.98 * ours
    assert right >= 0.95 * theirs
