"""Keras' dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo.backend.calls import Call, call
from zoo.backend.padding import padding
from zoo.errors import BackendError
from zoo.graphs.nodes import Node
from zoo.ops import OPS
from zoo.writing.dialect import Dialect

_LAYERS = "keras.layers."
_FUNCTIONS = "zoo.keras.functions."

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
    return x * (1 + ops.erf(x / np.sqrt(2).astype(x.dtype))) / 2


def hard_sigmoid(x):
    """Keras' own rounds 1 / 6 to float32."""
    return ops.relu6(x + 3) / 6


def hard_swish(x):
    """Keras' own rounds 1 / 6 to float32."""
    return x * ops.relu6(x + 3) / 6


def max_pool(x, pool_size, strides, edges):
    """A max pool with padding of its own on each side, which is never the largest."""
    top, bottom, left, right = edges
    widths = ((0, 0), (top, bottom), (left, right), (0, 0))
    x = ops.pad(x, widths, constant_values=-np.inf)
    return ops.max_pool(x, pool_size, strides)


def avg_pool(x, pool_size, strides, edges, counted):
    """An average pool with padding, of which a part counts."""
    total = ops.average_pool(_padded(x, edges), pool_size, strides)
    ones = _padded(ops.ones_like(x[:1, ..., :1]), counted, 1)
    beyond = [edge - part for edge, part in zip(edges, counted, strict=True)]
    return total / ops.average_pool(_padded(ones, beyond), pool_size, strides)


def _padded(x, edges, value=0):
    top, bottom, left, right = edges
    widths = ((0, 0), (top, bottom), (left, right), (0, 0))
    return ops.pad(x, widths, constant_values=value)


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
    top, bottom, left, right = padding
    widths = [(max(a, 0), max(b, 0)) for a, b in ((top, bottom), (left, right))]
    x = x[:, max(-top, 0) : x.shape[1] - max(-bottom, 0)]
    x = x[:, :, max(-left, 0) : x.shape[2] - max(-right, 0)]
    return ops.pad(x, ((0, 0), *widths, (0, 0)))


def select(x, channels):
    """Selects channels by index."""
    return ops.take(x, np.array(channels), axis=-1)


def channel_shuffle(x, groups):
    """Takes the first channel of each group, then the second of each, and so on."""
    order = np.arange(x.shape[-1]).reshape(groups, -1).T.ravel()
    return ops.take(x, order, axis=-1)


def pad_channels(x, padding):
    """Adds channels of zeros before and after."""
    return ops.pad(x, ((0, 0), (0, 0), (0, 0), padding))


def channels(x, start, stop):
    """Selects a range of channels."""
    return x[..., start:stop]


def scale(x, factor):
    """Multiplies by a constant."""
    return x * np.asarray(factor, x.dtype)
