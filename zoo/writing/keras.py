"""Keras' dialect."""

from __future__ import annotations

from typing import Any

from zoo.backend.calls import Call, call
from zoo.errors import BackendError
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.keras.operations import OPERATIONS
from zoo.writing.dialect import Dialect

_LAYERS = "keras.layers."
_OWN = "zoo.keras.modules."
_MANY_NODES = 800  # below, Python's own limit of recursion is enough

DEFAULTS: dict[str, dict[str, Any]] = {
    f"{_LAYERS}Conv2D": {
        "strides": 1,
        "padding": "valid",
        "dilation_rate": 1,
        "groups": 1,
        "use_bias": True,
    },
    f"{_LAYERS}DepthwiseConv2D": {
        "strides": 1,
        "padding": "valid",
        "depth_multiplier": 1,
        "dilation_rate": 1,
        "use_bias": True,
    },
    f"{_LAYERS}Dense": {"use_bias": True},
    f"{_LAYERS}BatchNormalization": {
        "momentum": 0.99,
        "epsilon": 1e-3,
        "center": True,
        "scale": True,
    },
    f"{_LAYERS}LayerNormalization": {"epsilon": 1e-3, "center": True, "scale": True},
    f"{_LAYERS}MaxPooling2D": {"padding": "valid"},
    f"{_LAYERS}AveragePooling2D": {"padding": "valid"},
    f"{_LAYERS}EinsumDense": {"bias_axes": None},
}

#: What Keras has no layer for, as functions of tensors.
INSTEAD = '''
def lrn(x, size, alpha, beta, k):
    """Local response normalization across channels, alpha divided by the size."""
    squares = ops.pad(x * x, ((0, 0), (0, 0), (0, 0), (size // 2, size // 2)))
    total = sum(squares[..., i : i + x.shape[-1]] for i in range(size))
    return x / (k + alpha / size * total) ** beta


def gelu(x):
    """GELU by the error function."""
    return x * (1 + ops.erf(x / 2**0.5)) / 2


def scale(x, factor):
    """Multiplies by a constant."""
    return x * factor


def max_pool(x, pool_size, strides, edges):
    """A max pool with padding of its own on each side, which is never the largest."""
    return ops.max_pool(padded(x, edges, -np.inf), pool_size, strides)


def avg_pool(x, pool_size, strides, edges, counted):
    """An average pool with padding, of which a part counts."""
    total = ops.average_pool(padded(x, edges), pool_size, strides)
    ones = padded(ops.ones_like(x[:1, ..., :1]), counted, 1)
    beyond = [edge - part for edge, part in zip(edges, counted, strict=True)]
    return total / ops.average_pool(padded(ones, beyond), pool_size, strides)


def adaptive_avg_pool(x, output_size):
    """The means of windows that cover the map."""
    sizes = [output_size] * 2 if isinstance(output_size, int) else output_size
    for axis, count in enumerate(sizes, 1):
        size = x.shape[axis]
        starts = [i * size // count for i in range(count)]
        ends = [-(-(i + 1) * size // count) for i in range(count)]
        windows = [np.arange(a, b) for a, b in zip(starts, ends, strict=True)]
        x = ops.stack([ops.mean(ops.take(x, w, axis), axis) for w in windows], axis)
    return x


def crop(x, padding):
    """Adds zeros around a map; a negative number removes pixels."""
    (top, bottom), (left, right) = padding
    x = x[:, max(-top, 0) : x.shape[1] - max(-bottom, 0)]
    x = x[:, :, max(-left, 0) : x.shape[2] - max(-right, 0)]
    return padded(x, [max(edge, 0) for edge in (top, bottom, left, right)])
'''


def describe(node: Node) -> Call:
    """Return the call that makes a layer, or the function that computes it with its settings.

    The argument ``edges`` is the padding that precedes the layer.
    """
    found = OPERATIONS.describe(node)
    name, arguments = found.target.removeprefix(_LAYERS), dict(found.arguments)
    if "sampling" in arguments:
        raise BackendError(f"{node.name}: Keras has no convolution with a stride and a dilation")
    if name in ("Conv2D", "DepthwiseConv2D"):  # not its mode, which some sizes of a kernel lack
        arguments["edges"] = _edges(node.attributes["padding"])
        del arguments["padding"]
    elif name == "MaxPooling2D":
        edges = arguments.pop("edges")
        if any(edges):
            del arguments["padding"]
            return Call(f"{_OWN}max_pool", {**arguments, "edges": edges})
    elif name == "AveragePooling2D":
        arguments["edges"] = _edges(arguments.get("edges", (0, 0, 0, 0)))
    elif name == "ZeroPadding2D":
        edges = node.attributes["padding"]
        return call(f"{_OWN}crop" if min(edges) < 0 else found.target, padding=_edges(edges))
    elif name == "EinsumDense":
        (arguments["output_shape"],) = arguments["output_shape"]
        arguments["kernel_initializer"] = arguments["kernel_initializer"].arguments["value"]
    return Call(found.target, arguments)


def _edges(padding: tuple[int, int, int, int]) -> Any:
    """Return padding as ``ZeroPadding2D`` takes it."""
    top, bottom, left, right = padding
    return top if top == bottom == left == right else ((top, bottom), (left, right))


def setup(graph: Graph) -> list[str]:
    """Return what lets Keras connect a deep network."""
    if len(graph.nodes) < _MANY_NODES:
        return []
    return [
        "# Keras connects layers by calling itself for each one on the longest path.",
        "sys.setrecursionlimit(10_000)",
    ]


def main(network: str) -> list[str]:
    """Return the lines of ``main``."""
    return [
        f"model = {network}()",
        "count = sum(w.numpy().size for w in model.trainable_weights)",
        'print(f"{count:,} parameters")',
    ]


DIALECT = Dialect(
    backend="keras",
    setup=setup,
    imports={
        "sys": "import sys",
        "keras": "import keras",
        "np": "import numpy as np",
        "layers ops": "from keras import layers, ops",
        "layers": "from keras import layers",
    },
    prefixes={"keras.layers": "layers."},
    base="",
    method="",
    describe=describe,
    fields={
        "filters": "out_channels",
        "units": "out_features",
        "strides": "stride",
        "pool_size": "kernel_size",
        "edges": "padding",
        "padding": "",
        "scale": "",
    },
    positional={
        f"{_LAYERS}BatchNormalization": 0,
        f"{_LAYERS}LayerNormalization": 0,
        f"{_LAYERS}GlobalAveragePooling2D": 0,
        f"{_LAYERS}Conv2D": 2,
        f"{_LAYERS}EinsumDense": 2,
    },
    defaults=DEFAULTS,
    native=lambda made: made,
    chain="",
    identity="",
    main=main,
    operators={},
    instead=INSTEAD,
    images=lambda shape: f"[N, {shape[1]}, {shape[2]}, {shape[0]}]",
)
