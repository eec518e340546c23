"""Training texts of a repository: which files, in which order, and where the marks stand."""

from smallcoder.repos.concatenate import Marks, concatenate, importing_texts, repository_texts
from smallcoder.repos.graph import Graph
from smallcoder.repos.order import order

# Two components and two lone files: d -> c -> b -> a, f -> e, and README, x.
IMPORTS = {"a": [], "b": ["a"], "c": ["b"], "d": ["a", "c"], "e": [], "f": ["e"], "README": [], "x": []}
GRAPH = Graph(IMPORTS)
ORDERED = order(IMPORTS)[0]
SIZES = dict.fromkeys(IMPORTS, 10)


def test_a_repository_that_fits_is_one_text_in_order():
    assert repository_texts(GRAPH, ORDERED, SIZES, 80) == [ORDERED]
    assert ORDERED == ["README", "a", "b", "c", "d", "e", "f", "x"]


def test_a_long_repository_is_divided_between_components():
    assert repository_texts(GRAPH, ORDERED, SIZES, 60) == [["README", "a", "b", "c", "d"], ["e", "f", "x"]]
    assert repository_texts(GRAPH, ORDERED, SIZES, 45) == [["README"], ["a", "b", "c", "d"], ["e", "f", "x"]]


def test_a_long_component_is_divided_between_files_and_a_long_file_stays_whole():
    assert repository_texts(GRAPH, ORDERED, SIZES, 20) == [["README"], ["a", "b"], ["c", "d"], ["e", "f"], ["x"]]
    sizes = SIZES | {"b": 90}
    texts = repository_texts(GRAPH, ORDERED, sizes, 30)
    assert texts == [["README"], ["a"], ["b"], ["c", "d"], ["e", "f", "x"]]


def test_a_file_follows_what_it_imports():
    assert importing_texts(GRAPH, ORDERED, SIZES, 80) == [["a", "b"], ["b", "c"], ["a", "c", "d"], ["e", "f"]]
    sizes = SIZES | {"c": 15, "f": 99}
    assert importing_texts(GRAPH, ORDERED, sizes, 30) == [["a", "b"], ["b", "c"], ["a", "d"]]


def test_marks_stand_where_the_text_says():
    files = [("é/a.py", b"a = 1"), ("empty.py", b""), ("odd\nname.py", "<|file_sep|> é\n".encode())]
    text = concatenate("team/r\u00e9po", files, Marks())
    assert text.data.decode() == (
        "<|repo_name|>team/répo\n<|file_sep|>é/a.py\na = 1\n<|file_sep|>empty.py\n"
        "<|file_sep|>odd name.py\n<|file_sep|> é\n"
    )
    assert [text.data[start:end] for start, end in text.marks] == [b"<|repo_name|>", *[b"<|file_sep|>"] * 3]
    assert [text.data[start : start + len(data)] for start, (_, data) in zip(text.starts, files, strict=True)] == [
        data for _, data in files
    ]
