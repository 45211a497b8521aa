"""Compares hand-written models of any framework with a spec.

    zoo.testing.assert_same(my_model, "googlenet", x, names={"conv1.conv": "stem", ...})

The weights of the hand-written model are copied into the spec's network by name, both compute the
same input, and the first node at which they diverge is reported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from zoo import arguments
from zoo.api.models import Array, get_weights, set_weights
from zoo.api.running import features
from zoo.data.labels import class_numbers
from zoo.errors import InputError, SpecError, UnknownNameError, suggestion
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import text_of
from zoo.language import graphs, options, sizes
from zoo.testing import programs
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
    computation, in evaluation mode. A module without weights that only shares the name of a node
    may be something else: it helps to locate a later mismatch but is not reported by itself. The
    rate of a dropout is compared if a module is mapped to it or has its name. Only dropout modules
    can be detected and switched off; a functional or missing dropout goes unnoticed.

    An ``onnx.ModelProto`` of another program is compared in the levels ``structure`` and
    ``forward``, in float32: each node with the value that equals its own. An output that is the
    softmax of the spec's is compared as such, and a spec that is named gets as many classes as the
    model has. Then ``names`` maps to the names of initializers. ``zoo verify FILE.onnx --against
    MODEL`` does the same for a file.

    Args:
        model_a: A model of any framework, written by hand or built by zoo; or an ONNX model.
        model_b: The reference: a model that zoo built in any framework, a graph, or the name or
            YAML file of a spec, which is then expanded for the size and channels of ``x``.
        x: [N, C, H, W], regardless of the framework's own layout.
        names: The spec's name of a node or block -> the path of the hand-written module (in Keras,
            the layer's name). Nodes inside a block follow the block's mapping; ``*`` matches one
            part of a name; the longest match wins. Identical names need no mapping. A module that
            is called several times is compared with every node mapped to it, in the order of calls.
            Two names for one module, ``{"fc1": "a", "relu1": "a"}``, mean that it holds the weights
            of the first and returns the value of the last. A Keras layer with a built-in activation
            is recognized without a mapping.
        level: ``structure`` compares every parameter by name and shape; ``forward`` adds every node
            and output; ``gradients`` adds the training loss and its gradient for every parameter
            and the input, in training mode, with batch statistics and dropout off; ``training``
            adds the running statistics after one training step. ``training`` detects a different
            momentum, and the unbiased running variance of PyTorch's own batch norm, which differs
            from the spec's rule; the message explains this. Differences below 1e-4 are detected
            only in a float64 model, where the tolerance is 1e-8.
        labels: Class numbers [N] for the loss. By default 0, 1, 2, ..., restarting at 0 after the
            last class.
        tolerance: The largest error allowed at a node. By default 1e-12 in float64, and in float32
            1e-5 or four times NumPy's own rounding error on this network, whichever is larger.

    Raises:
        AssertionError: The models differ. The message reports the first mismatch, its error, and
            the state of the nodes before it.
        InputError: A model is not supported, ``x`` or ``labels`` have the wrong shape or values, or
            ``names`` maps to a module that does not exist.
        BackendError: A model that zoo built is only a part of ``model_a``, and there are no
            ``names``.
        UnknownNameError: ``names`` contains a name that is not in the spec, or ``level`` is
            unknown.

    Example:
        >>> import numpy as np, torch, zoo, zoo.testing
        >>> model = zoo.build("vgg9", "torch", input_size=32, num_classes=5)
        >>> x = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
        >>> graph = zoo.graph("vgg9", input_size=32, num_classes=5)
        >>> zoo.testing.assert_same(model, graph, x)
        >>> model.stage2.conv1.relu = torch.nn.Identity()
        >>> zoo.testing.assert_same(model, graph, x)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        AssertionError: Network is not vgg9: they diverge at stage2.conv1.relu (relu, ...
    """
    if not isinstance(level, str) or level not in LEVELS:
        hint = suggestion(level, LEVELS) or f". Known: {', '.join(LEVELS)}."
        raise UnknownNameError(f"unknown level {arguments.shown(level)}{hint}")
    names = _check_names(names)
    tolerance = _check_tolerance(tolerance)
    x = _check_input(x)
    graph = _reference_graph(model_b, x)
    if programs.is_program(model_a):
        chosen = options.checked(**graph.options)
        if isinstance(model_b, str | os.PathLike):  # which says nothing of the classes
            chosen = chosen._replace(num_classes=None)
        programs.check(model_a, graph, x, names, level, tolerance, chosen)
        return
    targets = _check_labels(labels, graph, len(x)) if level in LEVELS[2:] else None
    hand_written = HandWritten(model_a, graph, names)
    if hand_written.unbuilt:  # as Keras layers are before their first call
        hand_written.observe(x)
    weights = hand_written.weights()
    hand_written.check_rates()
    if level == "structure":
        return
    result, matches = hand_written.observe(x)
    comparison = Comparison(hand_written, graph, x, weights, tolerance)
    comparison.check(result, matches, _features(model_b, graph, x, weights))
    if targets is not None:
        check_training(hand_written, graph, x, weights, targets, level == "training", tolerance)


