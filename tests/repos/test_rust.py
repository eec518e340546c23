"""Rust: each rule on a small repository, hostile texts, and a crate against the files that rustc reads."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repos.small import answers, edges, graphed, survives

LANGS = {"rs": "rust"}
CARGO = '[package]\nname = "my-lib"\nedition = "2021"\n'
SAMPLE = """//! use crate::no::Such;
#![allow(unused)]
#[cfg(test)]
#[path = "odd.rs"]
mod named;
pub(crate) mod plain;
pub mod inline { pub mod deep; pub use super::plain::Thing as Other; use self::deep::*; }
extern crate other_crate as oc;
use std::{fmt, io::{self, Read}};
use crate::plain::{self, Thing, sub::{Far, *}};
pub use r#plain::*;
cfg_if! { if #[cfg(unix)] { mod unix; use crate::plain::Thing; } else { mod windows; } }
macro_rules! m { () => { mod never; } }
fn f() { use super::x; let s = "use crate::plain::Quoted;"; /* mod gone; */ }
include!("more.rs"); include!(concat!(env!("OUT_DIR"), "/x.rs"));
"""


def test_every_form() -> None:
    texts = {
        "Cargo.toml": CARGO,
        "src/lib.rs": SAMPLE,
        "src/odd.rs": "mod child;",
        "src/child.rs": "",
        "src/plain.rs": "pub struct Thing; pub mod sub;",
        "src/plain/sub.rs": "pub struct Far;",
        "src/inline/deep.rs": "use super::Other;",
        "src/unix.rs": "",
        "src/windows.rs": "",
        "src/more.rs": "",
        "src/never.rs": "",
        "src/gone.rs": "",
    }
    assert edges(texts, **LANGS) == {
        "src/lib.rs": [
            f"src/{name}.rs" for name in ("inline/deep", "more", "odd", "plain", "plain/sub", "unix", "windows")
        ],
        "src/odd.rs": ["src/child.rs"],
        "src/plain.rs": ["src/plain/sub.rs"],
        "src/inline/deep.rs": ["src/plain.rs"],
    }
    counts = graphed(texts, **LANGS).counts
    assert (counts["dynamic"], counts["missing"]) == (1, 1)  # the second include!, and `super` above the root


def test_where_modules_lie() -> None:
    texts = {
        "Cargo.toml": CARGO,
        "src/lib.rs": "mod a; mod b; mod gone; "
        '#[cfg_attr(unix, path = "u.rs")] #[cfg_attr(windows, path = "w.rs")] mod sys;',
        "src/a.rs": 'mod x; mod inner { mod y; #[path = "z.rs"] mod z; }',
        "src/a/x.rs": "",
        "src/a/inner/y.rs": "",
        "src/a/inner/z.rs": "",
        "src/b/mod.rs": 'mod x; #[path = "../c/d.rs"] mod d;',
        "src/b/x.rs": "",
        "src/c/d.rs": "mod e;",
        "src/c/e.rs": "",
        "src/u.rs": "",
        "src/w.rs": "",
    }
    assert edges(texts, **LANGS) == {
        "src/lib.rs": ["src/a.rs", "src/b/mod.rs", "src/u.rs", "src/w.rs"],
        "src/a.rs": ["src/a/inner/y.rs", "src/a/inner/z.rs", "src/a/x.rs"],
        "src/b/mod.rs": ["src/b/x.rs", "src/c/d.rs"],
        "src/c/d.rs": ["src/c/e.rs"],
    }
    assert answers(texts, "src/lib.rs", **LANGS)["gone"] is None


def test_paths_are_walked_down_to_the_file_that_declares_the_name() -> None:
    texts = {
        "Cargo.toml": CARGO,
        "src/lib.rs": "pub mod a; mod b; mod user; mod macros;\n"
        "pub use a::deep::Found; pub use a::*; pub use serde::Far;",
        "src/a.rs": "pub mod deep; pub use self::deep::{Renamed as New, Both}; use crate::b::Private;\n"
        "pub struct Both; pub mod p { pub use crate::b::B; }",
        "src/a/deep.rs": "pub struct Found; pub struct Renamed; pub enum Kind { One } pub struct Both;",
        "src/b.rs": "pub struct B; pub struct Private; define! { pub struct Made; }",
        "src/macros.rs": "#[macro_export]\nmacro_rules! shout { () => {} }",
        "src/user.rs": "",
    }
    wanted = {
        "crate::a": ["src/a.rs"],
        "crate::a::deep": ["src/a/deep.rs"],
        "crate::a::deep::Kind::One": ["src/a/deep.rs"],
        "crate::a::deep::Kind::*": ["src/a/deep.rs"],
        "crate::Found": ["src/a/deep.rs"],
        "crate::New": ["src/a/deep.rs"],
        "crate::a::New::method": ["src/a/deep.rs"],
        "crate::a::Both": ["src/a.rs", "src/a/deep.rs"],
        "crate::a::p::B": ["src/b.rs"],
        "crate::p::*": ["src/a.rs"],
        "crate::Private": ["src/lib.rs"],
        "crate::b::Made": ["src/b.rs"],
        "crate::b::Unknown": ["src/b.rs"],
        "crate::Far": [],
        "crate::shout": ["src/macros.rs"],
        "super::b::B": ["src/b.rs"],
        "super::super::b": None,
        "std::fmt": [],
    }
    for path, files in wanted.items():
        texts["src/user.rs"] = f"use {path};"
        assert answers(texts, "src/user.rs", **LANGS) == {path: files}


def test_scopes_inside_a_file() -> None:
    texts = {
        "Cargo.toml": CARGO,
        "src/lib.rs": "pub mod a; pub mod b;",
        "src/a.rs": "use crate::b; use b::B; use b::inner as i;\n"
        "mod tests { use super::*; use super::super::b::B as C; use i::X; "
        "mod more { use super::super::super::b::Y; use self::Z; } }",
        "src/b.rs": "pub struct B; pub mod inner;",
        "src/b/inner.rs": "pub struct X;",
    }
    assert edges(texts, **LANGS)["src/a.rs"] == ["src/b.rs", "src/b/inner.rs"]
    assert graphed(texts, **LANGS).counts["missing"] == 0


def test_crates_of_a_workspace() -> None:
    texts = {
        "Cargo.toml": '[workspace.dependencies]\nshared = { package = "core-x", path = "core" }\n',
        "core/Cargo.toml": '[package]\nname = "core-x"\n[lib]\nname = "core_y"\npath = "code/top.rs"\n',
        "core/code/top.rs": "pub mod m; pub use m::*;",
        "core/code/m.rs": "pub struct M;",
        "app/Cargo.toml": '[package]\nname = "my-app"\nedition = "2021"\n[dependencies]\n'
        'renamed = { package = "util-z", path = "../util" }\n'
        '[[bin]]\nname = "tool"\npath = "tools/tool.rs"\n[[bin]]\nname = "plain"\n',
        "app/src/lib.rs": "pub struct App; mod part;",
        "app/src/part.rs": "use shared::M; use renamed::U; extern crate util_z; use serde::D;",
        "app/src/main.rs": "mod cli; use my_app::App; fn main() {}",
        "app/src/cli.rs": "use crate::App; use my_app::App as A;",
        "app/src/bin/two.rs": "use my_app::App; use core_y::M; mod cli;",
        "app/src/bin/three/main.rs": "mod help;",
        "app/src/bin/three/help.rs": "",
        "app/tools/tool.rs": "mod extra;",
        "app/tools/extra.rs": "",
        "app/tests/it.rs": "mod common; use my_app::*;",
        "app/tests/common/mod.rs": "",
        "app/examples/e.rs": "use my_app::App;",
        "app/benches/b.rs": "use my_app::App;",
        "app/build.rs": "use crate::helper; fn main() {}",
        "util/Cargo.toml": '[package]\nname = "util-z"\n',
        "util/src/lib.rs": "pub struct U;",
    }
    lib = ["app/src/lib.rs"]
    assert edges(texts, **LANGS) == {
        "core/code/top.rs": ["core/code/m.rs"],
        "app/src/lib.rs": ["app/src/part.rs"],
        "app/src/part.rs": ["core/code/m.rs", "util/src/lib.rs"],
        "app/src/main.rs": ["app/src/cli.rs", *lib],
        "app/src/cli.rs": ["app/src/lib.rs"],
        "app/src/bin/three/main.rs": ["app/src/bin/three/help.rs"],
        "app/src/bin/two.rs": [*lib, "core/code/m.rs"],
        "app/tools/tool.rs": ["app/tools/extra.rs"],
        "app/tests/it.rs": [*lib, "app/tests/common/mod.rs"],
        "app/examples/e.rs": lib,
        "app/benches/b.rs": lib,
    }


def test_edition_2015_begins_at_the_root_and_orphans_lie_where_their_folders_say() -> None:
    texts = {
        "src/lib.rs": "mod a; mod b;",
        "src/a.rs": "use b::B; use log::info; use ::b::B as C;",
        "src/b.rs": "pub struct B; made_by_macro!();",
        "src/b/orphan.rs": "use super::B; use crate::a;",
    }
    for cargo in (None, '[package]\nname = "old"\n', '[package]\nname = "old"\nedition = "2018"\n'):
        found = edges(texts | ({"Cargo.toml": cargo} if cargo else {}), **LANGS)
        assert found.get("src/a.rs") == (None if cargo and "2018" in cargo else ["src/b.rs"])
        assert found["src/b/orphan.rs"] == ["src/a.rs", "src/b.rs"]


def test_reexports_that_go_round() -> None:
    texts = {
        "Cargo.toml": CARGO,
        "src/lib.rs": "pub mod a; pub mod b; pub use a::*; pub use b::*; pub use crate::lib as lib;",
        "src/a.rs": "pub use crate::b::*; pub use crate::b::X; pub use super::a::a; use crate::nothing::There;",
        "src/b.rs": "pub use crate::a::*; pub use crate::a::X; pub use crate::*; use crate::lib::lib::lib::Nowhere;",
    }
    chain = {f"src/m{at}.rs": f"pub use crate::m{at + 1}::*; pub use crate::m{at + 1}::X;" for at in range(300)}
    chain["src/lib.rs"] = "".join(f"pub mod m{at};" for at in range(300)) + "use m0::X; use m0::deep::Y;"
    for one in (texts, {"Cargo.toml": CARGO, **chain}):
        assert graphed(one, **LANGS).counts["missing"] <= 2


def test_hostile_texts() -> None:
    survives(SAMPLE, "src/lib.rs", "rust")
    texts = [
        "use " + "a::{" * 3000 + "}" * 3000 + ";",
        "use " + "self::" * 5000 + "x;",
        "use " + "super::" * 5000 + "x;",
        "mod a {" * 500 + "use super::x; mod y;" + "}" * 500,
        "use a" + "::b" * 5000 + "::{" + "c," * 5000 + "};",
        "cfg! {" * 30 + "mod x;" + "}" * 30,
        '#[path = "../../../../etc/x.rs"] mod x; #[path = ""] mod y; include!("/a");',
    ]
    for text in texts:
        for cargo in (
            "",
            CARGO,
            "[package]\nname = 1\n[lib]\npath = []\n[[bin]]\n[dependencies]\na = 1\n",
            "[" * 5000,
            'bin = 3\npackage = "x"',
        ):
            graphed({"Cargo.toml": cargo, "src/lib.rs": text, "src/x.rs": text}, **LANGS)


@pytest.mark.slow
def test_against_the_files_that_rustc_reads(tmp_path: Path) -> None:
    rustc = shutil.which("rustc")
    if rustc is None:
        pytest.skip("no rustc")
    texts = {
        "src/lib.rs": 'mod a; mod inline { pub mod deep; #[path = "side.rs"] mod other; mod more { mod last; } }\n'
        '#[path = "else/where.rs"] mod moved; macro_rules! items { ($($i:item)*) => { $($i)* } } items! { mod made; }\n'
        'mod raw; include!("included.rs");',
        "src/a/mod.rs": "mod b; mod c;",
        "src/a/b.rs": "mod d;",
        "src/a/b/d.rs": "use crate::raw;",
        "src/a/c/mod.rs": "",
        "src/inline/deep.rs": "mod below;",
        "src/inline/deep/below.rs": "",
        "src/inline/side.rs": "",
        "src/inline/more/last.rs": "",
        "src/else/where.rs": "mod beside;",
        "src/else/beside.rs": "",
        "src/made.rs": "",
        "src/raw.rs": '#[cfg_attr(all(), path = "r2.rs")] mod r;',
        "src/r2.rs": "",
        "src/included.rs": "",
        "src/unread.rs": "mod unread2;",
        "src/unread2.rs": "",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    subprocess.run(
        [rustc, "--crate-type", "lib", "--emit", "dep-info=deps.d", "--edition", "2021", "src/lib.rs"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    read = set((tmp_path / "deps.d").read_text().split("\n")[0].split(":", 1)[1].split())
    found = edges(texts, **LANGS)
    reached, stack = {"src/lib.rs"}, ["src/lib.rs"]
    while stack:
        for target in found.get(stack.pop(), ()):
            if target not in reached:
                reached.add(target)
                stack.append(target)
    assert reached == read
