"""Looks into models that zoo did not build.

A layer's name here is its own in a functional or sequential model, and that of the attribute it is
held by in a class of a user's; what is within others is named after them, with dots between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from zoo.backend.outputs import mapped
from zoo.keras.training import ENGINES

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: How Keras' own layers hold what they have, in the words of a source of weights.
CONVENTION: dict[str, Any] = {
    "layouts": {"conv": "HWIO", "depthwise": "HWCM", "linear": "IO", "flatten": "HWC"},
    "parameters": {
        "conv": {"weight": ["kernel"]},
        "linear": {"weight": ["kernel"]},
        "affine": {"weight": ["kernel"]},
        "layer_norm": {"weight": ["gamma"], "bias": ["beta"]},
        "batch_norm": {
            "weight": ["gamma"],
            "bias": ["beta"],
            "running_mean": ["moving_mean"],
            "running_var": ["moving_variance"],
        },
    },
    "left_out": ["*seed_generator_state"],
}


def own_weights(model: keras.Model) -> dict[str, Array]:
    """Copy every variable, under the model's own names and as it lies."""
    return {name: _value(variable.value) for name, variable in _variables(model)}


def named_modules(model: keras.Model) -> dict[str, keras.Layer]:
    """Path -> layer, of every one within a model; one of two names is there under both."""
    return dict(_layers(model))


def observe(
    model: keras.Model, x: Array, names: Iterable[str]
) -> tuple[Any, dict[str, list[Array]]]:
    """Run a model layer by layer in evaluation mode, and note what its layers give.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        names: Of layers; those there are none of are passed over.

    Returns:
        What the model returns, its tensors as NumPy's; and name -> the values of all calls, NHWC,
        for layers that ran. Names of one layer share one list.
    """
    known, calls = named_modules(model), dict[int, list[Array]]()
    wanted = {name: id(known[name]) for name in names if name in known}
    patched = []

    def noting(key: int, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            result = call(*arguments, **options)
            if keras.ops.is_tensor(result):
                calls.setdefault(key, []).append(_value(result))
            return result

        return noted

    try:
        for key, layer in {wanted[name]: known[name] for name in wanted}.items():
            object.__setattr__(layer, "call", noting(key, layer.call))
            patched.append(layer)
        result = model(_input(model, x), training=False)
    finally:
        for layer in patched:
            object.__delattr__(layer, "call")
    found = {name: calls[key] for name, key in wanted.items() if key in calls}
    return mapped(result, keras.ops.convert_to_numpy), found


def differentiate(
    model: keras.Model, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss in training mode, with dropouts that drop nothing.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        loss: Of what the model returns.
        dropouts: Paths of modules that are to drop nothing.

    Returns:
        The loss; own name -> gradient, as the variable lies; the input's, NCHW; and own name ->
        what parameters and running statistics then are.
    """
    known = {name: variable for name, variable in _variables(model) if variable.trainable}
    variables = list(known.values())
    differentiate = ENGINES[keras.backend.backend()]
    inputs = _input(model, x)
    layers, kept = named_modules(model), [(v, _value(v.value)) for v in model.variables]
    rated = [layers[name] for name in dropouts if hasattr(layers[name], "rate")]
    rates = [layer.rate for layer in rated]
    try:
        for layer in rated:
            layer.rate = 0.0
        value, on_input, found = differentiate(model, inputs, variables, loss)
        after = own_weights(model)
    finally:
        for layer, rate in zip(rated, rates, strict=True):
            layer.rate = rate
        for variable, before in kept:
            variable.assign(before)
    on_input = np.zeros_like(inputs) if on_input is None else np.asarray(on_input)
    named = {
        name: _value(0 * variable.value if gradient is None else gradient)
        for (name, variable), gradient in zip(known.items(), found, strict=True)
    }
    return float(value), named, on_input.transpose(0, 3, 1, 2).copy(), after


def _input(model: keras.Model, x: Array) -> Array:
    double = any(variable.dtype == "float64" for variable in model.variables)
    x = x.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x, np.float64 if double else np.float32)


def _layers(model: keras.Model, before: str = "") -> Iterator[tuple[str, keras.Layer]]:
    for name, layer in _children(model):
        path = f"{before}{name}"
        yield path, layer
        yield from _layers(layer, f"{path}.")


def _children(layer: keras.Layer) -> Iterator[tuple[str, keras.Layer]]:
    if isinstance(layer, keras.Sequential) or getattr(layer, "_operations", None):
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


def _variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    for path, layer in _layers(model):
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield f"{path}.{variable.name}", variable


def _value(value: Any) -> Array:
    return np.array(keras.ops.convert_to_numpy(value))
