"""Runs a Keras model on NumPy arrays, in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from zoo.errors import InputError
from zoo.graphs.layouts import channels_first
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape
from zoo.keras.weights import layer_name, layouts

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def predict(model: keras.Model, x: Array) -> Array | dict[str, Array]:
    """Run the model on x [N, C, H, W]; returns what it returns, as NumPy arrays.

    Takes Keras' compiled function, which the model keeps: calling the model itself runs its layers
    one by one and takes several times as long.
    """
    return _named(model, model.predict_on_batch(to_input(model, x)))


def forms(model: keras.Model) -> dict[str, Callable[[Array], Array | dict[str, Array]]]:
    """Return the ways to run a model, by name: functions of x like :func:`predict`."""
    compiled = {"tensorflow": "tf.function", "jax": "jax.jit"}.get(keras.backend.backend())
    found: dict[str, Callable[[Array], Array | dict[str, Array]]] = {
        "eager": lambda x: _named(model, model(to_input(model, x), training=False)),
    }
    return {**found, compiled: lambda x: predict(model, x)} if compiled else found


def features(model: keras.Model, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
    """Run the model on x and return the values of nodes, NCHW or [N, features]."""
    layers = {node.name: model.get_layer(layer_name(node.name)) for node in nodes}
    values = {name: keras.Operation.output.fget(layer) for name, layer in layers.items()}
    part = keras.Model(model.inputs, values, name="features")
    result = part.predict_on_batch(to_input(model, x))
    return {node.name: _array(result[node.name], node.layout) for node in nodes}


def to_input(model: keras.Model, x: Array) -> Array:
    """Lay x out as NHWC, in a dtype that every engine takes; the model casts it to its own."""
    (like,) = model.inputs
    x = np.ascontiguousarray(
        x.transpose(0, 2, 3, 1), np.float64 if like.dtype == "float64" else np.float32
    )
    # A compiled function that has met several sizes no longer compares them with the model's.
    if x.shape[1:] != tuple(like.shape[1:]):
        wanted = ", ".join(map(str, like.shape[1:]))
        raise InputError(f"{model.name} was built for inputs [N, {wanted}], got {list(x.shape)}")
    return x


def _named(model: keras.Model, result: Any) -> Array | dict[str, Array]:
    """What a model gave, as NumPy arrays, in the order it was built with."""
    tensors = model.output
    if not isinstance(result, dict):
        (layout,) = layouts(model, [tensors])
        return _array(result, layout)
    flattened = layouts(model, list(tensors.values()))
    return {
        name: _array(result[name], layout) for name, layout in zip(tensors, flattened, strict=True)
    }


def _array(value: Array, layout: Shape | None = None) -> Array:
    value = keras.ops.convert_to_numpy(value)
    return channels_first(
        value.astype(np.float32) if value.dtype.name == "bfloat16" else value, layout
    )
