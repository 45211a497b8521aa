"""The switches of a study: what frameworks do differently unless they are told.

Each is a named setting with a value. Aligned, it has one value in all backends: that of the spec
and of the recipe. Native, it has in each backend the value that the framework has by default, which
is in the description of the backend. Any backend can take any value, with a few exceptions that are
refused, because a switch changes the graph, the recipe or the images, and not the framework.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from zoo.api.preprocessing import recipe_of
from zoo.backend.description import Description
from zoo.comparing import rewriting
from zoo.comparing.setup import Case, Setup
from zoo.errors import InputError
from zoo.ops import OPS
from zoo.ops.fields import PLAIN_INTEGER, TEXT
from zoo.ops.kinds import MAX_INT, Kind, Scalar, one_of
from zoo.weights.initial import INITIALIZERS

COUNTED = ("counted", "not counted")
#: How images are resized -> the fields of a spec's preprocessing.
RESIZING: Mapping[str, Mapping[str, Any]] = {
    "nearest": {"interpolation": "nearest", "antialias": False},
    "bilinear": {"interpolation": "bilinear", "antialias": False},
    "bicubic": {"interpolation": "bicubic", "antialias": False},
    "bilinear-antialias": {"interpolation": "bilinear"},
    "bicubic-antialias": {"interpolation": "bicubic"},
}


class Switch(ABC):
    """A setting that a framework has a default for.

    Attributes:
        name: What a study calls it.
        title: What it is, for a table.
        kind: The values that a study may give it.
        said: What it is aligned to, for a table.
        own: What it is native to, for a table, if descriptions of backends have no value.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[Kind[Any]]
    said: ClassVar[str] = "as the spec states"
    own: ClassVar[str] = "own"

    @abstractmethod
    def irrelevance(self, case: Case) -> str:
        """Return why it makes no difference to a network and a recipe; empty if it may."""

    @abstractmethod
    def aligned(self, case: Case) -> Any:
        """Return the value in all backends."""

    def native(self, case: Case, backend: Description) -> Any:
        """Return the value that a framework has by default."""
        return backend.defaults.get(self.name, self.aligned(case))

    @abstractmethod
    def apply(self, setup: Setup, value: Any, backend: str) -> Setup:
        """Return how a run computes with a value."""


class InitialWeights(Switch):
    """The arrays that training begins with."""

    name = "initial_weights"
    title = "initial weights: zoo's arrays, the same in all, or those of the framework's layers"
    said = "He uniform, or the recipe's `init`"
    kind = TEXT

    def irrelevance(self, case: Case) -> str:
        return "the recipe states weights to start from" if case.recipe.weights else ""

    def aligned(self, case: Case) -> str:
        return str(case.recipe.init)

    def native(self, case: Case, backend: Description) -> str:
        return self.aligned(case) if "init" in case.stated else backend.name

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        if value == backend:
            return replace(setup, init="native")
        known = [name for name in INITIALIZERS if name != "native"]
        if value not in known:
            raise InputError(
                f"native.{backend}.{self.name}: expected {', '.join(known)}, or {backend} for the "
                f"initializers of its own layers, got {value!r:.60}"
            )
        return replace(setup, init=value)


class OfNodes(Switch):
    """An attribute of all nodes of an operation."""

    op: ClassVar[str]
    attribute: ClassVar[str]
    kind = Scalar(
        "a number above 0",
        lambda v: type(v) in (int, float) and 0 < v <= MAX_INT,
        {"type": "number", "exclusiveMinimum": 0},
        plain=True,
    )

    def irrelevance(self, case: Case) -> str:
        return "" if rewriting.nodes_of(case.graph, self.op) else f"it has no {self.op}"

    def aligned(self, case: Case) -> float | None:
        found = {n.attributes[self.attribute] for n in rewriting.nodes_of(case.graph, self.op)}
        return found.pop() if len(found) == 1 else None

    def native(self, case: Case, backend: Description) -> Any:
        # What differs from the default of the spec language was stated, as it would be in code.
        default = getattr(OPS[self.op], self.attribute).default
        value = self.aligned(case)
        return super().native(case, backend) if value == default else value

    def apply(self, setup: Setup, value: float | None, backend: str) -> Setup:
        if value is None:
            return setup
        graph = rewriting.with_attribute(setup.graph, self.op, self.attribute, float(value))
        return replace(setup, graph=graph)


class BatchNormMomentum(OfNodes):
    """How fast running statistics change."""

    name, op, attribute = "batch_norm_momentum", "batch_norm", "momentum"
    title = "batch norm: the weight of the new value in running statistics"
    kind = Scalar(
        "a number from 0 to 1",
        lambda v: type(v) in (int, float) and 0 <= v <= 1,
        {"type": "number", "minimum": 0, "maximum": 1},
        plain=True,
    )


