"""A recipe: all settings of a training run, as plain data that YAML can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from zoo.api.optimizers import DECAYS, rule_of
from zoo.backend.training import RULES, Rule
from zoo.data.augmentation import AUGMENTATIONS
from zoo.errors import InputError
from zoo.language import settings
from zoo.ops.fields import (
    PLAIN_BOOLEAN,
    PLAIN_COUNT,
    PLAIN_INTEGER,
    PLAIN_SIZE,
    TEXT,
    exactly,
)
from zoo.ops.grammar import Field, Record
from zoo.ops.kinds import MAX_INT, Kind, ListOf, Nullable, Scalar, one_of
from zoo.ops.operation_hints import normalized
from zoo.training import schedules
from zoo.training.schedules import Schedule

FORMAT = 1
PRECISIONS = ("full", "bfloat16", "float16")

#: Options of ``zoo train`` that do not change what is computed.
_OPTIONS = ("backend", "output", "workers", "devices", "tensorboard", "resume")
#: Normalized word of other tools -> setting.
_WORDS = {
    **dict.fromkeys(("learningrate", "baselr", "initiallr"), "lr"),
    **dict.fromkeys(("numepochs", "maxepochs"), "epochs"),
    **dict.fromkeys(("lrschedule", "scheduler", "lrscheduler"), "schedule"),
    **dict.fromkeys(("clipgradnorm", "gradclip", "maxgradnorm"), "clip_norm"),
    **{"arch": "model", "network": "model", "dataset": "data", "epsilon": "eps", "rho": "alpha"},
    **{"warmupepochs": "warmup", "smoothing": "label_smoothing", "emadecay": "ema"},
    **{"amp": "precision", "gradientaccumulation": "accumulate"},
}


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
        if type(value) not in (int, float) or abs(value) > MAX_INT:
            return False
        return bool(least < value < below if above else least <= value < below)

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

    model = Field(TEXT, doc="name from 'zoo list', or path of a YAML file")
    data = Field(TEXT, doc="dataset from 'zoo data', folder of images by class, or .npz file")
    aux = Field(PLAIN_BOOLEAN, False, doc="whether to train the auxiliary heads, too")
    in_channels = Field(Nullable(PLAIN_COUNT), None, doc="number of channels of the input")
    input_size = Field(Nullable(PLAIN_SIZE), None, doc="size of the input in pixels")
    weights = Field(Nullable(TEXT), None, doc="file or source of the weights to start from")
    head = Field(
        Nullable(_NEW), None, doc="'new' to replace the classifier of the weights with a new one"
    )
    init = Field(TEXT, "he_uniform", doc="initializer of new weights")
    dtype = Field(one_of("float32", "float64"), "float32", doc="dtype of the weights")

    epochs = Field(PLAIN_COUNT, doc="total number of epochs")
    batch_size = Field(PLAIN_COUNT, 64, doc="number of images in a step")
    accumulate = Field(PLAIN_COUNT, 1, doc="number of parts that a batch is computed in")
    augmentation = Field(
        one_of(*AUGMENTATIONS), "none", doc="random augmentation of the training images"
    )
    skip_damaged = Field(PLAIN_BOOLEAN, False, doc="whether to skip images that cannot be read")
    seed = Field(
        PLAIN_INTEGER,
        0,
        doc="random seed for weights, orders, augmentation and dropout",
    )

    optimizer = Field(one_of(*RULES), "sgd", doc="update rule")
    lr = Field(_number(0, above=True), doc="learning rate")
    momentum = Field(_number(0, 1), 0.0, doc="momentum of sgd and rmsprop")
    nesterov = Field(PLAIN_BOOLEAN, False, doc="whether to use Nesterov momentum in sgd")
    beta1 = Field(_number(0, 1), 0.9, doc="decay of the mean of the gradients in adam and adamw")
    beta2 = Field(_number(0, 1), 0.999, doc="decay of the mean of their squares in adam and adamw")
    alpha = Field(_number(0, 1), 0.99, doc="decay of the mean of squared gradients in rmsprop")
    eps = Field(_number(0), 1e-8, doc="number added to the root of that mean; not in sgd")
    weight_decay = Field(
        _number(0),
        0.0,
        doc="weight decay; decoupled only in adamw",
    )
    decay = Field(
        one_of(*DECAYS),
        "all",
        doc="which weights decay; 'kernels' excludes biases and normalizations",
    )

    schedule = Field(one_of(*schedules.NAMES), "constant", doc="how the learning rate changes")
    warmup = Field(
        _number(0), 0.0, doc="number of epochs over which the learning rate rises from 0"
    )
    milestones = Field(
        ListOf(PLAIN_COUNT),
        [],
        doc="epochs after which 'step' lowers the learning rate",
    )
    gamma = Field(
        _number(0, above=True), 0.1, doc="factor by which 'step' multiplies the learning rate"
    )

    label_smoothing = Field(
        _number(0, 1), 0.0, doc="fraction of each label that is spread over all classes"
    )
    clip_norm = Field(
        Nullable(_number(0, above=True)), None, doc="largest total norm of the gradients"
    )
    ema = Field(
        Nullable(_number(0, 1)),
        None,
        doc="decay of the moving averages of the weights",
    )
    freeze = Field(ListOf(TEXT), [], doc="pattern of names of layers that are not trained")
    precision = Field(
        one_of(*PRECISIONS), "full", doc="precision of most operations, but not of the weights"
    )
    sync_batch_norm = Field(
        PLAIN_BOOLEAN,
        True,
        doc="whether batch norms use the statistics of all devices, not of each its own",
    )
    compile = Field(
        PLAIN_BOOLEAN,
        False,
        doc="whether to compile the step, where that is optional",
    )
    patience = Field(
        Nullable(PLAIN_COUNT),
        None,
        doc="number of epochs without a better top-1 after which to stop",
    )
    checkpoint_every = Field(
        _NATURAL, 0, doc="number of steps between checkpoints within an epoch; 0 for none"
    )
    keep = Field(PLAIN_COUNT, 2, doc="number of checkpoints to keep besides the best")

    @classmethod
    def unknown(cls, key: str) -> str:
        """Return the error message for a key that is not a field."""
        if key in _OPTIONS:
            return f"it is no setting of a recipe, but an option of the command: zoo train --{key}"
        meant = _WORDS.get(normalized(key))
        return f"unknown field. Did you mean {meant!r}?" if meant else super().unknown(key)

    def checked(self) -> Self:
        """Return the recipe of a new run after checking what fields say together.

        Raises:
            InputError: They do not fit together, or one does nothing.
        """
        self.consistent()
        if self.head is not None and self.weights is None:
            raise InputError("head requires weights, whose classifier it replaces")
        if self.gamma != Recipe.gamma.default and self.schedule != "step":
            raise InputError(f"gamma is for the schedule step, not for {self.schedule}")
        return self

    def consistent(self) -> Self:
        """Return the recipe of a run that has begun, whose number of epochs may have changed.

        Raises:
            InputError: Fields do not fit together.
        """
        self.rule()
        if self.accumulate > self.batch_size:
            raise InputError(
                f"accumulate must be at most batch_size, {self.batch_size}, got {self.accumulate}"
            )
        if self.warmup > self.epochs:
            raise InputError(f"warmup must be at most epochs, {self.epochs}, got {self.warmup:g}")
        if self.milestones and self.schedule != "step":
            raise InputError(f"milestones are for the schedule step, not for {self.schedule}")
        if self.schedule == "step" and not self.milestones:
            raise InputError("schedule step needs milestones, the epochs at which the rate falls")
        if self.precision != "full" and self.dtype != "float32":
            raise InputError(
                f"precision {self.precision} needs dtype float32, got {self.dtype}, in which "
                "PyTorch would compute all of the network; train it in full precision"
            )
        self.learning_rate(1)
        return self

    def rule(self) -> Rule:
        """Return how weights are updated."""
        names = ("momentum", "nesterov", "beta1", "beta2", "alpha", "eps", "weight_decay", "decay")
        return rule_of(self.optimizer, self.lr, **{name: getattr(self, name) for name in names})

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


def schema() -> dict[str, Any]:
    """Return the JSON Schema of recipes, for editors and for the options of ``zoo train``."""
    return settings.schema(Recipe, "A training recipe of zoo")


def of(values: Mapping[str, Any], file: Path | None = None, *, begun: bool = False) -> Recipe:
    """Return a recipe of settings by name.

    Args:
        values: The settings; None counts as not given.
        file: A YAML file with those that are not among them.
        begun: Whether it is the recipe of a run that has begun.

    Raises:
        InputError: Names the setting, and what it must be.
        SpecError: It is one of the file, whose line is named.
    """
    return settings.read(Recipe, values, file, Recipe.consistent if begun else None)


if __name__ == "__main__":  # python -m zoo.training.recipe > zoo/training/recipe.schema.json
    print(json.dumps(schema(), indent=1))