def _check_input(values: Any) -> Array:
    x = arguments.numeric("x", values, "numbers [N, C, H, W]")
    if x.ndim != 4:
        raise InputError(f"expected x [N, C, H, W], got {list(x.shape)}")
    if not x.size:
        raise InputError(f"x is empty: {list(x.shape)}")
    if x.dtype.kind not in "fiu":
        raise InputError(f"x: expected numbers, got {x.dtype}")
    if not np.isfinite(x).all():
        raise InputError("x has NaN or infinite values, which cannot be compared")
    return x


def _check_names(names: Any) -> Mapping[str, str]:
    if names is None:
        return {}
    if not isinstance(names, Mapping) or not all(
        isinstance(text, str) for pair in names.items() for text in pair
    ):
        raise arguments.wrong("names", "a mapping of the spec's names to paths of modules", names)
    return names


def _check_tolerance(tolerance: Any) -> float | None:
    if tolerance is None:
        return None
    is_number = isinstance(tolerance, Real) and not isinstance(tolerance, bool)
    if not is_number or not 0 < tolerance < sys.float_info.max:
        raise arguments.wrong("tolerance", "None or a number above 0", tolerance)
    return float(tolerance)


def _check_labels(labels: Any, graph: Graph, count: int) -> Array:
    shapes = {name: node.shape for name, node in graph.output_nodes.items()}
    for name, shape in shapes.items():
        if len(shape) != 1:
            raise InputError(f"a loss needs outputs [N, classes]; {name} is {text_of(shape)}")
    classes = min(shape[0] for shape in shapes.values())
    if labels is None:
        return np.arange(count) % classes
    given = arguments.array("labels", labels, "class numbers [N]")
    targets: Array = class_numbers(given, count, classes)
    return targets


def _reference_graph(model: Any, x: Array) -> Graph:
    graph = getattr(model, "zoo_graph", model)
    if isinstance(graph, str | os.PathLike):
        name, size = os.fspath(graph), (x.shape[2], x.shape[3])
        try:
            graph = graphs.graph(name, in_channels=x.shape[1], input_size=size)
        except SpecError:
            own = graphs.graph(name)
            if x.shape[1] != own.input_shape.channels == x.shape[3]:
                sizes.check(own, x.shape)  # raises: the channels are on another axis
            raise
    if not isinstance(graph, Graph):
        raise InputError(
            "model_b must be a model that zoo built, a graph, or the name of a spec; got "
            f"{arguments.shown(model)}"
        )
    if x.shape[1:] == graph.input_shape:
        return graph
    sizes.check(graph, x.shape)
    return sizes.resized(graph, x.shape[2], x.shape[3])


def _features(
    model: Any, graph: Graph, x: Array, weights: Mapping[str, Array]
) -> Mapping[str, Array]:
    """The value of every node with these weights; empty unless zoo built the model.

    The model keeps its own weights.
    """
    if not hasattr(model, "zoo_graph"):
        return {}
    original = get_weights(model)
    set_weights(model, weights)
    try:
        return features(model, x, [node.name for node in graph.nodes])
    finally:
        set_weights(model, original)
