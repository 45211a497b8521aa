"""Moves weights between a Keras model and canonical NumPy arrays.

Keras' kernels have the outputs last, and a dense layer behind a flatten has inputs in HWC order.
Names and layouts are read off the model itself, by its layers' names, types and connections, so a
model that Keras copied or loaded is as good as one that zoo built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import ml_dtypes  # noqa: F401  (makes NumPy know the name bfloat16)
import numpy as np
from keras import layers

from zoo.graphs.layouts import outputs_first, outputs_last

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Shape = tuple[int, ...]

_KERNEL = {"weight": "kernel", "bias": "bias"}

#: layer type -> canonical local name -> the layer's own name for it
VARIABLES: dict[type[keras.Layer], dict[str, str]] = {
    layers.Conv2D: _KERNEL,
    layers.DepthwiseConv2D: _KERNEL,
    layers.Dense: _KERNEL,
    layers.EinsumDense: _KERNEL,
    layers.LayerNormalization: {"weight": "gamma", "bias": "beta"},
    layers.BatchNormalization: {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    },
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


@dataclass(frozen=True)
class Entry:
    """A variable of a model: its canonical shape, and (C, H, W) if its inputs are flattened."""

    variable: keras.Variable
    shape: Shape
    layout: Shape | None


def shapes(model: keras.Model) -> dict[str, Shape]:
    """Return canonical name -> shape of every parameter and running statistic."""
    return {name: entry.shape for name, entry in entries(model).items()}


def count_parameters(model: keras.Model) -> int:
    """Count the trainable values as Keras does."""
    return int(sum(np.prod(v.shape) for v in model.trainable_variables))


def get_weights(model: keras.Model) -> dict[str, Array]:
    """Copy every parameter and running statistic to NumPy."""
    return {name: canonical(entry, entry.variable) for name, entry in entries(model).items()}


def set_weights(model: keras.Model, weights: Mapping[str, Array]) -> None:
    """Copy canonical arrays in; names and shapes are checked before. Keeps the dtype."""
    for name, entry in entries(model).items():
        variable = entry.variable
        array = np.asarray(weights[name]).astype(np.dtype(variable.dtype), copy=False)
        variable.assign(native(array, variable.shape, entry.layout))


def native(array: Array, shape: Sequence[int], layout: Shape | None = None) -> Array:
    """Lay a canonical array out for Keras, in memory of its own.

    A convolution's [O, I, H, W] becomes [H, W, I, O] (or [H, W, C, M], depthwise); a linear
    layer's [O, I] becomes [I, O], and if its inputs are a flattened map, in HWC order.
    """
    if array.ndim == 1:
        return array.copy()
    return outputs_last(array, layout).reshape(tuple(shape))


def canonical(entry: Entry, value: Any) -> Array:
    """Copy a variable's value, or its gradient, to the canonical layout: undoes :func:`native`."""
    # Not convert_to_numpy, which NumPy warns of when TensorFlow's variables are copied.
    array = np.asarray(value).astype(np.dtype(entry.variable.dtype), copy=False)
    if array.ndim == 1:
        return array.copy()
    outputs, inputs, *window = entry.shape
    return outputs_first(array.reshape(*window, inputs, outputs), entry.layout)


def layer_name(path: str) -> str:
    """Return the name of the layer that a node is: its own, dots and all.

    On PyTorch, Keras hands variables over under their layers' names, and PyTorch takes no dots:
    there colons stand in their place.
    """
    return path.replace(".", ":") if keras.backend.backend() == "torch" else path


def initializer_of(layer: keras.Layer, name: str) -> str:
    """Return the attribute of a layer that says how a parameter starts."""
    own = VARIABLES[type(layer)][name]
    if own == "kernel" and isinstance(layer, layers.DepthwiseConv2D):
        own = "depthwise"
    return f"{own}_initializer"


def layouts(model: keras.Model, tensors: Sequence[Any]) -> Iterator[Shape | None]:
    """For each tensor of a model, yield (C, H, W) if it is a flattened map, held in HWC order."""
    makers = {id(keras.Operation.output.fget(layer)): layer for layer in model.layers}
    for tensor in tensors:
        layer = makers.get(id(tensor))
        while isinstance(layer, _ELEMENTWISE):
            source = keras.Operation.input.fget(layer)  # a model's own is its inner one
            layer = makers.get(id(source[0] if isinstance(source, list) else source))
        if isinstance(layer, layers.Flatten) and len(layer.input.shape) == 4:
            _, height, width, channels = layer.input.shape
            yield channels, height, width
        else:
            yield None


def entries(model: keras.Model) -> dict[str, Entry]:
    """Find a model's variables by their canonical names, in the graph's order where it is known."""
    held = [layer for layer in model.layers if type(layer) in VARIABLES]
    dense = [layer for layer in held if isinstance(layer, layers.Dense)]
    flattened = dict(zip(dense, layouts(model, [layer.input for layer in dense]), strict=True))
    found = {}
    for layer in held:
        for name, own in VARIABLES[type(layer)].items():
            variable = getattr(layer, own)
            if variable is not None:
                shape = _canonical_shape(layer, variable)
                layout = flattened.get(layer) if name == "weight" else None
                path = layer.name.replace(":", ".")  # no name of a spec has a colon
                found[f"{path}.{name}"] = Entry(variable, shape, layout)
    graph = getattr(model, "zoo_graph", None)
    return {p.name: found[p.name] for p in graph.parameters} if graph else found


def _canonical_shape(layer: keras.Layer, variable: keras.Variable) -> Shape:
    if len(variable.shape) == 1:
        return tuple(variable.shape)
    *window, inputs, outputs = variable.shape
    if isinstance(layer, layers.DepthwiseConv2D):
        inputs, outputs = 1, inputs * outputs
    return (outputs, inputs, *window)
