"""Writes the ONNX nodes of each operation.

ONNX's attributes are float32. Where that would be seen, in float64, the operation is composed of
others whose constants are float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.backend.operations import Operations
from zoo.onnx.writer import Layer
from zoo.ops.base import map_of
from zoo.ops.windows import adaptive

#: operation -> function of a layer
OPERATIONS = Operations("onnx", "ONNX")


def _plain(op: str, onnx: str, **attributes: object) -> None:
    """Register an operation that ONNX has by another name, without settings."""
    OPERATIONS[op] = lambda layer: layer.result(onnx, *layer.inputs, **attributes)


_plain("relu", "Relu")
_plain("sigmoid", "Sigmoid")
_plain("tanh", "Tanh")
_plain("softmax", "Softmax", axis=1)
_plain("global_avg_pool", "GlobalAveragePool")
_plain("flatten", "Flatten", axis=1)
_plain("concat", "Concat", axis=1)


@OPERATIONS.register
def dropout(layer: Layer) -> None:
    layer.result("Identity", layer.x)


OPERATIONS["stochastic_depth"] = dropout


@OPERATIONS.register
def conv(layer: Layer) -> None:
    attrs = layer.attributes
    layer.result(
        "Conv",
        layer.x,
        layer.weight("weight"),
        layer.weight("bias"),
        kernel_shape=attrs["kernel_size"],
        strides=attrs["stride"],
        pads=_pads(attrs["padding"]),
        dilations=attrs["dilation"],
        group=attrs["groups"],
    )


@OPERATIONS.register
def linear(layer: Layer) -> None:
    layer.result("Gemm", layer.x, layer.weight("weight"), layer.weight("bias"), transB=1)


@OPERATIONS.register
def batch_norm(layer: Layer) -> None:
    attrs = layer.attributes
    eps, channels = attrs["eps"], attrs["num_features"]
    variance = layer.weight("running_var")
    if layer.exact and (rest := eps - float(np.float32(eps))):
        variance = layer.part("running_var", "Add", variance, layer.constant("rest_of_eps", rest))
    layer.result(
        "BatchNormalization",
        layer.x,
        layer.weight("weight") or layer.constant("ones", np.ones(channels)),
        layer.weight("bias") or layer.constant("zeros", np.zeros(channels)),
        layer.weight("running_mean"),
        variance,
        epsilon=eps,
    )


@OPERATIONS.register
def layer_norm(layer: Layer) -> None:
    attrs = layer.attributes
    if layer.exact:
        _layer_norm_of_parts(layer)
        return
    weight = layer.weight("weight") or layer.constant("ones", np.ones(attrs["num_features"]))
    settings = {"axis": -1, "epsilon": attrs["eps"]}
    if len(layer.node.shape) == 1:
        layer.result("LayerNormalization", layer.x, weight, layer.weight("bias"), **settings)
        return
    last = layer.part("channels_last", "Transpose", layer.x, perm=(0, 2, 3, 1))
    out = layer.part("norm", "LayerNormalization", last, weight, layer.weight("bias"), **settings)
    layer.result("Transpose", out, perm=(0, 3, 1, 2))


def _layer_norm_of_parts(layer: Layer) -> None:
    channels = layer.axes(1)
    mean = layer.part("mean", "ReduceMean", layer.x, channels)
    centered = layer.part("centered", "Sub", layer.x, mean)
    squares = layer.part("squares", "Mul", centered, centered)
    variance = layer.part("variance", "ReduceMean", squares, channels)
    eps = layer.constant("eps", layer.attributes["eps"])
    deviation = layer.part("deviation", "Sqrt", layer.part("with_eps", "Add", variance, eps))
    weight, bias = layer.per_channel("weight"), layer.per_channel("bias")
    _chain(layer, centered, ("Div", deviation), ("Mul", weight), ("Add", bias))


@OPERATIONS.register
def affine(layer: Layer) -> None:
    weight, bias = layer.per_channel("weight"), layer.per_channel("bias")
    _chain(layer, layer.x, ("Mul", weight), ("Add", bias))


def _chain(layer: Layer, x: str, *steps: tuple[str, *tuple[str | None, ...]]) -> None:
    """Apply operations, each with its further operands, to a value; without those that lack one."""
    *first, (op, *last) = [step for step in steps if None not in step] or [("Identity",)]
    for number, (each, *operands) in enumerate(first):
        x = layer.part(f"step{number}", each, x, *operands)
    layer.result(op, x, *last)


@OPERATIONS.register
def lrn(layer: Layer) -> None:
    attrs = layer.attributes
    size, alpha, beta, k = (attrs[name] for name in ("size", "alpha", "beta", "k"))
    if layer.half:  # squares would overflow
        layer.result("LRN", layer.x, size=size, alpha=alpha, beta=beta, bias=k)
        return
    # ONNX Runtime computes LRN on one core, and four times as slowly as these parts.
    squares = layer.part("squares", "Mul", layer.x, layer.x)
    channels = layer.node.shape[0]
    places = np.arange(channels)
    window = abs(places[:, None] - places) <= size // 2
    sums = layer.part(
        "sums",
        "Conv",
        squares,
        layer.constant("window", (alpha / size * window)[..., None, None]),
        layer.constant("k", np.full(channels, k)),
        kernel_shape=(1, 1),
    )
    if beta == 0.75:  # of a power, engines take a logarithm
        root = layer.part("root", "Sqrt", sums)
        divisor = layer.part("divisor", "Mul", root, layer.part("fourth_root", "Sqrt", root))
    else:
        divisor = layer.part("divisor", "Pow", sums, layer.constant("beta", beta))
    layer.result("Div", layer.x, divisor)


@OPERATIONS.register
def max_pool(layer: Layer) -> None:
    x, padding = layer.x, layer.attributes["padding"]
    if layer.exact and any(padding):  # ONNX's own reference places asymmetric padding wrongly
        x = layer.part("padded", "Pad", x, _edges(layer, padding), layer.constant("least", -np.inf))
        padding = (0, 0, 0, 0)
    layer.result("MaxPool", x, **_windows(layer), pads=_pads(padding))


@OPERATIONS.register
def avg_pool(layer: Layer) -> None:
    padding, counted = layer.attributes["padding"], layer.attributes["counted"]
    kernel = layer.attributes["kernel_size"]
    x = layer.x
    included = counted is None
    # Engines refuse windows of padding alone; where padding counts, it may be part of the map.
    if included and any(p >= k for p, k in zip(padding, np.repeat(kernel, 2), strict=True)):
        counted = padding
    if counted and any(counted):
        x = layer.part("padded", "Pad", x, _edges(layer, counted))
        padding = [p - c for p, c in zip(padding, counted, strict=True)]
    layer.result(
        "AveragePool",
        x,
        **_windows(layer),
        pads=_pads(padding),
        count_include_pad=int(included),
    )


@OPERATIONS.register
def adaptive_avg_pool(layer: Layer) -> None:
    (size, outputs) = layer.node.input_shapes[0][1:], layer.attributes["output_size"]
    if all(n % out == 0 for n, out in zip(size, outputs, strict=True)):
        kernel = [n // out for n, out in zip(size, outputs, strict=True)]
        layer.result("AveragePool", layer.x, kernel_shape=kernel, strides=kernel)
        return
    rows, columns = (_means(n, out) for n, out in zip(size, outputs, strict=True))
    along = layer.part("along_rows", "MatMul", layer.constant("rows", rows), layer.x)
    layer.result("MatMul", along, layer.constant("columns", columns.T))


def _means(size: int, outputs: int) -> np.ndarray:
    """The matrix [outputs, size] that takes the means of adaptive windows."""
    matrix = np.zeros((outputs, size))
    for row, (start, stop) in zip(matrix, adaptive(size, outputs), strict=True):
        row[start:stop] = 1 / (stop - start)
    return matrix


@OPERATIONS.register
def add(layer: Layer) -> None:
    layer.result("Add" if len(layer.inputs) == 2 else "Sum", *layer.inputs)


@OPERATIONS.register
def multiply(layer: Layer) -> None:
    first, *others = layer.inputs
    _chain(layer, first, *[("Mul", other) for other in others])


@OPERATIONS.register
def scale(layer: Layer) -> None:
    layer.result("Mul", layer.x, layer.constant("factor", layer.attributes["factor"]))


@OPERATIONS.register
def relu6(layer: Layer) -> None:
    layer.result("Clip", layer.x, layer.constant("least", 0), layer.constant("most", 6))


@OPERATIONS.register
def gelu(layer: Layer) -> None:
    if layer.writer.opset >= 20:
        layer.result("Gelu", layer.x)
        return
    scaled = layer.part("scaled", "Mul", layer.x, layer.constant("root_of_half", 0.5**0.5))
    sum_ = layer.part("sum", "Add", layer.part("erf", "Erf", scaled), layer.constant("one", 1))
    layer.result("Mul", layer.part("half", "Mul", layer.x, layer.constant("factor", 0.5)), sum_)


@OPERATIONS.register
def hard_sigmoid(layer: Layer) -> None:
    if layer.exact:
        layer.result("Div", *_clipped(layer))
    else:
        layer.result("HardSigmoid", layer.x, alpha=1 / 6, beta=0.5)


@OPERATIONS.register
def hard_swish(layer: Layer) -> None:
    if layer.exact:
        layer.result("Mul", layer.x, layer.part("gate", "Div", *_clipped(layer)))
    else:
        layer.result("HardSwish", layer.x)


def _clipped(layer: Layer) -> tuple[str, str]:
    """Return x + 3 between 0 and 6, and 6."""
    six = layer.constant("six", 6)
    moved = layer.part("moved", "Add", layer.x, layer.constant("three", 3))
    return layer.part("clipped", "Clip", moved, layer.constant("least", 0), six), six


@OPERATIONS.register
def slice(layer: Layer) -> None:
    start = layer.integers("start", layer.attributes["start"])
    stop = layer.integers("stop", layer.attributes["stop"])
    layer.result("Slice", layer.x, start, stop, layer.axes(1))


@OPERATIONS.register
def select(layer: Layer) -> None:
    channels = layer.attributes["channels"]
    if sorted(channels) != [*range(map_of(layer.node.input_shapes[0]).channels)]:
        layer.result("Gather", layer.x, layer.integers("channels", *channels), axis=1)
        return
    # All channels in another order: OpenVINO 2026.4 takes one Gather of them, before a
    # convolution, for the opposite one.
    half = (len(channels) + 1) // 2
    values = [
        layer.part(name, "Gather", layer.x, layer.integers(f"{name}_channels", *part), axis=1)
        for name, part in (("first", channels[:half]), ("last", channels[half:]))
        if part
    ]
    layer.result("Concat", *values, axis=1)


@OPERATIONS.register
def channel_shuffle(layer: Layer) -> None:
    (channels, height, width), groups = map_of(layer.node.shape), layer.attributes["groups"]
    shape = layer.integers("shape_of_groups", 0, groups, channels // groups, height, width)
    of_groups = layer.part("of_groups", "Reshape", layer.x, shape)
    turned = layer.part("turned", "Transpose", of_groups, perm=(0, 2, 1, 3, 4))
    layer.result("Reshape", turned, layer.integers("shape", 0, channels, height, width))


@OPERATIONS.register
def pad(layer: Layer) -> None:
    padding = layer.attributes["padding"]
    added = [max(edge, 0) for edge in padding]
    steps: list[tuple[str, *tuple[str, ...]]] = []
    if min(padding) < 0:  # Pad takes negative numbers, too, but not in ONNX's own reference
        shape = map_of(layer.node.input_shapes[0])
        top, bottom, left, right = (-min(edge, 0) for edge in padding)
        start = layer.integers("start", top, left)
        stop = layer.integers("stop", shape.height - bottom, shape.width - right)
        steps.append(("Slice", start, stop, layer.axes(2, 3)))
    if any(added):
        steps.append(("Pad", _edges(layer, added)))
    _chain(layer, layer.x, *steps)


@OPERATIONS.register
def pad_channels(layer: Layer) -> None:
    before, after = layer.attributes["padding"]
    layer.result("Pad", layer.x, layer.integers("edges", 0, before, 0, 0, 0, after, 0, 0))


def _windows(layer: Layer) -> dict[str, object]:
    return {
        "kernel_shape": layer.attributes["kernel_size"],
        "strides": layer.attributes["stride"],
    }


def _edges(layer: Layer, padding: Sequence[int]) -> str:
    """The operand of Pad that pads a map by (top, bottom, left, right)."""
    return layer.integers("edges", 0, 0, *_pads(padding)[:2], 0, 0, *_pads(padding)[2:])


def _pads(padding: Sequence[int]) -> tuple[int, int, int, int]:
    """From (top, bottom, left, right) to ONNX's order: the starts, then the ends."""
    top, bottom, left, right = padding
    return top, left, bottom, right
