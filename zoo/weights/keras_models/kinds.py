"""What the layers of a Keras model without weights compute, in terms of zoo's operations."""

from __future__ import annotations

import re
from collections import Counter
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
    "localresponsenormalization": (("lrn",),),
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

#: What has no effect in inference.
_SILENT = re.compile(
    r"InputLayer|Random\w+|\w*Dropout\w*|Gaussian\w+|ActivityRegularization|Identity|StopGradient"
)

#: What has none on the order of values; paddings are compared apart.
_KEEPS = re.compile(r"ZeroPadding2D|Flatten|Cast|cast|ExpandDims|expand_dims|Squeeze|squeeze")

#: Arithmetic: a part of activations and normalizations, or preprocessing.
_ARITHMETIC = re.compile(
    r"[Mm]ultiply|mul|[Ss]ubtract|sub|TrueDivide|truediv|[Dd]ivide|[Nn]egative|Power|pow|[Ss]qrt|"
    r"[Rr]sqrt|[Ss]quare|[Ee]xp|[Ll]og|Conv|Rescaling|Normalization|Einsum|einsum|Sum|reduce_sum|"
    r"[Cc]umsum|Less|LogicalAnd"
)

#: What moves values.
_MOVES = re.compile(
    r"[Rr]eshape|Cropping2D|CenterCrop|Resizing|[Cc]oncat(enate)?|Pad|pad|GetItem|"
    r"SlicingOpLambda|Take|gather|[Ss]plit|[Ss]tack|Permute|[Tt]ranspose|BroadcastTo|Flip"
)

_PRODUCT = r"[Mm]ultiply|mul"
_PIECEWISE = rf"{_PRODUCT}|TrueDivide|truediv|[Dd]ivide|Rescaling|Add|add|AddV2"
_ANY = f"{_ARITHMETIC.pattern}|{_MOVES.pattern}|Add|add|AddV2"

#: Operation -> arithmetic, and what moves values, by which Keras may compute it, and of how many
#: such parts it consists at most; None for any number. The narrower ones come first.
_PARTS = {
    op: (re.compile(pattern), most)
    for op, (pattern, most) in {
        "concat": (r"[Cc]oncat(enate)?", None),
        "flatten": (r"[Rr]eshape", None),
        "slice": (r"GetItem|SlicingOpLambda|[Ss]plit|Cropping2D", None),
        "select": (r"Take|gather|GetItem|SlicingOpLambda", None),
        "channel_shuffle": (r"Take|gather|[Rr]eshape|Permute|[Tt]ranspose", None),
        "pad": (r"Pad|pad|Cropping2D", None),
        "pad_channels": (r"Pad|pad|[Cc]oncat(enate)?", None),
        "max_pool": (r"Pad|pad", None),
        "avg_pool": (r"Pad|pad", None),
        "adaptive_avg_pool": (_ANY, None),
        "multiply": (rf"{_PRODUCT}|BroadcastTo", 1),
        "scale": (rf"{_PRODUCT}|Rescaling", 1),
        "hard_sigmoid": (_PIECEWISE, 2),
        "hard_swish": (_PIECEWISE, 3),
        "gelu": (rf"{_PIECEWISE}|[Ss]qrt|[Rr]sqrt", 5),
        "lrn": (_ANY, None),
    }.items()
}

#: Operations of several parts that Keras has as an activation.
_WHOLE = {
    "hardsigmoid": "hard_sigmoid",
    "hardsilu": "hard_swish",
    "hardswish": "hard_swish",
    "gelu": "gelu",
}

#: Layers, of Keras and of those in its files that do not say so, that zoo has not.
_OTHERS = frozenset(
    "leakyrelu elu prelu thresholdedrelu selu celu glu mish softplus softsign exponential hardtanh "
    "hardshrink softshrink tanhshrink sparseplus squareplus logsoftmax logsigmoid sparsemax "
    "average maximum minimum dot upsampling2d unitnormalization layernormalization "
    "groupnormalization rmsnormalization repeatvector".split()
)

