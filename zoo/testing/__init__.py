"""Compares models written by hand, in any framework, with a spec.

    zoo.testing.assert_same(my_model, "googlenet", x, names={"conv1.conv": "stem", ...})

The weights of the hand-written model are copied into the spec's network by name, both compute the
same input, and the first node at which they diverge is reported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.api.models import Array, get_weights, set_weights
from zoo.api.running import features
from zoo.data.labels import class_numbers
from zoo.errors import InputError, UnknownNameError, suggestion
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import text_of
from zoo.language import graphs
from zoo.testing.comparison import Comparison
from zoo.testing.handwritten import HandWritten
from zoo.testing.training import check_training

__all__ = ["LEVELS", "assert_same"]

LEVELS = ("structure", "forward", "gradients", "training")


def assert_same(
    model_a: Any,
    model_b: Any,
    x: Array,
    *,
    names: Mapping[str, str] | None = None,
    level: str = "forward",
    labels: Array | None = None,
    tolerance: float | None = None,
) -> None:
    """Raise an AssertionError that reports where a model diverges from a spec's network.

    The weights of ``model_a`` are used for both; neither model is changed. Every module of
    ``model_a`` that ``names`` maps to a node or block is compared with it, in the order of
    computation, in evaluation mode. A module without weights that merely has the name of a node may
    be something else: it helps to locate a later difference, and is no difference by itself. The
    rate of a dropout is compared if a module is mapped to it or has its name. A dropout that is a
    function, or missing, cannot be seen, and only one that is a module is switched off.

    Args:
        model_a: A model of any framework, written by hand or built by zoo.
        model_b: What to compare it with: a model that zoo built in any framework, a graph, or the
            name or YAML file of one, which is then made for the size and channels of ``x``.
        x: [N, C, H, W], whatever the framework's own layout.
        names: The spec's name of a node or block -> the path of the hand-written module (in Keras,
            the layer's name). Nodes inside a block follow the block's mapping; ``*`` matches one
            part of a name; the longest match wins. Names that are the same need no mapping. A
            module that is called several times is compared with every node mapped to it, in the
            order of calls. Two names for one module, ``{"fc1": "a", "relu1": "a"}``, say that it
            has the weights of the first and returns the value of the last. A Keras layer with its
            own activation is recognized without a mapping.
        level: ``structure`` compares every parameter by name and shape; ``forward`` adds every node
            and output; ``gradients`` adds the training loss and its gradient for every parameter
            and the input, in training mode, with batch statistics and dropout off; ``training``
            adds the running statistics after one training step. The last detects a different
            momentum, and the unbiased running variance of PyTorch's own batch norm, which is not
            the spec's rule; the message says so. Differences below 1e-4 are detected only in a
            float64 model, where the tolerance is 1e-8.
        labels: Class numbers [N] for the loss. By default 0, 1, 2, ..., starting at 0 again after
            the last class.
        tolerance: The largest error of a node. By default 1e-12 in float64, and in float32 1e-5 or
            four times NumPy's own rounding error on this network, if that is more.

    Raises:
        AssertionError: They differ; the message says where, by how much, and what comes before.
        InputError: zoo knows neither of the models, x or labels do not fit or are not finite, or
            ``names`` maps to no module.
        UnknownNameError: ``names`` has a name that the spec does not have, or there is no such
            level.

    Example:
        >>> import numpy as np, torch, zoo, zoo.testing
        >>> mine = zoo.build("vgg9", "torch", input_size=32, num_classes=5)
        >>> x = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
        >>> graph = zoo.graph("vgg9", input_size=32, num_classes=5)
        >>> zoo.testing.assert_same(mine, graph, x)
        >>> mine.stage2.conv1.relu = torch.nn.Identity()
        >>> zoo.testing.assert_same(mine, graph, x)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        AssertionError: Network is not vgg9: they diverge at stage2.conv1.relu (relu, ...
    """
    if level not in LEVELS:
        hint = suggestion(level, LEVELS) or f" Known: {', '.join(LEVELS)}."
        raise UnknownNameError(f"Unknown level {level!r}.{hint}")
    x = _input(x)
    graph = _graph(model_b, x)
    numbers = _labels(labels, graph, len(x)) if level in LEVELS[2:] else None
    mine = HandWritten(model_a, graph, names or {})
    if mine.unmade:  # as Keras' layers are before their first call
        mine.observed(x)
    weights = mine.weights()
    mine.check_rates()
    if level == "structure":
        return
    result, observed = mine.observed(x)
    comparison = Comparison(mine, graph, x, weights, tolerance)
    comparison.check(result, observed, _values_of(model_b, graph, x, weights))
    if numbers is not None:
        check_training(mine, graph, x, weights, numbers, level == "training", tolerance)


def _input(given: Any) -> Array:
    try:
        x: Array = np.asarray(given)
    except ValueError:  # lists of different lengths
        raise InputError("expected x [N, C, H, W], got lists of different lengths") from None
    if x.ndim != 4:
        raise InputError(f"expected x [N, C, H, W], got {list(x.shape)}")
    if not x.size:
        raise InputError(f"x is empty: {list(x.shape)}")
    if x.dtype.kind not in "fiu":
        raise InputError(f"x: expected numbers, got {x.dtype}")
    if not np.isfinite(x).all():
        raise InputError("x has NaN or infinite values, which cannot be compared")
    return x


def _labels(labels: Any, graph: Graph, count: int) -> Array:
    shapes = {name: node.shape for name, node in graph.output_nodes.items()}
    for name, shape in shapes.items():
        if len(shape) != 1:
            raise InputError(f"a loss needs outputs [N, classes]; {name} is {text_of(shape)}")
    classes = min(shape[0] for shape in shapes.values())
    if labels is None:
        return np.arange(count) % classes
    numbers: Array = class_numbers(np.asarray(labels), count, classes)
    return numbers


def _graph(model: Any, x: Array) -> Graph:
    known = getattr(model, "zoo_graph", model)
    if isinstance(known, str | os.PathLike):
        size = (x.shape[2], x.shape[3])
        known = graphs.graph(os.fspath(known), in_channels=x.shape[1], input_size=size)
    if not isinstance(known, Graph):
        raise InputError(
            "model_b must be a model that zoo built, a graph, or the name of a spec; got "
            f"{type(model).__name__}"
        )
    if x.shape[1:] != known.input_shape:
        raise InputError(known.refusal(x.shape))
    return known


def _values_of(
    model: Any, graph: Graph, x: Array, weights: Mapping[str, Array]
) -> Mapping[str, Array]:
    """The values of every node in a model that zoo built, with these weights; its own are kept."""
    if not hasattr(model, "zoo_graph"):
        return {}
    before = get_weights(model)
    set_weights(model, weights)
    try:
        return features(model, x, [node.name for node in graph.nodes])
    finally:
        set_weights(model, before)
