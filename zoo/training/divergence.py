"""Finds where values are not finite, in a run whose loss is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoo.backend.base import Backend
from zoo.graphs.graph import Graph
from zoo.graphs.layouts import channels_first

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def not_finite(backend: Backend, model: Any, graph: Graph, x: Array, precision: str) -> str:
    """Say which weight, or which node for a batch, is the first with a value that is not finite.

    The nodes are computed in full precision, so a value that float16 cannot hold counts, too.
    """
    largest = float(np.finfo(np.float16).max) if precision == "float16" else math.inf
    for name, value in backend.get_weights(model).items():
        trained = not name.endswith(("running_mean", "running_var"))
        if trained and not np.isfinite(value.astype(np.float64)).all():
            return f"{name} has values that are not finite"
    images = channels_first(x) if backend.channels_last else x
    for node, value in backend.features(model, images, graph.nodes).items():
        if not np.isfinite(value).all():
            return f"{node} is the first node with values that are not finite"
        if (found := float(np.abs(value).max(initial=0))) > largest:
            return (
                f"{node} is the first node with values that float16 cannot hold, up to {found:.2g}"
            )
    also = "" if precision == "full" else " and full precision"
    return f"every node is finite in evaluation mode{also}"
