"""Switches of a network: its initial weights, and what its nodes compute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from zoo.backend.description import Description
from zoo.comparing import rewriting
from zoo.comparing.setup import Case, Setup
from zoo.comparing.switches.switch import Switch
from zoo.errors import InputError
from zoo.ops import OPS
from zoo.ops.fields import TEXT
from zoo.ops.kinds import MAX_INT, Scalar, one_of
from zoo.weights.initial import INITIALIZERS

COUNTED = ("counted", "not counted")


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
