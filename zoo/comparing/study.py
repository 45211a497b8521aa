"""A study as data that YAML can hold: what is trained, in which frameworks, and how often."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from zoo.backend import registry
from zoo.backend.description import Description
from zoo.comparing.switches import SWITCHES
from zoo.errors import BackendError, InputError, SpecError, listed, quoted, suggestion
from zoo.language import settings
from zoo.ops.fields import PLAIN_BOOLEAN, PLAIN_COUNT, TEXT, exactly
from zoo.ops.grammar import Field, Record
from zoo.ops.kinds import MISSING, Anything, Kind, ListOf, MappingOf, Mismatch, Nullable, Scalar
from zoo.training import recipe as recipes
from zoo.training.recipe import Recipe

FORMAT = 1
MOST_SEEDS = 10_000
#: Fields of a recipe that a study states in its own way, or that would make its runs unlike.
_NOT_RECIPE = frozenset(
    ("format", "model", "data", "seed", "patience", "checkpoint_every", "keep", "sync_batch_norm")
)

_NATURAL: Kind[int] = Scalar(
    "an integer from 0 to 1000",
    lambda v: type(v) is int and 0 <= v <= 1000,
    {"type": "integer", "minimum": 0, "maximum": 1000},
    plain=True,
)
_SEED: Kind[int] = Scalar(
    "an integer", lambda v: type(v) is int and abs(v) < 2**53, {"type": "integer"}, plain=True
)
_MARGIN: Kind[float] = Scalar(
    "a number above 0 and less than 1",
    lambda v: type(v) in (int, float) and 0 < v < 1,
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    plain=True,
)


class _Several(Kind[list[Any]]):
    """A list without repetitions, or its only item."""

    def __init__(self, kind: Kind[Any]) -> None:
        self.kind = kind

    def read(self, value: Any) -> list[Any]:
        found = (
            ListOf(self.kind).read(value) if isinstance(value, list) else [self.kind.read(value)]
        )
        if not found:
            raise Mismatch("expected at least one, got none")
        for i, item in enumerate(found):
            if item in found[:i]:
                raise Mismatch("it is there already", item, i)
        return found

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        one = self.kind.schema(definitions)
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


class _Seeds(Kind[list[int]]):
    """Seeds, or their number."""

    def read(self, value: Any) -> list[int]:
        if isinstance(value, list):
            found: list[int] = _Several(_SEED).read(value)
        elif type(value) is int and 0 < value <= MOST_SEEDS:
            found = list(range(value))
        else:
            raise Mismatch(f"expected a number of seeds from 1 to {MOST_SEEDS:,}, or a list", value)
        if len(found) > MOST_SEEDS:
            raise Mismatch(f"expected at most {MOST_SEEDS:,} seeds, got {len(found):,}")
        return found

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        one = {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS}
        return {"anyOf": [one, {"type": "array", "items": {"type": "integer"}, "minItems": 1}]}


class StudyFile(Record):
    """What makes the same network train differently in other frameworks.

    Besides these fields, a study has those of a training recipe, such as `epochs` and `lr`.
    """

    format = Field(exactly(FORMAT, f"{FORMAT}, the format that this version of zoo reads"), FORMAT)

    models = Field(_Several(TEXT), doc="names from 'zoo list', or paths of YAML files")
    data = Field(_Several(TEXT), doc="datasets from 'zoo data', folders of images, or .npz files")
    backends = Field(_Several(TEXT), ["all"], doc="the frameworks, or all that are installed")
    seeds = Field(_Seeds(), doc="random seeds of weights and orders, or their number")

    grid = Field(
        MappingOf(_Several(Anything())), {}, doc="field of the recipe: the values that it takes"
    )
    switches = Field(
        Nullable(_Several(TEXT)),
        None,
        doc="which differences between frameworks are studied; by default, all that can matter",
    )
    native = Field(
        MappingOf(MappingOf(Anything())),
        {},
        doc="backend: switch: what one's own code has there, instead of the framework's default",
    )
    explain = Field(
        PLAIN_BOOLEAN,
        False,
        doc="whether runs with some switches native show what each contributes",
    )
    crossed = Field(
        PLAIN_BOOLEAN,
        False,
        doc="whether every seed of weights is combined with every seed of orders",
    )
    repeats = Field(
        _NATURAL,
        0,
        doc="how often aligned runs are repeated without asking for deterministic kernels",
    )
    margin = Field(_MARGIN, 0.01, doc="difference of top-1 below which frameworks are equivalent")
    proof_steps = Field(
        _NATURAL, 10, doc="steps in float64 after which the frameworks must agree; 0 for no proof"
    )
    train_images = Field(
        Nullable(PLAIN_COUNT), None, doc="how many images to train on, chosen at random"
    )
    validation_images = Field(
        Nullable(PLAIN_COUNT), None, doc="how many images to validate with, chosen at random"
    )
    threads = Field(PLAIN_COUNT, 1, doc="threads of each run")

    @property
    def recipe(self) -> dict[str, Any]:
        """The fields of the recipe that are stated, without those of the grid."""
        return {name: self.__dict__[name] for name in RECIPE if name in self.__dict__}

    @property
    def stated(self) -> frozenset[str]:
        """The fields of the recipe that are stated, here or in the grid."""
        return frozenset((*self.recipe, *self.grid))

    @property
    def entries(self) -> list[Description]:
        """The frameworks.

        Raises:
            InputError: There are fewer than two.
        """
        if self.backends == ["all"]:
            known = registry.table().values()
            found = [e for e in known if registry.is_installed(e) and e.reaches("training")]
        else:
            found = list({e.name: e for e in map(registry.resolve, self.backends)}.values())
        if len(found) < 2:
            names = listed(entry.name for entry in found) or "none"
            which = "installed" if self.backends == ["all"] else "named"
            raise InputError(
                f"backends: a study compares at least two frameworks, and only {names} is {which}"
            )
        return found

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The combinations of the values of the grid.

        Example:
            >>> of({"models": "lenet5", "data": "digits", "seeds": 1, "epochs": 1,
            ...     "grid": {"lr": [0.1, 0.2], "momentum": [0.9]}}).cells
            [{'lr': 0.1, 'momentum': 0.9}, {'lr': 0.2, 'momentum': 0.9}]
        """
        names = list(self.grid)
        return [
            dict(zip(names, each, strict=True)) for each in itertools.product(*self.grid.values())
        ]

    def recipe_of(self, model: str, data: str, cell: Mapping[str, Any]) -> Recipe:
        """Return the recipe of a network, a dataset and a combination of the grid.

        Raises:
            InputError: Its fields do not fit together, or one is missing.
        """
        return recipes.of({**self.recipe, **cell, "model": model, "data": data})

    def checked(self) -> Self:
        """Return the study after checking what fields say together.

        Raises:
            Mismatch: They do not fit together.
        """
        self._check_backends()
        for name in self.switches or ():
            _check_known("switch", name, SWITCHES, "switches")
        for name, values in self.grid.items():
            _check_known("field of a recipe", name, RECIPE, "grid")
            if name in self.recipe:
                raise Mismatch(
                    f"{name} is stated for all runs, too; leave one out", MISSING, "grid"
                )
            for i, value in enumerate(values):
                try:
                    Recipe.fields[name].kind.read(value)
                except Mismatch as mismatch:
                    raise mismatch.under(i).under(name).under("grid") from None
        for backend, chosen in self.native.items():
            if backend not in {entry.name for entry in self.entries}:
                _check_known("backend of this study", backend, self._names(), "native")
            for name, value in chosen.items():
                _check_known("switch", name, SWITCHES, "native", backend)
                if self.switches is not None and name not in self.switches:
                    raise Mismatch(f"{name} is not among the switches", MISSING, "native", backend)
                try:
                    SWITCHES[name].kind.read(value)
                except Mismatch as mismatch:
                    raise mismatch.under(name).under(backend).under("native") from None
        for cell in self.cells:
            self.recipe_of(self.models[0], self.data[0], cell)
        return self

    def text(self) -> str:
        """Return the study as YAML, without what has its default."""
        lines = [f"format: {FORMAT}"]
        for name, field in self.fields.items():
            value = getattr(self, name)
            if name != "format" and (field.required or name in self.__dict__):
                lines.append(f"{name}: {json.dumps(value)}")  # JSON is YAML
        return "\n".join(lines) + "\n"

    def _names(self) -> list[str]:
        return [entry.name for entry in self.entries]

    def _check_backends(self) -> None:
        if "all" in self.backends and self.backends != ["all"]:
            raise Mismatch("'all' stands alone", self.backends, "backends")
        for entry in self.entries:
            if not registry.is_installed(entry):
                install = f": python -m pip install '{entry.install}'" if entry.install else ""
                raise BackendError(f"zoo's {entry.name} backend needs {entry.title}{install}")
            if not entry.reaches("training"):
                raise InputError(f"backends: {entry.title} only infers, and a study trains")


