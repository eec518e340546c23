"""Python: each rule on a small repository, whole packages against grimp, projects with tests against ruff."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from smallcoder.repos.files import File, Files
from smallcoder.repos.graph import graph, parse
from smallcoder.repos.imports import Parsed
from smallcoder.repos.languages import language
from tests.repos.small import answers, edges, graphed, survives

LANGS = {"py": "python", "pyi": "python"}
PACKAGES = (
    "click", "rich", "pydantic", "networkx", "httpx", "jinja2", "hypothesis", "fsspec", "aiohttp", "pytest", "_pytest",
    "huggingface_hub", "typer", "packaging", "idna", "urllib3",
)  # fmt: skip


def found(texts, path="app/main.py"):
    return edges(texts, **LANGS).get(path, [])


def test_forms_wherever_they_stand():
    text = """
import app.a, app.b as renamed; import os
from app import (
    c,  # a comment
    d as other,
)
from app.e \\
    import thing
if TYPE_CHECKING:
    from app.f import F
try:
    import app.g
except ImportError:
    app = None
def late():
    from app.h import *
    class Inner:
        from .i import x
lines = '''
import app.j
'''
# import app.k
"""
    texts = {"app/__init__.py": "", "app/main.py": text} | {f"app/{name}.py": "" for name in "abcdefghijk"}
    assert found(texts) == [f"app/{name}.py" for name in "abcdefghi"]


def test_a_name_of_a_package_is_its_submodule_or_the_package():
    texts = {"app/__init__.py": "", "app/main.py": "from pkg import mod, thing, sub\n", "pkg/__init__.py": ""}
    texts |= {"pkg/mod.py": "", "pkg/sub/__init__.py": ""}
    assert found(texts) == ["pkg/__init__.py", "pkg/mod.py", "pkg/sub/__init__.py"]
    assert found(texts | {"app/main.py": "import pkg.mod\n"}) == ["pkg/mod.py"]  # and not the package, as in grimp
    assert found(texts | {"app/main.py": "from pkg import *\n"}) == ["pkg/__init__.py"]
    assert found(texts | {"app/main.py": "import pkg._compiled\n"}) == ["pkg/__init__.py"]


def test_relative():
    texts = {
        "top.py": "",
        "pkg/__init__.py": "from . import a\nfrom .a import x\n",
        "pkg/a.py": "from . import b, name\nfrom .. import top\nfrom ... import outside\nfrom .gone import x\n",
        "pkg/b.py": "from .sub.deep import x\nfrom.a import y\n",
        "pkg/sub/deep.py": "from .. import a\nfrom ..sub import deep\n",
        "pkg.py": "",
    }
    assert edges(texts, **LANGS) == {
        "pkg/__init__.py": ["pkg/a.py"],
        "pkg/a.py": ["pkg/__init__.py", "pkg/b.py", "top.py"],
        "pkg/b.py": ["pkg/a.py", "pkg/sub/deep.py"],
        "pkg/sub/deep.py": ["pkg/a.py"],
    }
    assert answers(texts, "pkg/a.py", **LANGS)["..."] is None
    assert answers(texts, "pkg/a.py", **LANGS)[".gone"] is None


def test_a_name_is_looked_for_on_a_path_not_by_its_ending():
    texts = {"vendored/json.py": "", "vendored/yaml.py": "", "deep/utils/io.py": "", "app/__init__.py": ""}
    assert found(texts | {"app/main.py": "import json, yaml, io\nimport utils.io\n"}) == []
    assert found(texts | {"vendored/run.py": "import json\n"}, "vendored/run.py") == ["vendored/json.py"]
    assert found(texts | {"json.py": "", "app/main.py": "import json\n"}) == ["json.py"]
    assert found(texts | {"json.py": "", "deep/utils/run.py": "import json\n"}, "deep/utils/run.py") == []
    package = {
        "pkg/__init__.py": "",
        "pkg/redis.py": "",
        "pkg/main.py": "import redis\n",
    }  # no implicit relative import
    assert found(package, "pkg/main.py") == []


def test_src_and_several_roots():
    project = {"src/pkg/__init__.py": "", "src/pkg/a.py": "", "src/pkg/b.py": "from pkg.a import x\n"}
    project |= {
        "tests/__init__.py": "",
        "tests/helpers.py": "",
        "tests/unit/test_a.py": "import pkg.a\nimport helpers\n",
    }
    project |= {"docs/conf.py": "import pkg\n", "tests/test_b.py": "from tests.helpers import x\nfrom pkg import b\n"}
    assert edges(project, **LANGS) == {
        "docs/conf.py": ["src/pkg/__init__.py"],
        "src/pkg/b.py": ["src/pkg/a.py"],
        "tests/test_b.py": ["src/pkg/b.py", "tests/helpers.py"],
        "tests/unit/test_a.py": ["src/pkg/a.py"],
    }
    one = {f"packages/one/{path}": text for path, text in project.items()} | {"packages/one/pyproject.toml": ""}
    two = {"packages/two/setup.py": "", "packages/two/two/main.py": "import pkg.a\nimport pkg.gone\n"}
    assert found(one | two, "packages/two/two/main.py") == [
        "packages/one/src/pkg/__init__.py",
        "packages/one/src/pkg/a.py",
    ]
    assert found(one | two, "packages/one/tests/unit/test_a.py") == ["packages/one/src/pkg/a.py"]


def test_a_package_elsewhere_counts_if_there_is_one():
    texts = {"python/lib/__init__.py": "", "python/lib/a.py": "", "tools/run.py": "import lib.a\nimport lib.a.gone.x\n"}
    assert found(texts, "tools/run.py") == ["python/lib/a.py"]
    assert answers(texts, "tools/run.py", **LANGS) == {"lib.a": ["python/lib/a.py"], "lib.a.gone.x": None}
    assert found(texts | {"other/lib/__init__.py": ""}, "tools/run.py") == []
    standard = {"python/json/__init__.py": "", "tools/run.py": "import json\n"}
    assert found(standard, "tools/run.py") == []


def test_namespace_packages():
    texts = {"a/setup.py": "", "a/space/one/__init__.py": "", "b/setup.py": "", "b/space/two.py": "import space.one\n"}
    assert found(texts, "b/space/two.py") == ["a/space/one/__init__.py"]
    texts |= {"b/space/two.py": "import space.three\nfrom space import one, four\n"}
    assert answers(texts, "b/space/two.py", **LANGS) == {"space.three": [], "space": ["a/space/one/__init__.py"]}


def test_stubs():
    texts = {"p/__init__.py": "", "p/m.py": "", "p/m.pyi": "", "p/only.pyi": ""}
    texts |= {"p/code.py": "from . import m, only\n", "p/code.pyi": "from . import m, only\n"}
    assert found(texts, "p/code.py") == ["p/m.py", "p/only.pyi"]
    assert found(texts, "p/code.pyi") == ["p/m.pyi", "p/only.pyi"]


def test_imports_by_call():
    text = """
