"""What the layers of a Keras model without weights compute, in terms of zoo's operations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from zoo.graphs.nodes import Node
from zoo.weights.keras_models.config import Layer

#: An operation, and the settings of a pool.
Kind = tuple[Any, ...]

#: Activations of which zoo has the same, under the names that Keras and TensorFlow give them. A
#: hard swish multiplies a part that clips by its input, and only the first is compared.
_ACTIVATIONS = {
    "linear": (),
    **{
        name: ((name,),) for name in ("relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "softmax")
    },
    **dict.fromkeys(("hardsigmoid", "hardsilu", "hardswish"), (("relu6",),)),
    "swish": (("silu",),),
    "erf": (("gelu",),),
}

_POOLS = {
    "MaxPooling2D": "max_pool",
    "MaxPool2D": "max_pool",
    "MaxPool": "max_pool",
    "AveragePooling2D": "avg_pool",
    "AvgPool2D": "avg_pool",
    "AveragePool": "avg_pool",
}

_GLOBAL = {
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalAvgPool2D", "Mean", "reduce_mean"), "avg"),
    **dict.fromkeys(("GlobalMaxPooling2D", "GlobalMaxPool2D", "Max", "reduce_max"), "max"),
}

#: Sums; CustomScaleLayer is that of keras.applications' Inception-ResNet.
_SUMS = ("Add", "add", "AddV2", "CustomScaleLayer")

#: What has no effect in inference, or only on the padding of what follows.
_SILENT = re.compile(
    r"InputLayer|Random\w+|\w*Dropout\w*|Gaussian\w+|ActivityRegularization|Identity|"
    r"ZeroPadding2D|StopGradient"
)

#: Arithmetic: a part of activations and normalizations, or preprocessing.
_ARITHMETIC = re.compile(
    r"[Mm]ultiply|[Ss]ubtract|sub|TrueDivide|truediv|[Dd]ivide|Negative|Power|Sqrt|Exp|Log|Conv|"
    r"Rescaling|Normalization|Einsum|Sum|Cumsum|Less|LogicalAnd"
)

#: What moves values.
_MOVES = re.compile(
    r"Flatten|[Rr]eshape|Cropping2D|CenterCrop|Resizing|[Cc]oncat(enate)?|Pad|GetItem|"
    r"SlicingOpLambda|Take|Cast|Stack|Permute|ExpandDims|Squeeze|Transpose|BroadcastTo"
)

#: Activations and joints that zoo has not.
_OTHERS = frozenset(
    "leakyrelu elu prelu thresholdedrelu selu celu glu mish softplus softsign exponential hardtanh "
    "hardshrink softshrink tanhshrink sparseplus squareplus logsoftmax logsigmoid sparsemax "
    "average maximum minimum dot upsampling2d".split()
)

#: Layers of which the first call is constant, whatever it reads.
CONSTANT = ("OnesLike", "ZerosLike", "ones_like", "zeros_like")


def is_silent(layer: Layer) -> bool:
    """Tell whether a layer does nothing in inference, except to pad."""
    linear = layer.kind == "Activation" and not kinds_of(layer)
    return linear or bool(_SILENT.fullmatch(layer.kind))


def is_padding(layer: Layer) -> bool:
    """Tell whether a layer pads a map."""
    return layer.kind in ("ZeroPadding2D", "Pad")


def is_arithmetic(layer: Layer) -> bool:
    """Tell whether a layer computes values, but is not compared."""
    return bool(_ARITHMETIC.fullmatch(layer.kind))


def kinds_of(layer: Layer, inputs: int = 1) -> tuple[Kind, ...] | None:
    """Return what a layer without weights computes.

    Args:
        layer: The layer.
        inputs: The number of tensors that it reads.

    Returns:
        None if that is not known; empty if it is not compared.
    """
    kind, config = layer.kind, layer.config
    if kind == "Activation":
        return activation(config.get("activation"))
    if kind == "ReLU":
        return _relu(config)
    if kind in _POOLS:
        size = pair(config["pool_size"])
        strides = pair(config.get("strides") or size)
        name = _POOLS[kind] if size != (1, 1) else "subsample"
        return ((name, size, strides),)
    if kind in _GLOBAL:
        return ((f"global_{_GLOBAL[kind]}_pool",),)
    if kind in _SUMS:
        return (("add",),) * (inputs - 1)
    if kind == "Square":  # zoo's own local response normalization
        return (("lrn",),)
    if kind == "Gelu" and config.get("approximate"):
        return (("approximate gelu",),)
    if any(each.fullmatch(kind) for each in (_SILENT, _ARITHMETIC, _MOVES)):
        return ()
    return _named(kind)


def activation(value: Any) -> tuple[Kind, ...] | None:
    """Return what the activation computes that a layer's configuration states."""
    if isinstance(value, Mapping):
        kind, config = str(value.get("class_name")), value.get("config")
        if kind == "function":
            return activation(config)
        return kinds_of(Layer("", kind, config if isinstance(config, Mapping) else {}))
    return _named(str(value or "linear"))


def _named(name: str) -> tuple[Kind, ...] | None:
    plain = _plain(name)
    return ((name,),) if plain in _OTHERS else _ACTIVATIONS.get(plain)


def _relu(config: Mapping[str, Any]) -> tuple[Kind, ...]:
    stated = {key: config.get(key) for key in ("max_value", "negative_slope", "threshold")}
    most, *changed = stated.values()
    if any(changed) or most not in (None, 6):
        text = ", ".join(f"{key}={value}" for key, value in stated.items() if value)
        return ((f"ReLU({text})",),)
    return (("relu" if most is None else "relu6",),)


def kinds_of_node(node: Node) -> tuple[Kind, ...]:
    """Return what a node without parameters computes, in the same terms."""
    attributes = node.attributes
    if node.op in ("max_pool", "avg_pool"):
        size, strides = attributes["kernel_size"], attributes["stride"]
        return ((node.op if size != (1, 1) else "subsample", tuple(size), tuple(strides)),)
    if node.op in ("global_avg_pool", "lrn"):
        return ((node.op,),)
    if node.op == "add":
        return (("add",),) * (len(node.inputs) - 1)
    return _ACTIVATIONS.get(_plain(node.op), ())


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def pair(value: Any) -> tuple[Any, ...]:
    """Return a setting of both axes as a pair."""
    return tuple(value) if isinstance(value, list | tuple) else (value, value)