'''

_ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "silu", "softmax")
_RENAMED = {"slice": "channels", "pad": "crop"}


def describe(node: Node) -> Call:
    """Return the call that makes a layer, or the function that computes it with its settings.

    The argument ``edges`` is the padding that precedes the layer.
    """
    attrs, op = node.attributes, node.op
    if op in _ACTIVATIONS:
        return call(f"{_LAYERS}Activation", activation=op)
    if op in _DESCRIPTIONS:
        return _DESCRIPTIONS[op](node)
    if op not in OPS or OPS[op].implementations:
        raise BackendError(f"{node.name}: the operation {op!r} cannot be written as Keras' source")
    names = OPS[op].own_fields()
    settings = {name: attrs[name] for name in names}
    return Call(_FUNCTIONS + _RENAMED.get(op, op), settings)


def _conv(node: Node) -> Call:
    attrs = node.attributes
    settings = {
        "kernel_size": attrs["kernel_size"],
        "strides": attrs["stride"],
        "edges": _edges(attrs["padding"]),
        "dilation_rate": attrs["dilation"],
        "use_bias": attrs["bias"],
    }
    stride, dilation = max(attrs["stride"]), max(attrs["dilation"])
    if stride > 1 and dilation > 1:
        raise BackendError(f"{node.name}: Keras has no convolution with a stride and a dilation")
    groups = attrs["groups"]
    if groups == attrs["in_channels"] > 1 and attrs["stride"][0] == attrs["stride"][1]:
        multiplier = attrs["out_channels"] // groups
        return call(f"{_LAYERS}DepthwiseConv2D", **settings, depth_multiplier=multiplier)
    return call(f"{_LAYERS}Conv2D", filters=attrs["out_channels"], **settings, groups=groups)


def _linear(node: Node) -> Call:
    attrs = node.attributes
    return call(f"{_LAYERS}Dense", units=attrs["out_features"], use_bias=attrs["bias"])


def _batch_norm(node: Node) -> Call:
    attrs = node.attributes
    return call(
        f"{_LAYERS}BatchNormalization",
        momentum=1 - attrs["momentum"],
        epsilon=attrs["eps"],
        center=attrs["shift"],
        scale=attrs["scale"],
    )


def _layer_norm(node: Node) -> Call:
    attrs = node.attributes
    return call(
        f"{_LAYERS}LayerNormalization",
        epsilon=attrs["eps"],
        center=attrs["shift"],
        scale=attrs["scale"],
    )


def _affine(node: Node) -> Call:
    attrs = node.attributes
    return call(
        f"{_LAYERS}EinsumDense",
        equation="...c,c->...c",
        output_shape=attrs["num_features"],
        bias_axes="c" if attrs["shift"] else None,
        kernel_initializer=attrs["scale_init"],
    )


def _dropout(node: Node) -> Call:
    return call(f"{_LAYERS}Dropout", rate=node.attributes["rate"])


def _stochastic_depth(node: Node) -> Call:
    shape = (None, *(1 for _ in node.shape))
    return call(f"{_LAYERS}Dropout", rate=node.attributes["rate"], noise_shape=shape)


def _max_pool(node: Node) -> Call:
    attrs = node.attributes
    edges, mode = padding(node)
    windows = {"pool_size": attrs["kernel_size"], "strides": attrs["stride"]}
    if any(edges):
        return call(f"{_FUNCTIONS}max_pool", **windows, edges=edges)
    return call(f"{_LAYERS}MaxPooling2D", **windows, padding=mode)


def _avg_pool(node: Node) -> Call:
    attrs = node.attributes
    edges, counted = attrs["padding"], attrs["counted"]
    windows = {"pool_size": attrs["kernel_size"], "strides": attrs["stride"]}
    if counted is None:
        return call(f"{_LAYERS}AveragePooling2D", **windows, edges=_edges(edges), padding="valid")
    if counted == (0, 0, 0, 0) and padding(node)[1] == "same":
        return call(f"{_LAYERS}AveragePooling2D", **windows, edges=0, padding="same")
    return call(f"{_FUNCTIONS}avg_pool", **windows, edges=edges, counted=counted)


_DESCRIPTIONS: dict[str, Callable[[Node], Call]] = {
    "conv": _conv,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "affine": _affine,
    "dropout": _dropout,
    "stochastic_depth": _stochastic_depth,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_avg_pool": lambda node: call(f"{_LAYERS}GlobalAveragePooling2D", keepdims=True),
    "flatten": lambda node: call(f"{_LAYERS}Flatten"),
    "concat": lambda node: call(f"{_LAYERS}Concatenate"),
    "add": lambda node: call(f"{_LAYERS}Add"),
    "multiply": lambda node: call(f"{_LAYERS}Multiply"),
}


def _edges(padding: tuple[int, int, int, int]) -> Any:
    """Return padding as ``ZeroPadding2D`` takes it."""
    top, bottom, left, right = padding
    return top if top == bottom == left == right else ((top, bottom), (left, right))


def main(network: str) -> list[str]:
    """Return the lines of ``main``."""
    return [
        f"model = {network}()",
        "count = sum(w.numpy().size for w in model.trainable_weights)",
        'print(f"{count:,} parameters")',
    ]


DIALECT = Dialect(
    backend="keras",
    imports={
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
