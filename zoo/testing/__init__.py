"""Holds models that people write by hand, in any framework, against a spec.

    zoo.testing.assert_same(my_model, "googlenet", x, names={"conv1.conv": "stem", ...})

The weights of the hand-written model are put into the spec's network by name, both compute the same
input, and the first node at which they part is named.
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
    """Raise an AssertionError that names where a model parts from a spec's network.

    The weights of ``model_a`` are used for both; nothing of either model is changed. Every module
    of ``model_a`` that ``names`` leads to is compared with the node or block of that name, in the
    order they are computed, in evaluation mode. A module without weights that is merely called like
    a node may be another: it tells where two part that differ later, and is no difference alone.
    The rate of a dropout is compared where a module is mapped to it or called alike; a dropout that
    is a function, or missing, cannot be seen, and only one that is a module is switched off.

    Args:
        model_a: A model of any framework, written by hand or built by zoo.
        model_b: What it is to be: a model zoo built in any framework, a graph, or the name or YAML
            file of one, which is then made for the size and channels of ``x``.
        x: [N, C, H, W], whatever the framework's own layout.
        names: The spec's name of a node or block -> the path of the hand-written module (in Keras
            the layer's name). What is under a block follows its own name; ``*`` stands for one
            part of a name; the longest name that fits holds. Not needed for what is called alike.
            A module that is called several times is held at every node that is mapped to it, in the
            order of calls. Two names for one module, ``{"fc1": "a", "relu1": "a"}``, say that it
            has the weights of the first and gives the value of the last; so has a Keras layer with
            an activation of its own, without saying.
        level: ``structure``, every parameter by name and shape; ``forward``, also every node and
            output; ``gradients``, also the training loss and its gradient for every parameter and
            the input, in training mode, with batch statistics and dropouts that drop nothing; or
            ``training``, also the running statistics after one step of training. These show
            another momentum, and the unbiased running variance of PyTorch's own batch norm, which
            is not the spec's rule and is named as the reason. What is off by less than 1e-4 is seen
            in a float64 model alone, which is held within 1e-8.
        labels: Class numbers [N] for the loss; 0, 1, 2, ... if not given, from 0 again where there
            are no more classes.
        tolerance: The largest error of a node; if not given 1e-12 in float64, and in float32 1e-5
            or four times what rounding costs NumPy on this network, if that is more.

    Raises:
        AssertionError: They differ; the message says where, by how much, and what lies before.
        InputError: Neither is known to zoo, x or labels do not fit or are not finite, or ``names``
            leads to no module.
        UnknownNameError: ``names`` has a name that the spec has not, or there is no such level.

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
        AssertionError: Network is not vgg9: they part at stage2.conv1.relu (relu, 128x16x16): ...
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
    except ValueError:  # lists of unlike lengths
        raise InputError("expected x [N, C, H, W], got lists of unlike lengths") from None
    if x.ndim != 4:
        raise InputError(f"expected x [N, C, H, W], got {list(x.shape)}")
    if not x.size:
        raise InputError(f"x is empty: {list(x.shape)}")
    if x.dtype.kind not in "fiu":
        raise InputError(f"x: expected numbers, got {x.dtype}")
    if not np.isfinite(x).all():
        raise InputError("x has NaN or infinite values, with which nothing can be compared")
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
            "the second is what the first is held against: a model that zoo built, a graph, or the "
            f"name of a spec; got {type(model).__name__}"
        )
    if x.shape[1:] != known.input_shape:
        raise InputError(known.refusal(x.shape))
    return known


def _values_of(
    model: Any, graph: Graph, x: Array, weights: Mapping[str, Array]
) -> Mapping[str, Array]:
    """What a model that zoo built has at every node, with these weights; it keeps its own."""
    if not hasattr(model, "zoo_graph"):
        return {}
    before = get_weights(model)
    set_weights(model, weights)
    try:
        return features(model, x, [node.name for node in graph.nodes])
    finally:
        set_weights(model, before)
