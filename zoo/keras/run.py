"""Runs a Keras model on NumPy arrays, in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from zoo.backend.base import Array
from zoo.backend.outputs import mapped
from zoo.errors import InputError
from zoo.graphs.layouts import channels_first
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape
from zoo.keras import _private
from zoo.keras.parameters import layer_name, layouts


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
    values = {name: _private.output_of(layer) for name, layer in layers.items()}
    part = keras.Model(model.inputs, values, name="features")
    result = part.predict_on_batch(to_input(model, x))
    return {node.name: _array(result[node.name], node.layout) for node in nodes}


def observe(
    model: keras.Model, x: Array, names: Iterable[str]
) -> tuple[Any, dict[str, list[Array]]]:
    """Run a model layer by layer; see :meth:`zoo.backend.base.Backend.observe`.

    A layer's name is its own in a functional or sequential model, and that of the attribute that
    holds it in a class of a user's; what is within others is named after them, with dots between.
    """
    known, calls = named_modules(model), dict[int, list[Array]]()
    wanted = {name: id(known[name]) for name in names if name in known}
    patched = []

    def noting(key: int, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            result = call(*arguments, **options)
            if keras.ops.is_tensor(result):
                calls.setdefault(key, []).append(value_of(result))
            return result

        return noted

    try:
        for key, layer in {wanted[name]: known[name] for name in wanted}.items():
            object.__setattr__(layer, "call", noting(key, layer.call))
            patched.append(layer)
        result = model(any_input(model, x), training=False)
    finally:
        for layer in patched:
            object.__delattr__(layer, "call")
    found = {name: calls[key] for name, key in wanted.items() if key in calls}
    return mapped(result, keras.ops.convert_to_numpy), found


def own_weights(model: keras.Model) -> dict[str, Array]:
    """Copy every variable, under the model's own names and as it lies."""
    return {name: value_of(variable.value) for name, variable in named_variables(model)}


def named_modules(model: keras.Model) -> dict[str, keras.Layer]:
    """Path -> layer, of every one within a model; one of two names is there under both."""
    return dict(_layers(model))


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


def any_input(model: keras.Model, x: Array) -> Array:
    """Lay x out as NHWC for a model of any class, in the precision of its variables."""
    double = any(variable.dtype == "float64" for variable in model.variables)
    x = x.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x, np.float64 if double else np.float32)


def _layers(model: keras.Model, before: str = "") -> Iterator[tuple[str, keras.Layer]]:
    for name, layer in _children(model):
        path = f"{before}{name}"
        yield path, layer
        yield from _layers(layer, f"{path}.")


def _children(layer: keras.Layer) -> Iterator[tuple[str, keras.Layer]]:
    if isinstance(layer, keras.Sequential) or _private.is_functional(layer):
        yield from ((each.name, each) for each in layer.layers)
        return
    for name, value in vars(layer).items():
        if name.startswith("_"):
            continue
        if isinstance(value, keras.Layer):
            yield name, value
        elif isinstance(value, list | tuple):
            yield from (
                (f"{name}.{i}", each)
                for i, each in enumerate(value)
                if isinstance(each, keras.Layer)
            )


def named_variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Return every variable within a model by its path, each once."""
    seen: set[int] = set()
    for path, layer in _layers(model):
        for variable in _private.own_variables(layer):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield f"{path}.{variable.name}", variable


def value_of(value: Any) -> Array:
    """Copy a tensor to NumPy."""
    return np.array(keras.ops.convert_to_numpy(value))
