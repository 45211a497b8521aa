"""What a switch is asked about, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from zoo.graphs.graph import Graph
from zoo.training.recipe import Recipe


@dataclass(frozen=True)
class Case:
    """A network, its data and a recipe: what decides which switches can matter.

    Attributes:
        graph: The network.
        recipe: The recipe, with one value of each field of the grid.
        stated: The fields of the recipe that the study states. Users of a framework would state
            them, too, so that there is no default.
        resized: Whether images are resized to the size of the input.
    """

    graph: Graph
    recipe: Recipe
    stated: frozenset[str]
    resized: bool


@dataclass(frozen=True)
class Setup:
    """How a run computes: what switches change.

    Attributes:
        graph: The network.
        recipe: The recipe; its seed is that of the order, of augmentation and of dropout.
        init: The initializer of the weights; ``native`` for that of the framework.
        native_optimizer: See ``native`` of :class:`zoo.backend.training.Plan`.
        decoupled: See :class:`zoo.backend.training.Plan`.
        unbiased: Whether running variances are of unbiased variances of batches.
        images: Fields of the network's preprocessing that are others than the spec's.
    """

    graph: Graph
    recipe: Recipe
    init: str
    native_optimizer: bool = False
    decoupled: bool | None = None
    unbiased: bool = False
    images: Mapping[str, Any] = field(default_factory=dict)

    def with_recipe(self, **fields: Any) -> Self:
        """Return the same with other fields of the recipe."""
        return replace(self, recipe=type(self.recipe)(**{**self.recipe.to_dict(), **fields}))
