"""Paths are normalised, whatever they are; what is looked up agrees with looking at every path."""

from hypothesis import given
from hypothesis import strategies as st

from smallcoder.repos.files import File, Files, join, normalise

PARTS = st.sampled_from(["a", "A", "b", "b.py", ".", "..", "", "é", "a b", "\0", "a\\b", "~", ".git"])
PATHS = st.lists(PARTS, max_size=6).map("/".join)
REPOSITORIES = st.lists(st.tuples(PATHS, st.sampled_from([None, "c", "go"]), st.binary(max_size=2)), max_size=12)


def files(rows):
    return Files((path, File(lang, text)) for path, lang, text in rows)


def test_normalise():
    for path, expected in {
        "a/./b//c.py": "a/b/c.py",
        "/a": "a",
        "//a/../b": "b",
        "a/../../b": None,
        "..": None,
        "": None,
        ".": None,
        "/": None,
        "...": "...",
    }.items():
        assert normalise(path) == expected


def test_join():
    assert join("a/b", "../c", "d.py") == "a/c/d.py"
    assert join("", "./d.py") == "d.py"
    assert join("a", "/d.py") == "d.py"
    assert join("a", "../../d.py") is None
    assert join("a", "..") is None


@given(PATHS)
def test_a_normal_path_stays_and_has_no_way_out(path):
    found = normalise(path)
    if found is not None:
        assert normalise(found) == found
        assert not found.startswith("/")
        assert not {"", ".", ".."} & set(found.split("/"))


@given(REPOSITORIES, st.randoms())
def test_the_order_of_rows_does_not_matter(rows, chance):
    shuffled = list(rows)
    chance.shuffle(shuffled)
    found = files(rows)
    assert list(found.items()) == list(files(shuffled).items())
    assert list(found) == sorted(found)


@given(REPOSITORIES, PATHS.filter(lambda path: not path.startswith("/")))
def test_look_ups_agree_with_looking_everywhere(rows, wanted):
    found = files(rows)
    folders = {path.rsplit("/", at)[0] for path in found for at in range(1, path.count("/") + 1)}

    def ends(path):
        return path == wanted or path.endswith("/" + wanted)

    if wanted.split("/")[-1]:
        assert found.ending(wanted) == [path for path in found if ends(path)]
        assert found.folders_ending(wanted) == sorted(filter(ends, folders))
    assert found.first(wanted, *found) == (wanted if wanted in found else next(iter(found), None))
    assert sorted(path for paths in found.folders.values() for path in paths) == list(found)
    assert all((path.rpartition("/")[0]) == folder for folder, paths in found.folders.items() for path in paths)


def test_paths_that_differ_in_case_are_two_and_equal_ones_are_one():
    found = files([("A.py", "python", b"x"), ("a.py", "python", b"y"), ("./a.py", "python", b"b")])
    assert list(found) == ["A.py", "a.py"]
    assert found["a.py"].text == b"b"
