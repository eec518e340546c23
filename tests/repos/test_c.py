"""C and C++: each rule on a small repository, gcc's own opinion of real headers, hostile texts."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from shutil import which

import pytest

from smallcoder.repos.files import File, Files
from smallcoder.repos.graph import graph
from tests.repos.small import answers, edges, graphed, survives

LANGS = {"c": "c", "h": "c", "cc": "cpp", "hpp": "cpp", "cppm": "cpp", "m": "objectivec"}


def test_quoted_is_beside_the_file_first():
    texts = {"a/x.c": '#include "y.h"\n', "a/y.h": "", "include/y.h": "", "b/x.c": '# include "y.h" // c\n'}
    assert edges(texts, **LANGS) == {"a/x.c": ["a/y.h"], "b/x.c": ["include/y.h"]}
    texts = {"a/x.c": '#include "../b/y.h"\n#include "../../up.h"\n', "b/y.h": '#include "./z.h"\n', "b/z.h": ""}
    assert answers(texts, "a/x.c", **LANGS) == {"../b/y.h": ["b/y.h"], "../../up.h": None}
    assert edges(texts, **LANGS)["b/y.h"] == ["b/z.h"]


def test_roots_from_the_file_upwards():
    texts = {
        "lib/src/deep/x.c": "#include <lib/api.h>\n#include <util.h>\n#include <top.h>\n#include <nowhere.h>\n",
        "lib/include/lib/api.h": "",
        "include/lib/api.h": "",
        "lib/src/util.h": "",
        "top.h": "",
    }
    assert answers(texts, "lib/src/deep/x.c", **LANGS) == {
        "lib/api.h": ["lib/include/lib/api.h"],
        "util.h": ["lib/src/util.h"],
        "top.h": ["top.h"],
        "nowhere.h": [],
    }


def test_inferred_roots_and_unique_endings():
    texts = {
        "app/x.c": '#include "core/one.h"\n#include "two.h"\n#include "twice.h"\n#include "only.h"\n',
        "third/party/core/one.h": "",
        "third/party/two.h": "",  # third/party is a root, because of core/one.h
        "other/two.h": "",
        "p/twice.h": "",
        "q/twice.h": "",
        "deep/down/only.h": "",
    }
    assert answers(texts, "app/x.c", **LANGS) == {
        "core/one.h": ["third/party/core/one.h"],
        "two.h": ["third/party/two.h"],
        "twice.h": None,
        "only.h": ["deep/down/only.h"],
    }
    texts = {"a/x/m.c": '#include "u.h"\n', "a/y/u.h": "", "b/u.h": ""}
    assert edges(texts, **LANGS) == {"a/x/m.c": ["a/y/u.h"]}


def test_headers_of_the_library_are_outside():
    texts = {
        "src/a.cc": "#include <string.h>\n#include <string>\n#include <version>\n#include <sys/types.h>\n",
        "src/string.h": "",
        "version": "1.0",
        "compat/sys/types.h": "",
    }
    assert set(map(str, answers(texts, "src/a.cc", **LANGS).values())) == {"[]"}
    texts = {"src/a.c": '#include "time.h"\n', "lib/time.h": ""}
    assert edges(texts, **LANGS) == {"src/a.c": ["lib/time.h"]}
    texts = {"src/a.c": "#include <string.h>\n", "include/string.h": ""}  # a C library of its own
    assert edges(texts, **LANGS) == {"src/a.c": ["include/string.h"]}


def test_all_branches_count_and_computed_ones_are_dynamic():
    texts = {
        "x.c": '#ifdef A\n#include "a.h"\n#elif __has_include("b.h")\n#include "b.h"\n#else\n#include M(x)\n#endif\n',
        "a.h": "#pragma once\n",
        "b.h": "",
    }
    found = graphed(texts, **LANGS)
    assert found.imports["x.c"] == ["a.h", "b.h"]
    assert +found.counts == {"found": 2, "dynamic": 2}


def test_only_code_counts():
    text = (
        '/*\n#include "a.h"\n*/\n// x\n#define X \\\n#include "a.h"\nconst char *s = R"(\n#include "a.h"\n)";\nint x;\n'
    )
    assert edges({"x.cc": text, "a.h": ""}, **LANGS) == {}
    broken = 'BEGIN_DECLS(x {\n#include "a.h"\n)) }\n%:include "b.h"\nextern "C" {\n#include "c.h"\n}\n'
    assert edges({"x.c": broken, "a.h": "", "b.h": "", "c.h": ""}, **LANGS) == {"x.c": ["a.h", "b.h", "c.h"]}


def test_a_header_does_not_import_its_implementation_nor_itself():
    texts = {"a.h": '#include "a.h"\n#include_next <a.h>\n', "a.c": '#include "a.h"\n', "b.c": '#include "a.c"\n'}
    assert edges(texts, **LANGS) == {"a.c": ["a.h"], "b.c": ["a.c"]}


def test_modules_of_cpp():
    texts = {
        "m/geo.cppm": "module;\n#include <x.hpp>\nexport module geo.base;\nexport import :shapes;\nimport std;\n",
        "m/shapes.cppm": "export module geo.base:shapes;\n",
        "m/impl.cc": "module geo.base;\nimport :shapes;\n",
        "m/x.hpp": "",
        "app.cc": 'import geo.base;\nimport "m/x.hpp";\nimport <vector>;\nint import;\n',
    }
    assert edges(texts, **LANGS) == {
        "m/geo.cppm": ["m/shapes.cppm", "m/x.hpp"],
        "m/impl.cc": ["m/geo.cppm", "m/shapes.cppm"],
        "app.cc": ["m/geo.cppm", "m/x.hpp"],
    }


def test_objective_c():
    texts = {
        "App/a.m": '#import "B.h"\n#import <Kit/C.h>\n#import <Foundation/Foundation.h>\n@import UIKit;\n',
        "App/B.h": "@class X;\n",
        "Kit/Public/C.h": "",
        "Other/C.h": "",
    }
    assert edges(texts, **LANGS) == {"App/a.m": ["App/B.h", "Kit/Public/C.h"]}


CONDITIONS = re.compile(
    rb"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif|else|endif|error|warning|pragma|line)\b(?:\\\n|[^\n])*", re.M
)


def by_gcc(files: Files, includes: list[str], mirror: Path) -> dict[str, set[str]]:
    """Each file's direct includes as `gcc -M` has them: read where all other files are empty, conditions taken off."""
    for path in files:
        (mirror / path).parent.mkdir(parents=True, exist_ok=True)
        (mirror / path).touch()
    found = {}
    flags = ["-M", "-MG", "-nostdinc", "-w", "-x", "c", *(f"-I{mirror / folder}" for folder in includes)]
    for path, file in files.items():
        folder = (mirror / path).parent
        text = CONDITIONS.sub(b"", file.text)
        done = subprocess.run(["gcc", *flags, "-"], cwd=folder, input=text, capture_output=True, check=True)
        names = done.stdout.decode().replace("\\\n", " ").partition(":")[2].split()
        places = {os.path.relpath(os.path.normpath(folder / name), mirror) for name in names}
        found[path] = (places & files.keys()) - {path}
    return found