import_module("app.a"); importlib.import_module(".b", package=__name__)
x = __import__("app.c", globals(), fromlist=["y"]).y
importlib.import_module(name=".d", package="app")
__import__("e", globals(), None, [], 1)
importlib.import_module(name); __import__("app." + name); import_module(f"app.{name}")
import_module; obj.import_module
"""
    texts = {"app/__init__.py": "", "app/main.py": text} | {f"app/{name}.py": "" for name in "abcde"}
    assert found(texts) == [f"app/{name}.py" for name in "abcde"]
    assert graphed(texts, **LANGS).counts == {"found": 5, "dynamic": 3}


def test_case_counts():
    texts = {"App.py": "", "app.py": "", "main.py": "import App\n", "other.py": "import app\nimport APP\n"}
    assert edges(texts, **LANGS) == {"main.py": ["App.py"], "other.py": ["app.py"]}


def test_hostile_texts():
    sample = "from . import (a, b as c)\nimport a.b.c, d\nimport_module('x.y')\nclass A:\n  from ..x import *\n"
    survives(sample, "pkg/deep/a.py", "python")
    for text in (
        "import ",
        "from import x",
        "from . import",
        "import a..b",
        "import .a",
        "import_module()",
        "from .. import (",
    ):
        for path in ("a.py", "pkg/a.py"):
            graphed({path: text + "\n", "pkg/__init__.py": text}, **LANGS)


def test_many_imports_of_one_file_and_deep_nesting_take_linear_time():
    many = "".join(f"import m{at}\n" for at in range(75_000)).encode()
    deep = b"(" * 200_000 + b"import_module('a')" + b")" * 200_000
    nested = b"f(import_module('a'), " * 40_000
    texts = {"many.py": many, "deep.py": deep, "nested.py": nested, "m7.py": b"", "a.py": b""}
    made = graph(Files((path, File("python", text)) for path, text in texts.items()))
    assert made.imports["many.py"] == ["m7.py"]
    assert made.counts["outside"] >= 74_999


def installed(name):
    """The files of an installed package, seen from the folder above it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    files = {path.relative_to(folder.parent).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.py"))}
    return Files((path, File("python", text)) for path, text in files.items())


def module(path):
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_edges_of_installed_packages_are_those_of_grimp():
    grimp = pytest.importorskip("grimp", reason="grimp is the reference")
    python = language("python")
    assert python is not None
    compared = right = ours = theirs = 0
    for name in PACKAGES:
        if (files := installed(name)) is None:
            continue
        said = {path: parse(python, path, "python", file.text) or Parsed() for path, file in files.items()}
        resolve = python.resolver(files, said)
        expected = grimp.build_graph(name, cache_dir=None)
        made = {
            (module(path), module(target))
            for path, of_file in said.items()
            for wanted in of_file.imports
            if wanted.kind != "call"  # grimp sees statements alone
            for target in resolve(path, wanted) or ()
            if target != path
        }
        made = {edge for edge in made if set(edge) <= expected.modules}  # grimp leaves out folders without __init__.py
        reference = {
            (importer, imported)
            for importer in expected.modules
            for imported in expected.find_modules_directly_imported_by(importer)
            if importer != imported
        }
        compared, ours, theirs = compared + 1, ours + len(made), theirs + len(reference)
        right += len(made & reference)
    if compared < 10:
        pytest.skip(f"only {compared} of the packages to compare are installed")
    print(f"{compared} packages: precision {right / ours:.4f}, recall {right / theirs:.4f} of {theirs} edges")
    assert right >= 0.98 * ours
    assert right >= 0.95 * theirs


def test_edges_of_a_project_with_tests_are_those_of_ruff(tmp_path):
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.is_file():
        pytest.skip("ruff is the reference and is not installed")
    texts = {
        "pyproject.toml": "[project]\nname = 'x'\n",
        "src/pkg/__init__.py": "from pkg.core import run\nfrom ._util import *\n",
        "src/pkg/core.py": "import pkg.models.user as user\nfrom pkg.models import order, missing\n",
        "src/pkg/_util.py": "import json, os\n",
        "src/pkg/models/__init__.py": "",
        "src/pkg/models/user.py": "from ..core import run\nfrom . import order\n",
        "src/pkg/models/order.py": "from .user import User\nfrom ... import above\n",
        "tests/__init__.py": "",
        "tests/helpers.py": "import pkg\n",
        "tests/test_core.py": "from pkg.core import run\nfrom .helpers import x\nimport tests.helpers\n",
        "vendored/json.py": "",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    answer = subprocess.run([ruff, "analyze", "graph", "-q", "."], cwd=tmp_path, capture_output=True, check=True)
    expected = {path: sorted(set(targets) - {path}) for path, targets in json.loads(answer.stdout).items()}
    assert edges(texts, **LANGS) == {path: targets for path, targets in expected.items() if targets}
