"""Recipes: TOML files that list stages in the order they run.

    name = "quickstart"
    seed = 7                      # given to every stage that has a `seed` setting of its own and leaves it out

    [[stage]]
    name = "unique"               # the folder it makes: runs/quickstart/unique
    use = "dedup"                 # a row of the stage table
    from = { documents = "docs" } # role = "earlier stage", or "earlier stage/folder" where it made several
    jaccard = 0.75                # every other key is a setting of the stage

Of a filter, `store = false` keeps no table of documents: they go on, batch by batch, to the one filter that reads them,
and the stages are made together in one pass. What comes out is the same, in less time and on less disk; what such a
stage drops, its facts and its side tables are there as ever. Of several numbers of workers the largest counts.

A role given as "docs" means the folder of that stage named as the role: docs/documents. Where a stage takes several
tables in one role, they get names: from = { packed = { code = "packed-code", text = "packed-text" } }.
"""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from smallcoder.core.errors import RecipeError
from smallcoder.core.stage import Stage, StageConfig

DOCUMENTS = "documents"  # the role, and the folder, that goes from filter to filter
NAME_RULE = "lower-case letters, digits, '_' and '-', starting with a letter"


@dataclass(frozen=True)
class Step:
    """One stage of a recipe: what runs, with which settings, on which folders of which earlier steps."""

    name: str
    use: str
    stage: Stage
    config: StageConfig
    inputs: dict[str, tuple[str, str]]  # role -> (step, folder)
    store: bool = True  # whether its documents are written, or go on to the next filter alone


@dataclass(frozen=True)
class Recipe:
    """A parsed recipe. Every step's inputs come from steps before it."""

    name: str
    seed: int
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step:
        """The step of that name. Raises RecipeError with the nearest name."""
        for step in self.steps:
            if step.name == name:
                return step
        names = [step.name for step in self.steps]
        raise RecipeError(f"recipe {self.name} has no stage {name!r}", nearest(name, names))

    def chains(self) -> Iterator[tuple[Step, ...]]:
        """The steps in the order they are made, each after those that store nothing and are made together with it."""
        waiting: dict[str, tuple[Step, ...]] = {}
        for step in self.steps:
            source, folder = step.inputs.get(DOCUMENTS, ("", ""))
            chain = (*(waiting.pop(source, ()) if folder == DOCUMENTS else ()), step)
            if step.store:
                yield chain
            else:
                waiting[step.name] = chain

    def dependents(self, names: Iterable[str]) -> set[str]:
        """The named steps and all that are made from them."""
        found = {self.step(name).name for name in names}
        for step in self.steps:
            if any(source in found for source, _ in step.inputs.values()):
                found.add(step.name)
        return found


def load_recipe(path: Path, stages: Mapping[str, Stage], overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe. `overrides` are "STAGE.FIELD=VALUE" with a TOML value (a bare word is a string);
    a field inside a table is STAGE.TABLE.FIELD.

    Raises RecipeError for a missing or malformed file and for anything in it that no stage understands.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe {path}", "name a .toml file; the shipped ones are in recipes/") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}", "mend that line") from None
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}", "name a .toml file") from None
    tables = data.pop("stage", [])
    unknown = sorted(set(data) - {"name", "seed", "description"})
    if unknown:
        raise RecipeError(
            f"{path}: unknown key {unknown[0]!r}", nearest(unknown[0], ["name", "seed", "description", "stage"])
        )
    name, seed = data.get("name", path.stem), data.get("seed", 0)
    if not is_name(name) or not isinstance(seed, int):
        raise RecipeError(
            f"{path}: name {name!r} or seed {seed!r} is not valid", f"a name is {NAME_RULE}; a seed is an integer"
        )
    if not isinstance(tables, list) or not tables:
        raise RecipeError(f"{path} has no stage", "add a [[stage]] table")
    _override(tables, overrides)
    steps: list[Step] = []
    for table in tables:
        steps.append(_step(table, {step.name: step for step in steps}, stages, seed))
    recipe = Recipe(name, seed, tuple(steps))
    _check_chains(recipe)
    return recipe


def _step(table: dict[str, Any], earlier: dict[str, Step], stages: Mapping[str, Stage], seed: int) -> Step:
    settings = dict(table)
    name, use, sources = settings.pop("name", None), settings.pop("use", None), settings.pop("from", {})
    store = settings.pop("store", True)
    if not is_name(name):
        raise RecipeError(f"a stage is named {name!r}", f"give every [[stage]] a name: {NAME_RULE}")
    if name in earlier:
        raise RecipeError(f"two stages are named {name!r}", "rename one")
    if use not in stages:
        raise RecipeError(f"stage {name}: there is no kind of stage {use!r}", nearest(str(use), stages))
    stage = stages[use]
    inputs = _inputs(name, stage, sources, earlier)
    if "seed" in stage.config.model_fields:
        settings.setdefault("seed", seed)
    try:
        config = stage.config.model_validate(settings)
    except ValidationError as error:
        raise _explain(name, stage.config, error) from None
    if not isinstance(store, bool):
        raise RecipeError(f"stage {name}: store = {store!r} is not valid", "it is true or false")
    return Step(name, use, stage, config, inputs, store)


