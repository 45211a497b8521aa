"""Runs a Keras model on NumPy arrays, in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from zoo.backend.base import Array
from zoo.backend.outputs import mapped
from zoo.errors import BackendError, InputError
from zoo.graphs.graph import own_graph
from zoo.graphs.layouts import channels_first
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape
from zoo.keras import _private
from zoo.keras.parameters import layer_name, layouts, require_built
from zoo.language import sizes


def predict(model: keras.Model, x: Array) -> Array | dict[str, Array]:
    """Run the model on x [N, C, H, W], and return its result as NumPy arrays.

    This uses the compiled function that Keras caches in the model. Calling the model runs its
    layers one by one and takes several times as long.
    """
    if not getattr(model, "inputs", None):  # a user's own class, or a layer
        if not getattr(model, "layers", True):
            require_built(model)
        result = model(any_input(model, x), training=False)
        return mapped(result, lambda value: _to_numpy(keras.ops.convert_to_numpy(value)))
    return to_outputs(model, _on_batch(model, to_input(model, x)))


def _on_batch(model: keras.Model, x: Array) -> Any:
    """Run Keras' compiled function of a model on a batch.

    In a strategy of ``tf.distribute``, Keras runs the whole batch on every replica, and joins what
    they return. Its ``predict`` divides a batch, but in float32.
    """
    return mapped(model.predict_on_batch(x), lambda value: value[: len(x)])


def held(model: keras.Layer) -> keras.Model | None:
    """Return the model that a functional or sequential model calls, if it does nothing else."""
    if own_graph(model) is not None:
        return None
    if isinstance(model, _private.Functional):
        return _private.only_call(model)
    if not isinstance(model, keras.Sequential):
        return None
    inner, *others = [x for x in model.layers if not isinstance(x, keras.layers.InputLayer)] or [0]
    return None if others or not isinstance(inner, keras.Model) else inner


def forms(model: keras.Model) -> dict[str, Callable[[Array], Array | dict[str, Array]]]:
    """Return the ways to run a model, by name: functions of x like :func:`predict`."""
    compiled = {"tensorflow": "tf.function", "jax": "jax.jit"}.get(keras.backend.backend())
    forms: dict[str, Callable[[Array], Array | dict[str, Array]]] = {
        "eager": lambda x: to_outputs(model, model(to_input(model, x), training=False)),
    }
    return {**forms, compiled: lambda x: predict(model, x)} if compiled else forms


def features(model: keras.Model, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
    """Run the model on x and return the values of nodes, NCHW or [N, features]."""
    part = extractor(model, {node.name: node.name for node in nodes})
    result = _on_batch(part, to_input(model, x))
    return {node.name: _to_numpy(result[node.name], node.layout) for node in nodes}


def extractor(model: keras.Model, nodes: Mapping[str, str]) -> keras.Model:
    """Return a model of the same layers that returns a dict of nodes' values, NHWC."""
    layers = {name: model.get_layer(layer_name(node)) for name, node in nodes.items()}
    values = {name: _private.output_of(layer) for name, layer in layers.items()}
    with _private.deep(len(model.operations)):
        return keras.Model(model.input, values, name="features")


def observe(
    model: keras.Model, x: Array, names: Iterable[str]
) -> tuple[Any, dict[str, list[Array]]]:
    """Run a model layer by layer; see :meth:`zoo.backend.base.Backend.observe`.

    In a functional or sequential model, a path consists of the layers' names; in a user's own class
    it consists of the names of the attributes. Dots separate the levels.
    """
    layers, calls = named_modules(model), dict[int, list[Array]]()
    observed = {name: id(layers[name]) for name in names if name in layers}
    patched = []

    def recording(key: int, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any, **options: Any) -> Any:
            result = call(*arguments, **options)
            if keras.ops.is_tensor(result):
                calls.setdefault(key, []).append(value_of(result))
            return result

        return recorded

    try:
        for key, layer in {observed[name]: layers[name] for name in observed}.items():
            object.__setattr__(layer, "call", recording(key, layer.call))
            patched.append(layer)
        result = model(any_input(model, x), training=False)
    finally:
        for layer in patched:
            object.__delattr__(layer, "call")
    values = {name: calls[key] for name, key in observed.items() if key in calls}
    return mapped(result, keras.ops.convert_to_numpy), values