class BatchNormEps(OfNodes):
    """What is added to a variance."""

    name, op, attribute = "batch_norm_eps", "batch_norm", "eps"
    title = "batch norm: what is added to the variance"


class LayerNormEps(OfNodes):
    """What is added to a variance."""

    name, op, attribute = "layer_norm_eps", "layer_norm", "eps"
    title = "layer norm: what is added to the variance"


class BatchNormVariance(Switch):
    """Which variance of a batch becomes part of the running one."""

    name = "batch_norm_variance"
    title = "batch norm: the variance of a batch in the running one"
    said = "biased"
    kind = one_of("biased", "unbiased")

    def irrelevance(self, case: Case) -> str:
        if not rewriting.nodes_of(case.graph, "batch_norm"):
            return "it has no batch_norm"
        recipe = case.recipe
        if recipe.accumulate > 1 or recipe.ema is not None or recipe.freeze:
            return "with accumulate, ema or freeze, running variances are not followed"
        return ""

    def aligned(self, case: Case) -> str:
        return "biased"

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        return replace(setup, unbiased=value == "unbiased")


class Padding(Switch):
    """Where layers with a stride are padded."""

    name = "padding"
    title = "padding of layers with a stride: as stated, or as by same, with the odd pixel last"
    kind = one_of("stated", "same")

    def irrelevance(self, case: Case) -> str:
        same = rewriting.with_same_padding(case.graph)
        return "" if same != case.graph else "no layer of it would be padded differently"

    def aligned(self, case: Case) -> str:
        return "stated"

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        if value == "stated":
            return setup
        return replace(setup, graph=rewriting.with_same_padding(setup.graph))


class AveragePadding(Switch):
    """Whether an average pool counts its padding."""

    name = "average_padding"
    title = "average pools: whether the padding counts"
    kind = one_of("stated", *COUNTED)

    def irrelevance(self, case: Case) -> str:
        padded = any(
            any(node.attributes["padding"])
            for node in rewriting.nodes_of(case.graph, "avg_pool")
            if node.attributes.get("rounding") != "ceil"
        )
        return "" if padded else "it has no average pool with padding"

    def aligned(self, case: Case) -> str:
        return "stated"

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        if value == "stated":
            return setup
        graph = rewriting.with_padding_counted(setup.graph, value == "counted")
        return replace(setup, graph=graph)


class Optimizer(Switch):
    """Whose computation updates the weights."""

    name = "optimizer"
    title = "optimizer: zoo's written rule, or the framework's own where that differs"
    said = "written"
    kind = one_of("written", "framework")

    def irrelevance(self, case: Case) -> str:
        return ""

    def aligned(self, case: Case) -> str:
        return "written"

    def native(self, case: Case, backend: Description) -> str:
        return str(backend.defaults.get(self.name, {}).get(case.recipe.optimizer, "written"))

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        return replace(setup, native_optimizer=value == "framework")


class OfOptimizer(Switch):
    """A field of the recipe that some optimizers have."""

    said = "as the recipe"
    field: ClassVar[str]
    optimizers: ClassVar[tuple[str, ...]]
    kind = Scalar(
        "a number of at least 0",
        lambda v: type(v) in (int, float) and 0 <= v <= MAX_INT,
        {"type": "number", "minimum": 0},
        plain=True,
    )

    def irrelevance(self, case: Case) -> str:
        has = case.recipe.optimizer in self.optimizers
        return "" if has else f"it does not matter to {case.recipe.optimizer}"

    def aligned(self, case: Case) -> float:
        return float(getattr(case.recipe, self.field))

    def native(self, case: Case, backend: Description) -> float:
        aligned = self.aligned(case)
        if self.field in case.stated:
            return aligned
        values = backend.defaults.get(self.name, {})
        return float(values.get(case.recipe.optimizer, aligned))

    def apply(self, setup: Setup, value: float, backend: str) -> Setup:
        return setup.with_recipe(**{self.field: value})


class OptimizerEps(OfOptimizer):
    """What is added to the root of the mean square."""

    name, field, optimizers = "optimizer_eps", "eps", ("adam", "adamw", "rmsprop")
    title = "optimizer: epsilon, where the recipe states none"


class OptimizerAlpha(OfOptimizer):
    """How much of the mean square is kept."""

    name, field, optimizers = "optimizer_alpha", "alpha", ("rmsprop",)
    title = "rmsprop: the decay of the mean square, where the recipe states none"


class WeightDecay(OfOptimizer):
    """How much weights decay if nobody says so."""

    name, field, optimizers = "weight_decay", "weight_decay", ("adamw",)
    title = "adamw: weight decay, where the recipe states none"


