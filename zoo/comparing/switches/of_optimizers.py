"""Switches of an optimizer: whose it is, and its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from zoo.backend.description import Description
from zoo.comparing.setup import Case, Setup
from zoo.comparing.switches.switch import Switch
from zoo.ops.kinds import MAX_INT, Scalar, one_of


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