#: The fields of a recipe that a study has, too.
RECIPE: Mapping[str, Field[Any]] = {
    name: field for name, field in Recipe.fields.items() if name not in _NOT_RECIPE
}


def _add_recipe() -> None:
    """Give studies the fields of recipes, none of which is required: it may be in the grid."""
    added = {}
    for name, field in RECIPE.items():
        added[name] = Field(field.kind, None if field.required else field.default, doc=field.doc)
        added[name].__set_name__(StudyFile, name)
        setattr(StudyFile, name, added[name])
    StudyFile.fields = {**StudyFile.fields, **added}


_add_recipe()


def of(values: Mapping[str, Any], file: str | Path | None = None) -> StudyFile:
    """Return a study of its fields by name.

    Args:
        values: The fields; None counts as not given.
        file: A YAML file with those that are not among them.

    Raises:
        InputError: Names the field, and what it must be.
        SpecError: It is one of the file, whose line is named.
        UnknownNameError, BackendError: There is no such backend, or it is not installed.
    """
    try:
        return settings.read(StudyFile, values, file)
    except SpecError:
        raise
    except InputError as error:
        if file is None or str(error).startswith(str(file)):
            raise
        raise InputError(f"{file}: {error}") from None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of studies, for editors and for the options of ``zoo compare``."""
    return settings.schema(StudyFile, "A study of zoo")


def _check_known(what: str, name: str, known: Any, *place: str) -> None:
    if name not in known:
        hint = suggestion(name, known) or f". Known: {listed(known)}."
        raise Mismatch(f"unknown {what} {quoted(name)}{hint}", MISSING, *place)


if __name__ == "__main__":  # python -m zoo.comparing.study > zoo/comparing/study.schema.json
    print(json.dumps(schema(), indent=1))