def own_weights(model: keras.Model) -> dict[str, Array]:
    """Copy every variable, with the model's own names and layouts."""
    return {name: value_of(variable.value) for name, variable in named_variables(model)}


def named_modules(model: keras.Model) -> dict[str, keras.Layer]:
    """Return every layer of a model by its path; a shared layer has several paths."""
    return dict(_layers(model))


def to_input(model: keras.Model, x: Array) -> Array:
    """Convert x to NHWC, in a dtype that every engine accepts; the model casts it to its own."""
    tensor, *others = model.inputs
    if others:
        raise BackendError(
            f"{model.name} has {len(model.inputs)} inputs; zoo runs models that take images alone"
        )
    # Once a compiled function has run on several sizes, it no longer checks them.
    sides = (tensor.shape[-1], *tensor.shape[1:-1])
    if len(sides) != 3 or any(
        side not in (None, n) for side, n in zip(sides, x.shape[1:], strict=True)
    ):
        why = "in Keras its size is fixed"
        if (graph := own_graph(model)) is not None:
            sizes.check(graph, x.shape)  # which knows a reason if there is one in any framework
            why = "its pools have ceil_mode, which fixes the size in Keras"
        expected = ", ".join("any" if side is None else str(side) for side in sides)
        raise InputError(
            f"{model.name} was built for inputs [N, {expected}], got {list(x.shape)}; {why}: build "
            f"it with input_size={x.shape[2:]}"
        )
    return np.ascontiguousarray(
        x.transpose(0, 2, 3, 1), np.float64 if tensor.dtype == "float64" else np.float32
    )


def to_outputs(model: keras.Model, result: Any) -> Array | dict[str, Array]:
    """Return a model's result as NumPy arrays, its outputs in the order of the spec."""
    found = dict(zip(map(id, model.outputs), layouts(model, model.outputs), strict=True))

    def converted(value: Any, tensor: Any) -> Any:
        if isinstance(tensor, Mapping):
            return {name: converted(value[name], tensor[name]) for name in tensor}
        if isinstance(tensor, list | tuple):
            return [converted(*pair) for pair in zip(value, tensor, strict=True)]
        return _to_numpy(value, found[id(tensor)])

    several = isinstance(result, Mapping | list | tuple)
    outputs: Array | dict[str, Array] = converted(
        result, model.output if several else model.outputs[0]
    )
    return outputs


def _to_numpy(value: Array, layout: Shape | None = None) -> Array:
    value = keras.ops.convert_to_numpy(value)
    return channels_first(
        value.astype(np.float32) if value.dtype.name == "bfloat16" else value, layout
    )


def any_input(model: keras.Model, x: Array) -> Array:
    """Convert x to NHWC for a model of any class, in the precision of its variables."""
    double = any(variable.dtype == "float64" for variable in model.variables)
    x = x.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x, np.float64 if double else np.float32)


def _layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.Layer]]:
    for name, layer in _children(model):
        path = f"{prefix}{name}"
        yield path, layer
        yield from _layers(layer, f"{path}.")


def _children(layer: keras.Layer) -> Iterator[tuple[str, keras.Layer]]:
    if _private.has_named_layers(layer):
        yield from ((child.name, child) for child in layer.layers)
        return
    for name, value in vars(layer).items():
        if isinstance(value, keras.Layer):
            yield name, value
        elif isinstance(value, list | tuple) and not name.startswith("_"):  # those are Keras' own
            yield from (
                (f"{name}.{i}", child)
                for i, child in enumerate(value)
                if isinstance(child, keras.Layer)
            )


def named_variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield every variable of a model with its path, each once."""
    seen: set[int] = set()
    for path, layer in _layers(model):
        for variable in _private.own_variables(layer):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield f"{path}.{variable.name}", variable


def value_of(value: Any) -> Array:
    """Copy a tensor to NumPy."""
    return np.array(keras.ops.convert_to_numpy(value))