def _check_chains(recipe: Recipe) -> None:
    """That steps which store no documents can be made with those that read them, and these before all others."""
    for step in recipe.steps:
        if not step.store:
            _check_unstored(step, recipe.steps)
    chains = list(recipe.chains())
    place = {step.name: at for at, chain in enumerate(chains) for step in chain}
    for step in recipe.steps:
        for source, folder in step.inputs.values():
            if place[source] >= place[step.name] and (folder != DOCUMENTS or recipe.step(source).store):
                last = chains[place[source]][-1].name
                raise RecipeError(
                    f"stage {step.name} reads {source}/{folder}, which is made together with {last}",
                    f"put {step.name} after {last}, or leave `store = false` out of {source}",
                )


def _check_unstored(step: Step, steps: Sequence[Step]) -> None:
    """That the documents of a step that stores none can go on to another, and that nobody else wants them."""
    remedy = f"leave `store = false` out of {step.name}"
    if not step.stage.attribute("as_filter"):
        raise RecipeError(f"stage {step.name}: {step.use} is no filter and must store what it makes", remedy)
    readers = [
        (reader, role) for reader in steps for role, source in reader.inputs.items() if source == (step.name, DOCUMENTS)
    ]
    if len(readers) != 1:
        names = ", ".join(reader.name for reader, _ in readers) or "none"
        raise RecipeError(f"stage {step.name} stores no documents and {len(readers)} stages read them: {names}", remedy)
    reader, role = readers[0]
    if role != DOCUMENTS or reader.stage.whole or not reader.stage.attribute("as_filter"):
        raise RecipeError(f"stage {reader.name} ({reader.use}) cannot take documents batch by batch", remedy)


def _inputs(name: str, stage: Stage, sources: Any, earlier: dict[str, Step]) -> dict[str, tuple[str, str]]:
    roles = (*stage.inputs, *stage.optional)
    example = f'for example from = {{ {roles[0] if roles else "documents"} = "docs" }}'
    if not isinstance(sources, dict):
        raise RecipeError(f"stage {name}: `from` must map roles to stages", example)
    for role in sources:
        if role not in roles:
            raise RecipeError(f"stage {name} takes no input {role!r}", nearest(role, roles))
    missing = [role for role in stage.inputs if not sources.get(role)]
    if missing:
        raise RecipeError(
            f"stage {name} lacks its input {missing[0]!r}", f'add from = {{ {missing[0]} = "an earlier stage" }}'
        )
    inputs = {}
    for full, (role, value) in _flat(sources, stage).items():
        if not isinstance(value, str):
            raise RecipeError(f"stage {name}: `from` must map roles to stages", example)
        source, _, folder = value.partition("/")
        if source not in earlier:
            raise RecipeError(f"stage {name} reads {source!r}, which is no stage before it", nearest(source, earlier))
        inputs[full] = (source, folder or role)
    return inputs


def _flat(sources: dict[str, Any], stage: Stage) -> dict[str, tuple[str, Any]]:
    """Name of each input -> its role and what was given; a role that takes several tables gives several names."""
    flat = {}
    for role, value in sources.items():
        if isinstance(value, dict) and role in stage.several:
            flat |= {f"{role}.{name}": (role, one) for name, one in value.items()}
        else:
            flat[role] = (role, value)
    return flat


def _explain(name: str, config: type[StageConfig], error: ValidationError) -> RecipeError:
    # A misspelt key also leaves the right one missing: name the cause first.
    first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return RecipeError(f"stage {name}: unknown key {field!r}", nearest(field, config.model_fields))
    if first["type"] == "missing":
        return RecipeError(f"stage {name}: {field!r} is required", f"add {field} = ... to the stage")
    return RecipeError(f"stage {name}: {field} = {first['input']!r} is not valid", first["msg"].lower())


def _override(tables: list[dict[str, Any]], overrides: Sequence[str]) -> None:
    names = [str(table.get("name")) for table in tables]
    for item in overrides:
        target, equals, text = item.partition("=")
        stage, *path = target.split(".")
        if not (equals and path and all(path)):
            raise RecipeError(f"--set {item} is not STAGE.FIELD=VALUE", "for example --set pretrain.steps=200")
        if stage not in names:
            raise RecipeError(f"--set {item}: the recipe has no stage {stage!r}", nearest(stage, names))
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        table = tables[names.index(stage)]
        for key in path[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise RecipeError(f"--set {item}: {key!r} is no table", f"give {key} a value of its own")
        table[path[-1]] = value


def is_name(value: object) -> bool:
    """Whether a stage or recipe may be called so: it becomes a folder."""
    if not isinstance(value, str) or not value or not value[0].isalpha():
        return False
    return value == value.lower() and all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in value)


def nearest(word: str, known: Iterable[str]) -> str:
    """A remedy for a misspelt word: the nearest known one, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"it can be: {', '.join(names) or 'nothing'}"
