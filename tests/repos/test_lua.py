"""Lua: each rule on a small repository, hostile texts."""

from tests.repos.small import answers, edges, graphed, survives

LANGS = {"lua": "lua", "luau": "lua"}


def test_forms_of_require():
    calls = """
local a = require "a.b"
local c = require('c')
local d = require [[d]].new()
local ok, e = pcall(require, "e")
require"f"
-- require "g"
local s = 'require "g"'
foo:require("g")
"""
    texts = {"main.lua": calls, "a/b.lua": ""} | {f"{name}/init.lua": "" for name in "cdefg"}
    found = ["a/b.lua", "c/init.lua", "d/init.lua", "e/init.lua", "f/init.lua"]
    assert edges(texts, **LANGS) == {"main.lua": found}


def test_roots():
    texts = {
        "lua/plug/init.lua": 'require "plug.util" require "health" require "spec.x" require "plug.gone" require "lfs"',
        "lua/plug/util.lua": "",
        "lua/plug/health.lua": "",  # is plug.health: no folder below lua/ is a root
        "spec/x.lua": "",
    }
    assert answers(texts, "lua/plug/init.lua", **LANGS) == {
        "plug.util": ["lua/plug/util.lua"],
        "health": [],
        "spec.x": ["spec/x.lua"],
        "plug.gone": None,
        "lfs": [],
    }
    texts = {"game/main.lua": 'require "lib.class"\nrequire("src/player")\nrequire "world"\n', "game/lib/class.lua": ""}
    texts |= {"game/src/player.luau": "", "game/src/world.lua": "", "world.lua": ""}
    assert edges(texts, **LANGS) == {
        "game/main.lua": ["game/lib/class.lua", "game/src/player.luau", "game/src/world.lua"]
    }


def test_the_nearest_ending_of_a_dotted_name():
    texts = {"x/tests/t.lua": 'require "pkg.mod"\n', "x/code/pkg/mod.lua": "", "y/code/pkg/mod.lua": ""}
    assert edges(texts, **LANGS) == {"x/tests/t.lua": ["x/code/pkg/mod.lua"]}
    texts = {"z/t.lua": 'require "pkg.mod"\nrequire "mod"\n', "x/pkg/mod.lua": "", "y/pkg/mod.lua": ""}
    assert edges(texts, **LANGS) == {}


def test_names_below_the_module_itself():
    texts = {
        "a/init.lua": 'require(... .. ".b")\nrequire((...) .. ".c")\n',
        "a/b.lua": 'require(... .. ".d")\n',
        "a/b/d.lua": "",
    }
    assert edges(texts, **LANGS) == {"a/init.lua": ["a/b.lua"], "a/b.lua": ["a/b/d.lua"]}
    assert +graphed(texts, **LANGS).counts == {"found": 2, "missing": 1}


def test_files_that_are_run():
    texts = {"a/x.lua": 'dofile("y.lua")\nloadfile "a/z.lua"\ndofile("gone.lua")\n', "a/y.lua": "", "a/z.lua": ""}
    assert answers(texts, "a/x.lua", **LANGS) == {"y.lua": ["a/y.lua"], "a/z.lua": ["a/z.lua"], "gone.lua": None}


def test_computed_names_are_counted():
    texts = {"x.lua": 'require(name)\nrequire("a" .. b)\nrequire(x .. ".y")\ndofile(p)\nrequire "x"\nrequire()\n'}
    assert +graphed(texts, **LANGS).counts == {"dynamic": 4, "outside": 1}  # the last is the file itself


SAMPLE = """local a = require "a.b"
local ok, m = pcall(require, 'zz')
require(... .. ".sub")
dofile([[x.lua]])
local function f(x, ...) return { x, y = "a\\n", [1] = function() end } end
--[[ require "c" ]]
"""


def test_hostile_texts():
    survives(SAMPLE, "a/b.lua", "lua")
