"""What a stage is: a module with a `Config` and a `run`, and one line of `smallcoder/stages.py` that names it.

A stage module may define

    class Config(StageConfig): ...                      # its settings, with defaults
    def run(config, inputs, out) -> Facts               # inputs: role -> folder; out: an existing folder to fill
    def expect(config, inputs) -> Size                  # optional: what `plan` shows before it has run
    def outside(config) -> dict[str, str]               # optional: versions of what is read from outside the run

or, in place of `run`, where it judges documents batch by batch (data/filters)

    def as_filter(config, inputs, out) -> Filter

Its top level imports nothing heavy (torch, numba, transformers): `run` does, so that `plan` and `--help` stay quick.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Facts = dict[str, Any]
Inputs = Mapping[str, Path]


class StageConfig(BaseModel):
    """Settings of a stage. Unknown keys are refused; fields made with `run_only` never change a stage's identity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def identity(self) -> dict[str, Any]:
        """The settings that decide the result, as plain JSON data."""
        skip = {
            name for name, field in type(self).model_fields.items() if field.json_schema_extra == {"run_only": True}
        }
        return self.model_dump(mode="json", exclude=skip)


def run_only(default: Any, **limits: Any) -> Any:
    """A field such as the number of workers: it changes how a stage runs, not what it makes."""
    return Field(default, json_schema_extra={"run_only": True}, **limits)


@dataclass(frozen=True)
class Size:
    """An expected or measured size. Unknown parts are None; `note` is a few words for what has no rows or bytes."""

    records: int | None = None
    bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Stage:
    """One row of the stage table. `inputs` are required roles, `optional` ones may be left out of a recipe.

    Roles in `several` may be given as a table of names, `packed = { raw = "...", text = "..." }`; the stage then gets
    the folders as "packed.raw" and "packed.text".
    """

    module: str
    version: int = 1
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    whole: bool = False  # a filter that looks at all documents before it judges the first, so that they must be stored
    resumable: bool = False  # it keeps what it needs in `out/state` and goes on from there after a kill

    def attribute(self, name: str) -> Any:
        """`Config`, `run` or another of the names above of the stage's module; None where it has no such thing."""
        return getattr(import_module(self.module), name, None)

    @property
    def config(self) -> type[StageConfig]:
        return self.attribute("Config")

    @property
    def run(self) -> Callable[[StageConfig, Inputs, Path], Facts]:
        return self.attribute("run")