@pytest.mark.skipif(which("gcc") is None, reason="needs gcc")
def test_real_headers_against_gcc(tmp_path):
    headers = Path(sysconfig.get_paths()["include"])
    paths = sorted(headers.rglob("*.h"))
    if len(paths) < 50:
        pytest.skip("this Python came without its C headers")
    files = Files((str(path.relative_to(headers)), File("c", path.read_bytes())) for path in paths)
    theirs = by_gcc(files, [".", "internal"], tmp_path)
    ours = graph(files).imports
    both = sum(len(theirs[path] & set(ours[path])) for path in files)
    assert both > 100
    assert both >= 0.98 * sum(map(len, ours.values()))
    assert both >= 0.95 * sum(map(len, theirs.values()))


SAMPLE = """#include "y.h"
#include <sys/types.h>
#if __has_include(<x>)
#include X
#endif
export module a.b:c;
import a.d;
import :part;
/* #include "z.h" */ static const char *s = "a\\n";
int main(int argc, char **argv) { return f(argc) ? 1 : (int)argv[0][1]; }
"""


def test_hostile_texts():
    for lang in ("c", "cpp", "objectivec"):
        survives(SAMPLE, "a/y.h", lang)


def test_many_headers_of_one_name_and_many_includes_take_linear_time():
    texts = {f"d{at}/x.h": '#include "deep/x.h"\n' for at in range(3000)}
    texts["main.c"] = '#include "a.h"\n' * 30_000 + "import " + " " * 100_000 + "\n"
    assert edges(texts, **LANGS) == {}
