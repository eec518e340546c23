"""The order is that of a plain reading of its rule, dependencies go first, and nothing but the graph decides."""

from hypothesis import given
from hypothesis import strategies as st

from smallcoder.repos.order import components, order

NAMES = [f"{letter}{number}" for letter in "ab" for number in range(5)]
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), max_size=10).map(
    lambda found: {path: [target for target in targets if target in found] for path, targets in found.items()}
)


def plain_order(imports):
    left = {path: set(targets) - {path} for path, targets in imports.items()}
    placed, broken = [], 0
    while left:
        count, path = min((len(targets & left.keys()), path) for path, targets in left.items())
        broken += count > 0
        placed.append(path)
        del left[path]
    return placed, broken


def plain_components(imports):
    both = {path: {path, *targets} for path, targets in imports.items()}
    for path, targets in imports.items():
        for target in targets:
            both[target].add(path)
    found = set()
    for path in imports:
        group = {path}
        while (larger := set().union(*(both[member] for member in group))) != group:
            group = larger
        found.add(tuple(sorted(group)))
    return sorted(map(list, found))


def acyclic(imports):
    left = {path: set(targets) - {path} for path, targets in imports.items()}
    while free := {path for path, targets in left.items() if not targets & left.keys()}:
        left = {path: targets for path, targets in left.items() if path not in free}
    return not left


@given(GRAPHS)
def test_the_order_is_that_of_the_rule(imports):
    assert order(imports) == plain_order(imports)


@given(GRAPHS)
def test_each_file_once_and_dependencies_first_unless_there_is_a_cycle(imports):
    placed, broken = order(imports)
    assert sorted(placed) == sorted(imports)
    at = {path: place for place, path in enumerate(placed)}
    late = {path for path, targets in imports.items() if any(at[target] > at[path] for target in targets)}
    assert len(late) == broken
    assert (broken == 0) == acyclic(imports)


@given(GRAPHS, st.randoms())
def test_the_order_of_the_input_does_not_matter(imports, chance):
    paths = list(imports)
    chance.shuffle(paths)
    shuffled = {path: chance.sample(imports[path] * 2, 2 * len(imports[path])) for path in paths}
    assert order(shuffled) == order(imports)
    assert components(shuffled) == components(imports)


@given(GRAPHS)
def test_components_are_those_found_by_spreading(imports):
    assert components(imports) == plain_components(imports)


def test_a_cycle_is_broken_where_least_is_open_then_by_path():
    assert order({"a": ["b", "c"], "b": ["c"], "c": ["a"]}) == (["b", "a", "c"], 2)
    assert order({"a": ["b"], "b": ["c"], "c": ["a"], "d": []}) == (["d", "a", "c", "b"], 1)
    assert order({"x": ["x"]}) == (["x"], 0)
    assert order({}) == ([], 0)


@given(GRAPHS, st.lists(st.sampled_from(NAMES), max_size=3))
def test_a_file_that_nothing_imports_moves_no_other(imports, wanted):
    larger = imports | {"new": [path for path in wanted if path in imports]}
    assert [path for path in order(larger)[0] if path != "new"] == order(imports)[0]


def test_ten_thousand_files_take_seconds_even_in_one_long_cycle_or_with_a_common_import():
    count = 10_000
    paths = [f"f{at:05}" for at in range(count)]

    ring = {path: [paths[(at + 1) % count]] for at, path in enumerate(paths)}
    assert order(ring)[1] == 1
    star = dict.fromkeys(paths, paths[:40])
    assert sorted(order(star)[0]) == paths
    assert len(components(ring)) == len(components(star)) == 1
