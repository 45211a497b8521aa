"""Runs PaddlePaddle layers on NumPy arrays, in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import paddle
from paddle import nn

from zoo.backend.base import Array, Outputs
from zoo.backend.outputs import mapped
from zoo.paddle import _private
from zoo.weights.checking import DTYPES


def observe(model: nn.Layer, x: Array, names: Iterable[str]) -> tuple[Any, dict[str, list[Array]]]:
    """Run a model and record its layers' outputs; see :meth:`zoo.backend.base.Backend.observe`."""
    requested = list(names)
    layers = named_modules(model) if requested else {}
    observed = {name: layers[name] for name in requested if name in layers}
    calls: dict[int, list[Array]] = {}

    def record(layer: nn.Layer, inputs: Any, output: Any) -> None:
        if isinstance(output, paddle.Tensor):
            # A copy, because later layers may overwrite the output in place.
            calls.setdefault(id(layer), []).append(to_numpy(output).copy())

    unique = {id(layer): layer for layer in observed.values()}
    hooks = [layer.register_forward_post_hook(record) for layer in unique.values()]
    # Hooks are not called inside what is compiled.
    eager = _private.dynamic() if unique else nullcontext()
    try:
        with evaluating(model), eager:
            result = model(to_input(model, x))
    finally:
        for hook in hooks:
            hook.remove()
    values = {name: calls[id(layer)] for name, layer in observed.items() if id(layer) in calls}
    return mapped(result, to_numpy), values


def forms(model: nn.Layer) -> dict[str, Callable[[Array], Outputs]]:
    """Return the ways to run a model, eager and compiled, by name."""
    # A function, because to_static would change the model itself.
    static = paddle.jit.to_static(lambda x: model(x))

    def run(function: Callable[..., Any], x: Array) -> Outputs:
        with evaluating(model):
            result: Outputs = mapped(function(to_input(model, x)), to_numpy)
        return result

    return {"eager": lambda x: run(model, x), "to_static": lambda x: run(static, x)}


def named_modules(model: nn.Layer) -> dict[str, nn.Layer]:
    """Return every layer of a model by its path; a shared layer has several paths."""
    return dict(model.named_sublayers(remove_duplicate=False))


def own_weights(model: nn.Layer) -> dict[str, Array]:
    """Copy every parameter and running statistic under the model's own name and layout."""
    return {name: to_numpy(value) for name, value in model.state_dict().items()}


def dtypes(model: nn.Layer) -> dict[str, str]:
    """Return the dtype of every floating-point weight by its own name."""
    own = {n: str(value.dtype).rpartition(".")[2] for n, value in model.state_dict().items()}
    return {name: dtype for name, dtype in own.items() if dtype in DTYPES}


@contextmanager
def evaluating(model: nn.Layer) -> Iterator[None]:
    """Put every layer in evaluation mode, and restore their modes afterwards."""
    training = [layer for layer in model.sublayers(include_self=True) if layer.training]
    model.eval()
    try:
        with paddle.no_grad():
            yield
    finally:
        for layer in training:
            layer.training = True


def to_input(model: nn.Layer, x: Array) -> paddle.Tensor:
    """Copy x to the model's device and dtype."""
    parameter = next(iter(model.parameters()), None)
    if parameter is None:  # a network without weights stores the dtype that it was built for
        return paddle.to_tensor(x).astype(getattr(model, "_dtype", "float32"))
    return paddle.to_tensor(x, place=parameter.place).astype(parameter.dtype)


def to_numpy(value: paddle.Tensor) -> Array:
    """Copy a tensor; bfloat16, which NumPy lacks, as float32."""
    if value.dtype == paddle.bfloat16:
        value = value.astype("float32")
    copied: Array = value.numpy()
    return copied
