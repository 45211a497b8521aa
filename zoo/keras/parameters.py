"""Where Keras' layers keep their parameters.

Kernels have the outputs last, and a dense layer behind a flatten has its inputs in HWC order. Names
and layouts are read off the model itself, by its layers' names, types and connections, so a model
that Keras copied or loaded is as good as one that zoo built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import ml_dtypes  # noqa: F401  (makes NumPy know the name bfloat16)
import numpy as np
from keras import layers

from zoo.backend.parameters import Array, Slot, Tensor, slot, to_native
from zoo.graphs.shapes import Map
from zoo.keras import _private

#: operation -> canonical name -> Keras' own name and axes
PARAMETERS: dict[str, dict[str, Slot]] = {
    "conv": {"weight": Slot("kernel", "HWIO")},
    "depthwise": {"weight": Slot("kernel", "HWCM")},
    "linear": {"weight": Slot("kernel", "IO")},
    "affine": {"weight": Slot("kernel")},
    "layer_norm": {"weight": Slot("gamma"), "bias": Slot("beta")},
    "batch_norm": {
        "weight": Slot("gamma"),
        "bias": Slot("beta"),
        "running_mean": Slot("moving_mean"),
        "running_var": Slot("moving_variance"),
    },
}

#: layer type -> operation, and the canonical names of its parameters
_TYPES: dict[type[keras.Layer], tuple[str, tuple[str, ...]]] = {
    layers.Conv2D: ("conv", ("weight", "bias")),
    layers.DepthwiseConv2D: ("depthwise", ("weight", "bias")),
    layers.Dense: ("linear", ("weight", "bias")),
    layers.EinsumDense: ("affine", ("weight", "bias")),
    layers.LayerNormalization: ("layer_norm", ("weight", "bias")),
    layers.BatchNormalization: ("batch_norm", ("weight", "bias", "running_mean", "running_var")),
}

#: what leaves a flattened map in the order that it is held in
_ELEMENTWISE = (
    layers.ReLU,
    layers.Activation,
    layers.Dropout,
    layers.Add,
    layers.Multiply,
    keras.Model,
)


def tensors(model: keras.Model) -> dict[str, Tensor]:
    """Return every parameter and running statistic by its canonical name.

    They come in the graph's order where the model knows its graph.
    """
    graph = getattr(model, "zoo_graph", None)
    known = {
        node.name: (node.op, tuple(_local(p.name) for p in node.parameters))
        for node in (graph.nodes if graph else ())
        if node.parameters
    }
    dense = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
    flattened = dict(zip(dense, layouts(model, [layer.input for layer in dense]), strict=True))
    found = {}
    for layer in model.layers:
        path = layer.name.replace(":", ".")  # no name of a spec has a colon
        op, names = _TYPES.get(type(layer)) or known.get(path, ("", ()))
        for name in names:
            where = slot(PARAMETERS, op, name)
            variable = getattr(layer, where.name, None)
            if variable is not None:
                layout = flattened.get(layer) if name == "weight" else None
                tensor = Tensor(variable, tuple(variable.shape), where.axes, layout)
                found[f"{path}.{name}"] = tensor
    return {p.name: found[p.name] for p in graph.parameters} if graph else found


def to_numpy(variable: keras.Variable) -> Array:
    """Return a variable's value."""
    # Not convert_to_numpy, which NumPy warns of when TensorFlow's variables are copied.
    return np.asarray(variable).astype(np.dtype(variable.dtype), copy=False)


def assign(variable: keras.Variable, array: Array) -> None:
    """Copy an array in; the variable keeps its dtype."""
    variable.assign(array.astype(np.dtype(variable.dtype), copy=False))


def native(
    array: Array, layer: keras.Layer, op: str, name: str, shape: Sequence[int], layout: Map | None
) -> Array:
    """Lay a canonical array out as a layer holds it.

    Args:
        array: The parameter's value in the canonical layout.
        layer: The layer.
        op: The operation.
        name: The parameter's canonical local name.
        shape: Its shape in the layer.
        layout: (C, H, W) of what a linear layer reads, if that is a flattened map.
    """
    axes = slot(PARAMETERS, _op(layer, op), name).axes
    return to_native(array, axes, layout).reshape(tuple(shape))


def initializer_of(layer: keras.Layer, op: str, name: str) -> str:
    """Return the attribute of a layer that says how a parameter starts."""
    op = _op(layer, op)
    own = "depthwise" if (op, name) == ("depthwise", "weight") else slot(PARAMETERS, op, name).name
    return f"{own}_initializer"


def layer_name(path: str) -> str:
    """Return the name of the layer that a node is: its own, dots and all.

    On PyTorch, Keras hands variables over under their layers' names, and PyTorch takes no dots:
    there colons stand in their place.
    """
    return path.replace(".", ":") if keras.backend.backend() == "torch" else path


def layouts(model: keras.Model, tensors: Sequence[Any]) -> Iterator[Map | None]:
    """For each tensor of a model, yield (C, H, W) if it is a flattened map, held in HWC order."""
    makers = {id(_private.output_of(layer)): layer for layer in model.layers}
    for tensor in tensors:
        layer = makers.get(id(tensor))
        while isinstance(layer, _ELEMENTWISE):
            source = _private.input_of(layer)  # a model's own is its inner one
            layer = makers.get(id(source[0] if isinstance(source, list) else source))
        if isinstance(layer, layers.Flatten) and len(layer.input.shape) == 4:
            _, height, width, channels = layer.input.shape
            yield Map(channels, height, width)
        else:
            yield None


def _op(layer: keras.Layer, op: str) -> str:
    """Return the operation under which the table has a layer: a depthwise kernel has its own."""
    return _TYPES.get(type(layer), (op, ()))[0]


def _local(name: str) -> str:
    return name.rpartition(".")[2]
