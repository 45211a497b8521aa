"""A recipe: all that a training run is made of, as plain data that YAML can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from zoo.api.optimizers import DECAYS, rule
from zoo.backend.training import RULES, Rule
from zoo.data.augmentation import AUGMENTATIONS
from zoo.errors import InputError
from zoo.language import document
from zoo.ops.fields import (
    PLAIN_BOOLEAN,
    PLAIN_COUNT,
    PLAIN_INTEGER,
    PLAIN_SIZE,
    TEXT,
    exactly,
)
from zoo.ops.grammar import Field, Record
from zoo.ops.kinds import Kind, ListOf, Mismatch, Nullable, Scalar, one_of
from zoo.training import schedules
from zoo.training.schedules import Schedule

FORMAT = 1
PRECISIONS = ("full", "bfloat16", "float16")


def _number(least: float, below: float = float("inf"), *, above: bool = False) -> Kind[float]:
    words = f"above {least:g}" if above else f"of at least {least:g}"
    limit = "" if below == float("inf") else f" and less than {below:g}"
    schema: dict[str, Any] = {
        "type": "number",
        "exclusiveMinimum" if above else "minimum": least,
    }
    if limit:
        schema["exclusiveMaximum"] = below

    def accepts(value: Any) -> bool:
        return type(value) in (int, float) and (
            least < value < below if above else least <= value < below
        )

    return Scalar(f"a number {words}{limit}", accepts, schema, plain=True)


_NATURAL: Kind[int] = Scalar(
    "an integer of at least 0",
    lambda v: type(v) is int and 0 <= v < 2**53,
    {"type": "integer", "minimum": 0},
    plain=True,
)


_NEW: Kind[str] = Scalar("'new'", lambda v: v == "new", {"const": "new"}, plain=True)


class Recipe(Record):
    """How a network is trained.

    What is not stated has the default. Numbers of epochs may be fractions only for the warm-up.
    """

    format = Field(exactly(FORMAT, f"{FORMAT}, the format that this version of zoo reads"), FORMAT)

    model = Field(TEXT, doc="a name from 'zoo list', or the path of a YAML file")
    data = Field(TEXT, doc="a dataset from 'zoo data', a folder of images by class or an .npz")
    aux = Field(PLAIN_BOOLEAN, False, doc="whether the auxiliary heads are trained, too")
    in_channels = Field(Nullable(PLAIN_COUNT), None, doc="channels of the input")
    input_size = Field(Nullable(PLAIN_SIZE), None, doc="pixels of the input")
    weights = Field(Nullable(TEXT), None, doc="a file or a source of weights to start from")
    head = Field(Nullable(_NEW), None, doc="'new' for a new classifier")
    init = Field(TEXT, "he_uniform", doc="initializer of the weights")
    dtype = Field(one_of("float32", "float64"), "float32", doc="dtype of the weights")

    epochs = Field(PLAIN_COUNT, doc="how often each image is seen")
    batch_size = Field(PLAIN_COUNT, 64, doc="images in a step")
    accumulate = Field(PLAIN_COUNT, 1, doc="parts of a batch, of which one is computed at a time")
    augmentation = Field(one_of(*AUGMENTATIONS), "none", doc="random changes of the images")
    seed = Field(PLAIN_INTEGER, 0, doc="of weights, orders, augmentation and dropout")

    optimizer = Field(one_of(*RULES), "sgd", doc="the rule of the updates")
    lr = Field(_number(0, above=True), doc="learning rate")
    momentum = Field(_number(0, 1), 0.0, doc="of sgd and rmsprop")
    nesterov = Field(PLAIN_BOOLEAN, False, doc="whether the momentum of sgd is Nesterov's")
    beta1 = Field(_number(0, 1), 0.9, doc="of adam and adamw")
    beta2 = Field(_number(0, 1), 0.999, doc="of adam and adamw")
    alpha = Field(_number(0, 1), 0.99, doc="of rmsprop")
    eps = Field(_number(0), 1e-8, doc="of adam, adamw and rmsprop")
    weight_decay = Field(_number(0), 0.0, doc="added to gradients; in adamw, of the weights")
    decay = Field(one_of(*DECAYS), "all", doc="which weights decay")

    schedule = Field(one_of(*schedules.NAMES), "constant", doc="of the learning rate")
    warmup = Field(_number(0), 0.0, doc="epochs in which the learning rate rises")
    milestones = Field(ListOf(PLAIN_COUNT), [], doc="epochs after which it falls, in 'step'")
    gamma = Field(_number(0, above=True), 0.1, doc="what it is multiplied by then")

    label_smoothing = Field(_number(0, 1), 0.0, doc="the share of a label given to all classes")
    clip_norm = Field(Nullable(_number(0, above=True)), None, doc="largest norm of the gradients")
    ema = Field(Nullable(_number(0, 1)), None, doc="how much of moving averages is kept in a step")
    freeze = Field(ListOf(TEXT), [], doc="patterns of layers that are not trained")
    precision = Field(one_of(*PRECISIONS), "full", doc="what most operations are computed in")
    compile = Field(PLAIN_BOOLEAN, False, doc="whether PyTorch's step is compiled")
    patience = Field(
        Nullable(PLAIN_COUNT), None, doc="epochs without a better top-1 after which training stops"
    )
    checkpoint_every = Field(_NATURAL, 0, doc="steps between checkpoints within an epoch; 0: none")
    keep = Field(PLAIN_COUNT, 2, doc="how many checkpoints are kept, besides the best")

    def checked(self) -> Self:
        """Return the recipe after checking what fields say together.

        Raises:
            InputError: They do not fit together.
        """
        self.rule()
        if self.accumulate > self.batch_size:
            raise InputError(
                f"accumulate must be at most batch_size, {self.batch_size}, got {self.accumulate}"
            )
        if self.warmup > self.epochs:
            raise InputError(f"warmup must be at most epochs, {self.epochs}, got {self.warmup:g}")
        self.learning_rate(1)
        return self

    def rule(self) -> Rule:
        """Return how weights are updated."""
        names = ("momentum", "nesterov", "beta1", "beta2", "alpha", "eps", "weight_decay", "decay")
        return rule(self.optimizer, self.lr, **{name: getattr(self, name) for name in names})

    def learning_rate(self, steps: int) -> Schedule:
        """Return the learning rate of each step.

        Args:
            steps: Steps in an epoch.
        """
        return schedules.schedule(
            self.schedule,
            self.lr,
            steps=self.epochs * steps,
            warmup=round(self.warmup * steps),
            milestones=tuple(place * steps for place in self.milestones),
            gamma=self.gamma,
        )

    def text(self) -> str:
        """Return the recipe as YAML, without what has its default."""
        lines = [f"format: {FORMAT}"]
        for name, field in self.fields.items():
            value = getattr(self, name)
            if name != "format" and (field.required or value != field.default):
                lines.append(f"{name}: {json.dumps(value)}")  # JSON is YAML
        return "\n".join(lines) + "\n"


def read(path: Path) -> Recipe:
    """Read a recipe from a YAML file.

    Raises:
        SpecError: One line with the file, line, path, what was expected, and a suggestion.
        InputError: Settings do not fit together.
    """
    contents = document.read(path)
    try:
        return Recipe.read(contents).checked()
    except Mismatch as mismatch:
        raise document.error(contents, mismatch.location, str(mismatch)) from None


def of(values: Mapping[str, Any]) -> Recipe:
    """Return a recipe of settings by name.

    Raises:
        InputError: Names the setting, and what it must be.
    """
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return Recipe.read(given).checked()
    except Mismatch as mismatch:
        place = ".".join(map(str, mismatch.location))
        raise InputError(f"{place}: {mismatch}" if place else str(mismatch)) from None
