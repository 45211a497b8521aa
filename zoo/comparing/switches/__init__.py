"""The switches of a study: what frameworks do differently unless they are told.

Each is a named setting with a value. Aligned, it has one value in all backends: that of the spec
and of the recipe. Native, it has in each backend the value that the framework has by default, which
is in the description of the backend. Any backend can take any value, with a few exceptions that are
refused, because a switch changes the graph, the recipe or the images, and not the framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoo.backend.description import Description
from zoo.comparing.setup import Case, Setup
from zoo.comparing.switches.of_images import ChannelOrder, Order, Resize
from zoo.comparing.switches.of_networks import (
    AveragePadding,
    BatchNormEps,
    BatchNormMomentum,
    BatchNormVariance,
    InitialWeights,
    LayerNormEps,
    Padding,
)
from zoo.comparing.switches.of_optimizers import (
    Decay,
    Optimizer,
    OptimizerAlpha,
    OptimizerEps,
    WeightDecay,
)
from zoo.comparing.switches.switch import Switch

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