class Decay(Switch):
    """How weights decay."""

    name = "decay"
    title = "weight decay: added to the gradient, or apart from it"
    said = "coupled"
    kind = one_of("coupled", "decoupled")

    def irrelevance(self, case: Case) -> str:
        if case.recipe.optimizer == "adamw":
            return "it is decoupled in every adamw"
        return "" if case.recipe.weight_decay else "there is no weight decay"

    def aligned(self, case: Case) -> str:
        return "coupled"

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        # The written rules couple it themselves, with the framework's own optimizer where they can.
        rule = value == "coupled" and not setup.native_optimizer
        return replace(setup, decoupled=None if rule else value == "decoupled")


class Resize(Switch):
    """How images become as large as the input."""

    name = "resize"
    title = "images: interpolation, and whether it averages over the pixels between"
    kind = one_of(*RESIZING)

    def irrelevance(self, case: Case) -> str:
        return "" if case.resized else "the images have the size of the input"

    def aligned(self, case: Case) -> str:
        return f"{recipe_of(case.graph)['interpolation']}-antialias"

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        # Pillow's own names need no entry: they are what the spec has.
        return replace(setup, images={**setup.images, **RESIZING.get(value, {})})


class ChannelOrder(Switch):
    """The order of the colors."""

    name = "channel_order"
    title = "images: the order of the colors"
    kind = one_of("rgb", "bgr")

    def irrelevance(self, case: Case) -> str:
        return "" if case.graph.input_shape.channels > 1 else "it has one channel"

    def aligned(self, case: Case) -> str:
        return str(recipe_of(case.graph)["channels"])

    def native(self, case: Case, backend: Description) -> Any:
        # A spec that states bgr, such as Caffe's, means that of the images its weights come from.
        return self.aligned(case) if self.aligned(case) != "rgb" else super().native(case, backend)

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        return replace(setup, images={**setup.images, "channels": value})


class Order(Switch):
    """The order of the images, augmentation and dropout."""

    name = "order"
    title = "order of the images, augmentation and dropout: the same, or one of each framework"
    said = "shared"
    kind = Scalar(
        "'shared', a word, or an integer",
        lambda v: isinstance(v, str | int) and not isinstance(v, bool),
        TEXT.schema({}),
        PLAIN_INTEGER.schema({}),
        plain=True,
    )

    def irrelevance(self, case: Case) -> str:
        return ""

    def aligned(self, case: Case) -> str:
        return "shared"

    def native(self, case: Case, backend: Description) -> str:
        return backend.name

    def apply(self, setup: Setup, value: str | int | None, backend: str) -> Setup:
        if value in (None, "shared"):
            return setup
        text = f"{setup.recipe.seed}|{value}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:6], "little")
        return setup.with_recipe(seed=seed)


#: Alone in depending on the seed.
ORDER = Order()
#: Name -> switch, in the order in which they are applied: what decides about decay comes before it.
SWITCHES: Mapping[str, Switch] = {
    switch.name: switch
    for switch in (
        InitialWeights(),
        BatchNormMomentum(),
        BatchNormEps(),
        BatchNormVariance(),
        LayerNormEps(),
        Padding(),
        AveragePadding(),
        Optimizer(),
        OptimizerEps(),
        OptimizerAlpha(),
        WeightDecay(),
        Decay(),
        Resize(),
        ChannelOrder(),
        ORDER,
    )
}


def relevant(case: Case, names: Mapping[str, Any] | tuple[str, ...] | None = None) -> list[str]:
    """Return the names of the switches that can matter.

    Args:
        case: The network, its data and the recipe.
        names: Those to choose from; all if not given.
    """
    return [
        name
        for name, switch in SWITCHES.items()
        if (names is None or name in names) and not switch.irrelevance(case)
    ]


def values(
    case: Case,
    names: list[str],
    native: frozenset[str],
    backend: Description,
    overrides: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the value of each switch in a run.

    Args:
        case: The network, its data and the recipe.
        names: The switches.
        native: Those that are native.
        backend: The framework.
        overrides: Native values that are others than the framework's own.
    """
    found = {}
    for name in names:
        switch = SWITCHES[name]
        if name not in native:
            found[name] = switch.aligned(case)
        elif name in overrides:
            found[name] = overrides[name]
        else:
            found[name] = switch.native(case, backend)
    return found


def applied(case: Case, chosen: Mapping[str, Any], backend: str) -> Setup:
    """Return how a run computes, with the seed of the recipe.

    Args:
        case: The network, its data and the recipe.
        chosen: Switch -> value.
        backend: The name of the framework.

    Raises:
        InputError: The framework cannot take a value.
    """
    setup = Setup(case.graph, case.recipe, case.recipe.init)
    aligned = {name: SWITCHES[name].aligned(case) for name in chosen}
    for name, switch in SWITCHES.items():
        # Decay depends on the optimizer, whatever its own value.
        if name in chosen and (chosen[name] != aligned[name] or name == "decay"):
            setup = switch.apply(setup, chosen[name], backend)
    if setup.native_optimizer and setup.recipe.weight_decay and setup.decoupled is None:
        setup = replace(setup, decoupled=setup.recipe.optimizer == "adamw")
    return setup