#: Layers of which the first call is constant, whatever it reads.
CONSTANT = ("OnesLike", "ZerosLike", "ones_like", "zeros_like")


def is_silent(layer: Layer) -> bool:
    """Tell whether a layer does nothing in inference."""
    linear = layer.kind == "Activation" and not kinds_of(layer)
    return linear or bool(_SILENT.fullmatch(layer.kind))


def is_linear(layer: Layer) -> bool:
    """Tell whether a layer is linear or a convolution."""
    return bool({"units", "filters"} & layer.config.keys())


def padding(layer: Layer) -> tuple[int, ...] | None:
    """Return how much a layer pads a map, at the top, bottom, left and right.

    Returns:
        None if it does not pad; empty if that is not known.
    """
    if layer.kind in ("Pad", "pad"):
        return ()
    if layer.kind != "ZeroPadding2D":
        return None
    rows, columns = pair(layer.config["padding"])
    return (*pair(rows), *pair(columns))


def padding_of_node(node: Node) -> tuple[int, ...] | None:
    """Return how much a node pads a map, in the same order; None if it does not."""
    stated = node.attributes.get("padding", ()) if node.op != "pad_channels" else ()
    amounts = tuple(max(each, 0) for each in stated)  # others crop it
    return amounts if any(amounts) else None


def is_arithmetic(layer: Layer) -> bool:
    """Tell whether a layer is arithmetic."""
    return bool(_ARITHMETIC.fullmatch(layer.kind))


def without_parts(kinds: Mapping[Kind, int], ops: Mapping[str, int]) -> Counter[Kind]:
    """Return arithmetic, and what moves values, without the parts of some operations.

    Args:
        kinds: What is computed, and how often.
        ops: Operation -> how often a network has it where that is computed.

    Example:
        >>> scaled = {("Multiply",): 2, ("Add",): 1}
        >>> without_parts(scaled, {"hard_sigmoid": 1}), without_parts(scaled, {"hard_swish": 1})
        (Counter({('Multiply',): 1}), Counter())
    """
    left = Counter(kinds)
    for op, (pattern, most) in _PARTS.items():
        if not (count := ops.get(op, 0)):
            continue
        fitting = [kind for kind in left if pattern.fullmatch(str(kind[0]))]
        parts = sorted((i, str(kind), kind) for kind in fitting for i in range(left[kind]))
        left -= Counter(kind for *_, kind in parts[: None if most is None else most * count])
    return left


def whole(layer: Layer) -> str:
    """Return which operation of several parts a layer computes as one, if any."""
    return _WHOLE.get(_plain(str(layer.config.get("activation") or layer.kind)), "")


def kinds_of(layer: Layer, inputs: int = 1) -> tuple[Kind, ...] | None:
    """Return what a layer without weights computes.

    Args:
        layer: The layer.
        inputs: The number of tensors that it reads.

    Returns:
        None if that is not known.
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
        return (("add",),) * (inputs - 1) or ((kind,),)  # of one input and a constant
    if kind == "Square":  # zoo's own local response normalization
        return (("lrn",),)
    if kind == "Softmax" and config.get("axis", -1) not in (-1, 1):
        return ((f"softmax over axis {config['axis']}",),)
    if kind == "Gelu" and config.get("approximate"):
        return (("approximate gelu",),)
    if any(each.fullmatch(kind) for each in (_SILENT, _KEEPS)):
        return ()
    if "target_shape" in config and _keeps_order(config):
        return ()
    if _ARITHMETIC.fullmatch(kind) or _MOVES.fullmatch(kind):
        return ((kind,),)
    found = _named(kind)
    return ((kind,),) if found is None and layer.is_known else found


def _keeps_order(config: Mapping[str, Any]) -> bool:
    """Tell whether a reshape only adds or removes axes of one value, or flattens."""
    return len([size for size in config["target_shape"] if size != 1]) <= 1


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
