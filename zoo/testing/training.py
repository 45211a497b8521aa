"""Holds how a hand-written model trains against a spec's network in the same framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.api import Array
from zoo.network import Graph
from zoo.testing.comparison import by_output
from zoo.testing.handwritten import HandWritten
from zoo.verification.training import GRADIENTS


def check_gradients(
    mine: HandWritten, graph: Graph, x: Array, weights: Mapping[str, Array], labels: Array
) -> None:
    """Hold gradients against those of the spec's network, built in the same framework."""
    backend, dtype = mine.backend, next(iter(weights.values())).dtype.name
    theirs = backend.build(graph, None, dtype, 0)
    backend.set_weights(theirs, weights)
    other = HandWritten(theirs, graph, {})
    names = [output.name for output in graph.outputs]

    def loss(outputs: Any) -> Any:
        return graph.total_loss(
            outputs if len(names) == 1 else by_output(outputs, names, mine.title, graph.name),
            lambda logits, weight: backend.cross_entropy(logits, labels, weight),
        )

    _, own, of_input = backend.differentiate(mine.model, x, loss)
    _, aim, aim_of_input = backend.differentiate(theirs, x, loss)
    own, aim = mine.gradients(own), other.gradients(aim)
    largest = max((float(np.abs(value).max()) for value in aim.values()), default=1.0)
    allowed = GRADIENTS if dtype == "float64" else 1e-4
    for name, value in {**aim, "the input": aim_of_input}.items():
        found = of_input if name == "the input" else own[name]
        far = float(np.abs(found - value).max()) / (
            largest if name != "the input" else float(np.abs(value).max()) or 1.0
        )
        if not far <= allowed:
            raise AssertionError(
                f"{mine.title} is not {graph.name}: the gradient of {name} is off by {far:.1e} of "
                f"the largest, allowed {allowed:.0e}"
            )
