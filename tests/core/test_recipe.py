from pathlib import Path

import pytest

from smallcoder.core.errors import RecipeError
from smallcoder.core.recipe import load_recipe
from smallcoder.core.stage import Stage
from smallcoder.stages import STAGES

DOUBLE = {"double": Stage("tests.core.stage_double", optional=("numbers",))}
GOOD = """
name = "tiny"
seed = 5
[[stage]]
name = "one"
use = "double"
start = [1, 2]
[[stage]]
name = "two"
use = "double"
from = { numbers = "one" }
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


def test_a_recipe_is_parsed_with_seed_and_overrides(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD), DOUBLE, ["two.factor=7"])
    assert [step.name for step in recipe.steps] == ["one", "two"]
    assert recipe.steps[1].inputs == {"numbers": ("one", "numbers")}
    assert recipe.steps[1].config.model_dump()["factor"] == 7
    assert recipe.steps[0].config.model_dump()["seed"] == 5
    assert recipe.dependents(["one"]) == {"one", "two"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("factor", "x"), None),
        (("start = [1, 2]", "strat = [1]"), "did you mean 'start'"),
        (('use = "double"\nstart', 'use = "dobule"\nstart'), "did you mean 'double'"),
        (('{ numbers = "one" }', '{ numbers = "onne" }'), "did you mean 'one'"),
        (('{ numbers = "one" }', '{ numbers = "two" }'), "no stage before it"),
        (('{ numbers = "one" }', '{ number = "one" }'), "did you mean 'numbers'"),
        (('{ numbers = "one" }', '"one"'), "must map roles"),
        (('name = "two"', 'name = "one"'), "two stages are named 'one'"),
        (('name = "two"', 'name = "../up"'), "give every"),
        (("start = [1, 2]", 'start = "many"'), "valid list"),
        (("seed = 5", "sede = 5"), "did you mean 'seed'"),
        (("seed = 5", "seed = "), "is not TOML"),
        ((GOOD, 'name = "x"'), "has no stage"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(tmp_path, change, message):
    path = write(tmp_path, GOOD.replace(*change))
    if message is None:
        load_recipe(path, DOUBLE)
        return
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path, DOUBLE)
    assert "\n" not in str(caught.value)
    assert " -> " in str(caught.value)


@pytest.mark.parametrize("override", ["factor=2", "two.factor", "tow.factor=2", "two.fcator=2"])
def test_a_wrong_override_is_refused(tmp_path, override):
    with pytest.raises(RecipeError):
        load_recipe(write(tmp_path, GOOD), DOUBLE, [override])


def test_every_shipped_recipe_parses():
    recipes = sorted(Path(__file__).parents[2].glob("recipes/**/*.toml"))
    assert recipes
    for path in recipes:
        assert load_recipe(path, STAGES).steps
